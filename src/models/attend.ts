// The three ways in which rows attend to each other: flash over cache pages, eager over cache pages, and packed without a cache. A plan
// has one of them; the model only calls `attend`. Does not know the model's layers.

import type { DType, Graph, Tensor } from "../graph/graph.ts";
import { attention } from "../ops/attention.ts";
import { type EagerAttrs, eagerAttention } from "../ops/eager-attention.ts";
import { kvAppendCodes } from "../ops/kv-append-codes.ts";
import { kvAppend, PAGE } from "../ops/kv-append.ts";
import { type AttentionAttrs, pagedAttention } from "../ops/paged-attention.ts";
import type { MistralConfig } from "./config.ts";

/** Records attention in a layer: q [T, Hq·D], k and v [T, Hkv·D] → [T, Hq·D]. */
export type Attend = (q: Tensor, k: Tensor, v: Tensor, layer: number) => Tensor;

/** Where the rows of a step lie: seq, at and slots [T] i32, pages [S, P, 2] i32; see ops/paged-attention.ts and ops/kv-append.ts */
export type RowPlaces = { seq: Tensor; at: Tensor; slots: Tensor; pages: Tensor };

/** How the cache keeps keys and values. int8: as codes, with an f32 scale for each column and head. */
export type CacheDType = "f32" | "f16" | "bf16" | "int8";

/** A leaf of a layer's cache, which a backend places: a pool of K or V [pages, 16, Hkv·D], or its scales [pages, 16, Hkv]. */
export type CacheLeaf = {
  readonly name: string;
  readonly shape: readonly [number, number, number];
  readonly dtype: DType;
};

/** A plan says one page; the pool that a backend places may have more. So a plan stays valid when pools grow. */
const PLAN_PAGES = 1;

/** The leaves of a layer's cache: K, V, and with int8 their scales. For a plan leave `pages` out. */
export function cacheLeaves(
  c: MistralConfig,
  layer: number,
  dtype: CacheDType,
  pages: number = PLAN_PAGES,
): CacheLeaf[] {
  const heads = c.num_key_value_heads;
  const pool = (side: string): CacheLeaf => ({
    name: `cache.${layer}.${side}`,
    dtype: dtype === "int8" ? "i8" : dtype,
    shape: [pages, PAGE, heads * c.head_dim],
  });
  const scales = (side: string): CacheLeaf => ({
    ...{ name: `cache.${layer}.${side}_scale`, dtype: "f32" },
    shape: [pages, PAGE, heads],
  });
  return [pool("k"), pool("v"), ...(dtype === "int8" ? [scales("k"), scales("v")] : [])];
}

const BYTES: Readonly<Record<CacheDType, number>> = { f32: 4, f16: 2, bf16: 2, int8: 1 };

/** How many bytes a page of 16 columns takes in all layers, keys and values. */
export function cachePageBytes(c: MistralConfig, dtype: CacheDType): number {
  const scale = dtype === "int8" ? 4 : 0;
  const column = 2 * c.num_key_value_heads * (c.head_dim * BYTES[dtype] + scale);
  return PAGE * column * c.num_hidden_layers;
}

export type CachedOptions = {
  /** How the cache keeps its numbers. Default f32. */
  readonly dtype?: CacheDType;
  /** Eager attention instead of flash: each layer pushes its probabilities [T, Hq, columns] to `probabilities`. */
  readonly eager?: Pick<EagerAttrs, "columns" | "unmasked"> & { readonly probabilities: Tensor[] };
};

/** Attention over the pages of the cache. The rows' own keys and values are written into the cache first. */
export function cachedAttention(
  graph: Graph,
  c: MistralConfig,
  places: RowPlaces,
  { dtype = "f32", eager }: CachedOptions,
): Attend {
  const attrs = attentionAttrs(c);
  return (q, k, v, layer) => {
    const [K, V, KS, VS] = cacheLeaves(c, layer, dtype).map((leaf) =>
      graph.leaf(leaf.name, "state", leaf.shape, leaf.dtype),
    );
    const scales = KS === undefined ? undefined : ([KS, VS] as const);
    if (scales === undefined) kvAppend(K, V, k, v, places.slots);
    else kvAppendCodes(K, V, k, v, places.slots, scales);
    const cache = { K, V, scales, ...places };
    if (eager === undefined) return pagedAttention(q, cache, attrs);
    const { probabilities, ...matrix } = eager;
    const [y, probs] = eagerAttention(q, cache, { ...attrs, ...matrix });
    probabilities.push(probs);
    return y;
  };
}

/** Attention without a cache: a row sees rows of its own sequence in the same step. For training, and as the reference in tests. */
export function packedAttention(c: MistralConfig, rows: { seq: Tensor; at: Tensor }): Attend {
  return (q, k, v) => attention(q, k, v, rows, attentionAttrs(c));
}

function attentionAttrs(c: MistralConfig): AttentionAttrs {
  return {
    heads: c.num_attention_heads,
    kvHeads: c.num_key_value_heads,
    window: c.sliding_window ?? 0,
    scale: 1 / Math.sqrt(c.head_dim),
  };
}
