// copy_pages: page to[n] of two pools, of K and V or of their scales, becomes page from[n]. Whole pages, so their inner layout
// does not matter.

/** Copies [begin, end). `page`: bytes of one. */
export function copy_pages(
  K: usize, V: usize, from: usize, to: usize, page: i32, begin: i32, end: i32,
): void {
  for (let n = begin; n < end; n++) {
    const source = <usize>load<i32>(from + (<usize>n << 2)) * <usize>page;
    const target = <usize>load<i32>(to + (<usize>n << 2)) * <usize>page;
    memory.copy(K + target, K + source, <usize>page);
    memory.copy(V + target, V + source, <usize>page);
  }
}
