// q8: 8 bits a weight, and an f16 scale for each 32 weights of a row (8.5 bits in all): the numbers of GGUF's Q8_0, rounded as ggml's
// reference does. A number is scale · (code − 128); the scale takes the largest magnitude to 127.
// Does not know how blocks and rows lie: eight-rows.ts.

import { halves } from "./eight-rows-scales.ts";
import {
  eightRowsFormat,
  groupRows,
  largestOf,
  type Regrouping,
  ungroupRows,
} from "./eight-rows.ts";
import type { MatrixShape, WeightFormat } from "./weight-format.ts";

/**
 * Slightly more than 1. Multiplying by it moves halves away from zero, so that they round away from zero without a branch; no other
 * f32 below 128 gets as far as the next half.
 */
const AWAY = 1 + 2 ** -30;

function code(x: number): number {
  return (x * AWAY + 128.5) | 0;
}

/**
 * The codes of a block of 8 rows × 32 k:
 *
 * | offset | size   | content                                                    |
 * | ------ | ------ | ---------------------------------------------------------- |
 * | 0      | 8 × 32 | run j, for j = 0 … 7: for each row the 4 codes of quad j   |
 */
export const q8: WeightFormat = eightRowsFormat({
  name: "q8",
  scales: halves,
  codeBytes: 256,
  fill: 0x80,

  scaleOf: (values, from) => Math.fround(Math.abs(largestOf(values, from)) / 127),

  round(values, from, inverse, bytes, at, row) {
    let to = at + row * 4;
    for (let i = from; i < from + 32; i += 4, to += 32) {
      bytes[to] = code(Math.fround(values[i] * inverse));
      bytes[to + 1] = code(Math.fround(values[i + 1] * inverse));
      bytes[to + 2] = code(Math.fround(values[i + 2] * inverse));
      bytes[to + 3] = code(Math.fround(values[i + 3] * inverse));
    }
  },

  widen(bytes, at, row, scale, out, to, count) {
    const codes = at + row * 4;
    for (let i = 0; i < count; i++)
      out[to + i] = (bytes[codes + (i & 28) * 8 + (i & 3)] - 128) * scale;
  },
});

const regrouping: Regrouping = { words: 16, flip: 0x8080, fill: 0x8080 };

/** Moves GGUF's Q8_0 blocks, row by row, into the layout of q8. The numbers stay the same. */
export function regroupQ8(rowMajor: Uint8Array, grouped: Uint8Array, shape: MatrixShape): void {
  groupRows(rowMajor, grouped, shape, regrouping);
}

/** The inverse of regroupQ8: from q8 to Q8_0. */
export function ungroupQ8(grouped: Uint8Array, rowMajor: Uint8Array, shape: MatrixShape): void {
  ungroupRows(grouped, rowMajor, shape, regrouping);
}
