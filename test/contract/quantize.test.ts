// The kernel `quantize` gives the bytes of the formats' packers, for numbers of every plain format, sizes and ranges of units, and writes
// nowhere else. It refuses what they refuse.

import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { findWeightFormat } from "../../src/formats/registry.ts";
import type { MatrixShape, WeightFormat } from "../../src/formats/weight-format.ts";
import { numbers, numbersOf, packed, quantized, widened } from "./quantize.ts";
import { type Build, KernelBench, kernelPath } from "./wasm-kernels.ts";

const builds: readonly Build[] = ["kernels.wasm", "kernels-plain.wasm"];
const rowFormats = ["q4", "q4r", "q6r", "q8", "int8-6"];
const plainFormats = ["f32", "bf16", "f16"];
const blockFormats = ["nf4-32", "nf4-64", "fp4-64", "fp4-256", "nf4-4096"];
const shapes: readonly MatrixShape[] = [
  { rows: 1, columns: 1 },
  { rows: 8, columns: 32 },
  { rows: 3, columns: 31 },
  { rows: 9, columns: 33 },
  { rows: 17, columns: 64 },
  { rows: 16, columns: 100 },
  { rows: 5, columns: 1037 },
  { rows: 11, columns: 4096 },
];

describe.each(builds)("%s", (build) => {
  const bench = new KernelBench(new WebAssembly.Module(readFileSync(kernelPath(build))));

  test.each([...rowFormats, ...blockFormats, ...plainFormats])("%s: the packer's bytes", (name) => {
    const format = findWeightFormat(name) as WeightFormat;
    let tried = 0;
    for (const shape of shapes) {
      const count = shape.rows * shape.columns;
      for (const kind of ["weights", "integers", "magnitudes", "rows"]) {
        for (const source of numbers) {
          for (const rounded of [undefined, ...numbers.slice(1)]) {
            // Plain numbers are rounded to their own format, which happens anyway.
            if (plainFormats.includes(name) && rounded !== undefined && rounded.name !== name)
              continue;
            const bytes = numbersOf(kind, count, source);
            const piece = { format, source, bytes, rounded, shape };
            const expected = packed(format, widened(piece), shape);
            expect(expected).toBeDefined();
            for (const cuts of [1, 3]) {
              const at = JSON.stringify([shape, kind, source.name, rounded?.name, cuts]);
              expect(quantized(bench, piece, cuts), at).toEqual(expected);
            }
            tried++;
          }
        }
      }
    }
    expect(tried).toBeGreaterThan(12);
  });

  test("numbers that no format holds are refused, at the begin, inside and at the end", () => {
    for (const name of [...rowFormats, ...blockFormats]) {
      const format = findWeightFormat(name) as WeightFormat;
      const shape = { rows: 17, columns: 67 };
      for (const source of numbers) {
        for (const [at, value] of [
          [0, NaN],
          [1138, Infinity],
          [600, -Infinity],
          [67, NaN],
        ]) {
          const bytes = numbersOf("weights", 17 * 67, source);
          source.pack(
            Float32Array.of(value),
            bytes.subarray(source.bytes(at), source.bytes(at + 1)),
          );
          expect(quantized(bench, { format, source, bytes, shape }, 2)).toBeUndefined();
        }
      }
    }
  });

  test("numbers too large for scales in float16, and for LLM.int8", () => {
    const [f32] = numbers;
    const shape = { rows: 1, columns: 40 };
    for (const [name, largest] of [
      ["q4", 8 * 65_519.996],
      ["q8", 127 * 65_519.996],
      ["int8-6", 65_519.996],
    ] as const) {
      const format = findWeightFormat(name) as WeightFormat;
      for (const times of [1, 1.000001]) {
        const bytes = new Uint8Array(
          Float32Array.from({ length: 40 }, (_, i) => (i === 33 ? largest * times : i)).buffer,
        );
        const piece = { format, source: f32, bytes, shape };
        const expected = packed(format, widened(piece), shape);
        expect(expected === undefined).toBe(times > 1);
        expect(quantized(bench, piece, 1)).toEqual(expected);
      }
    }
  });

  test("plain numbers that are not finite stay what they are, payloads of NaN too", () => {
    const shape = { rows: 2, columns: 33 };
    for (const source of numbers) {
      for (const name of plainFormats) {
        const format = findWeightFormat(name) as WeightFormat;
        const bytes = numbersOf("weights", 66, source);
        const size = source.bytes(1);
        for (const [at, sign, payload] of [
          [0, 0x7f, 0x81],
          [31, 0xff, 0xc1],
          [32, 0x7f, 0x80],
          [65, 0xff, 0xff],
        ])
          bytes.set(
            source.name === "f16" ? [payload & 0x7f, sign & 0xfd] : [payload, sign],
            at * size + size - 2,
          );
        const piece = { format, source, bytes, shape };
        const expected = packed(format, widened(piece), shape);
        expect(quantized(bench, piece, 2)).toEqual(expected);
      }
    }
  });

  test("the scratch is no larger than it must be", () => {
    const f32 = numbers[0];
    for (const [name, rows, columns] of [
      ["q4r", 8, 64],
      ["nf4-4096", 128, 32],
    ] as const) {
      const format = findWeightFormat(name) as WeightFormat;
      const bytes = numbersOf("weights", rows * columns, f32);
      const piece = { format, source: f32, bytes, shape: { rows, columns } };
      expect(() => quantized(bench, piece, 1, 16)).toThrow("beside all parts");
    }
  });
});
