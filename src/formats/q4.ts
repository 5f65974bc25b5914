// q4: 4 bits a weight, and an f16 scale for each 32 weights of a row (4.5 bits in all): the numbers of GGUF's Q4_0, rounded as ggml's
// reference does. A number is scale · (code − 8); the scale takes the number of largest magnitude to -8, so it may be negative.
// Does not know how blocks and rows lie: eight-rows.ts.

import { halves } from "./eight-rows-scales.ts";
import {
  cutOff,
  type EightRows,
  eightRowsFormat,
  groupRows,
  largestOf,
  type Regrouping,
  ungroupRows,
} from "./eight-rows.ts";
import type { MatrixShape, WeightFormat } from "./weight-format.ts";

const code = (x: number): number => cutOff(x, 8);

/**
 * The codes of q4 and q4r, for a block of 8 rows × 32 k:
 *
 * | offset | size   | content                                                                                               |
 * | ------ | ------ | ----------------------------------------------------------------------------------------------------- |
 * | 0      | 4 × 32 | run j, for j = 0 … 3: for each row the codes of quad j in the low halves of 4 bytes, quad j + 4 in the high |
 */
export const nibbles: Omit<EightRows, "name" | "scales"> = {
  codeBytes: 128,
  fill: 0x88,

  scaleOf: (values, from) => Math.fround(largestOf(values, from) / -8),

  round(values, from, inverse, bytes, at, row) {
    let to = at + row * 4;
    for (let i = from; i < from + 16; i += 4, to += 32) {
      bytes[to] = code(values[i] * inverse) | (code(values[i + 16] * inverse) << 4);
      bytes[to + 1] = code(values[i + 1] * inverse) | (code(values[i + 17] * inverse) << 4);
      bytes[to + 2] = code(values[i + 2] * inverse) | (code(values[i + 18] * inverse) << 4);
      bytes[to + 3] = code(values[i + 3] * inverse) | (code(values[i + 19] * inverse) << 4);
    }
  },

  widen(bytes, at, row, scale, out, to, count) {
    const codes = at + row * 4;
    for (let i = 0; i < count; i++) {
      const byte = bytes[codes + (i & 12) * 8 + (i & 3)];
      out[to + i] = ((i < 16 ? byte & 15 : byte >> 4) - 8) * scale;
    }
  },
};

export const q4: WeightFormat = eightRowsFormat({ ...nibbles, name: "q4", scales: halves });

const regrouping: Regrouping = { words: 8, flip: 0, fill: 0x8888 };

/** Moves GGUF's Q4_0 blocks, row by row, into the layout of q4. The numbers stay the same. */
export function regroupQ4(rowMajor: Uint8Array, grouped: Uint8Array, shape: MatrixShape): void {
  groupRows(rowMajor, grouped, shape, regrouping);
}

/** The inverse of regroupQ4: from q4 to Q4_0. */
export function ungroupQ4(grouped: Uint8Array, rowMajor: Uint8Array, shape: MatrixShape): void {
  ungroupRows(grouped, rowMajor, shape, regrouping);
}
