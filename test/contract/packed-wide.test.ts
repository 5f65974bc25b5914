// With V8's 256-bit vectors the kernels of packed weights give the same bits. The flag holds for the whole process: a file of its own.

import { readFileSync } from "node:fs";
import { setFlagsFromString } from "node:v8";
import { expect, test } from "vitest";
import { enableRevectorize } from "../../src/backends/wasm/features.ts";
import { seeded } from "../random.ts";
import { fixed16Case, formatNames, multiply as multiplyFixed16 } from "./packed-fixed16.ts";
import { multiply as multiplyExact } from "./packed-linear.ts";
import { multiply as multiplyInt8, randomProduct } from "./packed-int8.ts";
import { bits, packedFormats } from "./packed-matrix.ts";
import { multiply as multiplyHalves } from "./packed-nf4-int8.ts";
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

/** What `of` gives with 128 bits, and in each round with 256, before and after the kernels are optimised. */
async function rounds(
  of: (bench: KernelBench, isWide: boolean) => readonly Float32Array[],
): Promise<{ expected: Uint32Array[][]; results: Uint32Array[][] }> {
  const expected = of(narrow, false).map(bits);
  const results: Uint32Array[][] = [];
  for (let round = 0; round < 3; round++) {
    results.push(of(wide, true).map(bits));
    await new Promise((resolve) => setTimeout(resolve, 30)); // optimised code arrives in the background
  }
  return { expected: results.map(() => expected), results };
}

const rows = [1, 2, 5, 20];

test("V8 takes the flag", () => expect(typeof taken).toBe("boolean"));

test.for(packedFormats)("exact, %s", async (name) => {
  const { expected, results } = await rounds((bench, isWide) =>
    rows.map((T) => {
      const how = { seed: T, cuts: 1, wide: isWide };
      return multiplyExact(bench, name, { T, K: 1280, O: 13 }, how).packed;
    }),
  );
  expect(results).toEqual(expected);
});

test.for(formatNames)("16-bit fixed point, %s", async (name) => {
  const { expected, results } = await rounds((bench, isWide) =>
    rows.map((T) => {
      const given = fixed16Case(name, { T, K: 576, O: 45 }, seeded(T));
      return multiplyFixed16(bench, given, { columns: 1, rows: 1, wide: isWide });
    }),
  );
  expect(results).toEqual(expected);
});

test.for(formatNames)("int8 activations, %s", async (name) => {
  const { expected, results } = await rounds((bench) =>
    rows.map((T) => multiplyHalves(bench, fixed16Case(name, { T, K: 576, O: 45 }, seeded(T)))),
  );
  expect(results).toEqual(expected);
});

test.for([true, false])("LLM.int8, outliers chosen together: %s", async (sharedOutliers) => {
  const { expected, results } = await rounds((bench) =>
    rows.map((T) =>
      multiplyInt8(bench, randomProduct({ T, K: 1040, O: 13 }, T), {
        threshold: 6,
        sharedOutliers,
      }),
    ),
  );
  expect(results).toEqual(expected);
});
