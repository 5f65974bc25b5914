// kv_append: rows of k and v [T, KV] into their slots (page · 16 + offset; −1: none) of the pools K and V [pages, 16, KV].
// A page of V lies as its shape says. A page of K lies turned, [KV, 16], so that attention loads the same element of 16
// columns at once; nothing but the kernels of this folder sees it.

/** Rows [begin, end). */
export function kv_append(
  K: usize, V: usize, k: usize, v: usize, slots: usize, KV: i32, begin: i32, end: i32,
): void {
  const bytes = <usize>KV << 2;
  for (let t = begin; t < end; t++) {
    const slot = load<i32>(slots + (<usize>t << 2));
    if (slot < 0) continue;
    const row = <usize>t * bytes;
    let to = K + <usize>(slot >> 4) * (bytes << 4) + (<usize>(slot & 15) << 2);
    for (let i: usize = 0; i < bytes; i += 4) {
      store<f32>(to, load<f32>(k + row + i));
      to += 64;
    }
    copyWords(V + <usize>slot * bytes, v + row, bytes);
  }
}

/** Copies bytes, a multiple of 4. */
// @ts-ignore: decorator
@inline
export function copyWords(to: usize, from: usize, bytes: usize): void {
  let i: usize = 0;
  for (; i + 16 <= bytes; i += 16) v128.store(to + i, v128.load(from + i));
  for (; i < bytes; i += 4) store<i32>(to + i, load<i32>(from + i));
}
