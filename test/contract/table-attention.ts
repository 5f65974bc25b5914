// The cases of attention over cache pages: packed sequences of several lengths, windows, page tables that wrap, holes, rows
// that see nothing. Slots that no mask names hold NaN: a kernel that looks at one shows it.

import type { Op, Values } from "../../src/graph/graph.ts";
import { eagerAttentionOp } from "../../src/ops/eager-attention.ts";
import { type AttentionAttrs, dot, pagedAttentionOp } from "../../src/ops/paged-attention.ts";
import { eachVisible } from "../../src/ops/visible.ts";
import type { Random } from "../random.ts";
import {
  type Bound,
  type Case,
  grid,
  indices,
  numbers,
  type Sizes,
  type TestTensor,
  u,
} from "./table.ts";

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
  }),
  ...grid({ T: [40], D: [16], heads: [6], group: [3], columns: [90], window: [0, 24], P: [6, 8] }),
  { T: 3, D: 128, heads: 8, group: 4, columns: 300, window: 0, P: 19 },
  { T: 5, D: 128, heads: 8, group: 8, columns: 300, window: 40, P: 4 },
].filter(({ heads, group }) => heads % group === 0);

/** Row t of sequence s at a column near the end; without a window the table holds every block, else only the last P. */
function inputs({ T, D, heads, group, columns, window, P }: Sizes, random: Random): TestTensor[] {
  const KV = (heads / group) * D;
  const q = numbers(random, T, heads * D);
  const pool = (): TestTensor => numbers(random, SEQUENCES * P, 16, KV);
  const [K, V] = [pool(), pool()];
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
  poison(K.values, pages, KV);
  poison(V.values, pages, KV);
  return [q, K, V, indices(seq), indices(at), indices(pages, SEQUENCES, P, 2)];
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
 * A score has D roundings of Σ|q·k|; what it loses, and its distance from the largest, which is rounded too, is the relative
 * error of a weight, of both its numerator and the sum. Sums over n columns add n roundings, rescaling 4 a page.
 */
function weightError(
  t: number,
  head: number,
  ins: readonly Values[],
  s: Sizes,
  attrs: AttentionAttrs,
) {
  const [q, K, V, seq, at, pages] = ins;
  const { D, group, heads, P } = s;
  const KV = (heads / group) * D;
  const start = (t * heads + head) * D;
  const kv = Math.floor(head / group) * D;
  const abs = (x: Values, from: number): Values => x.slice(from, from + D).map(Math.abs);
  const seen: { column: number; score: number; slot: number }[] = [];
  let lost = 0;
  eachVisible(t, [seq, at, pages], [SEQUENCES, P, 2], attrs.window, (column, slot) => {
    const j = slot * KV + kv;
    seen.push({ column, slot, score: dot(q, start, K, j, D) * attrs.scale });
    lost = Math.max(lost, (D + 1) * dot(abs(q, start), 0, abs(K, j), 0, D) * attrs.scale);
  });
  const max = Math.max(...seen.map(({ score }) => score));
  const range = Math.max(0, ...seen.map(({ score }) => max - score));
  const sum = seen.reduce((n, { score }) => n + Math.exp(score - max), 0);
  const relative = (2 * (lost + range) + seen.length + 4 * (seen.length / 16 + 2) + 8) * u;
  const weighted = (d: number): number =>
    seen.reduce(
      (n, { score, slot }) => n + (Math.exp(score - max) / sum) * Math.abs(V[slot * KV + kv + d]),
      0,
    );
  return { relative, weighted };
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
const capacity = ({ columns }: Sizes): number => columns + 1;

const attrs = ({ D, heads, group, window }: Sizes): AttentionAttrs => ({
  ...{ heads, kvHeads: heads / group, window },
  scale: Math.fround(1 / Math.sqrt(D)),
});

export const attentionTable: readonly Case[] = [
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
];
