// With V8's 256-bit vectors the kernels give the same bits. The flag holds for the whole process: a file of its own.

import { readFileSync } from "node:fs";
import { setFlagsFromString } from "node:v8";
import { expect, test } from "vitest";
import {
  checkedKernels,
  instantiate,
  type Kernels,
} from "../../src/backends/wasm/kernel-module.ts";
import { checkMemory, wideVectorsAgree } from "../../src/backends/wasm/wide-check.ts";
import { detectFeatures, enableRevectorize } from "../../src/backends/wasm/features.ts";
import { seeded } from "../random.ts";
import { attentionTable } from "./table-attention.ts";
import { sampleTable } from "./table-sample.ts";
import { type Case, table } from "./table.ts";
import { KernelBench, kernelPath, runCase, variants } from "./wasm-kernels.ts";

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

function results(bench: KernelBench, c: Case, tiles: boolean): Uint32Array[] {
  return c.sizes.flatMap((sizes) =>
    variants(c.inputs(sizes, seeded(9))).flatMap(([, ins]) =>
      runCase(bench, c, sizes, ins, 1, tiles).map((values) => new Uint32Array(values.buffer)),
    ),
  );
}

test.for([...table, ...attentionTable, ...sampleTable])("$op.name", async (c) => {
  const expected = results(narrow, c, false);
  for (let round = 0; round < 3; round++) {
    expect(results(wide, c, true)).toEqual(expected);
    await new Promise((resolve) => setTimeout(resolve, 30)); // optimised code arrives in the background
  }
  expect(typeof taken).toBe("boolean");
});

test("the check at the start passes; one wrong sum of many, late, does not", async () => {
  const features = detectFeatures(true);
  const { module, features: kept } = await checkedKernels(features);
  expect(kept.wideVectors).toBe(true);
  const memory = checkMemory(true);
  const kernels = instantiate(module, memory);
  expect(wideVectorsAgree(kernels, memory)).toBe(true);
  let calls = 0;
  const spoiled = (y: number, ...rest: number[]): void => {
    kernels.linear_bf16(y, ...rest);
    if (++calls === 100) new Float32Array(memory.buffer, y, 1)[0] += 1;
  };
  expect(wideVectorsAgree({ ...kernels, linear_bf16: spoiled } as Kernels, memory)).toBe(false);
});

test("kernels that fail it are compiled again without wide vectors", async () => {
  const { module, features } = await checkedKernels(detectFeatures(true), () => false);
  expect(features.wideVectors).toBe(false);
  expect(WebAssembly.Module.customSections(module, "w")).toHaveLength(1);
});
