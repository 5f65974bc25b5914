// The plain road of attention over cache pages: all scores of a row, softmax, times V. Gives the probabilities too.
// Exists for `attn_implementation: "eager"` and `output_attentions`; memory grows with rows × columns.

import { type Op, rowsOf, type Tensor } from "../graph/graph.ts";
import { anyPool, f32, i32, optional } from "./dtypes.ts";
import {
  type AttentionAttrs,
  checkPaged,
  dot,
  type PagedCache,
  pagedInputs,
  scalesAt,
} from "./paged-attention.ts";
import { eachVisible } from "./visible.ts";

/** Columns is the capacity of the score matrix: no row may stand at a column ≥ columns. */
export type EagerAttrs = AttentionAttrs & { columns: number };

/** y [T, Hq·D] and probs [T, Hq, C]: probability of each column, 0 where not visible */
export const eagerAttention = (
  q: Tensor,
  cache: PagedCache,
  attrs: EagerAttrs,
): [y: Tensor, probs: Tensor] => {
  const [y, probs] = q.graph.emit(eagerAttentionOp, pagedInputs(q, cache), attrs);
  return [y, probs];
};

export const eagerAttentionOp: Op<EagerAttrs> = {
  name: "eager_attention",
  takes: [f32, anyPool, anyPool, i32, i32, i32, optional(f32), optional(f32)],
  gives: ["f32", "f32"],

  shapes(ins, attrs) {
    checkPaged("eager_attention", ins, attrs);
    const [q] = ins;
    return [rowsOf(q, q.shape[1]), rowsOf(q, attrs.heads, attrs.columns)];
  },

  run([y, probs], [q, K, V, seq, at, table, KS, VS], [[T, width], [, , KV], , , , pages], attrs) {
    const { heads, kvHeads, window, scale, columns } = attrs;
    const D = width / heads;
    const group = heads / kvHeads;
    y.fill(0);
    probs.fill(0);
    for (let t = 0; t < T; t++) {
      for (let head = 0; head < heads; head++) {
        const start = t * width + head * D;
        const row = (t * heads + head) * columns;
        const kvHead = Math.floor(head / group);
        const kv = kvHead * D;
        const scores: [column: number, slot: number, score: number][] = [];
        eachVisible(t, [seq, at, table], pages, window, (column, slot) => {
          const [keyScale] = scalesAt(KS, VS, slot * kvHeads + kvHead);
          scores.push([column, slot, dot(q, start, K, slot * KV + kv, D) * keyScale * scale]);
        });
        const max = scores.reduce((m, [, , score]) => Math.max(m, score), -Infinity);
        const sum = scores.reduce((s, [, , score]) => s + Math.exp(score - max), 0);
        for (const [column, slot, score] of scores) {
          const p = Math.exp(score - max) / sum;
          probs[row + column] = p;
          const [, valueScale] = scalesAt(KS, VS, slot * kvHeads + kvHead);
          for (let d = 0; d < D; d++) y[start + d] += p * valueScale * V[slot * KV + kv + d];
        }
      }
    }
  },
};
