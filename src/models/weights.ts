// How weights enter the model. Every product goes through `project`: a wrapper of it can add a bias, a low-rank adapter or a
// fused matrix, and the layer does not change. Knows no checkpoint, no format and no adapter.

import type { Shape, Tensor } from "../graph/graph.ts";
import { linear } from "../ops/linear.ts";

export type Weights = {
  /** The checkpoint's tensor of that name, of which the model expects that shape. */
  weight(name: string, ...shape: Shape): Tensor;
  /** x [T, I] → y [T, O]: the product with the matrix `name`.weight [O, I] */
  project(x: Tensor, name: string, O: number, I: number): Tensor;
};

/** The weights as the checkpoint has them. @param weight gives the leaf of a name */
export const plainWeights = (weight: Weights["weight"]): Weights => ({
  weight,
  project: (x, name, O, I) => linear(x, weight(`${name}.weight`, O, I)),
});

/** The weights of one module, such as "model.layers.0", under their names within it. */
export const weightsOf = (module: string, w: Weights): Weights => ({
  weight: (name, ...shape) => w.weight(`${module}.${name}`, ...shape),
  project: (x, name, O, I) => w.project(x, `${module}.${name}`, O, I),
});
