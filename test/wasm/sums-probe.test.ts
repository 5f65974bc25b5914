// The choice between sums of 16 and of 32 bits: by time, and only where there are both.

import { expect, test } from "vitest";
import { detectFeatures } from "../../src/backends/wasm/features.ts";
import { loadKernels } from "../../src/backends/wasm/kernel-module.ts";
import { choosesSums32, sums32AreFaster } from "../../src/backends/wasm/sums-probe.ts";

const busy = (microseconds: number) => (): void => {
  const end = performance.now() + microseconds / 1000;
  while (performance.now() < end);
};

test("sums of 32 bits are chosen only where they are clearly faster", () => {
  const kernels = (sums16: number, sums32: number) => ({
    probe_int8: busy(sums16),
    probe_int8_wide: busy(sums32),
  });
  expect(sums32AreFaster(kernels(200, 100))).toBe(true);
  expect(sums32AreFaster(kernels(100, 200))).toBe(false);
  expect(sums32AreFaster(kernels(100, 100))).toBe(false);
});

test("this machine has an answer, the same each time; without relaxed SIMD there is nothing to choose", async () => {
  const features = detectFeatures();
  const module = await loadKernels(features);
  const first = choosesSums32({ module, features });
  expect(choosesSums32({ module, features })).toBe(first);
  expect(choosesSums32({ module, features: { ...features, relaxedSimd: false } })).toBe(false);
});
