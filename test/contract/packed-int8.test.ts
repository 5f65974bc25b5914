// LLM.int8 on kernels: bit for bit the product of src/formats/llm-int8-product.ts, for any number of rows, ranges and sizes, with
// outliers chosen row by row and together; and bitsandbytes' own cases.

import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { int8Product } from "../../src/formats/llm-int8-product.ts";
import { type How, multiply, type Product, randomProduct, type Sizes } from "./packed-int8.ts";
import { bits } from "./packed-matrix.ts";
import { type Build, KernelBench, kernelPath } from "./wasm-kernels.ts";

/** The specification; rows by themselves when outliers are not chosen together. */
function expected(product: Product, { threshold, sharedOutliers }: How): Float32Array {
  const { sizes, x, codes, scales } = product;
  const { T, K, O } = sizes;
  if (sharedOutliers) return int8Product(x, { codes, scales }, sizes, threshold);
  const y = new Float32Array(T * O);
  for (let t = 0; t < T; t++) {
    const row = int8Product(
      x.slice(t * K, (t + 1) * K),
      { codes, scales },
      { T: 1, K, O },
      threshold,
    );
    y.set(row, t * O);
  }
  return y;
}

const builds: readonly Build[] = ["kernels.wasm", "kernels-plain.wasm"];
const sizes: readonly Sizes[] = [
  { T: 1, K: 1, O: 1 },
  { T: 2, K: 3, O: 2 },
  { T: 1, K: 15, O: 3 },
  { T: 3, K: 16, O: 4 },
  { T: 5, K: 33, O: 7 },
  { T: 1, K: 1040, O: 13 },
  { T: 17, K: 300, O: 50 },
];

for (const build of builds) {
  const bench = new KernelBench(new WebAssembly.Module(readFileSync(kernelPath(build))));
  describe(`the kernels of ${build}`, () => {
    test.for([
      { threshold: 6, sharedOutliers: false },
      { threshold: 6, sharedOutliers: true },
      { threshold: 0.5, sharedOutliers: true },
      { threshold: 0, sharedOutliers: false },
    ])("threshold $threshold, sharedOutliers $sharedOutliers", (how) => {
      for (const size of sizes) {
        const product = randomProduct(size, size.K * 31 + size.T);
        const y = expected(product, how);
        for (const [rows, columns] of [
          [1, 1],
          [2, 3],
          [3, 2],
        ]) {
          const result = multiply(bench, product, { ...how, rows, columns });
          expect(bits(result), JSON.stringify({ size, rows, columns })).toEqual(bits(y));
        }
      }
    });

    test("numbers at float16's limits, beyond them, and none at all", () => {
      const special = [
        0, -0, 65519, 65520, -1e6, 6, 5.999, 5.9986, 6e-8, 2.9e-8, 3e-8, 6.1e-5, 1e-30, -65504,
      ];
      for (const x of [...special, Infinity, -Infinity, NaN]) {
        for (const threshold of [0, 6]) {
          const product = randomProduct({ T: 2, K: 20, O: 5 }, 77);
          product.x.fill(0, 0, 20);
          product.x[9] = x;
          const how = { threshold, sharedOutliers: false };
          const [result, right] = [multiply(bench, product, how), expected(product, how)];
          expect([...result], `${x}, threshold ${threshold}`).toEqual([...right]);
        }
      }
    });
  });
}
