// RMSNorm (Zhang and Sennrich 2019, arXiv:1910.07467), as Mistral uses it: no mean, no bias, the weight last.
// The loops are the specification; kernels may be clever, this file may not.

import { type Op, rowsOf, type Tensor } from "../graph/graph.ts";
import { f32, plain } from "./dtypes.ts";
import { expect, once } from "./shapes.ts";

/** y [T, H] = x [T, H] / √(mean(x²) + eps) · weight [H], row by row */
export const rmsNorm = (x: Tensor, weight: Tensor, eps: number): Tensor =>
  x.graph.emit(rmsNormOp, [x, weight], { eps })[0];

export const rmsNormOp: Op<{ eps: number }> = {
  name: "rms_norm",
  takes: [f32, plain],
  gives: ["f32", "f32"],

  shapes([x, weight]) {
    const rule = `last dimensions differ (${x.shape.at(-1)} ≠ ${weight.shape[0]})`;
    expect(
      x.shape.at(-1) === weight.shape[0],
      "rms_norm",
      [x, weight],
      rule,
      "is hidden_size right?",
    );
    return [rowsOf(x, x.shape[1]), rowsOf(x)]; // rstd [T] is kept for the gradient
  },

  run([y, rstd], [x, weight], [[T, H]], { eps }) {
    for (let t = 0; t < T; t++) {
      let squares = 0;
      for (let h = 0; h < H; h++) squares += x[t * H + h] ** 2;
      rstd[t] = 1 / Math.sqrt(squares / H + eps);
      for (let h = 0; h < H; h++) y[t * H + h] = x[t * H + h] * rstd[t] * weight[h];
    }
  },

  vjp: ([dy], [x, weight], [, rstd]) => {
    if (dy === undefined) return [];
    const both = once(() => dy.graph.emit(rmsNormGradOp, [dy, x, weight, rstd], {}));
    return [() => both()[0], () => both()[1]];
  },
};

/** dx = r · (dy∘w − x · r² · mean(x ∘ dy∘w)) [T, H] · dWeight = Σₜ dy∘x · r [H] */
export const rmsNormGradOp: Op<object> = {
  name: "rms_norm_grad",
  takes: [f32, f32, plain, f32],
  gives: ["f32", "f32"],

  shapes: ([dy, , weight]) => [rowsOf(dy, dy.shape[1]), { shape: weight.shape, live: undefined }],

  run([dx, dWeight], [dy, x, weight, rstd], [[T, H]]) {
    dWeight.fill(0);
    for (let t = 0; t < T; t++) {
      const r = rstd[t];
      let mean = 0;
      for (let h = 0; h < H; h++) mean += (x[t * H + h] * dy[t * H + h] * weight[h]) / H;
      for (let h = 0; h < H; h++) {
        const at = t * H + h;
        dx[at] = r * (dy[at] * weight[h] - x[at] * r * r * mean);
        dWeight[h] += dy[at] * x[at] * r;
      }
    }
  },
};
