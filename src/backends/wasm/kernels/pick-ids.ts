// pick_ids: y [T] is ids [T] where from [T] is −1, else tokens [S] at `from`; any other place outside [0, S) traps.

/** Rows [begin, end). */
export function pick_ids(y: usize, ids: usize, tokens: usize, from: usize, S: i32, begin: i32, end: i32): void {
  for (let t = begin; t < end; t++) {
    const at = <usize>t << 2;
    const place = load<i32>(from + at);
    if (place != -1 && <u32>place >= <u32>S) unreachable();
    store<i32>(y + at, load<i32>(place == -1 ? ids + at : tokens + (<usize>place << 2)));
  }
}
