// The kernels of the int8 compute path against its plain loops: integers exactly, sums within what f32 can round; nothing written
// beside a tensor, the same bits alone or among other rows, in any ranges, with any tile.

import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { int8Product, type IntegerRow, roundToInt8 } from "../../src/formats/int8-compute-path.ts";
import { seeded } from "../random.ts";
import { multiply, packedRow, type Product, type Result, type Sizes } from "./int8-compute-path.ts";
import { packed, randomProduct, int8Weights } from "./int8-weights.ts";
import { grid, u } from "./case.ts";
import { type Build, KernelBench, kernelPath } from "./wasm-kernels.ts";

const builds: readonly Build[] = ["kernels.wasm", "kernels-plain.wasm"];
const formats = Object.keys(int8Weights);
const anyK = [
  ...grid({ T: [1, 2, 3], K: [1, 31, 32, 33, 100], O: [1, 7, 8, 9, 33] }),
  ...grid({ T: [1, 5], K: [256, 257, 512, 545], O: [24, 40] }),
  { T: 131, K: 64, O: 31 },
  { T: 6, K: 4096, O: 70 },
] as Sizes[];
const wholeK = [
  ...grid({ T: [1, 2, 3], K: [256, 768], O: [1, 8, 9, 33] }),
  { T: 131, K: 256, O: 31 },
  { T: 6, K: 4096, O: 70 },
] as Sizes[];
const sizesOf = (format: string): Sizes[] => (int8Weights[format].step === 1 ? anyK : wholeK);

const bits = (values: Float32Array): Uint32Array => new Uint32Array(values.buffer);
const size = (values: Float32Array | undefined): Float32Array | undefined => values?.map(Math.abs);

/** How far each sum may lie from the plain loops: each block's products of scales, products and additions round once. */
function worst({ y, packed: rows }: Result, product: Product): number {
  const { T, O, K } = product.sizes;
  // Of minima the sizes are added, not taken off.
  const sizes = product.rows.map((row) => ({
    ...{ ...row, integers: row.integers.map(Math.abs) },
    ...{ scales: row.scales.map(Math.abs), minima: size(row.minima)?.map((minimum) => -minimum) },
  }));
  let ratio = 0;
  for (let t = 0; t < T; t++) {
    const x = packedRow(rows, product.sizes, t, product.rows[0].run);
    const sizeOfX = { codes: x.codes.map(Math.abs), scales: x.scales };
    for (let o = 0; o < O; o++) {
      const error = Math.abs(y[t * O + o] - int8Product(x, product.rows[o]));
      if (error === 0) continue;
      const { minima, ofRow } = product.rows[o];
      const additions = Math.ceil(K / 32) * (minima === undefined ? 1 : 2);
      const roundings = additions + (ofRow === undefined ? 2 : 3);
      ratio = Math.max(ratio, error / (roundings * u * int8Product(sizeOfX, sizes[o])));
    }
  }
  return ratio;
}

for (const build of builds) {
  const bench = new KernelBench(new WebAssembly.Module(readFileSync(kernelPath(build))));
  describe(`the int8 compute path of ${build}`, () => {
    test.each(["q4", "q6k"])("rows are packed as the plain loops round them, for %s", (format) => {
      for (const sizes of sizesOf(format)) {
        const product = randomProduct(format, sizes, seeded(sizes.K));
        product.x[0] = 0.5; // a tie, when it is not the largest
        product.x[1] = 127;
        const { run } = product.rows[0];
        const { packed: rows } = multiply(bench, product, { rows: 2 });
        for (let t = 0; t < sizes.T; t++) {
          const { starts, ...row } = packedRow(rows, sizes, t, run);
          const expected = roundToInt8(product.x.subarray(t * sizes.K, (t + 1) * sizes.K));
          expect(row).toEqual(expected);
          const first = (k: number): boolean => (run === 16 ? k < 16 : (k & 3) < 2);
          expect(starts).toEqual(
            starts.map((_, block) => {
              const codes = [...expected.codes.slice(block * 32, block * 32 + 32)];
              const sum = (which: boolean): number =>
                codes.reduce((total, code, k) => (first(k) === which ? total + code : total), 0);
              return [sum(true) * -8 + 0, sum(false) * -8 + 0];
            }),
          );
        }
      }
    });

    test.each(formats)("%s: within the bound, and the same bits in any ranges", (format) => {
      for (const sizes of sizesOf(format)) {
        const product = randomProduct(format, sizes, seeded(sizes.O + sizes.K));
        const whole = multiply(bench, product);
        expect(worst(whole, product), JSON.stringify(sizes)).toBeLessThanOrEqual(1);
        for (const cuts of [
          { columns: 2 },
          { columns: 3, rows: 2 },
          { rows: 3, tiles: 1 },
          { tiles: 2 },
          { tiles: 3 },
        ]) {
          const other = multiply(bench, product, cuts);
          expect(bits(other.y), JSON.stringify({ ...sizes, ...cuts })).toEqual(bits(whole.y));
        }
      }
    });

    test.each(formats)("%s: a row's bits are the same alone and among others", (format) => {
      for (const sizes of sizesOf(format).filter(({ T }) => T > 1)) {
        const product = randomProduct(format, sizes, seeded(3));
        const { T, K, O } = sizes;
        const together = multiply(bench, product, { tiles: 1 }).y;
        for (const t of new Set([0, 1, T >> 1, T - 1])) {
          const alone = multiply(bench, {
            ...{ ...product, sizes: { T: 1, K, O } },
            x: product.x.slice(t * K, (t + 1) * K),
          }).y;
          expect(bits(alone)).toEqual(bits(together.slice(t * O, (t + 1) * O)));
        }
      }
    });

    test.each(formats)("%s: integers are exact where they are largest", (format) => {
      // Each block adds the same number, a multiple of 32 below 2²⁴, so that the sums are exact too.
      for (const [T, O, tiles] of [
        [1, 40, 0],
        [4, 9, 0],
        [8, 9, 1],
        [8, 40, 2],
        [8, 40, 3],
      ]) {
        const weights = int8Weights[format].make(O, 512, seeded(1), true);
        for (const extreme of [127, -127]) {
          const x = new Float32Array(T * 512).fill(extreme);
          const product = { format, sizes: { T, K: 512, O }, x, ...weights };
          const { y } = multiply(bench, product, { tiles });
          const row = roundToInt8(x.subarray(0, 512));
          expect(y).toEqual(y.map((_, i) => int8Product(row, weights.rows[i % O])));
        }
      }
    });

    test.each(["q4", "q8"] as const)("%s: random integers are exact", (format) => {
      const most = format === "q4" ? -8 : 127;
      const random = seeded(17);
      for (const [T, K, O] of [
        [1, 96, 40],
        [3, 512, 8],
      ]) {
        // One number of a block makes its scale 1.
        const x = Float32Array.from({ length: T * K }, (_, i) =>
          i % 32 === 0 ? 127 : random.below(255) - 127,
        );
        const values = Float32Array.from({ length: O * K }, (_, i) =>
          i % 32 === 0 ? most : random.below(2 * Math.abs(most)) - Math.abs(most),
        );
        const product = { format, sizes: { T, K, O }, x, ...packed(format, O, K, values) };
        const { y } = multiply(bench, product);
        const expected = Float32Array.from(y, (_, i) => {
          const [t, o] = [Math.floor(i / O), i % O];
          let sum = 0;
          for (let k = 0; k < K; k++) sum += x[t * K + k] * values[o * K + k];
          return sum;
        });
        expect(y).toEqual(expected);
      }
    });

    test("a scale may be negative, subnormal or zero", () => {
      const values = new Float32Array(8 * 32);
      values.fill(1, 0, 32); // scale -1/8
      values.fill(-1e-6, 32, 64); // a subnormal f16
      values.fill(1e-9, 64, 96); // 0
      const weights = packed("q4", 8, 32, values);
      const x = new Float32Array(32).fill(127);
      const { y } = multiply(bench, { format: "q4", sizes: { T: 1, K: 32, O: 8 }, x, ...weights });
      const product = ({ integers, scales }: IntegerRow): number =>
        Math.fround(32 * 127 * integers[0] * scales[0]);
      expect([...y.slice(0, 3)]).toEqual(weights.rows.slice(0, 3).map((row) => product(row) + 0));
      expect([y[0] > 0, y[1] < 0]).toEqual([true, true]);
    });

    test.each(formats)(
      "%s: a row with NaN or an infinity is not finite, its neighbours are",
      (format) => {
        for (const bad of [NaN, Infinity]) {
          const product = randomProduct(format, { T: 3, K: 256, O: 9 }, seeded(5));
          product.x[256 + 40] = bad;
          const { y } = multiply(bench, product);
          const finite = [0, 1, 2].map((t) => [...y.slice(t * 9, t * 9 + 9)].map(Number.isFinite));
          expect(finite).toEqual([true, false, true].map((ok) => Array<boolean>(9).fill(ok)));
        }
      },
    );

    test.each(formats)(
      "%s: one wrong weight, and a sum that is a little off, are noticed",
      (format) => {
        const product = randomProduct(format, { T: 3, K: 256, O: 12 }, seeded(9));
        const right = multiply(bench, product);
        const other = { ...product, w: product.w.map((byte, i) => (i === 70 ? byte ^ 1 : byte)) };
        expect(worst({ ...right, y: multiply(bench, other).y }, product)).toBeGreaterThan(1);
        const largest = right.y.reduce(
          (at, v, i) => (Math.abs(v) > Math.abs(right.y[at]) ? i : at),
          0,
        );
        right.y[largest] *= 1 + 2 ** -12;
        expect(worst(right, product)).toBeGreaterThan(1);
      },
    );
  });
}
