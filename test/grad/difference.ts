// Central finite differences of a recorded scalar, in float64, against the gradients that `grad` emits.

import {
  elements,
  type Graph,
  type Leaf,
  type LiveCounts,
  type Tensor,
} from "../../src/graph/graph.ts";
import { grad } from "../../src/graph/grad.ts";
import { add } from "../../src/ops/add.ts";
import { evaluator, type LeafNumbers } from "../graph/evaluate.ts";

/**
 * The step. The error of (f(x+h) − f(x−h)) / 2h is h²/6 · f‴ from the cut-off series and about 2⁻⁵³ · |f| / h from rounding:
 * 2e-11 · f‴ + 1e-11 · |f|. Sums of some hundred terms and third derivatives of up to some thousand stay below 1e-6.
 */
const STEP = 1e-5;
export const TOLERANCE = 1e-6;

export type Seed = readonly [output: Tensor, seed: Leaf];

/**
 * For each leaf of `wrt`, the largest difference between its emitted gradient of Σ ⟨output, seed⟩ and the finite difference,
 * relative to the largest entry of the gradient (or 1, where all are smaller).
 */
export function gradientErrors(
  graph: Graph,
  seeds: readonly Seed[],
  wrt: readonly Leaf[],
  numbers: LeafNumbers,
  live: Partial<LiveCounts> = {},
): Record<string, number> {
  const value = evaluator(
    graph,
    seeds.map(([output]) => output),
  );
  const loss = (leaves: LeafNumbers): number => {
    const outputs = value(leaves, live);
    return seeds.reduce((sum, [, seed], s) => {
      const weights = leaves[seed.name];
      return outputs[s].reduce((total, y, i) => total + y * weights[i], sum);
    }, 0);
  };
  const emitted = grad(seeds, wrt, add).map((d, i) => {
    if (d === undefined) throw new Error(`${wrt[i].name}: no output depends on it`);
    return d;
  });
  const gradients = evaluator(graph, emitted)(numbers, live);
  const pairs = wrt.map((leaf, i): [string, number] => {
    if (
      gradients[i].length !== numbers[leaf.name].length ||
      gradients[i].length > elements(leaf.shape)
    )
      throw new Error(`${leaf.name}: the gradient has ${gradients[i].length} numbers`);
    const scale = gradients[i].reduce((max, d) => Math.max(max, Math.abs(d)), 1);
    const worst = gradients[i].reduce((max, d, at) => {
      const shifted = (by: number): LeafNumbers => {
        const moved = Float64Array.from(numbers[leaf.name]);
        moved[at] += by;
        return { ...numbers, [leaf.name]: moved };
      };
      const difference = (loss(shifted(STEP)) - loss(shifted(-STEP))) / (2 * STEP);
      // A NaN must fail, so it may not get lost in a maximum.
      return d === d ? Math.max(max, Math.abs(d - difference)) : Infinity;
    }, 0);
    return [leaf.name, worst / scale];
  });
  return Object.fromEntries(pairs);
}
