// Writes the new keys and values of a layer into its cache pages. A page holds 16 columns of one sequence.

import { type Op, type Tensor } from "../graph/graph.ts";
import { expect } from "./shapes.ts";

/** Columns a page. Key blocks of attention are pages, so their borders lie at multiples of 16 of the column. */
export const PAGE = 16;

/** K, V [pages, 16, KV] at slots [T] i32 (page · 16 + offset; −1: not kept) become k, v [T, KV] */
export const kvAppend = (K: Tensor, V: Tensor, k: Tensor, v: Tensor, slots: Tensor): void => {
  k.graph.emit(kvAppendOp, [K, V, k, v, slots], {});
};

export const kvAppendOp: Op<object> = {
  name: "kv_append",

  writes: [0, 1],

  shapes([K, V, k, v, slots]) {
    const ins = [K, V, k, v, slots];
    expect(
      K.shape[1] === PAGE && V.shape[1] === PAGE,
      "kv_append",
      ins,
      "pools must be [pages, 16, KV]",
    );
    const fits = K.shape[2] === k.shape[1] && V.shape[2] === v.shape[1];
    expect(fits, "kv_append", ins, "a pool and its rows differ in width");
    const rows = slots.shape[0] === k.shape[0] && v.shape[0] === k.shape[0];
    expect(
      rows && slots.dtype === "i32",
      "kv_append",
      ins,
      "k and v must be [T, KV], slots [T] i32",
    );
    return [];
  },

  run(_outs, [K, V, k, v, slots], [, , [T, KV]]) {
    for (let t = 0; t < T; t++) {
      if (slots[t] < 0) continue;
      for (let i = 0; i < KV; i++) {
        K[slots[t] * KV + i] = k[t * KV + i];
        V[slots[t] * KV + i] = v[t * KV + i];
      }
    }
  },
};
