// Log-softmax over the last dimension, shifted by the row's largest value.

import { type Op, rowsOf, type Tensor } from "../graph/graph.ts";
import { f32 } from "./dtypes.ts";

/** y [N, V] = x [N, V] − log Σ exp(x), row by row */
export const logSoftmax = (x: Tensor): Tensor => x.graph.emit(logSoftmaxOp, [x], {})[0];

export const logSoftmaxOp: Op<object> = {
  name: "log_softmax",
  takes: [f32],
  gives: ["f32"],

  shapes: ([x]) => [rowsOf(x, x.shape[1])],

  run([y], [x], [[N, V]]) {
    for (let n = 0; n < N; n++) {
      const lse = logSumExp(x, n * V, V);
      for (let v = 0; v < V; v++) y[n * V + v] = x[n * V + v] - lse;
    }
  },

  vjp: ([dy], _ins, [y]) => [dy && (() => dy.graph.emit(logSoftmaxGradOp, [dy, y], {})[0])],
};

/** dx = dy − exp(y) · Σ dy, row by row */
export const logSoftmaxGradOp: Op<object> = {
  name: "log_softmax_grad",
  takes: [f32, f32],
  gives: ["f32"],

  shapes: ([dy]) => [rowsOf(dy, dy.shape[1])],

  run([dx], [dy, y], [[N, V]]) {
    for (let n = 0; n < N; n++) {
      let sum = 0;
      for (let v = 0; v < V; v++) sum += dy[n * V + v];
      for (let v = 0; v < V; v++) dx[n * V + v] = dy[n * V + v] - Math.exp(y[n * V + v]) * sum;
    }
  },
};

/** log Σ exp of `length` numbers from `start` */
export function logSumExp(x: ArrayLike<number>, start: number, length: number): number {
  let max = -Infinity;
  for (let i = start; i < start + length; i++) max = Math.max(max, x[i]);
  if (max === -Infinity) return max;
  let sum = 0;
  for (let i = start; i < start + length; i++) sum += Math.exp(x[i] - max);
  return max + Math.log(sum);
}
