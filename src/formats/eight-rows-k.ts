// What the layouts of q4k and q6k share: groups of 8 rows, and in them runs of 256 k with f16 scales in front.

import { InputError } from "../errors.ts";
import { GROUP } from "./eight-rows-scales.ts";
import { f16 } from "./f16.ts";
import { areFinite, exponents, FINITE_RUN } from "./finite.ts";
import type { WeightFormat } from "./weight-format.ts";

/** Numbers of a row that share an f16 scale. */
const SUPER_BLOCK = 256;

export type KLayout = {
  readonly name: string;
  /** Numbers of a row that share a small scale. */
  readonly param: number;
  /** Bytes of 8 rows × 256 k. */
  readonly bytes: number;
  /** f16 numbers at their beginning. */
  readonly scales: number;
  /** 256 numbers of row `row` of the group's bytes at `at` into out[to …]; `halves`: the f16 numbers. */
  widen(
    bytes: Uint8Array,
    at: number,
    row: number,
    halves: Float32Array,
    out: Float32Array,
    to: number,
  ): void;
};

export function superBlocksOf(columns: number): number {
  return columns / SUPER_BLOCK;
}

export function kFormat({ name, param, bytes: size, scales, widen }: KLayout): WeightFormat {
  return {
    ...{ name, family: name, param },
    parts(rows, columns) {
      if (columns % SUPER_BLOCK !== 0)
        throw new InputError(
          `${name} holds rows of whole blocks of ${SUPER_BLOCK} numbers; ${columns} columns are no multiple of that`,
        );
      return [Math.ceil(rows / GROUP) * superBlocksOf(columns) * size];
    },
    step: () => GROUP,

    isFinite([bytes], look = areFinite) {
      for (let run = 0; run < 2 * scales; run += FINITE_RUN)
        if (!look(bytes.subarray(run), exponents.f16, size)) return false;
      return true;
    },

    unpack([bytes], { columns }, from, to, out) {
      const supers = superBlocksOf(columns);
      const halves = new Float32Array(scales);
      for (let row = from; row < to; row++) {
        const group = Math.floor(row / GROUP) * supers;
        for (let k = 0; k < supers; k++) {
          const at = (group + k) * size;
          f16.unpack(bytes.subarray(at, at + 2 * scales), halves);
          widen(bytes, at, row % GROUP, halves, out, (row - from) * columns + k * SUPER_BLOCK);
        }
      }
    },
  };
}
