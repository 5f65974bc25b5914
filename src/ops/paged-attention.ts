// Grouped-query attention over cache pages with an online softmax: no T × T matrix (Milakov and Gimelshein 2018, arXiv:1805.02867;
// Dao et al. 2022, arXiv:2205.14135). Serves decode rows and prefill chunks alike; no gradient (training uses `attention`).

import { type Op, rowsOf, type Tensor, type Values } from "../graph/graph.ts";
import { anyPool, f32, i32, optional } from "./dtypes.ts";
import { type CacheScales, checkScales } from "./kv-append-codes.ts";
import { PAGE } from "./kv-append.ts";
import { expect, expectOneDType } from "./shapes.ts";
import { eachVisible } from "./visible.ts";

export type AttentionAttrs = { heads: number; kvHeads: number; window: number; scale: number };

/** The cache of one layer; each row's sequence and column, seq and at [T] i32; the page tables, pages [S, P, 2] i32 (visible.ts). */
export type PagedCache = {
  K: Tensor;
  V: Tensor;
  seq: Tensor;
  at: Tensor;
  pages: Tensor;
  /** The scales, if the pools hold int8 codes. */
  scales?: CacheScales;
};

/** The inputs of attention over pages. */
export const pagedInputs = (q: Tensor, cache: PagedCache): Tensor[] => {
  const { K, V, seq, at, pages, scales = [] } = cache;
  return [q, K, V, seq, at, pages, ...scales];
};

/** y [T, Hq·D]: each row of q [T, Hq·D] over the columns that it sees; 0 where it sees none */
export const pagedAttention = (q: Tensor, cache: PagedCache, attrs: AttentionAttrs): Tensor =>
  q.graph.emit(pagedAttentionOp, pagedInputs(q, cache), attrs)[0];

export const pagedAttentionOp: Op<AttentionAttrs> = {
  name: "paged_attention",
  takes: [f32, anyPool, anyPool, i32, i32, i32, optional(f32), optional(f32)],
  gives: ["f32"],

  shapes(ins, attrs) {
    checkPaged("paged_attention", ins, attrs);
    return [rowsOf(ins[0], ins[0].shape[1])];
  },

  run(
    [y],
    [q, K, V, seq, columns, table, KS, VS],
    [[T, width], [, , KV], , , , pages],
    { heads, kvHeads, window, scale },
  ) {
    const D = width / heads;
    const group = heads / kvHeads;
    y.fill(0);
    for (let t = 0; t < T; t++) {
      for (let head = 0; head < heads; head++) {
        const at = t * width + head * D;
        const kvHead = Math.floor(head / group);
        const kv = kvHead * D;
        let max = -Infinity;
        let sum = 0;
        eachVisible(t, [seq, columns, table], pages, window, (_column, slot) => {
          const [keyScale, valueScale] = scalesAt(KS, VS, slot * kvHeads + kvHead);
          const score = dot(q, at, K, slot * KV + kv, D) * keyScale * scale;
          const rescale = Math.exp(max - Math.max(max, score));
          max = Math.max(max, score);
          const weight = Math.exp(score - max);
          sum = sum * rescale + weight;
          for (let d = 0; d < D; d++)
            y[at + d] = y[at + d] * rescale + weight * valueScale * V[slot * KV + kv + d];
        });
        if (sum > 0) for (let d = 0; d < D; d++) y[at + d] /= sum;
      }
    }
  },
};

/** The shape rule of attention over pages. */
export function checkPaged(op: string, ins: readonly Tensor[], attrs: AttentionAttrs): void {
  const [q, K, V, seq, at, pages, ...scales] = ins;
  const { heads, kvHeads } = attrs;
  const KV = (q.shape[1] / heads) * kvHeads;
  expectOneDType(op, K, V);
  const pools = K.shape[1] === PAGE && K.shape[2] === KV && V.shape[2] === KV;
  expect(
    heads % kvHeads === 0,
    op,
    ins,
    `${heads} heads are no multiple of ${kvHeads} key-value heads`,
  );
  expect(
    pools,
    op,
    ins,
    `pools must be [pages, 16, ${KV}]`,
    "are head_dim and num_key_value_heads right?",
  );
  expect(
    seq.shape[0] === q.shape[0] && at.shape[0] === q.shape[0],
    op,
    ins,
    "seq and at must be [T]",
  );
  expect(pages.shape.length === 3 && pages.shape[2] === 2, op, ins, "pages must be [S, P, 2]");
  checkScales(op, [K, V], scales, kvHeads);
}

/** The scale of a column and head; 1 for pools that hold the numbers themselves. */
export function scalesAt(
  KS: Values | undefined,
  VS: Values | undefined,
  index: number,
): [key: number, value: number] {
  return [KS?.[index] ?? 1, VS?.[index] ?? 1];
}

export function dot(
  a: ArrayLike<number>,
  i: number,
  b: ArrayLike<number>,
  j: number,
  n: number,
): number {
  let sum = 0;
  for (let d = 0; d < n; d++) sum += a[i + d] * b[j + d];
  return sum;
}
