// A product of LLM.int8 for tests: integers and scales, rows of numbers with outliers, and the calls of its two kernels.

import { LLM_INT8_SCRATCH, packLlmInt8Scratch } from "../../src/backends/wasm/kernels/scratch.ts";
import { seeded } from "../random.ts";
import { ranges } from "./packed-fixed16.ts";
import type { KernelBench } from "./wasm-kernels.ts";

export type Sizes = { readonly T: number; readonly K: number; readonly O: number };
export type Product = {
  readonly sizes: Sizes;
  readonly x: Float32Array;
  readonly codes: Int8Array;
  readonly scales: Float32Array;
};
/** How outliers are chosen, and in how many ranges the kernels are called. */
export type How = { threshold: number; sharedOutliers: boolean; rows?: number; columns?: number };

export function randomProduct({ T, K, O }: Sizes, seed: number): Product {
  const random = seeded(seed);
  return {
    sizes: { T, K, O },
    // A few per cent reach 6.
    x: Float32Array.from(random.numbers(T * K), (v) => 7 * v ** 5),
    codes: Int8Array.from({ length: O * K }, () => random.below(255) - 127),
    scales: Float32Array.from({ length: O }, () => random.uniform(0.01, 1)),
  };
}

export function multiply(
  bench: KernelBench,
  { sizes: { T, K, O }, x, codes, scales }: Product,
  { threshold, sharedOutliers, rows = 1, columns = 1 }: How,
): Float32Array {
  bench.clear();
  const [xAt, w, scb] = [
    bench.reserve(x.byteLength),
    bench.reserve(codes.length, 1),
    bench.reserve(4 * O),
  ];
  const packed = bench.reserve(T * (64 + 32 * Math.ceil(K / 16) + 8 * K));
  const y = bench.reserve(4 * T * O);
  const scratch = bench.reserveScratch(Math.max(packLlmInt8Scratch(K), LLM_INT8_SCRATCH));
  bench.set(xAt, x);
  bench.set(w, codes);
  bench.set(scb, scales);
  const { pack_rows_llm_int8, linear_llm_int8 } = bench.kernels;
  for (const [begin, end] of ranges(T, sharedOutliers ? 1 : rows))
    pack_rows_llm_int8(packed, xAt, K, threshold, sharedOutliers ? 1 : 0, scratch, begin, end);
  for (const [first, last] of ranges(T, rows)) {
    for (const [begin, end] of ranges(O, columns))
      linear_llm_int8(y, packed, w, scb, K, O, scratch, first, last, begin, end);
  }
  const damaged = bench.damaged();
  if (damaged !== undefined) throw new Error(`wrote to byte ${damaged}, beside all tensors`);
  return bench.floats(y, T * O);
}
