// LLM.int8 beyond the goldens: rounding to float16, ties, what is refused; outlier columns chosen for one row or for all.

import { describe, expect, test } from "vitest";
import { CheckpointError } from "../../src/errors.ts";
import { f16 } from "../../src/formats/f16.ts";
import { int8Product, quantizeActivations } from "../../src/formats/llm-int8-product.ts";
import { int8Format, roundToF16 } from "../../src/formats/llm-int8.ts";
import { findWeightFormat } from "../../src/formats/registry.ts";
import type { WeightFormat } from "../../src/formats/weight-format.ts";
import { floats32 } from "../../src/formats/words.ts";
import { seeded } from "../random.ts";

function named(name: string): WeightFormat {
  const format = findWeightFormat(name);
  if (format === undefined) throw new Error(`no format ${name}`);
  return format;
}

function pack(values: Float32Array, columns: number): { codes: Int8Array; scales: Float32Array } {
  const format = named("int8-6");
  const rows = values.length / columns;
  const parts = format.parts(rows, columns).map((bytes) => new Uint8Array(bytes));
  const packer = format.packer?.(parts, { rows, columns });
  packer?.rows(values, 0, rows);
  packer?.finish();
  return { codes: new Int8Array(parts[0].buffer), scales: floats32(parts[1]) };
}

test("the name holds the threshold", () => {
  expect(named("int8-6")).toMatchObject({ family: "int8", param: 6 });
  expect(named("int8-0").param).toBe(0);
  expect(named("int8-5.5").param).toBe(5.5);
  for (const name of ["int8", "int8-", "int8-06", "int8--6", "int8-6.0", "int8-x"])
    expect(int8Format(name), name).toBeUndefined();
});

test("every float16, and numbers between two of them, round as the format f16 does", () => {
  const values = new Float32Array(3 * 65536);
  for (let bits = 0; bits < 65536; bits++) {
    const wide = new Float32Array(1);
    f16.unpack(Uint8Array.of(bits & 255, bits >> 8), wide);
    const word = new Int32Array(wide.buffer)[0];
    const near = Int32Array.of(word, word + 0x1000, word + 0x1001);
    values.set(new Float32Array(near.buffer), 3 * bits);
  }
  values.set([1e-8, -1e-8, 3e-8, 2 ** -25, 1e-45, 65519.9, 65520, -7e4, 1e38]);
  const out = new Float32Array(values.length);
  roundToF16(values, out);
  const half = new Uint8Array(2 * values.length);
  f16.pack(values, half);
  const expected = new Float32Array(values.length);
  f16.unpack(half, expected);
  // Integers have no -0.
  const unsigned = (numbers: Float32Array): Float32Array => numbers.map((value) => value + 0);
  expect(unsigned(out)).toEqual(unsigned(expected));
});

test("ties go to even integers; a row of zeros has none but zeros", () => {
  const { codes, scales } = pack(
    Float32Array.of(127, 0.5, 1.5, -2.5, -126.5, 3, 0, 0, 0, 0, 0, 0),
    6,
  );
  expect([...codes]).toEqual([127, 0, 2, -2, -126, 3, 0, 0, 0, 0, 0, 0]);
  expect([...scales]).toEqual([127, 0]);
});

test.each([NaN, Infinity, 65520, -1e30])("%d is refused, with its row", (bad) => {
  const values = Float32Array.from(seeded(3).numbers(4 * 8));
  values[2 * 8 + 1] = bad;
  expect(() => pack(values, 8)).toThrow(CheckpointError);
  expect(() => pack(values, 8)).toThrow(/row 2 .*65,504/);
});

describe("the product", () => {
  const [T, K, O] = [6, 40, 5];
  const random = seeded(17);
  const x = Float32Array.from(random.numbers(T * K), (value) => 2 * value);
  x[2 * K + 7] = 9;
  x[4 * K + 30] = -6;
  x[4 * K + 31] = 5.99;
  const w = pack(Float32Array.from(random.numbers(O * K)), K);

  test("outlier columns are those of all rows together", () => {
    const { outliers, codes } = quantizeActivations(x, T, K, 6);
    expect(outliers).toEqual([7, 30]);
    for (let t = 0; t < T; t++) expect([codes[t * K + 7], codes[t * K + 30]]).toEqual([0, 0]);
    expect(quantizeActivations(x, T, K, 0).outliers).toEqual([]);
    expect(quantizeActivations(x.subarray(0, K), 1, K, 6).outliers).toEqual([]);
  });

  test("an outlier counts in float16: just below the threshold may round up to it", () => {
    const row = Float32Array.of(5.999, 5.99, 1);
    expect(quantizeActivations(row, 1, 3, 6).outliers).toEqual([0]);
  });

  test("is off by half a step of each row's integers at most", () => {
    for (const threshold of [0, 6]) {
      const y = int8Product(x, w, { T, K, O }, threshold);
      const { scales } = quantizeActivations(x, T, K, threshold);
      for (const [i, got] of y.entries()) {
        const [t, o] = [Math.floor(i / O), i % O];
        let [exact, bound] = [0, 0];
        for (let k = 0; k < K; k++) {
          const weight = (w.codes[o * K + k] * w.scales[o]) / 127;
          exact += x[t * K + k] * weight;
          // Half a step, float16's rounding, and the constant for 1 / 127².
          bound +=
            Math.abs(weight) * (scales[t] / 254 + Math.abs(x[t * K + k]) * (2 ** -11 + 2e-5));
        }
        expect(Math.abs(got - exact)).toBeLessThan(bound);
      }
    }
  });

  test("keeping outliers apart makes the others more exact", () => {
    const spread = (threshold: number): number => quantizeActivations(x, T, K, threshold).scales[2];
    expect(spread(0)).toBe(9);
    expect(spread(6)).toBeLessThanOrEqual(2);
  });

  test("a row alone, without outliers elsewhere, has the same bits", () => {
    const rows = x.slice(0, 2 * K);
    const together = int8Product(rows, w, { T: 2, K, O }, 6);
    const alone = int8Product(rows.subarray(K), w, { T: 1, K, O }, 6);
    expect(alone).toEqual(together.subarray(O));
  });
});
