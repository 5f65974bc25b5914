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
  // The eighth argument has the bits of the tiles: 1 for 256-bit vectors, 2 for sums of 32 bits.
  const kernels = (sums16: number, sums32: number, wide: boolean) => ({
    linear_q4r: (...args: number[]) => {
      expect(args[7] & 1).toBe(Number(wide));
      busy(args[7] & 2 ? sums32 : sums16)();
    },
  });
  for (const wide of [false, true]) {
    expect(sums32AreFaster(kernels(200, 100, wide), wide)).toBe(true);
    expect(sums32AreFaster(kernels(100, 200, wide), wide)).toBe(false);
    expect(sums32AreFaster(kernels(100, 100, wide), wide)).toBe(false);
  }
});

test("this machine has an answer, the same each time; without relaxed SIMD there is nothing to choose", async () => {
  const features = detectFeatures();
  const module = await loadKernels(features);
  const first = choosesSums32({ module, features });
  expect(choosesSums32({ module, features })).toBe(first);
  expect(choosesSums32({ module, features: { ...features, relaxedSimd: false } })).toBe(false);
});
