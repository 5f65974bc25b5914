// Packed 4-bit matrices [O, K], the contents of GPTQ, AWQ and compressed-tensors files in one layout: weight = scale · (code − zero).
// "int4-<group>": each `group` columns of a row share a scale (group = K: one scale a row). "int4-<group>-act": a table says which
// columns do. Knows no files: src/checkpoint/quantized/ reads them.

import { areFinite, exponents, FINITE_RUN } from "./finite.ts";
import { floats32 } from "./words.ts";
import type { MatrixShape, Parts, WeightFormat } from "./weight-format.ts";

/** The largest group that a name may have. */
const MAX_GROUP = 2 ** 31 - 1;

/** The format of that name, or undefined: "int4-128", "int4-32-act". */
export function int4Family(name: string): WeightFormat | undefined {
  const match = /^int4-([1-9]\d{0,9})(-act)?$/.exec(name);
  if (match === null || Number(match[1]) > MAX_GROUP) return undefined;
  return int4Format(Number(match[1]), match[2] !== undefined);
}

/**
 * The format with that group. The parts of a matrix [O, K] with G = ⌈K / group⌉ groups, each part at a multiple of four bytes:
 *
 * | part | shape        | content                                            |
 * | ---- | ------------ | -------------------------------------------------- |
 * | 0    | u8 [O, ⌈K/2⌉] | codes, two in a byte, the even column in the low half |
 * | 1    | f32 [O, G]   | scales                                             |
 * | 2    | i16 [O, G]   | zero points                                        |
 * | 3    | i32 [K]      | with `act`: the group of each column               |
 *
 * @param group how many columns share a scale
 * @param act   whether a table says which columns those are; else they are neighbours
 */
export function int4Format(group: number, act: boolean): WeightFormat {
  return {
    name: int4Name(group, act),
    family: act ? "int4-act" : "int4",
    param: group,
    parts(rows, columns) {
      const scales = rows * groupsOf(columns, group);
      const plain = [rows * rowBytes(columns), scales * 4, scales * 2];
      return act ? [...plain, columns * 4] : plain;
    },
    step: () => 1,
    unpack(parts, shape, from, to, out) {
      unpackRows(parts, shape, group, from, to, out);
    },
    isFinite: ([, scales], look = areFinite) => look(scales, exponents.f32, FINITE_RUN),
  };
}

/** The format's name. */
export function int4Name(group: number, act: boolean): string {
  return act ? `int4-${group}-act` : `int4-${group}`;
}

/** How many bytes the codes of one row take. */
export function rowBytes(columns: number): number {
  return Math.ceil(columns / 2);
}

/** How many groups a row has. */
export function groupsOf(columns: number, group: number): number {
  return Math.ceil(columns / group);
}

function unpackRows(
  parts: Parts,
  { columns }: MatrixShape,
  group: number,
  from: number,
  to: number,
  out: Float32Array,
): void {
  const { codes, scales, zeros, table } = numbersOf(parts);
  const groups = groupsOf(columns, group);
  for (let row = from, at = 0; row < to; row++) {
    const begin = row * rowBytes(columns) * 2;
    for (let k = 0; k < columns;) {
      const inRow = table?.[k] ?? Math.floor(k / group);
      const end = table === undefined ? Math.min((inRow + 1) * group, columns) : k + 1;
      const [scale, zero] = [scales[row * groups + inRow], zeros[row * groups + inRow]];
      for (; k < end; k++) {
        const code = (codes[(begin + k) >>> 1] >>> ((k & 1) * 4)) & 15;
        out[at++] = scale * (code - zero);
      }
    }
  }
}

function numbersOf([codes, scales, zeros, table]: Parts): {
  codes: Uint8Array<ArrayBufferLike>;
  scales: Float32Array<ArrayBufferLike>;
  zeros: Int16Array<ArrayBufferLike>;
  table: Int32Array<ArrayBufferLike> | undefined;
} {
  return {
    codes,
    scales: floats32(scales),
    zeros: new Int16Array(zeros.buffer, zeros.byteOffset, zeros.byteLength >>> 1),
    table: table && new Int32Array(table.buffer, table.byteOffset, table.byteLength >>> 2),
  };
}
