// Writes the new keys and values of a layer into its cache pages. A page holds 16 columns of one sequence.
// The pools hold f32, or numbers rounded to f16 or bf16, by their dtype; for int8 see kv-append-codes.ts.

import { type DType, type Op, type Tensor } from "../graph/graph.ts";
import { roundedTo } from "./cache-format.ts";
import { f32, i32, pool } from "./dtypes.ts";
import { expect, expectOneDType } from "./shapes.ts";

/** Columns in a page. A page begins at a column that is a multiple of 16. */
export const PAGE = 16;

/** The pools' dtype where it is not f32. */
export type AppendAttrs = { dtype?: DType };

/** Writes k, v [T, KV] to K, V [pages, 16, KV] at slots [T] i32 (page · 16 + offset; −1: not kept) */
export const kvAppend = (K: Tensor, V: Tensor, k: Tensor, v: Tensor, slots: Tensor): void => {
  k.graph.emit(kvAppendOp, [K, V, k, v, slots], K.dtype === "f32" ? {} : { dtype: K.dtype });
};

export const kvAppendOp: Op<AppendAttrs> = {
  name: "kv_append",
  takes: [pool, pool, f32, f32, i32],
  gives: [],

  writes: [0, 1],

  shapes(ins, { dtype = "f32" }) {
    checkAppend("kv_append", ins);
    expect(
      ins[0].dtype === dtype,
      "kv_append",
      ins.slice(0, 2),
      `the pools are ${ins[0].dtype}, but numbers would be rounded to ${dtype}`,
      "is the attribute dtype the pools'?",
    );
    return [];
  },

  run(_outs, [K, V, k, v, slots], [, , [T, KV]], { dtype = "f32" }) {
    for (let t = 0; t < T; t++) {
      if (slots[t] < 0) continue;
      K.set(roundedRow(k, t, KV, dtype), slots[t] * KV);
      V.set(roundedRow(v, t, KV, dtype), slots[t] * KV);
    }
  },
};

/** f32 pools take numbers as they come, which on the reference backend are float64. */
function roundedRow(x: Float64Array, t: number, KV: number, dtype: DType): ArrayLike<number> {
  const row = x.subarray(t * KV, (t + 1) * KV);
  return dtype === "f32" ? row : roundedTo(dtype, row);
}

/** The shape rule of both kinds of appending. */
export function checkAppend(op: string, ins: readonly Tensor[]): void {
  const [K, V, k, v, slots] = ins;
  expectOneDType(op, K, V);
  expect(
    K.shape[1] === PAGE && V.shape[1] === PAGE,
    op,
    ins.slice(0, 5),
    "pools must be [pages, 16, KV]",
  );
  const fits = K.shape[2] === k.shape[1] && V.shape[2] === v.shape[1];
  expect(fits, op, ins.slice(0, 5), "a pool and its rows differ in width");
  const rows = slots.shape[0] === k.shape[0] && v.shape[0] === k.shape[0];
  expect(rows, op, ins.slice(0, 5), "k and v must be [T, KV], slots [T]");
}
