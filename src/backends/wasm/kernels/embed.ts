// embed: row t of y [T, H] is row ids[t] of table [V, H], widened to f32. An id outside the table traps.

import { widenRow } from "./widen";

/** Rows [begin, end). format: 0 f32, 1 bf16, 2 f16. */
export function embed(
  y: usize, ids: usize, table: usize, V: i32, H: i32, format: i32, begin: i32, end: i32,
): void {
  for (let t = begin; t < end; t++) {
    const id = load<i32>(ids + (<usize>t << 2));
    if (<u32>id >= <u32>V) unreachable();
    widenRow(y + <usize>t * (<usize>H << 2), table, <usize>id * <usize>H, H, format);
  }
}
