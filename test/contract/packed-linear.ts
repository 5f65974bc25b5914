// A product on the exact compute path for tests: with packed weights, and with what their bytes mean.

import { fourBitScratch, LINEAR_PACKED_SCRATCH } from "../../src/backends/wasm/kernels/scratch.ts";
import { expect } from "vitest";
import { type Random, seeded } from "../random.ts";
import { packedMatrix, putMatrix } from "./packed-matrix.ts";
import type { KernelBench } from "./wasm-kernels.ts";

export type Sizes = { T: number; K: number; O: number };

export function multiply(
  bench: KernelBench,
  name: string,
  { T, K, O }: Sizes,
  { seed, cuts, wide, flip }: { seed: number; cuts: number; wide: boolean; flip?: number },
): { packed: Float32Array; plain: Float32Array } {
  const random = seeded(seed);
  const w = packedMatrix(name, O, K, random);
  if (flip !== undefined) w.parts[flip][0] ^= 64;
  bench.clear();
  const parts = putMatrix(bench, w);
  const [x, values] = [bench.reserve(4 * T * K), bench.reserve(4 * O * K)];
  const [y, plain] = [bench.reserve(4 * T * O), bench.reserve(4 * T * O)];
  const scratch = bench.reserveScratch(Math.max(LINEAR_PACKED_SCRATCH, fourBitScratch(K)));
  bench.set(x, rowsOf(random, T, K));
  bench.set(values, w.values);
  const { linear_f32, linear_packed } = bench.kernels;
  const flag = wide ? 1 : 0;
  linear_f32(plain, x, values, K, O, scratch, 0, 0, T, 0, O);
  for (let i = cuts - 1; i >= 0; i--) {
    const [begin, end] = [Math.floor((i * O) / cuts), Math.floor(((i + 1) * O) / cuts)];
    const args = [w.code, w.format.param, K, O, scratch, flag, 0, T, begin, end];
    linear_packed(y, x, ...parts, ...args);
  }
  expect(bench.damaged(), `${name}: a byte beside all tensors was written`).toBeUndefined();
  return { packed: bench.floats(y, T * O), plain: bench.floats(plain, T * O) };
}

const rowsOf = (random: Random, T: number, K: number): Float32Array =>
  Float32Array.from(random.numbers(T * K), (x) => x ** 3);
