// The tiny model's loss over two packed sequences, recorded: what gradient tests differentiate.

import type { Graph, Leaf, LiveCounts, Shape, Tensor } from "../../src/graph/graph.ts";
import type { MistralConfigOptions } from "../../src/models/config.ts";
import {
  packedInputs,
  type PackedOptions,
  recordPacked,
  seededWeights,
  tinyConfig,
} from "../tiny-model.ts";

const SEQUENCES = [
  [1, 4, 7, 2, 10],
  [1, 3, 3, 9],
];
export const T: number = SEQUENCES.flat().length;
export const LIVE: LiveCounts = { rows: T, wanted: T };

export type TinyLoss = {
  readonly graph: Graph;
  readonly logits: Tensor;
  readonly losses: Tensor;
  readonly seed: Leaf;
  readonly weights: ReadonlyMap<string, Shape>;
  readonly numbers: Record<string, Float64Array>;
  /** Labels that are not ignored. */
  readonly counted: number;
  leaf(name: string): Leaf;
};

/** The mean of the rows' losses, but for the two ignored ends and one more. @param wrap may change how weights enter */
export function tinyLoss(
  options: MistralConfigOptions = {},
  wrap?: PackedOptions["wrap"],
): TinyLoss {
  const config = tinyConfig(options);
  const { graph, losses, weights, logits } = recordPacked(config, T, { wrap });
  const seed = graph.leaf("seed", "input", [T], "f32", "wanted");
  const inputs = packedInputs(config, SEQUENCES);
  inputs.labels[1] = -100;
  const counted = inputs.labels.filter((label) => label !== -100).length;
  inputs.seed = new Float64Array(T).fill(1 / counted);
  const numbers = { ...seededWeights(weights, 11), ...inputs };
  const leaf = (name: string): Leaf => {
    const found = graph.leaves.get(name);
    if (found === undefined) throw new Error(`no leaf ${name}`);
    return found;
  };
  return { graph, seed, numbers, counted, leaf, losses, weights, logits };
}
