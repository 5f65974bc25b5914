// With V8's 256-bit vectors the int8 compute path gives the same bits. The flag holds for the whole process: a file of its own.

import { readFileSync } from "node:fs";
import { setFlagsFromString } from "node:v8";
import { expect, test } from "vitest";
import { enableRevectorize } from "../../src/backends/wasm/features.ts";
import { instantiate, type Kernels } from "../../src/backends/wasm/kernel-module.ts";
import { checkMemory, wideVectorsAgree } from "../../src/backends/wasm/wide-check.ts";
import { seeded } from "../random.ts";
import { multiply, type Sizes } from "./int8-compute-path.ts";
import { randomProduct, int8Weights } from "./int8-weights.ts";
import { KernelBench, kernelPath } from "./wasm-kernels.ts";

/** An empty custom section: V8 keeps the code of bytes that it has compiled before. */
const CUSTOM_SECTION = [0, 2, 1, 0x77];

// Kernels are optimised, and so paired, after a few calls instead of thousands.
setFlagsFromString("--wasm-tiering-budget=1000");
const bytes = readFileSync(kernelPath("kernels.wasm"));
const narrow = new KernelBench(new WebAssembly.Module(bytes));
const taken = enableRevectorize();
const wide = new KernelBench(
  new WebAssembly.Module(Buffer.concat([bytes, Uint8Array.from(CUSTOM_SECTION)])),
);

const sizes: readonly Sizes[] = [
  { T: 1, K: 33, O: 9 },
  { T: 1, K: 2048, O: 70 },
  { T: 5, K: 1056, O: 33 },
  { T: 130, K: 100, O: 64 },
];

const products = Object.keys(int8Weights).flatMap((format) =>
  sizes
    .map(({ K, ...size }) => ({
      ...size,
      K: Math.ceil(K / int8Weights[format].step) * int8Weights[format].step,
    }))
    .map((size) => randomProduct(format, size, seeded(size.K))),
);

test.each(products)("$format $sizes", async (product) => {
  const expected = multiply(narrow, product);
  for (let round = 0; round < 3; round++) {
    for (const tiles of [0, 1, 2, 3]) expect(multiply(wide, product, { tiles })).toEqual(expected);
    await new Promise((resolve) => setTimeout(resolve, 30)); // optimised code arrives in the background
  }
  expect(typeof taken).toBe("boolean");
});

test("the check at the start sees one wrong sum of the compute path, late", () => {
  const memory = checkMemory(true);
  const kernels = instantiate(new WebAssembly.Module(bytes), memory);
  let calls = 0;
  const linear_q6k = (y: number, ...rest: number[]): void => {
    kernels.linear_q6k(y, ...rest);
    if (++calls === 60) new Float32Array(memory.buffer, y, 1)[0] += 1;
  };
  expect(wideVectorsAgree({ ...kernels, linear_q6k } as Kernels, memory)).toBe(false);
  expect(calls).toBe(60 + (60 % 2));
});
