// q4k: GGUF's Q4_K in groups of 8 rows, with the same numbers: d · scale · code − dmin · minimum. d and dmin are f16, for 256 numbers of a
// row; scale and minimum have 6 bits, for 32. Read only: nothing is quantised to it. Does not know files.

import { kFormat, superBlocksOf } from "./eight-rows-k.ts";
import { GROUP } from "./eight-rows-scales.ts";
import type { MatrixShape, WeightFormat } from "./weight-format.ts";
import { bytesOf, words16 } from "./words.ts";

/** Bytes of d and dmin at the beginning of a super-block (table below). */
const HEAD_BYTES = 4 * GROUP;
/** Bytes of a block of 32 k. */
const BLOCK_BYTES = 2 * GROUP + 16 * GROUP;
/** 16-bit words: of a super-block of 8 rows, of its d and dmin, of a block of 32 k, and of GGUF's Q4_K block. */
const [WORDS, HEAD, BLOCK, SOURCE] = [(HEAD_BYTES + 8 * BLOCK_BYTES) / 2, 16, 72, 72];

/**
 * A super-block of 8 rows × 256 k:
 *
 * | offset | size    | content                                  |
 * | ------ | ------- | ---------------------------------------- |
 * | 0      | 8 × 2   | d of each row                            |
 * | 16     | 8 × 2   | dmin of each row                         |
 * | 32     | 8 × 144 | blocks of 32 k                           |
 *
 * A block:
 *
 * | offset | size    | content                                  |
 * | ------ | ------- | ---------------------------------------- |
 * | 0      | 8 × 2   | for each row: a byte scale, a byte minimum |
 * | 16     | 4 × 32  | 4-bit codes, as in q4                    |
 */
export const q4k: WeightFormat = kFormat({
  name: "q4k",
  param: 32,
  bytes: 2 * WORDS,
  scales: 2 * GROUP,
  widen(bytes, at, row, halves, out, to) {
    const [d, dmin] = [halves[row], halves[GROUP + row]];
    for (let block = 0; block < 8; block++) {
      const start = at + HEAD_BYTES + block * BLOCK_BYTES;
      const scale = d * bytes[start + 2 * row];
      const minimum = dmin * bytes[start + 2 * row + 1];
      const codes = start + 2 * GROUP + 4 * row;
      for (let k = 0; k < 32; k++) {
        const byte = bytes[codes + (k & 12) * 8 + (k & 3)];
        out[to + block * 32 + k] = scale * (k < 16 ? byte & 15 : byte >> 4) - minimum;
      }
    }
  },
});

/** Moves GGUF's Q4_K blocks, row by row, into the layout of q4k; for some whole groups, pass their rows in both arrays. */
export function regroupQ4K(rowMajor: Uint8Array, grouped: Uint8Array, shape: MatrixShape): void {
  const [source, target] = [words16(rowMajor), words16(grouped)];
  target.fill(0);
  const supers = superBlocksOf(shape.columns);
  for (let row = 0; row < shape.rows; row++) {
    const r = row % GROUP;
    for (let k = 0; k < supers; k++) {
      const from = (row * supers + k) * SOURCE;
      const at = (((row - r) / GROUP) * supers + k) * WORDS;
      target[at + r] = source[from];
      target[at + GROUP + r] = source[from + 1];
      for (let block = 0; block < 8; block++) {
        const start = at + HEAD + block * BLOCK;
        target[start + r] = scaleAndMinimum(source, from + 2, block);
        const codes = from + 8 + (block >> 1) * 16;
        const shift = (block & 1) * 4;
        for (let i = 0, to = start + GROUP + 2 * r; i < 8; i += 2, to += 2 * GROUP) {
          target[to] = nibbles(source[codes + i], source[codes + i + 8], shift);
          target[to + 1] = nibbles(source[codes + i + 1], source[codes + i + 9], shift);
        }
      }
    }
  }
  if (target.buffer !== grouped.buffer) grouped.set(bytesOf(target));
}

/** Takes two codes of each word, at bits `shift` and `shift` + 8: those of `low` become low halves, those of `high` high halves. */
function nibbles(low: number, high: number, shift: number): number {
  return ((low >> shift) & 0x0f0f) | (((high >> shift) & 0x0f0f) << 4);
}

/** scale + 256 · minimum of block `block`, from Q4_K's 12 bytes at word `at` (gguf-k.ts tells how they lie). */
function scaleAndMinimum(words: ArrayLike<number>, at: number, block: number): number {
  const byte = (i: number): number => (words[at + (i >> 1)] >> ((i & 1) * 8)) & 255;
  if (block < 4) return (byte(block) & 63) | ((byte(block + 4) & 63) << 8);
  const low = byte(block + 4);
  const scale = (low & 15) | ((byte(block - 4) >> 6) << 4);
  return scale | (((low >> 4) | ((byte(block) >> 6) << 4)) << 8);
}
