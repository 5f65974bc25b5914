// How kernels lay out the cache: a page of K and a page of scales turned, a page of V in slices of 16 numbers.
// The ops' loops, and so the tests, know pools as [pages, 16, width].

import type { Shape, Values } from "../../src/graph/graph.ts";

/** How an input of an op lies in a kernel's memory where that is not how the op sees it. */
export type Lie = "turned" | "sliced";

/** Per op, by input. Copies of whole pages do not care. */
export const liesOf: Readonly<Record<string, Readonly<Record<number, Lie>>>> = {
  kv_append: { 0: "turned", 1: "sliced" },
  kv_append_codes: { 0: "turned", 1: "sliced", 5: "turned", 6: "turned" },
  paged_attention: { 1: "turned", 2: "sliced", 6: "turned", 7: "turned" },
  eager_attention: { 1: "turned", 2: "sliced", 6: "turned", 7: "turned" },
};

/** Where number i of column `offset` lies in a page of `width` numbers a column. */
const placeOf: Readonly<Record<Lie, (i: number, offset: number, width: number) => number>> = {
  turned: (i, offset) => i * 16 + offset,
  sliced(i, offset, width) {
    const slice = i - (i % 16);
    return slice * 16 + offset * Math.min(16, width - slice) + (i % 16);
  },
};

/** A pool [pages, 16, width] as kernels have it, or back. */
export function laid<T extends Values | Float32Array>(
  pool: T,
  [pages, , width]: Shape,
  lie: Lie | undefined,
  back = false,
): T {
  if (lie === undefined) return pool;
  const out = pool.slice() as T;
  for (let page = 0; page < pages; page++) {
    for (let offset = 0; offset < 16; offset++) {
      for (let i = 0; i < width; i++) {
        const plain = (page * 16 + offset) * width + i;
        const other = page * 16 * width + placeOf[lie](i, offset, width);
        out[back ? plain : other] = pool[back ? other : plain];
      }
    }
  }
  return out;
}
