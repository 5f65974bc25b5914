// nf4 and fp4 with int8 activations on kernels: the integers of the compute path, rounded only in f32; the same bits for any number of
// rows and any ranges. How far the compute path is from exact products is measured, not hidden.

import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { seeded } from "../random.ts";
import { alone, fixed16Case, formatNames } from "./packed-fixed16.ts";
import { bits } from "./packed-matrix.ts";
import { multiply, reference } from "./packed-nf4-int8.ts";
import { type Build, KernelBench, kernelPath } from "./wasm-kernels.ts";

const u = 2 ** -24;
const builds: readonly Build[] = ["kernels.wasm", "kernels-plain.wasm"];

const sizes = [
  { T: 1, K: 64, O: 1 },
  { T: 2, K: 64, O: 5 },
  { T: 1, K: 192, O: 7 },
  { T: 3, K: 320, O: 17 },
  { T: 16, K: 576, O: 33 },
  { T: 131, K: 128, O: 40 },
  { T: 1, K: 4160, O: 9 },
];

for (const build of builds) {
  const bench = new KernelBench(new WebAssembly.Module(readFileSync(kernelPath(build))));
  describe(`the kernels of ${build}`, () => {
    test.for(formatNames)("linear_nf4_int8 with %s", (name) => {
      for (const size of sizes) {
        const given = fixed16Case(name, size, seeded(size.K + size.T));
        const right = reference(given);
        const y = multiply(bench, given);
        // Scales to five roundings, then one addition a block, of numbers not above the sum of sizes.
        const largest = largestSum(given.x, given.matrix.values, size);
        const worst = y.reduce((most, v, i) => Math.max(most, Math.abs(v - right[i])), 0);
        expect(worst, JSON.stringify(size)).toBeLessThanOrEqual((5 + size.K / 64) * u * largest);
        for (const cuts of [
          { columns: 3, rows: 1 },
          { columns: 1, rows: 2 },
          { columns: 2, rows: 3 },
        ]) {
          expect(bits(multiply(bench, given, cuts)), JSON.stringify({ size, cuts })).toEqual(
            bits(y),
          );
        }
        for (const t of new Set([0, size.T >> 1, size.T - 1])) {
          expect(bits(multiply(bench, alone(given, t))), `row ${t} alone`).toEqual(
            bits(y.slice(t * size.O, (t + 1) * size.O)),
          );
        }
      }
    });

    test("extremes: the largest sums that integers can take do not wrap", () => {
      for (const sign of [1, -1]) {
        const given = fixed16Case("nf4-64", { T: 2, K: 64, O: 2 }, seeded(2));
        given.x.fill(sign);
        given.matrix.parts[0].fill(0xff, 0, 32).fill(0, 32);
        const y = multiply(bench, given);
        expect(bits(y)).not.toEqual(bits(Float32Array.of(0, 0, 0, 0)));
        const right = reference(given);
        y.forEach((v, i) => expect(v / right[i]).toBeCloseTo(1, 5));
      }
    });

    test("a number that is not finite makes its row NaN; zeros give 0", () => {
      for (const value of [Infinity, NaN]) {
        const given = fixed16Case("nf4-64", { T: 3, K: 128, O: 5 }, seeded(5));
        given.x.fill(0, 128);
        given.x[130] = value;
        const y = multiply(bench, given);
        expect(y.slice(0, 5).every((v) => Number.isFinite(v) && v !== 0)).toBe(true);
        expect([...y.slice(5, 10)]).toEqual([NaN, NaN, NaN, NaN, NaN]);
        expect([...y.slice(10)].map(Math.abs)).toEqual([0, 0, 0, 0, 0]);
      }
    });
  });
}

/** The largest Σ |x · w| of a row and a column. */
function largestSum(
  x: Float32Array,
  w: Float32Array,
  { T, K, O }: { T: number; K: number; O: number },
): number {
  let largest = 0;
  for (let t = 0; t < T; t++) {
    for (let o = 0; o < O; o++) {
      let sum = 0;
      for (let k = 0; k < K; k++) sum += Math.abs(x[t * K + k] * w[o * K + k]);
      largest = Math.max(largest, sum);
    }
  }
  return largest;
}
