// int4: names, sizes, numbers; rows from the WASM unpackers bit for bit, whatever group, end of row or zero point; blocks of Q4_0.

import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import * as codes from "../../src/backends/wasm/kernels/header.ts";
import { blockRowBytes, int4ToBlocks } from "../../src/formats/int4-blocks.ts";
import { int4Format, int4Name } from "../../src/formats/int4.ts";
import { findWeightFormat } from "../../src/formats/registry.ts";
import { bytesOf } from "../../src/formats/words.ts";
import { KernelBench, kernelPath } from "../contract/wasm-kernels.ts";
import { seeded } from "../random.ts";

type Matrix = { rows: number; columns: number; parts: Uint8Array[] };

/** Random codes, scales of many sizes (negative, subnormal, zero), zero points beyond the codes' range. */
function matrix(rows: number, columns: number, group: number, act: boolean): Matrix {
  const random = seeded(rows * 7919 + columns * 31 + group);
  const groups = Math.ceil(columns / group);
  const scales = Float32Array.from({ length: rows * groups }, () => {
    const kind = random.below(8);
    return kind === 0 ? 0 : random.uniform(-1, 1) * 10 ** (kind === 1 ? -42 : random.below(8) - 6);
  });
  return {
    ...{ rows, columns },
    parts: [
      Uint8Array.from({ length: rows * Math.ceil(columns / 2) }, () => random.below(256)),
      bytesOf(scales),
      bytesOf(Int16Array.from(scales, () => random.below(272) - 120)),
      ...(act ? [bytesOf(Int32Array.from({ length: columns }, () => random.below(groups)))] : []),
    ],
  };
}

/** The definition, number by number. */
function plainly({ rows, columns, parts }: Matrix, group: number): Float32Array {
  const [scales, zeros] = [new Float32Array(parts[1].buffer), new Int16Array(parts[2].buffer)];
  const table = parts[3] === undefined ? undefined : new Int32Array(parts[3].buffer);
  const groups = Math.ceil(columns / group);
  return Float32Array.from({ length: rows * columns }, (_, i) => {
    const [row, k] = [Math.floor(i / columns), i % columns];
    const byte = parts[0][row * Math.ceil(columns / 2) + Math.floor(k / 2)];
    const g = row * groups + (table?.[k] ?? Math.floor(k / group));
    return scales[g] * ((k % 2 === 0 ? byte & 15 : byte >> 4) - zeros[g]);
  });
}

const sizes = [1, 2, 7, 8, 9, 31, 100, 255, 257, 520, 1031, 2056];
const groupsFor = (columns: number): number[] => [1, 3, 20, 32, 100, 128, columns, columns + 5];
const shapes = sizes.flatMap((columns) =>
  groupsFor(columns).flatMap((group) => [false, true].map((act) => ({ columns, group, act }))),
);
const bits = (values: Float32Array): Uint32Array =>
  Uint32Array.from(new Uint32Array(values.buffer));

describe("names", () => {
  test.for(["int4-1", "int4-32", "int4-128-act", "int4-14336"])("%s", (name) => {
    const format = findWeightFormat(name);
    expect(format?.name).toBe(name);
    expect(format?.family).toBe(name.endsWith("-act") ? "int4-act" : "int4");
    expect(format && int4Name(format.param, name.endsWith("-act"))).toBe(name);
  });

  test.for(["int4", "int4-", "int4-0", "int4-032", "int4--1", "int4-128-x", "int4-4294967296"])(
    "%s is none",
    (name) => expect(findWeightFormat(name)).toBeUndefined(),
  );
});

test("parts: bytes of codes, scales, zero points and the table, the last group short", () => {
  expect(int4Format(64, false).parts(3, 160)).toEqual([3 * 80, 3 * 3 * 4, 3 * 3 * 2]);
  expect(int4Format(64, true).parts(3, 161)).toEqual([3 * 81, 3 * 3 * 4, 3 * 3 * 2, 161 * 4]);
});

test("unpack: scale · (code − zero), any range of rows", () => {
  for (const { columns, group, act } of shapes) {
    const given = matrix(3, columns, group, act);
    const format = int4Format(group, act);
    const expected = plainly(given, group);
    const all = new Float32Array(3 * columns);
    format.unpack(given.parts, given, 0, 3, all);
    expect(bits(all), `${columns} ${format.name}`).toEqual(bits(expected));
    const one = new Float32Array(columns);
    format.unpack(given.parts, given, 1, 2, one);
    expect(bits(one)).toEqual(bits(expected.slice(columns, 2 * columns)));
  }
});

test.for(["kernels.wasm", "kernels-plain.wasm"] as const)("%s gives the same bits", (build) => {
  const bench = new KernelBench(new WebAssembly.Module(readFileSync(kernelPath(build))));
  for (const { columns: K, group, act } of shapes) {
    const given = matrix(3, K, group, act);
    const expected = plainly(given, group);
    bench.clear();
    const places = given.parts.map((part) => {
      const place = bench.reserve(part.length);
      bench.set(place, part);
      return place;
    });
    const [p0, p1, p2, p3 = 0] = places;
    const code = act ? codes.FORMAT_INT4_ACT : codes.FORMAT_INT4;
    for (let row = 0; row < 3; row++) {
      for (let k = 0; k < K; k += 512) {
        const count = Math.min(512, K - k);
        const to = bench.reserve(count * 4);
        bench.kernels.unpack(to, p0, p1, p2, p3, code, group, K, row, k, count);
        const want = expected.slice(row * K + k, row * K + k + count);
        expect(bits(bench.floats(to, count)), `${K} ${group} ${act} ${row} ${k}`).toEqual(
          bits(want),
        );
      }
    }
    expect(bench.damaged()).toBeUndefined();
  }
});

test("isFinite looks at the scales", () => {
  for (const [scale, finite] of [
    [1, true],
    [NaN, false],
    [-Infinity, false],
  ] as const) {
    const given = matrix(2, 64, 32, false);
    new Float32Array(given.parts[1].buffer)[3] = scale;
    expect(int4Format(32, false).isFinite?.(given.parts)).toBe(finite);
  }
});

test("int4ToBlocks: the numbers of Q4_0, the last group short", () => {
  const [rows, columns, group] = [5, 160, 64];
  const given = matrix(rows, columns, group, false);
  const scales = Float32Array.from({ length: rows * 3 }, (_, i) => (i - 7) / 64);
  given.parts[1] = bytesOf(scales);
  given.parts[2] = bytesOf(new Int16Array(rows * 3).fill(8));
  const blocks = new Uint16Array((rows * blockRowBytes(columns)) / 2);
  int4ToBlocks(new Uint32Array(given.parts[0].buffer), scales, given, group, blocks);
  const out = new Float32Array(rows * columns);
  findWeightFormat("Q4_0")?.unpack([bytesOf(blocks)], given, 0, rows, out);
  expect(bits(out)).toEqual(bits(plainly(given, group)));
});
