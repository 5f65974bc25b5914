// How each op becomes words of a program: its number, whose rows it works on, and its arguments in the order that
// kernels/executor.ts reads them. Knows no addresses: they are asked for, tensor by tensor.

import { EngineError } from "../../errors.ts";
import type { Node } from "../../graph/graph.ts";
import type { Activation } from "../../ops/glu.ts";
import {
  copyPages,
  eagerAttention,
  kvAppend,
  kvAppendCodes,
  pagedAttention,
} from "./encode-attention.ts";
import { embed, linear, packRows } from "./encode-products.ts";
import {
  type AddressOf,
  type Encode,
  type Encoded,
  floatBits,
  LARGE,
  last,
  plainCode,
  rowLength,
} from "./encoded.ts";
import {
  ADD,
  ADD_BIAS,
  BCE,
  CROSS_ENTROPY,
  GATHER_ROWS,
  GLU,
  LOG_SOFTMAX,
  MSE,
  PICK_IDS,
  PUT_TOKENS,
  RMS_NORM,
  ROPE,
  SAMPLE,
  TRANSPOSE,
  TRAP,
} from "./kernels/header.ts";
import { RMS_NORM_SCRATCH, sampleScratch } from "./kernels/scratch.ts";

const encoders: Readonly<Record<string, Encode>> = {
  embed,
  linear,
  pack_rows: packRows,
  kv_append: kvAppend,
  kv_append_codes: kvAppendCodes,
  copy_pages: copyPages,
  paged_attention: pagedAttention,
  eager_attention: eagerAttention,

  rms_norm: ({ ins: [x, w], outs: [y, rstd], attrs }, at) => ({
    code: RMS_NORM,
    work: last(x.shape),
    rows: x,
    args: [
      ...[at(y), at(rstd), at(x), at(w), last(x.shape), floatBits(attrs, "eps")],
      plainCode("rms_norm", w),
    ],
    scratch: RMS_NORM_SCRATCH,
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

  add_bias: ({ ins: [x, bias], outs: [y] }, at) => ({
    code: ADD_BIAS,
    work: last(x.shape),
    rows: x,
    args: [at(y), at(x), at(bias), last(x.shape), plainCode("add_bias", bias)],
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

  mse: (node, at) => lossAgainstTargets(MSE, node, at),

  bce: (node, at) => lossAgainstTargets(BCE, node, at),

  transpose: ({ ins: [x], outs: [y] }, at) => ({
    code: TRANSPOSE,
    work: last(y.shape),
    rows: y,
    args: [at(y), at(x), last(x.shape), last(y.shape)],
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

function lossAgainstTargets(
  code: number,
  { ins: [logits, targets], outs: [loss] }: Node,
  at: AddressOf,
): ReturnType<Encode> {
  const K = last(logits.shape);
  return { code, work: 4 * K, rows: logits, args: [at(loss), at(logits), at(targets), K] };
}
