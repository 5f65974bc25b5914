// The cases of attention. Over pages: packed sequences of several lengths, windows, page tables that wrap, holes, rows that see
// nothing, each format of the cache. Slots that no mask names hold NaN (of codes, their scales do): a kernel that looks at one
// shows it; but not where rows that see nothing take the mean of all. And among the rows of one plan, as in training.

import type { Op, Values } from "../../src/graph/graph.ts";
import { attentionOp } from "../../src/ops/attention.ts";
import { type EagerAttrs, eagerAttentionOp } from "../../src/ops/eager-attention.ts";
import { PAGE } from "../../src/ops/kv-append.ts";
import { type AttentionAttrs, pagedAttentionOp } from "../../src/ops/paged-attention.ts";
import { eachColumn, eachVisible, firstVisible } from "../../src/ops/visible.ts";
import type { Random } from "../random.ts";
import { type Bound, type Case, grid, type Moved, type Sizes, u, type Work } from "./case.ts";
import { poolOf, scalesOf } from "./table-cache.ts";
import { indices, numbers, type TestTensor } from "./tensors.ts";

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

/** Rows that see nothing take the mean of this many columns: all that the page table has, but for the last 5. */
const unmaskedSizes: readonly Sizes[] = grid({
  ...{ T: [1, 11], D: [6, 16], heads: [4], group: [2], P: [1, 3], window: [0, 3] },
  format: [0, 1, 2, 3],
}).map((s) => ({ ...s, columns: PAGE * s.P - 5, unmasked: PAGE * s.P - 5 }));

/** Mistral-7B at 512 columns: one row, then a prompt. */
const timed = grid({
  ...{ T: [1, 512], D: [128], heads: [32], group: [4], columns: [512], window: [0], P: [32] },
  format: [0, 2],
});

/** Row t of sequence s at a column near the end; without a window the table holds every block, else only the last P. */
function pagedInputs(given: Sizes, random: Random): TestTensor[] {
  const { T, columns, window, P, format } = given;
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
  const ins = overPages(given, random, { seq, at, pages });
  for (const { values, shape } of format === 3 ? ins.slice(6) : ins.slice(1, 3))
    poison(values, pages, shape[2]);
  return ins;
}

/** Rows of all columns; masks hide some of them and, from the first rows, everything. All slots hold numbers. */
function unmaskedInputs(given: Sizes, random: Random): TestTensor[] {
  const { T, P, unmasked } = given;
  const seq = Array.from({ length: T }, (_, t) => t % SEQUENCES);
  const at = seq.map((_, t) => Math.floor((t * (unmasked - 1)) / T));
  const pages = Array.from({ length: SEQUENCES * P }, (_, n) => [
    SEQUENCES * P - 1 - n,
    n % P === 0 ? 0 : random.below(65536),
  ]).flat();
  return overPages(given, random, { seq, at, pages });
}

/** Queries and a cache, for rows of those sequences at those columns. @param places.pages per block its page, and its mask */
function overPages(
  { T, D, heads, group, P, format }: Sizes,
  random: Random,
  { seq, at, pages }: { seq: number[]; at: number[]; pages: number[] },
): TestTensor[] {
  const kvHeads = heads / group;
  const q = numbers(random, T, heads * D);
  const pools = [0, 1].map(() => poolOf(random, format, SEQUENCES * P, kvHeads * D));
  const scales = format === 3 ? pools.map(() => scalesOf(random, SEQUENCES * P, kvHeads)) : [];
  const places = [indices(seq), indices(at), indices(pages, SEQUENCES, P, 2)];
  return [q, ...pools, ...places, ...scales];
}

function poison(pool: Values, pages: readonly number[], KV: number): void {
  for (let entry = 0; entry < pages.length; entry += 2) {
    for (let offset = 0; offset < 16; offset++) {
      const slot = pages[entry] * 16 + offset;
      if (((pages[entry + 1] >> offset) & 1) === 0) pool.fill(NaN, slot * KV, (slot + 1) * KV);
    }
  }
}

/** Of one query: how wrong its weights may be, relatively, and Σ of weight · |v| for number d of the head. */
type QueryError = { readonly relative: number; weighted(d: number): number };

/**
 * A score has D roundings of Σ|q·k|, and two of its scales; what it loses, and its distance from the largest, which is rounded too,
 * is the relative error of a weight, of both its numerator and the sum. Sums over n columns add n roundings, rescaling 4 a page.
 * @param seen where the keys, and the values, of the columns that the query sees begin in K and V
 */
function queryError(
  q: Values,
  start: number,
  [K, V]: readonly Values[],
  seen: readonly number[],
  D: number,
  scale: number,
): QueryError {
  let lost = 0;
  const scores = seen.map((j) => {
    let [sum, size] = [0, 0];
    for (let d = 0; d < D; d++) {
      const product = q[start + d] * K[j + d];
      sum += product;
      size += Math.abs(product);
    }
    lost = Math.max(lost, (D + 2) * size * scale);
    return sum * scale;
  });
  const max = Math.max(...scores);
  const range = Math.max(0, ...scores.map((score) => max - score));
  const weights = scores.map((score) => Math.exp(score - max));
  const sum = weights.reduce((n, weight) => n + weight, 0);
  return {
    relative: (2 * (lost + range) + seen.length + 4 * (seen.length / 16 + 2) + 9) * u,
    weighted: (d) => seen.reduce((n, j, i) => n + (weights[i] / sum) * Math.abs(V[j + d]), 0),
  };
}

type PagedAttrs = AttentionAttrs & Pick<EagerAttrs, "unmasked">;

/** Query head `head` of row `t` over pages. */
function pagedError(
  [t, head]: readonly [number, number],
  ins: readonly Values[],
  { D, group, heads, P }: Sizes,
  { window, scale, unmasked = 0 }: PagedAttrs,
): QueryError {
  const KV = (heads / group) * D;
  const [q, , , ...places] = ins;
  const table = [SEQUENCES, P, 2];
  const seen: number[] = [];
  const see = (_column: number, slot: number): void =>
    void seen.push(slot * KV + Math.floor(head / group) * D);
  eachVisible(t, places, table, window, see);
  const isMean = seen.length === 0; // of equal scores
  if (isMean) eachColumn(t, places, table, unmasked, see);
  const pools = scaledPools(ins, D);
  return queryError(q, (t * heads + head) * D, pools, seen, D, isMean ? 0 : scale);
}

/** Query head `head` of row `t` among the rows of its sequence. */
function packedError(
  [t, head]: readonly [number, number],
  [q, k, v, seq, at]: readonly Values[],
  { T, D, group, heads }: Sizes,
  { window, scale }: AttentionAttrs,
): QueryError {
  const isSeen = (j: number): boolean =>
    seq[j] === seq[t] && at[j] <= at[t] && at[j] >= firstVisible(at[t], window);
  const seen = [...Array(T).keys()]
    .filter(isSeen)
    .map((j) => (j * (heads / group) + Math.floor(head / group)) * D);
  return queryError(q, (t * heads + head) * D, [k, v], seen, D, scale);
}

/** K and V, times their scales if they have some. */
function scaledPools([, K, V, , , , ...scales]: readonly Values[], D: number): Values[] {
  return [K, V].map((pool, side) => {
    const by = scales.at(side);
    return by === undefined ? pool : pool.map((x, i) => x * by[Math.floor(i / D)]);
  });
}

/** What a second output holds: of which query element i is, and how far it may be off. */
type Second = {
  queryOf(i: number, sizes: Sizes): number;
  bound(error: QueryError, value: number): number;
};

/** Of y, and of the second output if there is one, by the errors of the queries. */
function boundBy(errorOf: typeof pagedError, second?: Second): Case["bound"] {
  return ({ ins, outs, sizes: s, attrs }): Bound => {
    const errors = new Map<number, QueryError>();
    const of = (query: number): QueryError => {
      const place = [Math.floor(query / s.heads), query % s.heads] as const;
      const known = errors.get(query) ?? errorOf(place, ins, s, attrs as PagedAttrs);
      errors.set(query, known);
      return known;
    };
    return (output, i) => {
      if (output === 1 && second) return second.bound(of(second.queryOf(i, s)), outs[1][i]);
      const { relative, weighted } = of(Math.floor(i / s.D));
      return relative * weighted(i % s.D);
    };
  };
}

/** Columns of the score matrix: not a multiple of anything. */
const capacity = ({ columns }: Sizes): number => columns + 1;

const attrs = ({ D, heads, group, window }: Sizes): AttentionAttrs => ({
  ...{ heads, kvHeads: heads / group, window },
  scale: Math.fround(1 / Math.sqrt(D)),
});

/** A query times a key, and a weight times a value, for each column that is seen; of the cache what anybody sees. */
function pagedWork(run: { ins: readonly Moved[]; outs: readonly Moved[]; attrs: object }): Work {
  const { heads, window } = run.attrs as AttentionAttrs;
  const [q, K, , , at] = run.ins;
  const columns = Array.from(at.values ?? []);
  const first = columns.map((column) => firstVisible(column, window));
  const seen = columns.reduce((sum, column, t) => sum + column + 1 - first[t], 0);
  const touched = Math.max(...columns) + 1 - Math.min(...first);
  const rows = [...run.ins.filter((_, i) => i === 0 || (i > 2 && i < 6)), ...run.outs];
  return {
    flops: 4 * (q.shape[1] / heads) * heads * seen,
    bytes:
      rows.reduce((sum, { bytes }) => sum + bytes, 0) +
      2 * touched * (K.bytes / K.shape[0] / K.shape[1]),
  };
}

export const attentionTable: readonly Case[] = [
  {
    op: pagedAttentionOp as Op,
    ...{ sizes, attrs, inputs: pagedInputs },
    bound: boundBy(pagedError),
    ...{ timed, work: pagedWork },
  },
  {
    op: eagerAttentionOp as Op,
    sizes: [...sizes, ...unmaskedSizes],
    inputs: (s, random) => (s.unmasked ? unmaskedInputs : pagedInputs)(s, random),
    attrs: (s) => ({ ...attrs(s), columns: capacity(s), unmasked: s.unmasked }),
    bound: boundBy(pagedError, {
      queryOf: (i, s) => Math.floor(i / capacity(s)),
      bound: ({ relative }, probability) => relative * probability,
    }),
    ...{ timed, work: pagedWork },
  },
  {
    op: attentionOp as Op,
    sizes: grid({ T: [1, 7], D: [4, 6], heads: [4], group: [1, 2, 4], window: [0, 3] }),
    inputs: ({ T, D, heads, group }, random) => {
      const first = Math.ceil(T / 2);
      const rows = [...Array(T).keys()];
      return [
        ...[heads, heads / group, heads / group].map((count) => numbers(random, T, count * D)),
        indices(rows.map((t) => (t < first ? 0 : 1))),
        indices(rows.map((t) => t % first)),
      ];
    },
    attrs,
    // Of a logarithm: what its argument may be off relatively.
    bound: boundBy(packedError, {
      queryOf: (i) => i,
      bound: ({ relative }, logarithm) => relative + u * Math.abs(logarithm),
    }),
    gradient: {
      sizes: [
        { T: 7, D: 4, heads: 4, group: 2, window: 3 },
        { T: 7, D: 4, heads: 2, group: 1, window: 0 },
        { T: 7, D: 4, heads: 3, group: 3, window: 1 },
      ],
    },
  },
];
