// q6k: GGUF's Q6_K in groups of 8 rows, with the same numbers: d · scale · (code − 32). d is f16, for 256 numbers of a row; the scale is
// i8, for 16. Here quad j of a block is k 2j, 2j + 1, 16 + 2j and 16 + 2j + 1: then the first two bytes of a quad belong to the first
// scale, the last two to the second, and kernels can sum pairs. Read only: nothing is quantised to it. Does not know files.

import { kFormat, superBlocksOf } from "./eight-rows-k.ts";
import { GROUP } from "./eight-rows-scales.ts";
import type { MatrixShape, WeightFormat } from "./weight-format.ts";
import { bytesOf, words16 } from "./words.ts";

/** Bytes of d at the beginning of a super-block (table below). */
const HEAD_BYTES = 2 * GROUP;
/** Bytes of a block of 32 k. */
const BLOCK_BYTES = 2 * GROUP + 24 * GROUP;
/** 16-bit words: of a super-block of 8 rows, of its d, of a block of 32 k, and of GGUF's Q6_K block. */
const [WORDS, HEAD, BLOCK, SOURCE] = [(HEAD_BYTES + 8 * BLOCK_BYTES) / 2, 8, 104, 105];
/** Where the low bits of codes and the high ones begin in a block, in bytes. */
const [LOW, HIGH] = [2 * GROUP, 2 * GROUP + 16 * GROUP];

/**
 * A super-block of 8 rows × 256 k:
 *
 * | offset | size    | content                                                                               |
 * | ------ | ------- | ------------------------------------------------------------------------------------- |
 * | 0      | 8 × 2   | d of each row                                                                         |
 * | 16     | 8 × 208 | blocks of 32 k                                                                        |
 *
 * A block:
 *
 * | offset | size    | content                                                                               |
 * | ------ | ------- | ------------------------------------------------------------------------------------- |
 * | 0      | 8 × 2   | for each row: the scales of its first and its last 16 k                               |
 * | 16     | 4 × 32  | the low four bits of codes, as q4 has its codes                                       |
 * | 144    | 2 × 32  | the high two bits: run i has, for each row, quads i, i + 2, i + 4, i + 6 in 4 bytes, from the low bits on |
 */
export const q6k: WeightFormat = kFormat({
  name: "q6k",
  param: 16,
  bytes: 2 * WORDS,
  scales: GROUP,
  widen(bytes, at, row, halves, out, to) {
    for (let block = 0; block < 8; block++) {
      const start = at + HEAD_BYTES + block * BLOCK_BYTES;
      for (let k = 0; k < 32; k++) {
        const half = k >> 4;
        const quad = (k & 15) >> 1;
        const place = 4 * row + 2 * half + (k & 1);
        const low = bytes[start + LOW + (quad & 3) * 32 + place] >> (quad & 4);
        const high = bytes[start + HIGH + (quad & 1) * 32 + place] >> (quad & 6);
        const scale = halves[row] * ((bytes[start + 2 * row + half] << 24) >> 24);
        out[to + block * 32 + k] = scale * (((low & 15) | ((high & 3) << 4)) - 32);
      }
    }
  },
});

/** Moves GGUF's Q6_K blocks, row by row, into the layout of q6k; for some whole groups, pass their rows in both arrays. */
export function regroupQ6K(rowMajor: Uint8Array, grouped: Uint8Array, shape: MatrixShape): void {
  const [source, target] = [words16(rowMajor), words16(grouped)];
  target.fill(0);
  const supers = superBlocksOf(shape.columns);
  for (let row = 0; row < shape.rows; row++) {
    const r = row % GROUP;
    for (let k = 0; k < supers; k++) {
      const from = (row * supers + k) * SOURCE;
      const at = (((row - r) / GROUP) * supers + k) * WORDS;
      target[at + r] = source[from + 104];
      for (let block = 0; block < 8; block++) {
        const start = at + HEAD + block * BLOCK;
        target[start + r] = source[from + 96 + block];
        // In Q6_K a block of 32 k shares its bytes with other blocks of 32: the shifts choose its bits.
        const low = from + (block >> 2) * 32 + (block & 1) * 16;
        const lowShift = (block & 2) * 2;
        const high = from + 64 + (block >> 2) * 16;
        const highShift = (block & 3) * 2;
        for (let half = 0; half < 2; half++) {
          const to = start + 2 * r + half;
          const lows = low + 8 * half;
          const highs = high + 8 * half;
          for (let j = 0; j < 4; j++) {
            target[to + GROUP + j * 16] =
              ((source[lows + j] >> lowShift) & 0x0f0f) |
              (((source[lows + j + 4] >> lowShift) & 0x0f0f) << 4);
          }
          for (let i = 0; i < 2; i++) {
            target[to + 9 * GROUP + i * 16] =
              ((source[highs + i] >> highShift) & 0x0303) |
              (((source[highs + i + 2] >> highShift) & 0x0303) << 2) |
              (((source[highs + i + 4] >> highShift) & 0x0303) << 4) |
              (((source[highs + i + 6] >> highShift) & 0x0303) << 6);
          }
        }
      }
    }
  }
  if (target.buffer !== grouped.buffer) grouped.set(bytesOf(target));
}
