// q4 and q8: the numbers of GGUF's Q4_0 and Q8_0, in groups of 8 rows.

import { describe, expect, test } from "vitest";
import { ggufFormats } from "../../src/formats/gguf-types.ts";
import { q4, regroupQ4, ungroupQ4 } from "../../src/formats/q4.ts";
import { q8, regroupQ8, ungroupQ8 } from "../../src/formats/q8.ts";
import { roundToInt8 } from "../../src/formats/int8-compute-path.ts";
import { seeded } from "../random.ts";
import { packed, unpacked } from "./packed-rows.ts";
import { readSafetensors } from "../safetensors-file.ts";
import { goldenPath } from "../golden-files.ts";

const golden = readSafetensors(goldenPath("quant/gguf.safetensors"));
const floats = (name: string): Float32Array => golden.get(name)?.data as Float32Array;
const bytesOf = (name: string): Uint8Array => golden.get(name)?.data as Uint8Array;

const kinds = [
  { format: q4, gguf: "Q4_0", blockBytes: 18, regroup: regroupQ4, ungroup: ungroupQ4 },
  { format: q8, gguf: "Q8_0", blockBytes: 34, regroup: regroupQ8, ungroup: ungroupQ8 },
] as const;

describe.each(kinds)("$format.name", ({ format, gguf, blockBytes, regroup, ungroup }) => {
  test("rounds as ggml's reference does, and regroups its bytes there and back", () => {
    const source = floats("source");
    const shape = { rows: source.length / 512, columns: 512 };
    const parts = packed(format, source, shape);
    expect(unpacked(format, parts, shape)).toEqual(floats(`${gguf}.dequantized`));
    const grouped = new Uint8Array(parts[0].length);
    regroup(bytesOf(`${gguf}.bytes`), grouped, shape);
    expect(grouped).toEqual(parts[0]);
    const back = new Uint8Array((shape.rows * shape.columns * blockBytes) / 32);
    ungroup(grouped, back, shape);
    expect(back).toEqual(bytesOf(`${gguf}.bytes`));
  });

  test("packs random rows to the bytes that the GGUF format packs, at any address", () => {
    const random = seeded(11);
    for (const rows of [1, 7, 8, 9, 20]) {
      const shape = { rows, columns: 96 };
      const values = Float32Array.from(random.numbers(rows * 96), (x) => x * x * x);
      const reference = ggufFormats.get(gguf);
      if (reference === undefined) throw new Error(`no format ${gguf}`);
      const [rowMajor] = packed(reference, values, shape);
      const [direct] = packed(format, values, shape);
      const odd = new Uint8Array(direct.length + 1).subarray(1);
      const oddSource = new Uint8Array(rowMajor.length + 1).subarray(1);
      oddSource.set(rowMajor);
      regroup(oddSource, odd, shape);
      expect(Buffer.compare(odd, direct), `${rows} rows`).toBe(0);
      ungroup(odd, oddSource.fill(0), shape);
      expect(Buffer.compare(oddSource, rowMajor)).toBe(0);
    }
  });

  test("fills up rows and columns with zeros, and unpacks any range of rows", () => {
    for (const [rows, columns] of [
      [1, 1],
      [9, 31],
      [8, 33],
      [21, 100],
    ]) {
      const shape = { rows, columns };
      const values = Float32Array.from(seeded(rows).numbers(rows * columns));
      const parts = packed(format, values, shape);
      const all = unpacked(format, parts, shape);
      const wide = { rows: Math.ceil(rows / 8) * 8, columns: Math.ceil(columns / 32) * 32 };
      const whole = unpacked(format, parts, wide);
      for (let i = 0; i < whole.length; i++) {
        const [row, k] = [Math.floor(i / wide.columns), i % wide.columns];
        const inside = row < rows && k < columns;
        if (whole[i] !== (inside ? all[row * columns + k] : 0))
          throw new Error(`row ${row}, column ${k}: ${whole[i]}`);
        if (inside) {
          const step = 1 / (format === q4 ? 8 : 127);
          expect(Math.abs(whole[i] - values[row * columns + k])).toBeLessThanOrEqual(step);
        }
      }
      const [from, to] = [Math.floor(rows / 3), Math.ceil((2 * rows) / 3)];
      const some = new Float32Array((to - from) * columns);
      format.unpack(parts, shape, from, to, some);
      expect(some).toEqual(all.slice(from * columns, to * columns));
    }
  });

  test("refuses NaN and what no scale can hold, naming the place", () => {
    for (const bad of [NaN, Infinity, -1e9]) {
      const values = new Float32Array(16 * 64).fill(1);
      values[11 * 64 + 40] = bad;
      expect(() => packed(format, values, { rows: 16, columns: 64 })).toThrow(
        new RegExp(`quantising to ${format.name}: row 11 .* columns 32 to 63`),
      );
    }
    const shape = { rows: 16, columns: 32 };
    const packer = format.packer?.([new Uint8Array(1000)], shape);
    expect(() => packer?.rows(new Float32Array(12 * 32), 4, 16)).toThrow("8 at a time");
  });
});

test("q8 rounds halves away from zero, on both sides", () => {
  const values = new Float32Array(32);
  values.set([127, 0.5, -0.5, 1.5, -1.5, 2.5, -2.5, 126.5, -126.5, 0.49999997, -0.49999997]);
  const out = unpacked(q8, packed(q8, values, { rows: 1, columns: 32 }), { rows: 1, columns: 32 });
  expect([...out.slice(0, 11)]).toEqual([127, 1, -1, 2, -2, 3, -3, 127, -127, 0, 0]);
});

test("q4 takes the largest number to -8, whatever its sign", () => {
  for (const largest of [8, -8]) {
    const values = new Float32Array(32);
    values.set([largest, -largest, 3, -3]);
    const shape = { rows: 1, columns: 32 };
    const out = unpacked(q4, packed(q4, values, shape), shape);
    expect([...out.slice(0, 2)]).toEqual([largest, (-largest * 7) / 8]);
  }
});

test("activations are rounded to nearest, ties to even; what is not finite stays visible", () => {
  const x = new Float32Array(40);
  x.set([127, 0.5, 1.5, -0.5, -2.5, -126.49, 63.5], 0);
  x.set([NaN, 1], 32);
  const { codes, scales } = roundToInt8(x);
  expect([...codes.slice(0, 7)]).toEqual([127, 0, 2, -0, -2, -126, 64].map((c) => c + 0));
  expect([...scales]).toEqual([1, NaN]);
  expect(roundToInt8(new Float32Array(3).fill(1e-39)).scales[0]).toBe(0);
  expect(roundToInt8(Float32Array.of(1, -Infinity)).scales[0]).toBe(Infinity);
});
