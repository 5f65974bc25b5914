// q6r: the format that `{ method: "q4" }` quantises the head to. 6 bits a weight and the scales of q4r: 6.25 bits in all. A number is
// scale · (code − 32). Does not know how blocks and rows lie: eight-rows.ts, eight-rows-scales.ts.

import { ofRows } from "./eight-rows-scales.ts";
import { cutOff, eightRowsFormat, fittedScale } from "./eight-rows.ts";
import type { WeightFormat } from "./weight-format.ts";

/** Where the runs of high bits begin, in bytes. */
const HIGH = 128;

const code = (x: number): number => cutOff(x, 32);

/**
 * The codes of a block of 8 rows × 32 k:
 *
 * | offset | size   | content                                                                                                  |
 * | ------ | ------ | -------------------------------------------------------------------------------------------------------- |
 * | 0      | 4 × 32 | the low four bits of codes, as q4 has its codes                                                          |
 * | 128    | 2 × 32 | the high two bits: run i has, for each row, quads i, i + 2, i + 4, i + 6 in 4 bytes, from the low bits on |
 */
export const q6r: WeightFormat = eightRowsFormat({
  name: "q6r",
  scales: ofRows,
  codeBytes: 192,
  fill: 0,

  scaleOf: (values, from) => fittedScale(values, from, 32),

  round(values, from, inverse, bytes, at, row) {
    const low = at + 4 * row;
    for (let k = 0; k < 8; k++) {
      const place = low + 8 * (k & 4) + (k & 3);
      // k < 4: quads 0, 2, 4 and 6; else quads 1, 3, 5 and 7.
      const a = code(values[from + k] * inverse);
      const b = code(values[from + k + 8] * inverse);
      const c = code(values[from + k + 16] * inverse);
      const d = code(values[from + k + 24] * inverse);
      bytes[place] = (a & 15) | ((c & 15) << 4);
      bytes[place + 64] = (b & 15) | ((d & 15) << 4);
      bytes[place + HIGH] = (a >> 4) | ((b >> 4) << 2) | ((c >> 4) << 4) | ((d >> 4) << 6);
    }
  },

  widen(bytes, at, row, scale, out, to, count) {
    for (let k = 0; k < count; k++) {
      const low = bytes[at + 4 * row + 8 * (k & 12) + (k & 3)] >> ((k & 16) >> 2);
      const high = bytes[at + HIGH + 4 * row + 8 * (k & 4) + (k & 3)] >> ((k & 24) >> 2);
      out[to + k] = (((low & 15) | ((high & 3) << 4)) - 32) * scale;
    }
  },
});
