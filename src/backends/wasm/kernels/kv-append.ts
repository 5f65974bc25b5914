// kv_append: writes rows of k and v [T, KV] to their slots (page · 16 + offset; −1: none) in the pools K and V [pages, 16, KV],
// rounded to the cache's format. cache-format.ts has the layout of a page.

import { storeRounded } from "./cache-format";
import { FORMAT_BF16, FORMAT_F32 } from "./header";

/** Rows [begin, end). */
export function kv_append(
  K: usize, V: usize, k: usize, v: usize, slots: usize, KV: i32, format: i32, begin: i32, end: i32,
): void {
  for (let t = begin; t < end; t++) {
    const slot = load<i32>(slots + (<usize>t << 2));
    if (slot < 0) continue;
    const row = <usize>t * (<usize>KV << 2);
    if (format == FORMAT_F32) append<f32>(K, V, k + row, v + row, slot, KV);
    else if (format == FORMAT_BF16) append<u16>(K, V, k + row, v + row, slot, KV);
    else append<i16>(K, V, k + row, v + row, slot, KV);
  }
}

/** One row; F stands for the format, as in lanes.ts. */
function append<F>(K: usize, V: usize, k: usize, v: usize, slot: i32, KV: i32): void {
  const column = <usize>(slot & 15);
  const page = <usize>(slot >> 4) * (<usize>KV << 4) * sizeof<F>();
  let key = K + page + column * sizeof<F>();
  for (let i = 0; i < KV; i += 16) {
    const width = min(16, KV - i);
    let value = V + page + ((<usize>i << 4) + column * <usize>width) * sizeof<F>();
    for (let n = width; n > 0; --n) {
      storeRounded<F>(key, load<f32>(k));
      storeRounded<F>(value, load<f32>(v));
      k += 4;
      v += 4;
      key += 16 * sizeof<F>();
      value += sizeof<F>();
    }
  }
}
