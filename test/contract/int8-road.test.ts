// The kernels of the int8 road against its plain loops: integers exactly, sums within what f32 can round; nothing written
// beside a tensor, the same bits alone or among other rows, in any ranges, with any tile.

import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { int8Product, roundToInt8 } from "../../src/formats/int8-road.ts";
import { seeded } from "../random.ts";
import {
  integerRows,
  multiply,
  packedRow,
  packWeights,
  type Product,
  randomProduct,
  roadFormats,
} from "./int8-road.ts";
import { grid, u } from "./table.ts";
import { type Build, KernelBench, kernelPath } from "./wasm-kernels.ts";

const builds: readonly Build[] = ["kernels.wasm", "kernels-plain.wasm"];
const names = Object.keys(roadFormats);
const sizes = [
  ...grid({ T: [1, 2, 3], K: [1, 31, 32, 33, 100], O: [1, 7, 8, 9, 33] }),
  ...grid({ T: [1, 5], K: [256, 257, 512, 545], O: [24, 40] }),
  { T: 131, K: 64, O: 31 },
  { T: 6, K: 4096, O: 70 },
] as Product["sizes"][];

const bits = (values: Float32Array): Uint32Array => new Uint32Array(values.buffer);

/** How far each sum may lie from the plain loops: each block's product of scales, product and addition rounds once. */
function worst({ y, packed }: ReturnType<typeof multiply>, product: Product): number {
  const { T, O, K } = product.sizes;
  const weights = integerRows(product);
  let ratio = 0;
  for (let t = 0; t < T; t++) {
    const x = packedRow(packed, product.sizes, t);
    const sizesOf = { codes: x.codes.map(Math.abs), scales: x.scales };
    for (let o = 0; o < O; o++) {
      const w = weights[o];
      const error = Math.abs(y[t * O + o] - int8Product(x, w));
      if (error === 0) continue;
      const magnitude = { integers: w.integers.map(Math.abs), scales: w.scales.map(Math.abs) };
      const bound = (Math.ceil(K / 32) + 2) * u * int8Product(sizesOf, magnitude);
      ratio = Math.max(ratio, error / bound);
    }
  }
  return ratio;
}

for (const build of builds) {
  const bench = new KernelBench(new WebAssembly.Module(readFileSync(kernelPath(build))));
  describe(`the int8 road of ${build}`, () => {
    test("rows are packed as the plain loops round them", () => {
      for (const size of sizes) {
        const product = randomProduct("q4", size, seeded(size.K));
        product.x[0] = 0.5; // a tie, when it is not the largest
        product.x[1] = 127;
        const { packed } = multiply(bench, product, { rows: 2 });
        for (let t = 0; t < size.T; t++) {
          const { starts, ...row } = packedRow(packed, size, t);
          const expected = roundToInt8(product.x.subarray(t * size.K, (t + 1) * size.K));
          expect(row).toEqual(expected);
          expect(starts).toEqual(
            starts.map((_, block) => {
              const codes = [...expected.codes.slice(block * 32, block * 32 + 32)];
              const sum = (low: boolean): number =>
                codes.reduce((total, code, k) => ((k & 3) < 2 === low ? total + code : total), 0);
              return [sum(true) * -8 + 0, sum(false) * -8 + 0];
            }),
          );
        }
      }
    });

    test.each(names)("%s: within the bound, and the same bits in any ranges", (format) => {
      for (const size of sizes) {
        const product = randomProduct(format, size, seeded(size.O + size.K));
        const whole = multiply(bench, product);
        expect(worst(whole, product), JSON.stringify(size)).toBeLessThanOrEqual(1);
        for (const cuts of [{ columns: 2 }, { columns: 3, rows: 2 }, { rows: 3, wide: true }]) {
          const other = multiply(bench, product, cuts);
          expect(bits(other.y), JSON.stringify({ ...size, ...cuts })).toEqual(bits(whole.y));
        }
      }
    });

    test.each(names)("%s: a row's bits are the same alone and among others", (format) => {
      for (const size of sizes.filter(({ T }) => T > 1)) {
        const product = randomProduct(format, size, seeded(3));
        const { T, K, O } = size;
        const together = multiply(bench, product, { wide: true }).y;
        for (const t of new Set([0, 1, T >> 1, T - 1])) {
          const alone = multiply(bench, {
            ...{ ...product, sizes: { T: 1, K, O } },
            x: product.x.slice(t * K, (t + 1) * K),
          }).y;
          expect(bits(alone)).toEqual(bits(together.slice(t * O, (t + 1) * O)));
        }
      }
    });

    test.each(names)("%s: integers are exact, at their largest too", (format) => {
      // Scales of 1: activations reach 127, weights reach what takes the scale to 1.
      const most = format === "q4" ? -8 : 127;
      const random = seeded(17);
      for (const [T, K, O] of [
        [1, 96, 40],
        [4, 96, 9],
        [3, 512, 8],
      ]) {
        const extreme = (index: number): number => [127, -127, 127][index % 3];
        const x = Float32Array.from({ length: T * K }, (_, i) =>
          i % 32 === 0 || i < K ? extreme(i) : random.below(255) - 127,
        );
        const values = Float32Array.from({ length: O * K }, (_, i) =>
          i % 32 === 0 || i < K ? most : random.below(2 * Math.abs(most)) - Math.abs(most),
        );
        const product = { format, sizes: { T, K, O }, x, w: packWeights(format, values, O, K) };
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
      const product = {
        ...{ format: "q4", sizes: { T: 1, K: 32, O: 8 } },
        x: new Float32Array(32).fill(127),
        w: packWeights("q4", values, 8, 32),
      };
      const { y } = multiply(bench, product);
      const [first, second] = integerRows(product);
      expect([...y.slice(0, 3)]).toEqual([
        32 * 127 * first.integers[0] * first.scales[0],
        Math.fround(32 * 127 * second.integers[0] * second.scales[0]),
        0,
      ]);
      expect([y[0] > 0, y[1] < 0]).toEqual([true, true]);
    });

    test("a row with NaN or an infinity is NaN, its neighbours are not", () => {
      for (const bad of [NaN, Infinity]) {
        const product = randomProduct("q4", { T: 3, K: 64, O: 9 }, seeded(5));
        product.x[64 + 40] = bad;
        const { y } = multiply(bench, product);
        const finite = [0, 1, 2].map((t) => [...y.slice(t * 9, t * 9 + 9)].map(Number.isFinite));
        expect(finite).toEqual([true, false, true].map((ok) => Array<boolean>(9).fill(ok)));
      }
    });

    test.each(names)(
      "%s: one wrong weight, and a sum that is a little off, are noticed",
      (format) => {
        const size = { T: 3, K: 4096, O: 12 };
        const product = randomProduct(format, size, seeded(9));
        const right = multiply(bench, product);
        const other = { ...product, w: product.w.map((byte, i) => (i === 20 ? byte ^ 1 : byte)) };
        expect(worst({ ...right, y: multiply(bench, other).y }, product)).toBeGreaterThan(1);
        right.y[5] *= 1 + 2 ** -12;
        expect(worst(right, product)).toBeGreaterThan(1);
      },
    );
  });
}
