// nf4 and fp4 beyond the goldens: blocks that run from row to row, however the rows come; the nearest value for each number;
// edges; what is refused.

import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { CheckpointError } from "../../src/errors.ts";
import { fourBitValues } from "../../src/formats/four-bit-codes.ts";
import { FOUR_BIT_BLOCKS, fourBitFormat, fourBitSettings } from "../../src/formats/four-bit.ts";
import { findWeightFormat } from "../../src/formats/registry.ts";
import type { WeightFormat } from "../../src/formats/weight-format.ts";
import { floats32 } from "../../src/formats/words.ts";
import { seeded } from "../random.ts";

const types = ["nf4", "fp4"] as const;
const names = types.flatMap((type) => [`${type}-64`, `${type}-64-dq`]);

function named(name: string): WeightFormat {
  const format = findWeightFormat(name);
  if (format === undefined) throw new Error(`no format ${name}`);
  return format;
}

/** Quantises a matrix whose rows come in pieces of so many rows. */
function pack(
  format: WeightFormat,
  values: Float32Array,
  columns: number,
  piece = values.length,
): Uint8Array[] {
  const rows = values.length / columns;
  const parts = format.parts(rows, columns).map((bytes) => new Uint8Array(bytes));
  const packer = format.packer?.(parts, { rows, columns });
  for (let row = 0; row < rows; row += piece) {
    const end = Math.min(row + piece, rows);
    packer?.rows(values.subarray(row * columns, end * columns), row, end);
  }
  packer?.finish();
  return parts;
}

const weights = (count: number, seed: number): Float32Array =>
  Float32Array.from(seeded(seed).numbers(count), (value) => value ** 3);

const nibble = (codes: Uint8Array, i: number): number =>
  i % 2 === 0 ? codes[i >> 1] >> 4 : codes[i >> 1] & 15;

test("a name holds type, block and double quantisation; other names are none", () => {
  expect(fourBitSettings("nf4-64")).toEqual({ type: "nf4", block: 64, nested: false });
  expect(fourBitSettings("fp4-4096-dq")).toEqual({ type: "fp4", block: 4096, nested: true });
  for (const name of [
    "nf4",
    "nf4-",
    "nf4-48",
    "nf4-8192",
    "nf4-064",
    "nf5-64",
    "nf4-64-qd",
    "int8-6",
  ])
    expect(fourBitFormat(name), name).toBeUndefined();
  for (const block of FOUR_BIT_BLOCKS) expect(named(`nf4-${block}`).param).toBe(block);
  expect(names.map((name) => named(name).family)).toEqual(["nf4", "nf4-dq", "fp4", "fp4-dq"]);
});

test("bytes of 7B's largest matrix: 4.5 bits a weight, 4.127 with double quantisation", () => {
  const bits = (name: string): number =>
    (named(name)
      .parts(14336, 4096)
      .reduce((sum, bytes) => sum + bytes, 0) *
      8) /
    (14336 * 4096);
  expect(bits("nf4-64")).toBe(4.5);
  expect(bits("nf4-64-dq")).toBeCloseTo(4 + 8 / 64 + 32 / (64 * 256), 3);
});

describe.each(names)("%s", (name) => {
  const format = named(name);

  test("rows may come in any pieces, and be unpacked in any", () => {
    fc.assert(
      fc.property(
        fc.record({
          rows: fc.integer({ min: 1, max: 9 }),
          columns: fc.integer({ min: 1, max: 200 }),
          piece: fc.integer({ min: 1, max: 4 }),
          seed: fc.integer({ min: 1 }),
        }),
        ({ rows, columns, piece, seed }) => {
          const values = weights(rows * columns, seed);
          const parts = pack(format, values, columns);
          expect(pack(format, values, columns, piece)).toEqual(parts);
          const whole = new Float32Array(values.length);
          format.unpack(parts, { rows, columns }, 0, rows, whole);
          for (let row = 0; row < rows; row++) {
            const one = new Float32Array(columns);
            format.unpack(parts, { rows, columns }, row, row + 1, one);
            expect(one).toEqual(whole.subarray(row * columns, (row + 1) * columns));
          }
        },
      ),
      { numRuns: 60 },
    );
  });

  test("parts may lie at any address, and in shared memory", () => {
    const values = weights(64 * 70, 3);
    const parts = pack(format, values, 70);
    const sizes = format.parts(64, 70);
    const memory = new SharedArrayBuffer(sizes.reduce((sum, bytes) => sum + bytes + 1, 1));
    let at = 1;
    const odd = sizes.map((bytes) => {
      const part = new Uint8Array(memory, at, bytes);
      at += bytes + 1;
      return part;
    });
    const packer = format.packer?.(odd, { rows: 64, columns: 70 });
    packer?.rows(values, 0, 64);
    packer?.finish();
    expect(odd.map((part) => Uint8Array.from(part))).toEqual(parts);
    const [aligned, unaligned] = [new Float32Array(70), new Float32Array(70)];
    format.unpack(parts, { rows: 64, columns: 70 }, 63, 64, aligned);
    format.unpack(odd, { rows: 64, columns: 70 }, 63, 64, unaligned);
    expect(unaligned).toEqual(aligned);
  });

  test.each([NaN, Infinity, -Infinity])("%d is refused, with its row", (bad) => {
    const values = weights(4 * 64, 5);
    values[3 * 64 + 10] = bad;
    expect(() => pack(format, values, 64)).toThrow(CheckpointError);
    expect(() => pack(format, values, 64)).toThrow(/row 3 .*NaN or an infinity/);
    const short = weights(70, 5);
    short[69] = bad;
    expect(() => pack(format, short, 70)).toThrow(/row 0 .*column 64/);
  });
});

describe.each(types)("%s", (type) => {
  const values = fourBitValues[type];

  test("each number gets the nearest value of its block", () => {
    const numbers = weights(64 * 200, 7);
    const [codes, scales] = pack(named(`${type}-64`), numbers, 64);
    for (const [i, number] of numbers.entries()) {
      const scale = floats32(scales)[i >> 6];
      const distance = (code: number): number => Math.abs(number / scale - values[code]);
      const nearest = Math.min(...values.keys().map(distance));
      // Scaling rounds twice.
      expect(distance(nibble(codes, i))).toBeLessThanOrEqual(nearest + 2 ** -22);
    }
  });

  test("every value is its own code, and a scale is the largest magnitude", () => {
    const numbers = Float32Array.from({ length: 64 }, (_, i) => values[i % 16] * 0.75);
    const parts = pack(named(`${type}-64`), numbers, 64);
    expect(floats32(parts[1])).toEqual(Float32Array.of(0.75));
    const out = new Float32Array(64);
    named(`${type}-64`).unpack(parts, { rows: 1, columns: 64 }, 0, 1, out);
    expect(out.map((value) => value + 0)).toEqual(numbers.map((value) => value + 0));
  });

  test("zeros stay zeros; the smallest numbers do not overflow", () => {
    for (const number of [0, -0, 1e-45, 1e-40, 3e38]) {
      for (const columns of [64, 33]) {
        const numbers = new Float32Array(columns).fill(number);
        const parts = pack(named(`${type}-64`), numbers, columns);
        const out = new Float32Array(columns);
        named(`${type}-64`).unpack(parts, { rows: 1, columns }, 0, 1, out);
        for (const value of out)
          expect(Math.abs(value - Math.fround(number))).toBeLessThan(1.1e-38);
      }
    }
  });

  test("an odd count is filled up with the code of zero", () => {
    const [codes] = pack(named(`${type}-64`), Float32Array.of(1, -1, 1), 3);
    expect(values[codes[1] & 15]).toBe(0);
  });
});

test("doubly quantised scales are off by at most half a step of the dynamic map", () => {
  // Blocks of one value: what comes back is the scale.
  const scales = Float32Array.from(seeded(11).numbers(1000), (value) => 2 + value);
  const numbers = Float32Array.from({ length: 64000 }, (_, i) => scales[i >> 6]);
  const format = named("nf4-64-dq");
  const parts = pack(format, numbers, 64);
  const out = new Float32Array(64000);
  format.unpack(parts, { rows: 1000, columns: 64 }, 0, 1000, out);
  // Steps of the map are at most 0.0141; the farthest scale is 1 away from the mean, and a little more.
  for (const [i, scale] of scales.entries())
    expect(Math.abs(out[i * 64] - scale)).toBeLessThan(0.0141 / 2 + 0.001);
  expect(format.isFinite?.(parts)).toBe(true);
  parts[2].fill(255, 0, 4);
  expect(format.isFinite?.(parts)).toBe(false);
});

test.each([
  [5, 0.45666664838790894],
  [7, 0.37040814757347107],
  [9, 0.3143298327922821],
  [40, 0.10696358978748322],
  [70001, 0.00016761886945459992],
])("the mean of %d scales is summed in the order of PyTorch", (blocks, mean) => {
  // Scales 1, 1/2, 1/3 …; the means are what torch 2.15 gives for them, all one unit off the exact ones.
  const numbers = new Float32Array(blocks * 32);
  for (let i = 0; i < blocks; i++) numbers[i * 32] = 1 / (i + 1);
  expect(floats32(pack(named("nf4-32-dq"), numbers, 32)[3])[256]).toBe(mean);
});
