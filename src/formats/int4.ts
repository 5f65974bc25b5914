// Packed 4-bit matrices as GPTQ, AWQ and compressed-tensors publish them, in one order: weight = scale · (code − zero).
// "int4-<group>" has G = ⌈K / group⌉ scales a row (one scale a row: group = K); "int4-<group>-act" a table of each column's group.
// Parts, each at a multiple of four bytes: codes [O, ⌈K/2⌉], low nibble = even column · scales f32 [O, G] · zeros i16 [O, G] ·
// (act) groups of the columns i32 [K]. Knows no files: how each kind of them lies is told in src/checkpoint/quantized/.

import { areFinite, exponents, FINITE_RUN } from "./finite.ts";
import { floats32 } from "./words.ts";
import type { MatrixShape, Parts, WeightFormat } from "./weight-format.ts";

/** The most columns that a name may put into a group. */
const MAX_GROUP = 2 ** 31 - 1;

/** The format of that name, or undefined: "int4-128", "int4-32-act". */
export function int4Family(name: string): WeightFormat | undefined {
  const match = /^int4-([1-9]\d{0,9})(-act)?$/.exec(name);
  if (match === null || Number(match[1]) > MAX_GROUP) return undefined;
  return int4Format(Number(match[1]), match[2] !== undefined);
}

/** @param group columns that share a scale; `act`: which ones, a table says */
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

/** Bytes of one row of codes. */
export function rowBytes(columns: number): number {
  return Math.ceil(columns / 2);
}

/** Groups of one row. */
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
