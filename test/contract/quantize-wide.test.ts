// With V8's 256-bit vectors the kernel `quantize` gives the same bytes. The flag holds for the whole process: a file of its own.

import { readFileSync } from "node:fs";
import { setFlagsFromString } from "node:v8";
import { expect, test } from "vitest";
import { enableRevectorize } from "../../src/backends/wasm/features.ts";
import { findWeightFormat } from "../../src/formats/registry.ts";
import type { WeightFormat } from "../../src/formats/weight-format.ts";
import { numbers, numbersOf, packed, quantized, widened } from "./quantize.ts";
import { KernelBench, kernelPath } from "./wasm-kernels.ts";

// Kernels are optimised, and so paired, after a few calls instead of thousands.
setFlagsFromString("--wasm-tiering-budget=1000");
const taken = enableRevectorize();
const wide = new KernelBench(new WebAssembly.Module(readFileSync(kernelPath("kernels.wasm"))));

test("V8 takes the flag", () => expect(typeof taken).toBe("boolean"));

test.for(["q4", "q4r", "q6r", "q8", "int8-6", "nf4-64", "fp4-256"])("%s", async (name) => {
  const format = findWeightFormat(name) as WeightFormat;
  const shape = { rows: 20, columns: 1037 };
  for (let round = 0; round < 3; round++) {
    for (const source of numbers) {
      for (const rounded of [undefined, ...numbers.slice(1)]) {
        for (const kind of ["weights", "magnitudes"]) {
          const piece = {
            format,
            source,
            bytes: numbersOf(kind, 20 * 1037, source),
            rounded,
            shape,
          };
          expect(quantized(wide, piece, 1)).toEqual(packed(format, widened(piece), shape));
        }
      }
    }
    await new Promise((resolve) => setTimeout(resolve, 30)); // optimised code arrives in the background
  }
});
