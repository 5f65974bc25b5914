// Mean squared error of logits against targets, one loss a row: the loss of regression. The caller averages the rows.

import { type Op, rowsOf, type Tensor } from "../graph/graph.ts";
import { f32 } from "./dtypes.ts";
import { expectSame } from "./shapes.ts";

/** loss [N] = mean over K of (logits [N, K] − targets [N, K])² */
export const mse = (logits: Tensor, targets: Tensor): Tensor =>
  logits.graph.emit(mseOp, [logits, targets], {})[0];

export const mseOp: Op<object> = {
  name: "mse",
  takes: [f32, f32],
  gives: ["f32"],

  shapes([logits, targets]) {
    expectSame("mse", logits, targets);
    return [rowsOf(logits)];
  },

  run([loss], [logits, targets], [[N, K]]) {
    for (let n = 0; n < N; n++) {
      let sum = 0;
      for (let i = n * K; i < (n + 1) * K; i++) sum += (logits[i] - targets[i]) ** 2;
      loss[n] = sum / K;
    }
  },

  vjp: ([dLoss], [logits, targets]) => [
    dLoss && (() => dLoss.graph.emit(mseGradOp, [dLoss, logits, targets], {})[0]),
    undefined,
  ],
};

/** dLogits [N, K] = dLoss [N] · 2 · (logits − targets) / K */
export const mseGradOp: Op<object> = {
  name: "mse_grad",
  takes: [f32, f32, f32],
  gives: ["f32"],

  shapes: ([, logits]) => [rowsOf(logits, logits.shape[1])],

  run([dLogits], [dLoss, logits, targets], [, [N, K]]) {
    for (let n = 0; n < N; n++) {
      for (let i = n * K; i < (n + 1) * K; i++)
        dLogits[i] = (dLoss[n] * 2 * (logits[i] - targets[i])) / K;
    }
  },
};
