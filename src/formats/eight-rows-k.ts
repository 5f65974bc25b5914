// What formats q4k and q6k share: rows in groups of 8, cut into super-blocks of 256 k (columns). A super-block begins with f16 scales
// of the 8 rows, by which the small integer scales within it are multiplied. Does not know what follows them.

import { InputError } from "../errors.ts";
import { GROUP } from "./eight-rows-scales.ts";
import { f16 } from "./f16.ts";
import { areFinite, exponents, FINITE_RUN } from "./finite.ts";
import type { WeightFormat } from "./weight-format.ts";

/** How many numbers of a row share an f16 scale. */
const SUPER_BLOCK = 256;

export type KLayout = {
  readonly name: string;
  /** How many numbers of a row share a small integer scale. */
  readonly param: number;
  /** Bytes of a super-block of 8 rows. */
  readonly bytes: number;
  /** How many f16 numbers it begins with. */
  readonly scales: number;
  /**
   * Unpacks 256 numbers, row `row` of the super-block at bytes[at …], into out[to …].
   * @param halves the f16 numbers at its beginning
   */
  widen(
    bytes: Uint8Array,
    at: number,
    row: number,
    halves: Float32Array,
    out: Float32Array,
    to: number,
  ): void;
};

/** How many super-blocks a row has. */
export function superBlocksOf(columns: number): number {
  return columns / SUPER_BLOCK;
}

/** The weight format with that layout. It is read only: nothing is quantised to it. */
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
