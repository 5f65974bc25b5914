// The cases of the cache, in each format: appending, copying, and attention over pages: packed sequences of several lengths,
// windows, page tables that wrap, holes, rows that see nothing. Slots that no mask names hold NaN (codes: their scales do): a
// kernel that looks at one shows it.

import type { Op, Values } from "../../src/graph/graph.ts";
import { copyPagesOp } from "../../src/ops/copy-pages.ts";
import { type EagerAttrs, eagerAttentionOp } from "../../src/ops/eager-attention.ts";
import { kvAppendCodesOp } from "../../src/ops/kv-append-codes.ts";
import { kvAppendOp } from "../../src/ops/kv-append.ts";
import { type AttentionAttrs, dot, pagedAttentionOp } from "../../src/ops/paged-attention.ts";
import { eachColumn, eachVisible } from "../../src/ops/visible.ts";
import type { Random } from "../random.ts";
import {
  type Bound,
  type Case,
  exact,
  grid,
  indices,
  numbers,
  type Sizes,
  type TestTensor,
  u,
} from "./table.ts";
import { rounded } from "./wasm-kernels.ts";

const SEQUENCES = 2;

const sizes: readonly Sizes[] = [
  ...grid({
    T: [1, 2, 11],
    D: [2, 6, 16, 20],
    heads: [1, 4, 6],
    group: [1, 2],
    columns: [20],
    window: [0, 5],
    P: [2],
    format: [0, 3],
  }),
  ...grid({
    ...{ T: [11], D: [6, 16], heads: [4, 6], group: [2], columns: [20], window: [5], P: [2] },
    format: [1, 2],
  }),
  ...grid({
    ...{ T: [40], D: [16], heads: [6], group: [3], columns: [90], window: [0, 24], P: [6, 8] },
    format: [0, 1, 2, 3],
  }),
  ...grid({
    ...{ T: [3], D: [128], heads: [8], group: [4], columns: [300], window: [0, 130], P: [19] },
    format: [0, 1, 2, 3],
  }),
  { T: 5, D: 128, heads: 8, group: 8, columns: 300, window: 40, P: 4, format: 0 },
  { T: 6, D: 32, heads: 6, group: 3, columns: 200, window: 70, P: 8, format: 3 },
].filter(({ heads, group }) => heads % group === 0);

/** Row t of sequence s at a column near the end; without a window the table holds every block, else only the last P. */
function inputs(given: Sizes, random: Random): TestTensor[] {
  const { T, D, heads, group, columns, window, P, format } = given;
  const q = numbers(random, T, heads * D);
  const pools = [0, 1].map(() => poolOf(random, format, SEQUENCES * P, (heads / group) * D));
  const scales =
    format === 3 ? pools.map(() => scalesOf(random, SEQUENCES * P, heads / group)) : [];
  const seq = Array.from({ length: T }, (_, t) => (t < T / 2 ? 0 : 1));
  const at = seq
    .map((s, t) => columns - 1 - (T - 1 - t) - s * 3)
    .map((column) => Math.max(0, column));
  if (T > 8) at[8] = 0; // sees column 0 alone, or nothing when that is gone
  const pages: number[] = [];
  for (let s = 0; s < SEQUENCES; s++) {
    const last = Math.max(...at.filter((_, t) => seq[t] === s), 0) >> 4;
    for (let entry = 0; entry < P; entry++) {
      // The newest block that this entry of the ring holds.
      const block = last - ((last - entry + P * 1000) % P);
      const mask = block < 0 ? 0 : random.below(4) === 0 ? random.below(65536) : 65535;
      pages.push(s * P + entry, window === 0 && last >= P ? 0 : mask);
    }
  }
  for (const { values, shape } of format === 3 ? scales : pools) poison(values, pages, shape[2]);
  const places = [indices(seq), indices(at), indices(pages, SEQUENCES, P, 2)];
  return [q, ...pools, ...places, ...scales];
}

/**
 * Sequences that fill their pages but for the last 5 columns of the table; masks hide some columns and, from the first rows,
 * everything. All slots hold numbers.
 */
function unmaskedInputs(given: Sizes, random: Random): TestTensor[] {
  const { T, D, heads, group, P, format } = given;
  const q = numbers(random, T, heads * D);
  const pools = [0, 1].map(() => poolOf(random, format, SEQUENCES * P, (heads / group) * D));
  const scales =
    format === 3 ? pools.map(() => scalesOf(random, SEQUENCES * P, heads / group)) : [];
  const seq = Array.from({ length: T }, (_, t) => t % SEQUENCES);
  const at = seq.map((_, t) => Math.floor((t * (unmasked(given) - 1)) / T));
  const pages = Array.from({ length: SEQUENCES * P }, (_, n) => [
    SEQUENCES * P - 1 - n,
    n % P === 0 ? 0 : random.below(65536),
  ]).flat();
  const places = [indices(seq), indices(at), indices(pages, SEQUENCES, P, 2)];
  return [q, ...pools, ...places, ...scales];
}

/** Columns over which rows that see none take the mean. */
const unmasked = ({ P }: Sizes): number => 16 * P - 5;

/** The cache's formats, as sizes name them. */
const formats = ["f32", "bf16", "f16", "i8"];

function poolOf(random: Random, format: number, pages: number, width: number): TestTensor {
  const pool = numbers(random, pages, 16, width);
  if (format < 3) return rounded(pool, formats[format]);
  const codes = pool.values.map(() => random.below(255) - 127);
  return { ...pool, dtype: "i8", values: codes };
}

function scalesOf(random: Random, pages: number, heads: number): TestTensor {
  const scales = numbers(random, pages, 16, heads);
  return { ...scales, values: scales.values.map((x) => Math.fround(Math.abs(x) / 100)) };
}

function poison(pool: Values, pages: readonly number[], KV: number): void {
  for (let entry = 0; entry < pages.length; entry += 2) {
    for (let offset = 0; offset < 16; offset++) {
      const slot = pages[entry] * 16 + offset;
      if (((pages[entry + 1] >> offset) & 1) === 0) pool.fill(NaN, slot * KV, (slot + 1) * KV);
    }
  }
}

/**
 * A score has D roundings of Σ|q·k|, and two of its scales; what it loses, and its distance from the largest, which is rounded too, is the relative
 * error of a weight, of both its numerator and the sum. Sums over n columns add n roundings, rescaling 4 a page.
 */
function weightError(
  t: number,
  head: number,
  ins: readonly Values[],
  s: Sizes,
  attrs: AttentionAttrs,
) {
  const { D, group, heads, P } = s;
  const KV = (heads / group) * D;
  const [q, , , seq, at, pages] = ins;
  const [K, V] = scaledPools(ins, D);
  const start = (t * heads + head) * D;
  const kv = Math.floor(head / group) * D;
  const abs = (x: Values, from: number): Values => x.slice(from, from + D).map(Math.abs);
  const seen: { column: number; score: number; slot: number }[] = [];
  let lost = 0;
  eachVisible(t, [seq, at, pages], [SEQUENCES, P, 2], attrs.window, (column, slot) => {
    const j = slot * KV + kv;
    seen.push({ column, slot, score: dot(q, start, K, j, D) * attrs.scale });
    lost = Math.max(lost, (D + 2) * dot(abs(q, start), 0, abs(K, j), 0, D) * attrs.scale);
  });
  const every = (attrs as Partial<EagerAttrs>).unmasked ?? 0;
  if (seen.length === 0)
    eachColumn(t, [seq, at, pages], [SEQUENCES, P, 2], every, (column, slot) =>
      seen.push({ column, slot, score: 0 }),
    );
  const max = Math.max(...seen.map(({ score }) => score));
  const range = Math.max(0, ...seen.map(({ score }) => max - score));
  const sum = seen.reduce((n, { score }) => n + Math.exp(score - max), 0);
  const relative = (2 * (lost + range) + seen.length + 4 * (seen.length / 16 + 2) + 9) * u;
  const weighted = (d: number): number =>
    seen.reduce(
      (n, { score, slot }) => n + (Math.exp(score - max) / sum) * Math.abs(V[slot * KV + kv + d]),
      0,
    );
  return { relative, weighted };
}

/** K and V, times their scales if they have some. */
function scaledPools([, K, V, , , , ...scales]: readonly Values[], D: number): Values[] {
  return [K, V].map((pool, side) => {
    const by = scales.at(side);
    return by === undefined ? pool : pool.map((x, i) => x * by[Math.floor(i / D)]);
  });
}

function bound({ ins, outs, sizes: s, attrs }: Parameters<Case["bound"]>[0]): Bound {
  const errors = new Map<number, ReturnType<typeof weightError>>();
  const errorOf = (query: number): ReturnType<typeof weightError> => {
    const [t, head] = [Math.floor(query / s.heads), query % s.heads];
    const known = errors.get(query) ?? weightError(t, head, ins, s, attrs as AttentionAttrs);
    errors.set(query, known);
    return known;
  };
  return (output, i) => {
    if (output === 1) return errorOf(Math.floor(i / capacity(s))).relative * outs[1][i];
    const { relative, weighted } = errorOf(Math.floor(i / s.D));
    return relative * weighted(i % s.D);
  };
}

/** Columns of the score matrix: not a multiple of anything. */
const capacity = ({ columns, P }: Sizes): number => (columns ?? 16 * P - 5) + 1;

const attrs = ({ D, heads, group, window }: Sizes): AttentionAttrs => ({
  ...{ heads, kvHeads: heads / group, window },
  scale: Math.fround(1 / Math.sqrt(D)),
});

const appended = ({ T, KV, format }: Sizes, random: Random): TestTensor[] => {
  const slots = Array.from({ length: T }, (_, t) => (t === 4 ? -1 : (t * 7 + 3) % 48));
  // Among them numbers that are subnormal in f16, too large for it, halfway between two, and infinite.
  const special = [
    1e-6,
    -3e-8,
    65519,
    65520,
    1 + 2 ** -11,
    1 + 3 * 2 ** -11,
    -Infinity,
    NaN,
    1e-44,
    -0,
  ];
  const rows = (): TestTensor => {
    const { values, ...rest } = numbers(random, T, KV);
    return {
      ...rest,
      values: values.map((x, i) => (i % 5 === 2 ? Math.fround(special[((i / 5) % 10) | 0]) : x)),
    };
  };
  const pool = (): TestTensor => poolOf(random, format, 3, KV);
  return [pool(), pool(), rows(), rows(), indices(slots)];
};

const copied = ({ KV, format }: Sizes, random: Random): TestTensor[] => [
  ...[0, 1].map(() => poolOf(random, format, 6, KV)),
  ...[indices([3, 0]), indices([1, 4])],
];

export const attentionTable: readonly Case[] = [
  {
    op: kvAppendOp as Op,
    sizes: grid({ T: [1, 9], KV: [1, 4, 6, 32], format: [0, 1, 2] }),
    ...{ inputs: appended, outputs: () => [], bound: exact },
    attrs: ({ format }) => (format === 0 ? {} : { dtype: formats[format] }),
  },
  {
    op: kvAppendCodesOp as Op,
    sizes: grid({ T: [1, 9], KV: [6, 12, 96], heads: [1, 3], format: [3] }),
    inputs: (given, random) => [
      ...appended(given, random),
      ...[0, 1].map(() => scalesOf(random, 3, given.heads)),
    ],
    ...{ outputs: () => [], bound: exact, attrs: () => ({}) },
  },
  {
    op: copyPagesOp as Op,
    sizes: grid({ KV: [1, 3, 8], format: [0, 1, 2, 3] }),
    ...{ inputs: copied, outputs: () => [], bound: exact, attrs: () => ({}) },
  },
  {
    op: pagedAttentionOp as Op,
    ...{ sizes, inputs, attrs, bound },
    outputs: ({ T, heads, D }) => [[T, heads * D]],
  },
  {
    op: eagerAttentionOp as Op,
    ...{ sizes, inputs, bound },
    attrs: (s) => ({ ...attrs(s), columns: capacity(s) }),
    outputs: (s) => [
      [s.T, s.heads * s.D],
      [s.T, s.heads, capacity(s)],
    ],
  },
  {
    op: eagerAttentionOp as Op,
    sizes: grid({
      ...{ T: [1, 11], D: [6, 16], heads: [4], group: [2], P: [1, 3], window: [0, 3] },
      format: [0, 1, 2, 3],
    }),
    ...{ inputs: unmaskedInputs, bound },
    attrs: (s) => ({ ...attrs(s), columns: capacity(s), unmasked: unmasked(s) }),
    outputs: (s) => [
      [s.T, s.heads * s.D],
      [s.T, s.heads, capacity(s)],
    ],
  },
];
