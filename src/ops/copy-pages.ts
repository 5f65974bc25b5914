// Copies whole cache pages of a layer. A step does it before a sequence writes into a page that it shares with another sequence.

import type { Op, Tensor } from "../graph/graph.ts";
import { anyPool, i32 } from "./dtypes.ts";
import { expect, expectOneDType } from "./shapes.ts";

/** K, V [pages, 16, KV], or their scales [pages, 16, Hkv]: page to[n] becomes page from[n]; from, to [N] i32, no page both read and written */
export const copyPages = (K: Tensor, V: Tensor, from: Tensor, to: Tensor): void => {
  K.graph.emit(copyPagesOp, [K, V, from, to], {});
};

export const copyPagesOp: Op<object> = {
  name: "copy_pages",
  takes: [anyPool, anyPool, i32, i32],
  gives: [],

  writes: [0, 1],

  shapes(ins) {
    const [K, V, from, to] = ins;
    expectOneDType("copy_pages", K, V);
    expect(from.shape[0] === to.shape[0], "copy_pages", ins, "from and to must be [N]");
    return [];
  },

  run(_outs, [K, V, from, to], [[, columns, KV], , [N]]) {
    const page = columns * KV;
    for (let n = 0; n < N; n++) {
      K.copyWithin(to[n] * page, from[n] * page, (from[n] + 1) * page);
      V.copyWithin(to[n] * page, from[n] * page, (from[n] + 1) * page);
    }
  },
};
