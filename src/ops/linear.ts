// A matrix product with a weight as checkpoints store it: [out, in]. Mistral has no biases.
// The weight may have any format; this file sees its numbers, kernels its bytes.

import { type Op, rowsOf, type Tensor } from "../graph/graph.ts";
import { f32, weight } from "./dtypes.ts";
import { expect } from "./shapes.ts";

/** y [T, O] = x [T, I] · w [O, I]ᵀ */
export const linear = (x: Tensor, w: Tensor): Tensor => x.graph.emit(linearOp, [x, w], {})[0];

export const linearOp: Op<object> = {
  name: "linear",
  takes: [f32, weight],
  gives: ["f32"],

  shapes([x, w]) {
    const [I, J] = [x.shape.at(-1), w.shape.at(-1)];
    const rule = `last dimensions differ (${I} ≠ ${J})`;
    expect(I === J, "linear", [x, w], rule, "is head_dim or hidden_size in config.json right?");
    return [rowsOf(x, w.shape[0])];
  },

  run([y], [x, w], [[T, I], [O]]) {
    for (let t = 0; t < T; t++) {
      for (let o = 0; o < O; o++) {
        let sum = 0;
        for (let i = 0; i < I; i++) sum += x[t * I + i] * w[o * I + i];
        y[t * O + o] = sum;
      }
    }
  },

  vjp: ([dy], [x, w]) => [
    dy && (() => dy.graph.emit(linearGradXOp, [dy, w], {})[0]),
    dy && (() => dy.graph.emit(linearGradWeightOp, [dy, x], {})[0]),
  ],
};

/** dx [T, I] = dy [T, O] · w [O, I] */
export const linearGradXOp: Op<object> = {
  name: "linear_grad_x",
  takes: [f32, weight],
  gives: ["f32"],

  shapes: ([dy, w]) => [rowsOf(dy, w.shape[1])],

  run([dx], [dy, w], [[T, O], [, I]]) {
    dx.fill(0);
    for (let t = 0; t < T; t++) {
      for (let o = 0; o < O; o++) {
        for (let i = 0; i < I; i++) dx[t * I + i] += dy[t * O + o] * w[o * I + i];
      }
    }
  },
};

/** dw [O, I] = dy [T, O]ᵀ · x [T, I] */
export const linearGradWeightOp: Op<object> = {
  name: "linear_grad_weight",
  takes: [f32, f32],
  gives: ["f32"],

  shapes: ([dy, x]) => [{ shape: [dy.shape[1], x.shape[1]], live: undefined }],

  run([dw], [dy, x], [[T, O], [, I]]) {
    dw.fill(0);
    for (let t = 0; t < T; t++) {
      for (let o = 0; o < O; o++) {
        for (let i = 0; i < I; i++) dw[o * I + i] += dy[t * O + o] * x[t * I + i];
      }
    }
  },
};
