// The three ways in which rows see each other: flash over cache pages, eager over cache pages, or packed without a cache.
// Chosen once per plan; the model only calls `attend`.

import type { Graph, Tensor } from "../graph/graph.ts";
import { attention } from "../ops/attention.ts";
import { eagerAttention } from "../ops/eager-attention.ts";
import { kvAppend, PAGE } from "../ops/kv-append.ts";
import { type AttentionAttrs, pagedAttention } from "../ops/paged-attention.ts";
import type { MistralConfig } from "./config.ts";

/** Mixes q [T, Hq·D], k and v [T, Hkv·D] of layer `layer` into [T, Hq·D]. */
export type Attend = (q: Tensor, k: Tensor, v: Tensor, layer: number) => Tensor;

/** Where the rows of a step lie: seq, at and slots [T] i32, pages [S, P, 2] i32; see ops/paged-attention.ts and ops/kv-append.ts */
export type RowPlaces = { seq: Tensor; at: Tensor; slots: Tensor; pages: Tensor };

/** The names of a layer's cache leaves. */
export const cacheLeaves = (layer: number): [K: string, V: string] => [
  `cache.${layer}.k`,
  `cache.${layer}.v`,
];

/** Shape of each cache leaf with that many pages. */
export const cacheShape = (c: MistralConfig, poolPages: number): [number, number, number] => [
  poolPages,
  PAGE,
  c.num_key_value_heads * c.head_dim,
];

export type CachedOptions = {
  /** Pages of the pool. */
  readonly pages: number;
  /** In place of the config's; 0: none. */
  readonly window?: number;
  /** The rows' keys have been appended already. Default false. */
  readonly appended?: boolean;
  /** The plain road: each layer's matrix of probabilities [T, Hq, columns] is pushed to `probabilities`. */
  readonly eager?: { readonly columns: number; readonly probabilities: Tensor[] };
};

/** Attention over the pages of the cache, into which the rows' own keys and values go first. */
export function cachedAttention(
  graph: Graph,
  c: MistralConfig,
  places: RowPlaces,
  { pages, window, appended, eager }: CachedOptions,
): Attend {
  const attrs = attentionAttrs(c, window);
  return (q, k, v, layer) => {
    const shape = cacheShape(c, pages);
    const [K, V] = cacheLeaves(layer).map((name) => graph.leaf(name, "state", shape));
    if (!appended) kvAppend(K, V, k, v, places.slots);
    const cache = { K, V, ...places };
    if (eager === undefined) return pagedAttention(q, cache, attrs);
    const [y, probs] = eagerAttention(q, cache, { ...attrs, columns: eager.columns });
    eager.probabilities.push(probs);
    return y;
  };
}

/** Rows see the rows of their own sequence in the same step: training, and the oracle of the cached ways. */
export function packedAttention(c: MistralConfig, rows: { seq: Tensor; at: Tensor }): Attend {
  return (q, k, v) => attention(q, k, v, rows, attentionAttrs(c));
}

function attentionAttrs(c: MistralConfig, window = c.sliding_window ?? 0): AttentionAttrs {
  return {
    heads: c.num_attention_heads,
    kvHeads: c.num_key_value_heads,
    window,
    scale: 1 / Math.sqrt(c.head_dim),
  };
}
