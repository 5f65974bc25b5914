// q8: 8 bits a weight and an f16 scale for 32 of a row; the numbers of GGUF's Q8_0, which ggml's reference rounds the same way.
// A number is scale · (code − 128); the scale takes the largest size to 127. Layout: eight-rows.ts; run j of 8 holds quad j.

import { halves } from "./eight-rows-scales.ts";
import {
  eightRowsFormat,
  groupRows,
  largestOf,
  type Regrouping,
  ungroupRows,
} from "./eight-rows.ts";
import type { MatrixShape, WeightFormat } from "./weight-format.ts";

/** More than 1 by less than takes any f32 below 128 to the next half: a half is rounded away from zero, without a branch. */
const AWAY = 1 + 2 ** -30;

function code(x: number): number {
  return (x * AWAY + 128.5) | 0;
}

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

/** GGUF's Q8_0 blocks, row-major, into the layout of q8: the same numbers. */
export function regroupQ8(rowMajor: Uint8Array, grouped: Uint8Array, shape: MatrixShape): void {
  groupRows(rowMajor, grouped, shape, regrouping);
}

/** q8 to Q8_0. */
export function ungroupQ8(grouped: Uint8Array, rowMajor: Uint8Array, shape: MatrixShape): void {
  ungroupRows(grouped, rowMajor, shape, regrouping);
}
