// A small Mistral for tests: recorded packed (no cache), with seeded weights and the inputs of whole sequences.

import type { StepModel } from "../src/generate/record.ts";
import { type DType, elements, Graph, type Shape, type Tensor } from "../src/graph/graph.ts";
import { packedAttention } from "../src/models/attend.ts";
import { MistralConfig, type MistralConfigOptions } from "../src/models/config.ts";
import { type ModelClass, recordHead } from "../src/models/heads.ts";
import { type Loss, recordLosses } from "../src/models/losses.ts";
import { embedTokens, mistral } from "../src/models/mistral.ts";
import { plainWeights, type Weights } from "../src/models/weights.ts";
import { ropeAngles } from "../src/models/rope.ts";
import { seeded } from "./random.ts";

/** Grouped queries, a head size of its own, a window shorter than the sequences, two layers. */
export function tinyConfig(options: MistralConfigOptions = {}): MistralConfig {
  return new MistralConfig({
    ...{ vocab_size: 11, hidden_size: 8, intermediate_size: 12, num_hidden_layers: 2 },
    ...{ num_attention_heads: 4, num_key_value_heads: 2, head_dim: 4, sliding_window: 3 },
    ...options,
  });
}

/** What steps of a model are recorded of, all its weights kept in one format. */
export const stepModel = (
  config: MistralConfig,
  dtype: DType = "f32",
  modelClass: ModelClass = "MistralForCausalLM",
): StepModel => ({ config, modelClass, leafOf: () => ({ kind: "weight", dtype }) });

/** What is recorded besides the decoder. */
export type PackedOptions = {
  /** May change how weights enter, as LoRA does. */
  readonly wrap?: (w: Weights, graph: Graph) => Weights;
  /** Default: the language model, and cross-entropy. */
  readonly modelClass?: ModelClass;
  readonly loss?: Loss;
};

/** The model over T packed rows, of which as many as T may be wanted. */
export function recordPacked(
  c: MistralConfig,
  T: number,
  {
    wrap = (w) => w,
    modelClass = "MistralForCausalLM",
    loss = { kind: "cross_entropy" },
  }: PackedOptions = {},
): { graph: Graph; logits: Tensor; losses: Tensor; weights: Map<string, Shape> } {
  const graph = new Graph();
  const w = wrap(
    plainWeights((name, ...shape) => graph.leaf(name, "weight", shape)),
    graph,
  );
  const input = (name: string, ...dims: Shape): Tensor =>
    graph.leaf(name, "input", [T, ...dims], "f32", "rows");
  const index = (name: string, live: "rows" | "wanted" = "rows"): Tensor =>
    graph.leaf(name, "input", [T], "i32", live);
  const rows = {
    cos: input("cos", c.head_dim / 2),
    sin: input("sin", c.head_dim / 2),
    want: index("want", "wanted"),
  };
  const attend = packedAttention(c, { seq: index("seq"), at: index("at") });
  const { last } = mistral(embedTokens(index("ids"), c, w), c, w, rows, attend);
  const logits = recordHead(last, modelClass, c, w);
  const losses = recordLosses(logits, loss);
  const leaves = [...graph.leaves.values()].filter((leaf) => leaf.kind === "weight");
  return { graph, logits, losses, weights: new Map(leaves.map((leaf) => [leaf.name, leaf.shape])) };
}

/** The inputs of whole sequences, packed one after the other; labels are the next ids, −100 at each end. */
export function packedInputs(
  c: MistralConfig,
  sequences: readonly (readonly number[])[],
): Record<string, Float64Array> {
  const at = sequences.flatMap((ids) => ids.map((_, column) => column));
  const { cos, sin } = ropeAngles(c, at);
  const numbers = {
    ...{ at, cos, sin, ids: sequences.flat(), want: at.map((_, row) => row) },
    seq: sequences.flatMap((ids, s) => ids.map(() => s)),
    labels: sequences.flatMap((ids) => [...ids.slice(1), -100]),
  };
  return Object.fromEntries(
    Object.entries(numbers).map(([name, values]) => [name, Float64Array.from(values)]),
  );
}

/** Seeded weights: norms around 1, everything else small. */
export function seededWeights(
  weights: ReadonlyMap<string, Shape>,
  seed: number,
): Record<string, Float64Array> {
  const random = seeded(seed);
  return Object.fromEntries(
    [...weights].map(([name, shape]) => {
      const numbers = random.numbers(elements(shape));
      return [
        name,
        shape.length === 1 ? numbers.map((x) => 1 + 0.3 * x) : numbers.map((x) => x / 2),
      ];
    }),
  );
}
