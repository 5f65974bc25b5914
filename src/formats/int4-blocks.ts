// Rows of int4 as blocks of Q4_0: the same numbers where every zero point is 8, groups are whole blocks, and scales are f16.
// int4: eight neighbouring codes a word. Q4_0: an f16 scale, then 16 bytes; byte j holds code j low and code j + 16 high.

import { f16 } from "./f16.ts";
import { groupsOf } from "./int4.ts";
import type { MatrixShape } from "./weight-format.ts";

/** Numbers of a block, and its 16-bit words. */
const BLOCK = 32;
const BLOCK_WORDS = 9;

/** Whether that many columns are whole blocks. */
export function isWholeBlocks(columns: number): boolean {
  return columns % BLOCK === 0;
}

/** Bytes of a row of blocks. */
export function blockRowBytes(columns: number): number {
  return (columns / BLOCK) * BLOCK_WORDS * 2;
}

/**
 * @param words  rows of int4 codes, eight a word
 * @param scales their scales, `group` columns each
 * @param blocks the rows as blocks
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

/** Two codes of a byte into the low halves of two bytes. */
function spread(byte: number): number {
  return (byte & 0x0f) | ((byte & 0xf0) << 4);
}
