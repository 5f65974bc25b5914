// Binary cross-entropy of logits against targets, one loss a row: for rows that may have several labels at once. The caller averages
// the rows.

import { type Op, rowsOf, type Tensor } from "../graph/graph.ts";
import { f32 } from "./dtypes.ts";
import { expectSame } from "./shapes.ts";

/** loss [N] = mean over K of −(z · log σ(x) + (1 − z) · log(1 − σ(x))), x = logits [N, K], z = targets [N, K] */
export const bce = (logits: Tensor, targets: Tensor): Tensor =>
  logits.graph.emit(bceOp, [logits, targets], {})[0];

export const bceOp: Op<object> = {
  name: "bce",
  takes: [f32, f32],
  gives: ["f32"],

  shapes([logits, targets]) {
    expectSame("bce", logits, targets);
    return [rowsOf(logits)];
  },

  run([loss], [logits, targets], [[N, K]]) {
    for (let n = 0; n < N; n++) {
      let sum = 0;
      for (let i = n * K; i < (n + 1) * K; i++) {
        const x = logits[i];
        // The formula with log σ(x) = −log(1 + exp(−x)), in a form that overflows for no x.
        sum += Math.max(x, 0) - x * targets[i] + Math.log1p(Math.exp(-Math.abs(x)));
      }
      loss[n] = sum / K;
    }
  },

  vjp: ([dLoss], [logits, targets]) => [
    dLoss && (() => dLoss.graph.emit(bceGradOp, [dLoss, logits, targets], {})[0]),
    undefined,
  ],
};

/** dLogits [N, K] = dLoss [N] · (σ(logits) − targets) / K */
export const bceGradOp: Op<object> = {
  name: "bce_grad",
  takes: [f32, f32, f32],
  gives: ["f32"],

  shapes: ([, logits]) => [rowsOf(logits, logits.shape[1])],

  run([dLogits], [dLoss, logits, targets], [, [N, K]]) {
    for (let n = 0; n < N; n++) {
      for (let i = n * K; i < (n + 1) * K; i++)
        dLogits[i] = (dLoss[n] * (1 / (1 + Math.exp(-logits[i])) - targets[i])) / K;
    }
  },
};
