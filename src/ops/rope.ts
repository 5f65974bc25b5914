// Rotary position embedding (Su et al. 2021, arXiv:2104.09864) in the rotate-half form of Transformers: the pairs are (d, d + D/2).
// The angles are inputs, so that no rope type reaches a kernel. The gradient is the rotation back.

import { type Op, rowsOf, type Tensor } from "../graph/graph.ts";
import { f32 } from "./dtypes.ts";
import { expect } from "./shapes.ts";

/** x [T, heads·D] rotated in each head by the angles whose cos and sin are [T, D/2]; `inverse` rotates back */
export const rope = (x: Tensor, cos: Tensor, sin: Tensor, heads: number, inverse = false): Tensor =>
  x.graph.emit(ropeOp, [x, cos, sin], { heads, inverse })[0];

export const ropeOp: Op<{ heads: number; inverse: boolean }> = {
  name: "rope",
  takes: [f32, f32, f32],
  gives: ["f32"],

  shapes([x, cos, sin], { heads }) {
    const half = x.shape[1] / heads / 2;
    const fits = [cos, sin].every((t) => t.shape[0] === x.shape[0] && t.shape[1] === half);
    expect(
      fits,
      "rope",
      [x, cos, sin],
      `cos and sin must be [T, ${half}] for ${heads} heads`,
      "is head_dim right?",
    );
    return [rowsOf(x, x.shape[1])];
  },

  run([y], [x, cos, sin], [[T, width]], { heads, inverse }) {
    const D = width / heads;
    const half = D / 2;
    for (let t = 0; t < T; t++) {
      for (let head = 0; head < heads; head++) {
        for (let d = 0; d < half; d++) {
          const a = t * width + head * D + d;
          const b = a + half;
          const c = cos[t * half + d];
          const s = inverse ? -sin[t * half + d] : sin[t * half + d];
          y[a] = x[a] * c - x[b] * s;
          y[b] = x[b] * c + x[a] * s;
        }
      }
    }
  },

  vjp: ([dy], [, cos, sin], _outs, { heads, inverse }) => [
    dy && (() => rope(dy, cos, sin, heads, !inverse)),
  ],
};
