// kv_append: rows of k and v [T, KV] into their slots (page · 16 + offset; −1: none) of the pools K and V [pages, 16, KV],
// rounded to the cache's format; cache-format.ts says how a page lies.

import { bytesOfCache, storeRounded, valueAt } from "./cache-format";

/** Rows [begin, end). */
export function kv_append(
  K: usize, V: usize, k: usize, v: usize, slots: usize, KV: i32, format: i32, begin: i32, end: i32,
): void {
  const size = bytesOfCache(format);
  for (let t = begin; t < end; t++) {
    const slot = load<i32>(slots + (<usize>t << 2));
    if (slot < 0) continue;
    const column = slot & 15;
    const row = <usize>t * (<usize>KV << 2), page = <usize>(slot >> 4) * (<usize>KV << 4) * size;
    for (let i = 0; i < KV; i++) {
      const at = row + (<usize>i << 2);
      storeRounded(K + page + <usize>((i << 4) + column) * size, load<f32>(k + at), format);
      storeRounded(V + page + <usize>valueAt(i, KV, column) * size, load<f32>(v + at), format);
    }
  }
}
