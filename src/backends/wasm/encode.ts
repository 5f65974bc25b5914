// How each op becomes words of a program: its number, whose rows it works on, and its arguments in the order that
// kernels/executor.ts reads them. Knows no addresses: they are asked for, tensor by tensor.

import { EngineError } from "../../errors.ts";
import { partBytes, weightDType } from "../../formats/registry.ts";
import type { Node, Shape, Tensor } from "../../graph/graph.ts";
import type { Activation } from "../../ops/glu.ts";
import type { EagerAttrs } from "../../ops/eager-attention.ts";
import type { AttentionAttrs } from "../../ops/paged-attention.ts";
import {
  ADD,
  COPY_PAGES,
  CROSS_ENTROPY,
  EAGER_ATTENTION,
  EMBED,
  EXP_TABLE,
  FORMAT_BF16,
  FORMAT_F16,
  FORMAT_F32,
  FORMAT_FP4,
  FORMAT_FP4_DQ,
  FORMAT_GGUF,
  FORMAT_I8,
  FORMAT_INT4,
  FORMAT_INT4_ACT,
  FORMAT_INT8,
  FORMAT_NF4,
  FORMAT_NF4_DQ,
  FORMAT_Q4,
  FORMAT_Q4K,
  FORMAT_Q4R,
  FORMAT_Q6K,
  FORMAT_Q6R,
  FORMAT_Q8,
  GATHER_ROWS,
  GLU,
  KV_APPEND,
  KV_APPEND_CODES,
  LINEAR,
  LINEAR_FIXED16,
  LINEAR_INT8,
  LINEAR_LLM_INT8,
  LINEAR_PACKED,
  LOG_SOFTMAX,
  PACK_ROWS,
  PAGED_ATTENTION,
  PICK_IDS,
  PUT_TOKENS,
  RMS_NORM,
  ROPE,
  SAMPLE,
  SAMPLE_BLOCK,
  SAMPLE_BUCKETS,
  SAMPLE_FEW,
  TRAP,
} from "./kernels/header.ts";
import type { PackAttrs } from "./lower.ts";

export type Encoded = {
  readonly code: number;
  /** Its first dimension, and its live count, are the op's rows. */
  readonly rows: Tensor;
  readonly args: readonly number[];
  /** Work of one row, in numbers moved: an op of little work stays on one thread. */
  readonly work: number;
  /** Bytes of scratch that each thread needs. */
  readonly scratch: number;
};

/** Address of a tensor in the op's shard; 0 for an output that nobody reads. */
export type AddressOf = (t: Tensor, part?: number) => number;

/** Scratch of products: the most is what kernels/linear-eight-rows.ts takes; linear-four-bit.ts takes a quarter of a row if that is more. */
const PRODUCT_SCRATCH = 128 * 128 + 128 + 16 * 1280;
/** Queries that share a page while it is in the cache. */
const QUERIES = 64;
const MOST_ROWS = 16;
/** Work of ops that are always shared out. */
const LARGE = 2 ** 20;

type Encode = (node: Node, at: AddressOf) => Omit<Encoded, "scratch"> & { scratch?: number };

const encoders: Readonly<Record<string, Encode>> = {
  embed: ({ ins: [ids, table], outs: [y] }, at) => ({
    code: EMBED,
    work: table.shape[1],
    rows: ids,
    args: [
      at(y),
      at(ids),
      ...partsOf(table, at),
      table.shape[1],
      table.shape[0],
      ...formatOf(table),
    ],
    scratch: 64,
  }),

  // Every product has these arguments; x is packed for the roads that are not exact.
  linear: ({ ins: [x, w], outs: [y] }, at) => ({
    code: linearCode(w),
    work: (w.shape[0] * w.shape[1]) / 4,
    rows: x,
    args: [at(y), at(x), ...partsOf(w, at), w.shape[1], w.shape[0], ...formatOf(w)],
    scratch: Math.max(PRODUCT_SCRATCH, 2304 + Math.ceil(w.shape[1] / 4)),
  }),

  pack_rows: ({ ins: [x], outs: [y], attrs }, at) => {
    const { mode } = attrs as PackAttrs;
    return {
      code: PACK_ROWS,
      work: 4 * last(x.shape),
      rows: x,
      args: [at(y), at(x), last(x.shape), mode, floatBits(attrs, "param")],
      // The most is what kernels/pack-rows-llm-int8.ts takes: a mask of each column.
      scratch: 4 * last(x.shape) + 128,
    };
  },

  rms_norm: ({ ins: [x, w], outs: [y, rstd], attrs }, at) => ({
    code: RMS_NORM,
    work: last(x.shape),
    rows: x,
    args: [at(y), at(rstd), at(x), at(w), last(x.shape), floatBits(attrs, "eps"), formatCode(w)],
    scratch: 64,
  }),

  rope: ({ ins: [x, cos, sin], outs: [y], attrs }, at) => {
    const { heads, inverse } = attrs as { heads: number; inverse: boolean };
    const args = [at(y), at(x), at(cos), at(sin), heads, last(cos.shape), inverse ? 1 : 0];
    return {
      code: ROPE,
      work: last(x.shape),
      rows: x,
      args,
    };
  },

  kv_append: ({ ins: [K, V, k, v, slots] }, at) => ({
    code: KV_APPEND,
    work: 4 * last(k.shape),
    rows: k,
    args: [at(K), at(V), at(k), at(v), at(slots), last(k.shape), formatCode(K)],
  }),

  kv_append_codes: ({ ins: [K, V, k, v, slots, KS, VS] }, at) => ({
    code: KV_APPEND_CODES,
    work: 8 * last(k.shape),
    rows: k,
    args: [...[K, V, k, v, slots, KS, VS].map((t) => at(t)), last(k.shape), last(KS.shape)],
  }),

  copy_pages: ({ ins: [K, V, from, to] }, at) => ({
    code: COPY_PAGES,
    work: K.shape[1] * K.shape[2],
    rows: from,
    args: [at(K), at(V), at(from), at(to), K.shape[1] * K.shape[2] * plainBytes(K)],
  }),

  paged_attention: (node, at) => {
    const { heads, kvHeads } = node.attrs as AttentionAttrs;
    const D = last(node.ins[0].shape) / heads;
    const group = heads / kvHeads;
    const blockRows = Math.max(1, Math.min(MOST_ROWS, Math.floor(QUERIES / group)));
    const queries = roundUp(blockRows * group, 4);
    const widened = 1536 + Math.max(64 * D, 4096);
    const scratch = widened + 400 * blockRows + queries * (268 + 4 * roundUp(D, 16));
    return {
      code: PAGED_ATTENTION,
      work: LARGE,
      rows: node.ins[0],
      args: [...attention(node, at), blockRows],
      scratch,
    };
  },

  eager_attention: (node, at) => {
    const { columns, heads } = node.attrs as EagerAttrs;
    const D = last(node.ins[0].shape) / heads;
    const args = [...attention(node, at), at(node.outs[1]), columns];
    return {
      code: EAGER_ATTENTION,
      work: LARGE,
      rows: node.ins[0],
      args,
      scratch: 128 + Math.max(64 * D, 1024) + 4 * (roundUp(D, 16) + roundUp(columns, 16)),
    };
  },

  glu: ({ ins: [gate, up], outs: [y], attrs }, at) => {
    const act = activations.indexOf((attrs as { act: Activation }).act);
    return {
      code: GLU,
      work: 4 * rowLength(gate),
      rows: gate,
      args: [at(y), at(gate), at(up), rowLength(gate), act],
    };
  },

  add: ({ ins: [a, b], outs: [y] }, at) => ({
    code: ADD,
    work: rowLength(a),
    rows: a,
    args: [at(y), at(a), at(b), rowLength(a)],
  }),

  gather_rows: ({ ins: [x, want], outs: [y] }, at) => ({
    code: GATHER_ROWS,
    work: rowLength(x),
    rows: want,
    args: [at(y), at(x), at(want), rowLength(x)],
  }),

  log_softmax: ({ ins: [x], outs: [y] }, at) => ({
    code: LOG_SOFTMAX,
    work: 4 * last(x.shape),
    rows: x,
    args: [at(y), at(x), last(x.shape)],
  }),

  cross_entropy: ({ ins: [logits, labels], outs: [nll, lse] }, at) => ({
    code: CROSS_ENTROPY,
    work: 4 * last(logits.shape),
    rows: logits,
    args: [at(nll), at(lse), at(logits), at(labels), last(logits.shape)],
  }),

  sample: ({ ins, outs }, at) => {
    const V = last(ins[0].shape);
    return {
      code: SAMPLE,
      work: 4 * V,
      rows: ins[0],
      args: [...[...outs, ...ins].map((t) => at(t)), V],
      scratch: sampleScratch(V),
    };
  },

  put_tokens: ({ ins: [tokens, token, slots] }, at) => ({
    code: PUT_TOKENS,
    work: 1,
    rows: slots,
    args: [at(tokens), at(token), at(slots), tokens.shape[0]],
  }),

  pick_ids: ({ ins: [ids, tokens, from], outs: [y] }, at) => ({
    code: PICK_IDS,
    work: 1,
    rows: ids,
    args: [at(y), at(ids), at(tokens), at(from), tokens.shape[0]],
  }),

  // No model records it: tests make an op of this name, whose kernel traps.
  trap: ({ ins: [x] }) => ({ code: TRAP, work: LARGE, rows: x, args: [] }),
};

const activations: readonly Activation[] = ["silu", "gelu", "gelu_tanh", "relu"];

/** @throws EngineError an op that has no kernel */
export function encode(node: Node, at: AddressOf): Encoded {
  const encoder = encoders[node.op.name];
  if (encoder === undefined) {
    throw new EngineError(
      `${node.op.name} has no kernel on the CPU backend (it has ${Object.keys(encoders).join(", ")}); use the reference backend`,
    );
  }
  return { scratch: 0, ...encoder(node, at) };
}

/** The first 16 arguments of both kinds of attention. */
function attention(
  { ins: [q, K, V, seq, at, pages, ...scales], outs: [y], attrs }: Node,
  address: AddressOf,
): number[] {
  const { heads, kvHeads, window } = attrs as AttentionAttrs;
  const D = last(q.shape) / heads;
  return [
    ...[y, q, K, V, seq, at, pages].map((t) => address(t)),
    ...[0, 1].map((i) => (i < scales.length ? address(scales[i]) : 0)),
    ...[heads, kvHeads, D, window, pages.shape[1], floatBits(attrs, "scale"), formatCode(K)],
  ];
}

/** Bytes that kernels/sample.ts takes for a row of V tokens. */
export function sampleScratch(V: number): number {
  const lists = 4 * 4 * roundUp(V, 4) + 8 * Math.ceil(V / SAMPLE_BLOCK);
  return EXP_TABLE + lists + (V > SAMPLE_FEW ? 12 * SAMPLE_BUCKETS : 0);
}

/** Bytes of one number of a plain format. */
function plainBytes({ dtype }: Tensor): number {
  return weightDType(dtype).format.parts(1, 1)[0];
}

function roundUp(count: number, step: number): number {
  return Math.ceil(count / step) * step;
}

/** The number by which kernels know a plain format. */
function formatCode({ dtype }: Tensor): number {
  return codes[dtype] ?? -1;
}

/** Formats by family, as kernels know them. */
const codes: Readonly<Record<string, number>> = {
  f32: FORMAT_F32,
  bf16: FORMAT_BF16,
  f16: FORMAT_F16,
  i8: FORMAT_I8,
  nf4: FORMAT_NF4,
  fp4: FORMAT_FP4,
  "nf4-dq": FORMAT_NF4_DQ,
  "fp4-dq": FORMAT_FP4_DQ,
  int8: FORMAT_INT8,
  int4: FORMAT_INT4,
  "int4-act": FORMAT_INT4_ACT,
  q4: FORMAT_Q4,
  q8: FORMAT_Q8,
  q4k: FORMAT_Q4K,
  q6k: FORMAT_Q6K,
  q4r: FORMAT_Q4R,
  q6r: FORMAT_Q6R,
  // ggml's numbers of its types
  Q4_0: FORMAT_GGUF + 2,
  Q4_1: FORMAT_GGUF + 3,
  Q5_0: FORMAT_GGUF + 6,
  Q5_1: FORMAT_GGUF + 7,
  Q8_0: FORMAT_GGUF + 8,
  Q2_K: FORMAT_GGUF + 10,
  Q3_K: FORMAT_GGUF + 11,
  Q4_K: FORMAT_GGUF + 12,
  Q5_K: FORMAT_GGUF + 13,
  Q6_K: FORMAT_GGUF + 14,
  IQ4_NL: FORMAT_GGUF + 20,
  IQ4_XS: FORMAT_GGUF + 23,
};

const roadCodes: Readonly<Record<string, number>> = {
  int8: LINEAR_INT8,
  fixed16: LINEAR_FIXED16,
  row: LINEAR_LLM_INT8,
  call: LINEAR_LLM_INT8,
};

/** A weight's format and its parameter. @throws EngineError no kernel reads it */
function formatOf({ dtype }: Tensor): [code: number, param: number] {
  const { format } = weightDType(dtype);
  const code = codes[format.family];
  if (code === undefined) throw new EngineError(`${dtype} has no kernel on the CPU backend`);
  return [code, format.param];
}

function linearCode(w: Tensor): number {
  const { format, road } = weightDType(w.dtype);
  if (road !== "") return roadCodes[road];
  return codes[format.family] <= FORMAT_F16 ? LINEAR : LINEAR_PACKED;
}

const MOST_PARTS = 4;

/** The addresses of a weight's parts, four in all; what a format does not have is 0. */
function partsOf(w: Tensor, at: AddressOf): number[] {
  const count = partBytes(w.dtype, w.shape).length;
  return Array.from({ length: MOST_PARTS }, (_, i) => (i < count ? at(w, i) : 0));
}

function last(shape: Shape): number {
  return shape[shape.length - 1];
}

function rowLength({ shape }: Tensor): number {
  return shape.slice(1).reduce((product, dim) => product * dim, 1);
}

/** The word that holds an f32 attribute. */
function floatBits(attrs: object, name: string): number {
  return new Int32Array(Float32Array.of((attrs as Record<string, number>)[name]).buffer)[0];
}
