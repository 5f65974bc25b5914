// q4r and q6r: 4 and 6 bits in groups of 8 rows, scales of 8 bits under one of the row; against plain arithmetic on the bytes.

import { describe, expect, test } from "vitest";
import { q4r } from "../../src/formats/q4r.ts";
import { q6r } from "../../src/formats/q6r.ts";
import { seeded } from "../random.ts";
import { packed, unpacked } from "./packed-rows.ts";

const kinds = [
  { format: q4r, zero: 8, blockBytes: 136 },
  { format: q6r, zero: 32, blockBytes: 200 },
] as const;

/** What the file's head says of a number's place: its row's scale, its block's factor, its code. */
function read(
  { format, blockBytes }: (typeof kinds)[number],
  [bytes, rows]: Uint8Array[],
  columns: number,
  row: number,
  k: number,
): { ofRow: number; factor: number; code: number } {
  const block = ((row >> 3) * Math.ceil(columns / 32) + (k >> 5)) * blockBytes;
  const [quad, at] = [(k & 31) >> 2, block + 8 + 4 * (row & 7) + (k & 3)];
  const low = (bytes[at + 32 * (quad & 3)] >> (quad < 4 ? 0 : 4)) & 15;
  const high = (bytes[at + 128 + 32 * (quad & 1)] >> (2 * (quad >> 1))) & 3;
  return {
    ofRow: new Float32Array(rows.buffer)[row],
    factor: new Int8Array(bytes.buffer)[block + (row & 7)],
    code: format === q6r ? low + 16 * high : low,
  };
}

describe.each(kinds)("$format.name", (kind) => {
  const { format, zero, blockBytes } = kind;

  test("takes whole groups and blocks, and 4 bytes a row", () => {
    expect(format.parts(60, 4090)).toEqual([(64 / 8) * (4096 / 32) * blockBytes, 4 * 64]);
  });

  test("rounds scales to 8 bits under the row's, then numbers by what they are", () => {
    const random = seeded(5);
    const shape = { rows: 21, columns: 100 };
    const sizes = Array.from({ length: 21 * 4 }, () => random.uniform(0.001, 1) ** 3);
    const values = Float32Array.from(
      random.numbers(2100),
      (x, i) => x * sizes[Math.floor(i / 100) * 4 + ((i % 100) >> 5)],
    );
    const parts = packed(format, values, shape);
    const out = unpacked(format, parts, shape);
    for (let row = 0; row < shape.rows; row++) {
      const asked = [0, 32, 64, 96].map((k) => {
        const numbers = [...values.subarray(row * 100 + k, row * 100 + Math.min(k + 32, 100))];
        const largest = numbers.reduce((most, x) => (Math.abs(x) > Math.abs(most) ? x : most));
        const first = Math.fround(largest / -zero);
        const codes = numbers.map((x) => Math.min(Math.round(x / first), zero - 1));
        const sum = (of: (i: number) => number): number =>
          codes.reduce((total, _, i) => total + of(i), 0);
        return sum((i) => codes[i] * numbers[i]) / sum((i) => codes[i] ** 2);
      });
      const largest = Math.max(...asked.map(Math.abs)) / 127;
      for (let k = 0; k < shape.columns; k++) {
        const { ofRow, factor, code } = read(kind, parts, 100, row, k);
        expect(Math.abs(ofRow / largest - 1)).toBeLessThan(2e-7);
        expect(factor).toBe(Math.round(asked[k >> 5] / largest) + 0);
        const scale = Math.fround(ofRow * factor);
        const x = values[row * 100 + k];
        const nearest = scale === 0 ? zero : Math.round(x / scale) + zero;
        const wanted = Math.min(Math.max(nearest, 0), 2 * zero - 1);
        // x / scale and x · (1 / scale) may fall on both sides of a half.
        if (code !== wanted)
          expect(Math.abs(Math.abs(x / scale - Math.round(x / scale)) - 0.5)).toBeLessThan(1e-5);
        expect(out[row * 100 + k]).toBe(Math.fround((code - zero) * scale));
      }
    }
  });

  test("is off by no more than scales of 8 bits allow, and the same for both signs", () => {
    const values = Float32Array.from({ length: 64 }, (_, i) => (i < 32 ? i - 31 : (i - 40) / 100));
    const shape = { rows: 1, columns: 64 };
    const out = unpacked(format, packed(format, values, shape), shape);
    // The largest of each block, and half a step of the row's scale for each code.
    expect(Math.abs(out[0] + 31)).toBeLessThan(31 / zero);
    expect(Math.abs(out[63] - 0.23)).toBeLessThanOrEqual(0.23 / zero + 31 / 254);
    const negated = unpacked(
      format,
      packed(
        format,
        values.map((x) => -x),
        shape,
      ),
      shape,
    );
    expect(negated).toEqual(out.map((x) => -x));
  });

  test("fits scales: its squares of errors are smaller than those of scales by the largest", () => {
    const values = Float32Array.from(seeded(8).numbers(64 * 256));
    const shape = { rows: 64, columns: 256 };
    const out = unpacked(format, packed(format, values, shape), shape);
    const error = out.reduce((sum, x, i) => sum + (x - values[i]) ** 2, 0);
    let plain = 0;
    for (let at = 0; at < values.length; at += 32) {
      const numbers = [...values.subarray(at, at + 32)];
      const largest = numbers.reduce((most, x) => (Math.abs(x) > Math.abs(most) ? x : most));
      const scale = largest / -zero;
      for (const x of numbers)
        plain += (x - scale * Math.min(Math.round(x / scale), zero - 1)) ** 2;
    }
    expect(error).toBeLessThan(0.99 * plain);
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
      const expected = Float32Array.from(whole, (_, i) => {
        const [row, k] = [Math.floor(i / wide.columns), i % wide.columns];
        return row < rows && k < columns ? all[row * columns + k] : 0;
      });
      expect(whole.map((x) => x + 0)).toEqual(expected.map((x) => x + 0));
      const [from, to] = [Math.floor(rows / 3), Math.ceil((2 * rows) / 3)];
      const some = new Float32Array((to - from) * columns);
      format.unpack(parts, shape, from, to, some);
      expect(some).toEqual(all.slice(from * columns, to * columns));
    }
  });

  test("holds what f16 scales cannot; rows of next to nothing are zeros", () => {
    const values = new Float32Array(4 * 32);
    values.fill(-3e38, 0, 32);
    values.fill(1e-12, 32, 64);
    values.fill(1e-38, 64, 96);
    const shape = { rows: 4, columns: 32 };
    const out = unpacked(format, packed(format, values, shape), shape);
    for (const row of [0, 1]) expect(out[row * 32] / values[row * 32]).toBeCloseTo(1, 5);
    expect([...out.subarray(64)].every((x) => x + 0 === 0)).toBe(true);
  });

  test("refuses NaN and infinities, naming the place", () => {
    for (const bad of [NaN, Infinity, -Infinity]) {
      const values = new Float32Array(16 * 64).fill(1);
      values[11 * 64 + 40] = bad;
      expect(() => packed(format, values, { rows: 16, columns: 64 })).toThrow(
        new RegExp(`quantising to ${format.name}: row 11 .* columns 32 to 63`),
      );
    }
  });

  test("the scale of any row that is not finite is seen", () => {
    const shape = { rows: 16, columns: 64 };
    const values = Float32Array.from(seeded(2).numbers(16 * 64));
    for (const row of [0, 3, 4, 7, 8, 15]) {
      const parts = packed(format, values, shape);
      expect(format.isFinite?.(parts)).toBe(true);
      new Float32Array(parts[1].buffer)[row] = Infinity;
      expect(format.isFinite?.(parts)).toBe(false);
    }
  });
});
