// Transposes blocks of rows, each by itself: each column of a sequence's rows becomes a row.

import { type Op, rowsOf, type Tensor } from "../graph/graph.ts";
import { f32 } from "./dtypes.ts";
import { expect } from "./shapes.ts";

export type TransposeAttrs = { blocks: number; rows: number };

/** y [B·K, S]: row b·K + k holds column k of the rows b·S … b·S + S − 1 of x [≥ B·S, K]; B = blocks, S = rows of each */
export const transpose = (x: Tensor, blocks: number, rows: number): Tensor =>
  x.graph.emit(transposeOp, [x], { blocks, rows })[0];

export const transposeOp: Op<TransposeAttrs> = {
  name: "transpose",
  takes: [f32],
  gives: ["f32"],

  shapes([x], { blocks: B, rows: S }) {
    expect(x.shape[0] >= B * S, "transpose", [x], `${B} blocks of ${S} rows need ${B * S} rows`);
    return [{ shape: [B * x.shape[1], S], live: undefined }];
  },

  run([y], [x], [[, K]], { blocks: B, rows: S }) {
    for (let b = 0; b < B; b++) {
      for (let k = 0; k < K; k++) {
        for (let s = 0; s < S; s++) y[(b * K + k) * S + s] = x[(b * S + s) * K + k];
      }
    }
  },

  vjp: ([dy], [x], _outs, attrs) => [
    dy && (() => dy.graph.emit(transposeGradOp, [dy, x], attrs)[0]),
  ],
};

/** dx [≥ B·S, K]: dy [B·K, S] transposed back; 0 in the rows after the blocks */
export const transposeGradOp: Op<TransposeAttrs> = {
  name: "transpose_grad",
  takes: [f32, f32],
  gives: ["f32"],

  shapes: ([, x]) => [rowsOf(x, x.shape[1])],

  run([dx], [dy], [, [, K]], { blocks: B, rows: S }) {
    dx.fill(0);
    for (let b = 0; b < B; b++) {
      for (let k = 0; k < K; k++) {
        for (let s = 0; s < S; s++) dx[(b * S + s) * K + k] = dy[(b * K + k) * S + s];
      }
    }
  },
};
