// Picks the wanted rows, so that the final norm and the head are computed for these only.

import { type Op, type Tensor } from "../graph/graph.ts";
import { f32, i32 } from "./dtypes.ts";
import { expect } from "./shapes.ts";

/** y [N, H] = x [T, H] at the rows want [N] i32 */
export const gatherRows = (x: Tensor, want: Tensor): Tensor =>
  x.graph.emit(gatherRowsOp, [x, want], {})[0];

export const gatherRowsOp: Op<object> = {
  name: "gather_rows",
  takes: [f32, i32],
  gives: ["f32"],

  shapes([x, want]) {
    expect(want.shape.length === 1, "gather_rows", [x, want], "want must be [N]");
    return [{ shape: [want.shape[0], x.shape[1]], live: want.live }];
  },

  run([y], [x, want], [[, H], [N]]) {
    for (let n = 0; n < N; n++) {
      for (let h = 0; h < H; h++) y[n * H + h] = x[want[n] * H + h];
    }
  },

  vjp: ([dy], [x, want]) => [
    dy && (() => dy.graph.emit(gatherRowsGradOp, [dy, want, x], {})[0]),
    undefined,
  ],
};

/** dx [T, H]: the rows of dy [N, H], added to the rows of x that they were picked from; 0 elsewhere */
export const gatherRowsGradOp: Op<object> = {
  name: "gather_rows_grad",
  takes: [f32, i32, f32],
  gives: ["f32"],

  shapes: ([, , x]) => [{ shape: x.shape, live: x.live }],

  run([dx], [dy, want], [[N, H]]) {
    dx.fill(0);
    for (let n = 0; n < N; n++) {
      for (let h = 0; h < H; h++) dx[want[n] * H + h] += dy[n * H + h];
    }
  },
};
