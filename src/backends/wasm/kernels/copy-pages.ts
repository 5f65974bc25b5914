// copy_pages: page to[n] of the pools K and V becomes page from[n]. Whole pages, so their inner layout does not matter.

import { copyWords } from "./kv-append";

/** Copies [begin, end). `page`: bytes of one. */
export function copy_pages(
  K: usize, V: usize, from: usize, to: usize, page: i32, begin: i32, end: i32,
): void {
  for (let n = begin; n < end; n++) {
    const source = <usize>load<i32>(from + (<usize>n << 2)) * <usize>page;
    const target = <usize>load<i32>(to + (<usize>n << 2)) * <usize>page;
    copyWords(K + target, K + source, <usize>page);
    copyWords(V + target, V + source, <usize>page);
  }
}
