// Attention over the cache's pages in three plain steps: all scores of a row, softmax, times V. Gives the probabilities too.
// Used for `attn_implementation: "eager"`, `output_attentions` and losses that count padding. If the probabilities are read, they
// take rows × heads × columns numbers.

import { type Op, rowsOf, type Tensor } from "../graph/graph.ts";
import { anyPool, f32, i32, optional } from "./dtypes.ts";
import { PAGE } from "./kv-append.ts";
import {
  type AttentionAttrs,
  checkPaged,
  dot,
  type PagedCache,
  pagedInputs,
  scalesAt,
} from "./paged-attention.ts";
import { expect } from "./shapes.ts";
import { eachColumn, eachVisible } from "./visible.ts";

export type EagerAttrs = AttentionAttrs & {
  /** Columns of the score matrix: every row must be at a column below it. */
  columns: number;
  /**
   * What a row gives that sees no column: the mean of the values of this many first columns of its sequence, whatever the page
   * table's masks say. Transformers gives that too, since its softmax is then over equal scores. 0, the default: the row gives 0.
   */
  unmasked?: number;
};

/** y [T, Hq·D] and probs [T, Hq, C]: the probability of each column, 0 where it is not visible */
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
    const { columns, unmasked = 0 } = attrs;
    const [q, , , , , pages] = ins;
    const paged = pages.shape[1] * PAGE;
    expect(
      unmasked <= columns && unmasked <= paged,
      "eager_attention",
      [q, pages],
      `${unmasked} unmasked columns must fit the score matrix (${columns} columns) and the page table (${paged})`,
    );
    return [rowsOf(q, q.shape[1]), rowsOf(q, attrs.heads, attrs.columns)];
  },

  run([y, probs], [q, K, V, seq, at, table, KS, VS], [[T, width], [, , KV], , , , pages], attrs) {
    const { heads, kvHeads, window, scale, columns, unmasked = 0 } = attrs;
    const D = width / heads;
    const group = heads / kvHeads;
    const places = [seq, at, table];
    y.fill(0);
    probs.fill(0);
    for (let t = 0; t < T; t++) {
      for (let head = 0; head < heads; head++) {
        const start = t * width + head * D;
        const row = (t * heads + head) * columns;
        const kvHead = Math.floor(head / group);
        const kv = kvHead * D;
        const scores: [column: number, slot: number, score: number][] = [];
        eachVisible(t, places, pages, window, (column, slot) => {
          const [keyScale] = scalesAt(KS, VS, slot * kvHeads + kvHead);
          scores.push([column, slot, dot(q, start, K, slot * KV + kv, D) * keyScale * scale]);
        });
        if (scores.length === 0)
          eachColumn(t, places, pages, unmasked, (column, slot) => scores.push([column, slot, 0]));
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
