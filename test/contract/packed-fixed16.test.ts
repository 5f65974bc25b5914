// The compute path of 16-bit fixed point: nf4 and fp4 within a bound that follows from its arithmetic, no worse than float16's own
// rounding; the same bits for any number of rows, ranges and width of tiles.

import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { seeded } from "../random.ts";
import {
  absmaxOf,
  alone,
  type Fixed16,
  fixed16Case,
  formatNames,
  multiply,
} from "./packed-fixed16.ts";
import { bits } from "./packed-matrix.ts";
import { type Build, KernelBench, kernelPath } from "./wasm-kernels.ts";

const u = 2 ** -24;
const builds: readonly Build[] = ["kernels.wasm", "kernels-plain.wasm"];

const sizes: readonly Fixed16["sizes"][] = [
  { T: 1, K: 64, O: 1 },
  { T: 2, K: 64, O: 5 },
  { T: 1, K: 192, O: 7 },
  { T: 3, K: 320, O: 17 },
  { T: 16, K: 576, O: 33 },
  { T: 67, K: 1088, O: 70 },
  { T: 1, K: 4160, O: 9 },
  { T: 131, K: 128, O: 40 },
];

/** [T, O] in float64, and how far the compute path may be from each: what is rounded, times by how much. */
function reference(
  given: Fixed16,
  x: Float32Array = given.x,
  w: Float32Array = given.matrix.values,
): { exact: Float64Array; bound: Float64Array } {
  const { T, K, O } = given.sizes;
  const absmax = absmaxOf(given);
  const [exact, bound] = [new Float64Array(T * O), new Float64Array(T * O)];
  for (let t = 0; t < T; t++) {
    for (let o = 0; o < O; o++) {
      let [sum, error, all] = [0, 0, 0];
      for (let k = 0; k < K; k += 64) {
        let [size, most, weights] = [0, 0, 0];
        for (let i = k; i < k + 64; i++) {
          const [a, b] = [x[t * K + i], w[o * K + i]];
          sum += a * b;
          all += Math.abs(a * b);
          size += Math.abs(a);
          most = Math.max(most, Math.abs(a));
          weights += Math.abs(b);
        }
        // Activations: half a unit each; values of codes: half a unit of 1/6144 at most.
        const unit = Math.max(size / 341_600, most / 32_766);
        error += (unit / 2) * weights + (absmax[o * K + k] / 2 / 6144) * (size + 32 * unit);
      }
      exact[t * O + o] = sum;
      // absmax · scale to three roundings; a block's sum becomes f32; then one addition a block.
      bound[t * O + o] = error + (5 + K / 64) * u * (all + error);
    }
  }
  return { exact, bound };
}

for (const build of builds) {
  const bench = new KernelBench(new WebAssembly.Module(readFileSync(kernelPath(build))));
  describe(`the kernels of ${build}`, () => {
    test.for(formatNames)("linear_fixed16 with %s", (name) => {
      for (const size of sizes) {
        const given = fixed16Case(name, size, seeded(size.K + size.T));
        const { exact, bound } = reference(given);
        const y = multiply(bench, given);
        const worst = y.reduce(
          (most, v, i) => Math.max(most, Math.abs(v - exact[i]) / bound[i]),
          0,
        );
        expect(worst, JSON.stringify(size)).toBeLessThanOrEqual(1);
        for (const cuts of [
          { columns: 3, rows: 1, wide: false },
          { columns: 1, rows: 2, wide: true },
          { columns: 2, rows: 3, wide: true },
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

    test("extremes: the largest sums that there can be stay in 32 bits", () => {
      for (const [first, sign] of [
        [1, 1],
        [1, -1],
        [1e-20, 1],
      ]) {
        const given = fixed16Case("nf4-64", { T: 2, K: 64, O: 2 }, seeded(2));
        // One row of numbers of one size, where rounding adds the most; one with a single number.
        given.x.fill(first * sign, 0, 64).fill(0, 64)[100] = 3e4 * sign;
        given.matrix.parts[0].fill(0xff, 0, 32).fill(0, 32);
        const { exact } = reference({
          ...given,
          matrix: { ...given.matrix, values: ends(absmaxOf(given)) },
        });
        multiply(bench, given).forEach((v, i) => expect(v / exact[i]).toBeCloseTo(1, 3));
      }
    });

    test("a result that is off does not pass", () => {
      const given = fixed16Case("nf4-64", { T: 2, K: 128, O: 3 }, seeded(8));
      const { exact, bound } = reference(given);
      given.x[3] += 0.1;
      const y = multiply(bench, given);
      expect(y.some((v, i) => Math.abs(v - exact[i]) > bound[i])).toBe(true);
    });
  });
}

describe("fixed point against float16", () => {
  const bench = new KernelBench(new WebAssembly.Module(readFileSync(kernelPath("kernels.wasm"))));

  test.for([
    ["numbers of one size", 0],
    ["a few of a hundred times the size", 0.02],
  ] as const)("%s: its error is below that of inputs rounded to float16", ([, outliers]) => {
    const size = { T: 4, K: 2048, O: 64 };
    const random = seeded(21);
    const given = fixed16Case("nf4-64", size, random);
    given.x.forEach((_, i) => {
      if (random.uniform() < outliers) given.x[i] *= 100;
    });
    const { exact } = reference(given);
    const { exact: float16 } = reference(given, rounded(given.x), rounded(given.matrix.values));
    const rms = (values: ArrayLike<number>): number =>
      Math.sqrt(exact.reduce((sum, v, i) => sum + (values[i] - v) ** 2, 0) / exact.length);
    expect(rms(multiply(bench, given))).toBeLessThan(rms(float16));
  });

  test("a number that is not finite makes its row NaN; zeros and the tiniest numbers give 0", () => {
    for (const [value, expected] of [
      [Infinity, NaN],
      [NaN, NaN],
      [1e-42, 0],
    ]) {
      const given = fixed16Case("nf4-64", { T: 3, K: 128, O: 5 }, seeded(5));
      given.x.fill(0, 128);
      given.x[130] = value;
      const y = multiply(bench, given);
      expect(y.slice(0, 5).every((v) => Number.isFinite(v) && v !== 0)).toBe(true);
      expect([...y.slice(5, 10)].map(Math.abs)).toEqual(Array.from({ length: 5 }, () => expected));
      expect([...y.slice(10)].map(Math.abs)).toEqual([0, 0, 0, 0, 0]);
    }
  });
});

const rounded = (values: Float32Array): Float32Array => Float32Array.from(values, Math.f16round);

/** What codes of 15 in the first row and of 0 in the second mean. */
const ends = (absmax: Float32Array): Float32Array =>
  absmax.map((v, i) => (i < absmax.length / 2 ? v : -v));
