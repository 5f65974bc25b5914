// Cross-entropy of logits against labels, one loss a row. The caller averages the rows.

import { type Op, rowsOf, type Tensor } from "../graph/graph.ts";
import { f32, i32 } from "./dtypes.ts";
import { logSumExp } from "./log-softmax.ts";
import { expect } from "./shapes.ts";

/** The label of a row that has no loss, as in PyTorch. */
export const IGNORED_LABEL = -100;

/** nll [N] = log Σ exp(logits [N, V]) − logits at labels [N] i32; 0 where the label is −100 */
export const crossEntropy = (logits: Tensor, labels: Tensor): Tensor =>
  logits.graph.emit(crossEntropyOp, [logits, labels], {})[0];

export const crossEntropyOp: Op<object> = {
  name: "cross_entropy",
  takes: [f32, i32],
  gives: ["f32", "f32"],

  shapes([logits, labels]) {
    const fits = labels.shape.length === 1 && labels.shape[0] === logits.shape[0];
    expect(fits, "cross_entropy", [logits, labels], "labels must be [N]");
    return [rowsOf(logits), rowsOf(logits)]; // the log-sum-exp [N] is kept for the gradient
  },

  run([nll, lse], [logits, labels], [[N, V]]) {
    for (let n = 0; n < N; n++) {
      lse[n] = logSumExp(logits, n * V, V);
      nll[n] = labels[n] === IGNORED_LABEL ? 0 : lse[n] - logits[n * V + labels[n]];
    }
  },

  vjp: ([dNll], [logits, labels], [, lse]) => [
    dNll && (() => dNll.graph.emit(crossEntropyGradOp, [dNll, logits, labels, lse], {})[0]),
    undefined,
  ],
};

/** dLogits [N, V] = dNll [N] · (softmax(logits) − onehot(labels)) */
export const crossEntropyGradOp: Op<object> = {
  name: "cross_entropy_grad",
  takes: [f32, f32, i32, f32],
  gives: ["f32"],

  shapes: ([, logits]) => [rowsOf(logits, logits.shape[1])],

  run([dLogits], [dNll, logits, labels, lse], [, [N, V]]) {
    for (let n = 0; n < N; n++) {
      const d = labels[n] === IGNORED_LABEL ? 0 : dNll[n];
      for (let v = 0; v < V; v++) dLogits[n * V + v] = d * Math.exp(logits[n * V + v] - lse[n]);
      if (d !== 0) dLogits[n * V + labels[n]] -= d;
    }
  },
};
