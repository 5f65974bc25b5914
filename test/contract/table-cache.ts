// The cases of ops that write the cache, in each of its formats: appending, and copying pages.

import type { Op } from "../../src/graph/graph.ts";
import { copyPagesOp } from "../../src/ops/copy-pages.ts";
import { kvAppendCodesOp } from "../../src/ops/kv-append-codes.ts";
import { kvAppendOp, PAGE } from "../../src/ops/kv-append.ts";
import type { Random } from "../random.ts";
import { type Case, exact, grid, type Sizes } from "./case.ts";
import { indices, numbers, rounded, type TestTensor } from "./tensors.ts";

/** The cache's formats, as sizes name them. */
export const cacheFormats: readonly string[] = ["f32", "bf16", "f16", "i8"];

/** A pool [pages, 16, width] of random numbers, or of random codes. */
export function poolOf(random: Random, format: number, pages: number, width: number): TestTensor {
  const pool: TestTensor = { ...numbers(random, pages, PAGE, width), kind: "state" };
  if (format < 3) return rounded(pool, cacheFormats[format]);
  const codes = pool.values.map(() => random.below(255) - 127);
  return { ...pool, dtype: "i8", values: codes };
}

/** The scales of a pool of codes. */
export function scalesOf(random: Random, pages: number, heads: number): TestTensor {
  const scales = numbers(random, pages, PAGE, heads);
  const values = scales.values.map((x) => Math.fround(Math.abs(x) / 100));
  return { ...scales, kind: "state", values };
}

/** Numbers that are subnormal in f16, too large for it, halfway between two, infinite, or none. */
const special = [
  ...[1e-6, -3e-8, 65519, 65520, 1 + 2 ** -11, 1 + 3 * 2 ** -11],
  ...[-Infinity, NaN, 1e-44, -0],
];

const appended = ({ T, KV, format }: Sizes, random: Random): TestTensor[] => {
  const pages = Math.max(3, Math.ceil(T / PAGE));
  const slots = Array.from({ length: T }, (_, t) => (t === 4 ? -1 : (t * 7 + 3) % (pages * PAGE)));
  const rows = (): TestTensor => {
    const { values, ...rest } = numbers(random, T, KV);
    return {
      ...rest,
      values: values.map((x, i) => (i % 5 === 2 ? Math.fround(special[((i / 5) % 10) | 0]) : x)),
    };
  };
  const pool = (): TestTensor => poolOf(random, format, pages, KV);
  return [pool(), pool(), rows(), rows(), indices(slots)];
};

/** The rows, and the same numbers in the pools. */
const appendWork: Case["work"] = ({ ins: [K, , k, v, slots] }) => {
  const width = K.bytes / (K.shape[0] * K.shape[1]);
  return { bytes: k.bytes + v.bytes + slots.bytes + 2 * width * k.shape[0] };
};

/** A page, two numbers wide, that tells which one it is; and a pool of such. */
const page = (sign: number, number: number): number[] =>
  Array.from({ length: PAGE * 2 }, (_, i) => sign * (number * PAGE * 2 + i));
const pool = (sign: number, pages: readonly number[]): TestTensor => ({
  ...{ shape: [pages.length, PAGE, 2], dtype: "f32", kind: "state" },
  values: Float64Array.from(pages.flatMap((number) => page(sign, number))),
});

export const cacheTable: readonly Case[] = [
  {
    op: kvAppendOp as Op,
    sizes: grid({ T: [1, 9], KV: [1, 4, 6, 32], format: [0, 1, 2] }),
    ...{ inputs: appended, bound: exact },
    attrs: ({ format }) => (format === 0 ? {} : { dtype: cacheFormats[format] }),
    timed: grid({ T: [1, 512], KV: [1024], format: [0, 2] }),
    work: appendWork,
  },
  {
    op: kvAppendCodesOp as Op,
    sizes: grid({ T: [1, 9], KV: [6, 12, 96], heads: [1, 3], format: [3] }),
    inputs: (sizes, random) => {
      const ins = appended(sizes, random);
      return [...ins, ...[0, 1].map(() => scalesOf(random, ins[0].shape[0], sizes.heads))];
    },
    ...{ bound: exact, attrs: () => ({}) },
    timed: grid({ T: [1, 512], KV: [1024], heads: [8], format: [3] }),
    work: appendWork,
  },
  {
    op: copyPagesOp as Op,
    sizes: grid({ KV: [1, 3, 8], N: [2], format: [0, 1, 2, 3] }),
    // Even pages from the last one on become odd ones from the first on.
    inputs: ({ KV, N, format }, random) => {
      const to = Array.from({ length: N }, (_, n) => 2 * n + 1);
      return [
        ...[0, 1].map(() => poolOf(random, format, 2 * N + 1, KV)),
        ...[indices(to.map((odd) => 2 * N - 1 - odd)), indices(to)],
      ];
    },
    ...{ bound: exact, attrs: () => ({}) },
    examples: [
      {
        sizes: { KV: 2, N: 2, format: 0 },
        ins: [pool(1, [0, 1, 2, 3]), pool(-1, [0, 1, 2, 3]), indices([0, 3]), indices([2, 1])],
        outs: [1, -1].map((sign) => [0, 3, 0, 3].flatMap((number) => page(sign, number))),
      },
    ],
    timed: grid({ KV: [1024], N: [1, 32], format: [0] }),
    work: ({ ins: [K, , from] }) => ({
      bytes: 4 * (K.bytes / K.shape[0]) * from.shape[0] + 2 * from.bytes,
    }),
  },
];
