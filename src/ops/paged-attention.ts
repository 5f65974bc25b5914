// Grouped-query attention over cache pages with an online softmax: no T × T matrix (Milakov and Gimelshein 2018, arXiv:1805.02867;
// Dao et al. 2022, arXiv:2205.14135). Serves decode rows and prefill chunks alike; no gradient (training uses `attention`).

import { type Op, rowsOf, type Tensor } from "../graph/graph.ts";
import { PAGE } from "./kv-append.ts";
import { expect } from "./shapes.ts";
import { eachVisible } from "./visible.ts";

export type AttentionAttrs = { heads: number; kvHeads: number; window: number; scale: number };

/** The cache of one layer, and where its rows and columns lie: seq, at [T] i32; pages [S, P, 2] i32. */
export type PagedCache = { K: Tensor; V: Tensor; seq: Tensor; at: Tensor; pages: Tensor };

/** y [T, Hq·D]: each row of q [T, Hq·D] over the columns that it sees; 0 where it sees none */
export const pagedAttention = (q: Tensor, cache: PagedCache, attrs: AttentionAttrs): Tensor =>
  q.graph.emit(pagedAttentionOp, [q, cache.K, cache.V, cache.seq, cache.at, cache.pages], attrs)[0];

export const pagedAttentionOp: Op<AttentionAttrs> = {
  name: "paged_attention",

  shapes(ins, attrs) {
    checkPaged("paged_attention", ins, attrs);
    return [rowsOf(ins[0], ins[0].shape[1])];
  },

  run(
    [y],
    [q, K, V, ...where],
    [[T, width], [, , KV], , , , pages],
    { heads, kvHeads, window, scale },
  ) {
    const D = width / heads;
    const group = heads / kvHeads;
    y.fill(0);
    for (let t = 0; t < T; t++) {
      for (let head = 0; head < heads; head++) {
        const at = t * width + head * D;
        const kv = Math.floor(head / group) * D;
        let max = -Infinity;
        let sum = 0;
        eachVisible(t, where, pages, window, (_column, slot) => {
          const score = dot(q, at, K, slot * KV + kv, D) * scale;
          const rescale = Math.exp(max - Math.max(max, score));
          max = Math.max(max, score);
          const weight = Math.exp(score - max);
          sum = sum * rescale + weight;
          for (let d = 0; d < D; d++)
            y[at + d] = y[at + d] * rescale + weight * V[slot * KV + kv + d];
        });
        if (sum > 0) for (let d = 0; d < D; d++) y[at + d] /= sum;
      }
    }
  },
};

/** The shape rule of attention over pages. */
export function checkPaged(op: string, ins: readonly Tensor[], attrs: AttentionAttrs): void {
  const [q, K, V, seq, at, pages] = ins;
  const { heads, kvHeads } = attrs;
  const KV = (q.shape[1] / heads) * kvHeads;
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
