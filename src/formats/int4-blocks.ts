// Converts rows of int4 (eight neighbouring codes in a 32-bit word) to blocks of Q4_0 with the same numbers. The caller sees to it that
// every zero point is 8, groups are whole blocks, and f16 holds the scales.

import { f16 } from "./f16.ts";
import { groupsOf } from "./int4.ts";
import type { MatrixShape } from "./weight-format.ts";

/** How many numbers a block of Q4_0 has, and how many 16-bit words: an f16 scale, then codes j (low half) and j + 16 in byte j. */
const BLOCK = 32;
const BLOCK_WORDS = 9;

/** Whether that many columns make up whole blocks. */
export function isWholeBlocks(columns: number): boolean {
  return columns % BLOCK === 0;
}

/** How many bytes a row of blocks takes. */
export function blockRowBytes(columns: number): number {
  return (columns / BLOCK) * BLOCK_WORDS * 2;
}

/**
 * Converts rows.
 * @param words  rows of int4 codes, eight in a word
 * @param scales one for each `group` columns of a row
 * @param blocks where the rows go, as blocks
 */
export function int4ToBlocks(
  words: Uint32Array<ArrayBufferLike>,
  scales: Float32Array<ArrayBufferLike>,
  { rows, columns }: MatrixShape,
  group: number,
  blocks: Uint16Array<ArrayBufferLike>,
): void {
  const rounded = new Uint16Array(scales.length);
  f16.pack(scales, new Uint8Array(rounded.buffer));
  const groups = groupsOf(columns, group);
  let [from, to] = [0, 0];
  for (let row = 0; row < rows; row++) {
    for (let k = 0; k < columns; k += BLOCK, from += 4, to += BLOCK_WORDS) {
      blocks[to] = rounded[row * groups + Math.floor(k / group)];
      for (let i = 0; i < 2; i++) {
        const [low, high] = [words[from + i], words[from + 2 + i]];
        const at = to + 1 + 4 * i;
        blocks[at] = spread(low) | (spread(high) << 4);
        blocks[at + 1] = spread(low >>> 8) | (spread(high >>> 8) << 4);
        blocks[at + 2] = spread(low >>> 16) | (spread(high >>> 16) << 4);
        blocks[at + 3] = spread(low >>> 24) | (spread(high >>> 24) << 4);
      }
    }
  }
}

/** Spreads the two codes of a byte over the low halves of two bytes. */
function spread(byte: number): number {
  return (byte & 0x0f) | ((byte & 0xf0) << 4);
}
