// q6k: GGUF's Q6_K in groups of 8 rows, the same numbers: d (f16, for 256 numbers) · scale (i8, for 16) · (code − 32). For each
// group and 256 k: 8 f16 d, then 8 blocks of 32 k: for each row the scales of its two halves, then the codes' low four bits in
// four runs as in q4 (eight-rows.ts), then their high two in two runs, quads i, i + 2, i + 4 and i + 6 of run i in a byte.
// Quad j of these is k 2j, 2j + 1, 16 + 2j, 16 + 2j + 1, so that sums over pairs of bytes belong to one scale. Read only.

import { kFormat, superBlocksOf } from "./eight-rows-k.ts";
import { GROUP } from "./eight-rows-scales.ts";
import type { MatrixShape, WeightFormat } from "./weight-format.ts";
import { bytesOf, words16 } from "./words.ts";

const HEAD_BYTES = 2 * GROUP;
const BLOCK_BYTES = 2 * GROUP + 24 * GROUP;
/** 16-bit words: of a group's 256 k, of its head, of a block, of a Q6_K block. */
const [WORDS, HEAD, BLOCK, SOURCE] = [(HEAD_BYTES + 8 * BLOCK_BYTES) / 2, 8, 104, 105];
/** Where in a block of bytes the low bits and the high ones begin. */
const [LOW, HIGH] = [2 * GROUP, 2 * GROUP + 16 * GROUP];

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

/** GGUF's Q6_K blocks, row-major, into the layout of q6k. For a slice of a matrix give the slices of both. */
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
        // A run of 32 k is half of what shares the bits of its bytes.
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
