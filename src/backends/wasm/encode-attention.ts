// The encoders of ops on the cache: appending, copying pages, and attention over them.

import { weightDType } from "../../formats/registry.ts";
import type { Node } from "../../graph/graph.ts";
import type { EagerAttrs } from "../../ops/eager-attention.ts";
import type { AttentionAttrs } from "../../ops/paged-attention.ts";
import { type AddressOf, type Encode, floatBits, LARGE, last, plainCode } from "./encoded.ts";
import {
  COPY_PAGES,
  EAGER_ATTENTION,
  KV_APPEND,
  KV_APPEND_CODES,
  PAGED_ATTENTION,
} from "./kernels/header.ts";
import { eagerAttentionScratch, pagedAttentionScratch } from "./kernels/scratch.ts";

/** The most queries of a unit of work: they all use a page of keys while it is in the processor's cache. */
const QUERIES = 64;
/** The most rows of a unit. */
const MOST_ROWS = 16;

export const kvAppend: Encode = ({ ins: [K, V, k, v, slots] }, at) => ({
  code: KV_APPEND,
  work: 4 * last(k.shape),
  rows: k,
  args: [at(K), at(V), at(k), at(v), at(slots), last(k.shape), plainCode("kv_append", K)],
});

export const kvAppendCodes: Encode = ({ ins: [K, V, k, v, slots, KS, VS] }, at) => ({
  code: KV_APPEND_CODES,
  work: 8 * last(k.shape),
  rows: k,
  args: [...[K, V, k, v, slots, KS, VS].map((t) => at(t)), last(k.shape), last(KS.shape)],
});

export const copyPages: Encode = ({ ins: [K, V, from, to] }, at) => {
  const [, columns, KV] = K.shape;
  const [bytes] = weightDType(K.dtype).format.parts(columns, KV);
  return {
    code: COPY_PAGES,
    work: columns * KV,
    rows: from,
    args: [at(K), at(V), at(from), at(to), bytes],
  };
};

export const pagedAttention: Encode = (node, at) => {
  const { heads, kvHeads } = node.attrs as AttentionAttrs;
  const D = last(node.ins[0].shape) / heads;
  const group = heads / kvHeads;
  const blockRows = Math.max(1, Math.min(MOST_ROWS, Math.floor(QUERIES / group)));
  return {
    code: PAGED_ATTENTION,
    work: LARGE,
    rows: node.ins[0],
    args: [...attention(node, at), blockRows],
    scratch: pagedAttentionScratch(D, blockRows, blockRows * group),
  };
};

export const eagerAttention: Encode = (node, at) => {
  const { columns, unmasked = 0, heads } = node.attrs as EagerAttrs;
  const D = last(node.ins[0].shape) / heads;
  return {
    code: EAGER_ATTENTION,
    work: LARGE,
    rows: node.ins[0],
    args: [...attention(node, at), at(node.outs[1]), columns, unmasked],
    scratch: eagerAttentionScratch(D, columns),
  };
};

/** The first 16 arguments of both kinds of attention. */
function attention(
  { op, ins: [q, K, V, seq, at, pages, ...scales], outs: [y], attrs }: Node,
  address: AddressOf,
): number[] {
  const { heads, kvHeads, window } = attrs as AttentionAttrs;
  const D = last(q.shape) / heads;
  return [
    ...[y, q, K, V, seq, at, pages].map((t) => address(t)),
    ...[0, 1].map((i) => (i < scales.length ? address(scales[i]) : 0)),
    ...[heads, kvHeads, D, window, pages.shape[1], floatBits(attrs, "scale")],
    plainCode(op.name, K),
  ];
}
