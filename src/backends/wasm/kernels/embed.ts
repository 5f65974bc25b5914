// embed: row t of y [T, H] is row ids[t] of table [V, H], as f32. An id outside the table traps.

import { unpack } from "./unpack";

/** The most numbers that one call of unpack takes. */
const BLOCK: i32 = 1024;

/** Rows [begin, end). The table lies at p0 … p3, see unpack. */
export function embed(
  y: usize, ids: usize, p0: usize, p1: usize, p2: usize, p3: usize, H: i32, V: i32, format: i32, param: i32,
  begin: i32, end: i32,
): void {
  for (let t = begin; t < end; t++) {
    const id = load<i32>(ids + (<usize>t << 2));
    if (<u32>id >= <u32>V) unreachable();
    const row = y + <usize>t * (<usize>H << 2);
    for (let k = 0; k < H; k += BLOCK) {
      unpack(row + (<usize>k << 2), p0, p1, p2, p3, format, param, H, id, k, min(BLOCK, H - k));
    }
  }
}
