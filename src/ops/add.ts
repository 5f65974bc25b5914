// Sum of two tensors of one shape: used for residual connections, and where gradients of one tensor come from several ops.

import { type Op, type Tensor } from "../graph/graph.ts";
import { f32 } from "./dtypes.ts";
import { expectSame } from "./shapes.ts";

/** y = a + b, all of one shape */
export const add = (a: Tensor, b: Tensor): Tensor => a.graph.emit(addOp, [a, b], {})[0];

export const addOp: Op<object> = {
  name: "add",
  takes: [f32, f32],
  gives: ["f32"],

  shapes([a, b]) {
    expectSame("add", a, b);
    return [{ shape: a.shape, live: a.live }];
  },

  run([y], [a, b]) {
    for (let i = 0; i < y.length; i++) y[i] = a[i] + b[i];
  },

  vjp: ([dy]) => [dy && (() => dy), dy && (() => dy)],
};
