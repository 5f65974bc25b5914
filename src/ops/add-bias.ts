// Adds one vector to every row: the bias of a product.

import { type Op, rowsOf, type Tensor } from "../graph/graph.ts";
import { f32, plain } from "./dtypes.ts";
import { expect } from "./shapes.ts";

/** y [T, O] = x [T, O] + bias [O], row by row */
export const addBias = (x: Tensor, bias: Tensor): Tensor =>
  x.graph.emit(addBiasOp, [x, bias], {})[0];

export const addBiasOp: Op<object> = {
  name: "add_bias",
  takes: [f32, plain],
  gives: ["f32"],

  shapes([x, bias]) {
    const fits = bias.shape.length === 1 && bias.shape[0] === x.shape[1];
    expect(fits, "add_bias", [x, bias], `the bias must be [${x.shape[1]}]`);
    return [rowsOf(x, x.shape[1])];
  },

  run([y], [x, bias], [[T, O]]) {
    for (let t = 0; t < T; t++) {
      for (let o = 0; o < O; o++) y[t * O + o] = x[t * O + o] + bias[o];
    }
  },

  vjp: ([dy]) => [dy && (() => dy), dy && (() => dy.graph.emit(addBiasGradOp, [dy], {})[0])],
};

/** dbias [O] = Σₜ dy [T, O] */
export const addBiasGradOp: Op<object> = {
  name: "add_bias_grad",
  takes: [f32],
  gives: ["f32"],

  shapes: ([dy]) => [{ shape: [dy.shape[1]], live: undefined }],

  run([dBias], [dy], [[T, O]]) {
    dBias.fill(0);
    for (let t = 0; t < T; t++) {
      for (let o = 0; o < O; o++) dBias[o] += dy[t * O + o];
    }
  },
};
