// Writes the new keys and values of a layer into cache pages of int8 codes. Each key and each value of a head has its own scale.
// The cache takes about half the memory of f16; scores and sums stay f32.

import type { Op, Tensor } from "../graph/graph.ts";
import { codesOf } from "./cache-format.ts";
import { codePool, f32, i32 } from "./dtypes.ts";
import { checkAppend, PAGE } from "./kv-append.ts";
import { expect } from "./shapes.ts";

/** Scales of K and of V, f32 [pages, 16, Hkv] */
export type CacheScales = readonly [K: Tensor, V: Tensor];

/** Writes k, v [T, KV] to K, V [pages, 16, KV], and their scales, at slots [T] i32 (page · 16 + offset; −1: not kept) */
export const kvAppendCodes = (
  K: Tensor,
  V: Tensor,
  k: Tensor,
  v: Tensor,
  slots: Tensor,
  scales: CacheScales,
): void => {
  k.graph.emit(kvAppendCodesOp, [K, V, k, v, slots, ...scales], {});
};

export const kvAppendCodesOp: Op<object> = {
  name: "kv_append_codes",
  takes: [codePool, codePool, f32, f32, i32, f32, f32],
  gives: [],

  writes: [0, 1, 5, 6],

  shapes(ins) {
    checkAppend("kv_append_codes", ins);
    checkScales("kv_append_codes", ins, ins.slice(5));
    return [];
  },

  run(_outs, [K, V, k, v, slots, KS, VS], [, , [T, KV], , , [, , heads]]) {
    const D = KV / heads;
    for (let t = 0; t < T; t++) {
      if (slots[t] < 0) continue;
      for (let head = 0; head < heads; head++) {
        const [from, to] = [t * KV + head * D, slots[t] * KV + head * D];
        const [key, value] = [k, v].map((x) => codesOf(x.subarray(from, from + D)));
        K.set(key.codes, to);
        V.set(value.codes, to);
        KS[slots[t] * heads + head] = key.scale;
        VS[slots[t] * heads + head] = value.scale;
      }
    }
  },
};

/** Refuses scales that do not fit: pools of codes have some, [pages, 16, heads], and no other pools have. */
export function checkScales(
  op: string,
  [K, V]: readonly Tensor[],
  scales: readonly Tensor[],
  heads?: number,
): void {
  const fit = scales.every(
    ({ shape }) =>
      shape.length === 3 &&
      shape[0] === K.shape[0] &&
      shape[1] === PAGE &&
      (heads === undefined ? K.shape[2] % shape[2] === 0 : shape[2] === heads) &&
      shape[2] === scales[0].shape[2],
  );
  expect(
    fit && scales.length === (K.dtype === "i8" ? 2 : 0),
    op,
    [K, V, ...scales],
    "pools of int8 codes, and no others, have scales [pages, 16, heads]",
  );
}
