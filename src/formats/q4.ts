// q4: 4 bits a weight and an f16 scale for 32 of a row; the numbers of GGUF's Q4_0, which ggml's reference rounds the same way.
// A number is scale · (code − 8). The scale takes the largest number to -8, so it may be negative. Layout: eight-rows.ts.

import {
  type EightRows,
  eightRowsFormat,
  groupRows,
  type Regrouping,
  ungroupRows,
} from "./eight-rows.ts";
import type { MatrixShape, WeightFormat } from "./weight-format.ts";

const kind: EightRows = {
  name: "q4",
  blockBytes: 144,
  fill: 0x88,

  quantize(values, from, bytes, at, row) {
    let largest = 0;
    let size = 0;
    let sum = 0;
    for (let i = from; i < from + 32; i++) {
      const value = values[i];
      sum += value;
      if (Math.abs(value) > size) {
        size = Math.abs(value);
        largest = value;
      }
    }
    const scale = Math.fround(largest / -8);
    const inverse = scale === 0 ? 0 : Math.fround(1 / scale);
    let to = at + 16 + row * 4;
    for (let i = from; i < from + 16; i += 4, to += 32) {
      bytes[to] = code(values[i] * inverse) | (code(values[i + 16] * inverse) << 4);
      bytes[to + 1] = code(values[i + 1] * inverse) | (code(values[i + 17] * inverse) << 4);
      bytes[to + 2] = code(values[i + 2] * inverse) | (code(values[i + 18] * inverse) << 4);
      bytes[to + 3] = code(values[i + 3] * inverse) | (code(values[i + 19] * inverse) << 4);
    }
    return Number.isNaN(sum) ? sum : scale;
  },

  widen(bytes, at, row, scale, out, to, count) {
    const codes = at + 16 + row * 4;
    for (let i = 0; i < count; i++) {
      const byte = bytes[codes + (i & 12) * 8 + (i & 3)];
      out[to + i] = ((i < 16 ? byte & 15 : byte >> 4) - 8) * scale;
    }
  },
};

/** Half up, then cut off; the one number above all others is the largest one with the other sign, which has no code of its own. */
function code(x: number): number {
  const rounded = Math.fround(x + 8.5) | 0;
  return rounded > 15 ? 15 : rounded;
}

export const q4: WeightFormat = eightRowsFormat(kind);

const regrouping: Regrouping = { words: 8, flip: 0, fill: 0x8888 };

/** GGUF's Q4_0 blocks, row-major, into the layout of q4: the same numbers. */
export function regroupQ4(rowMajor: Uint8Array, grouped: Uint8Array, shape: MatrixShape): void {
  groupRows(rowMajor, grouped, shape, regrouping);
}

/** q4 to Q4_0. */
export function ungroupQ4(grouped: Uint8Array, rowMajor: Uint8Array, shape: MatrixShape): void {
  ungroupRows(grouped, rowMajor, shape, regrouping);
}
