// Records the plan of one step, from flat rows to the results that the caller wants. The same plan serves every backend.
// Knows the model and the names of its inputs; no weights' values, no batch, no sequence.

import { type DType, Graph, type LeafKind, type Shape, type Tensor } from "../graph/graph.ts";
import { makePlan, type Plan } from "../graph/plan.ts";
import {
  type Attend,
  cachedAttention,
  type CacheDType,
  cacheLeaves,
  type RowPlaces,
} from "../models/attend.ts";
import type { MistralConfig } from "../models/config.ts";
import { type ModelClass, recordHead } from "../models/heads.ts";
import { type Loss, recordLosses } from "../models/losses.ts";
import { embedTokens, mistral } from "../models/mistral.ts";
import { plainWeights } from "../models/weights.ts";
import { copyPages } from "../ops/copy-pages.ts";
import { recordChoice } from "./device-sampling.ts";

/** What a plan is recorded for. T, N, S: capacities in rows, wanted rows and sequences; P: page-table width. */
export type StepShape = {
  readonly T: number;
  readonly N: number;
  readonly S: number;
  readonly P: number;
  /** How the pools keep keys and values. Default f32. */
  readonly cache?: CacheDType;
  /** `embeds` [T, H] come instead of `ids` [T]. */
  readonly embeds: boolean;
  /** Columns of the probability matrices of eager attention; 0: flash attention. */
  readonly columns: number;
  /** Of eager attention: see EagerAttrs. Default 0. */
  readonly unmasked?: number;
  /** All rows belong to one call: see LeafOf. */
  readonly sharedOutliers?: boolean;
  readonly wants: Wants;
};

/** The model that steps are recorded for. */
export type StepModel = {
  readonly config: MistralConfig;
  readonly modelClass: ModelClass;
  readonly leafOf: LeafOf;
};

/**
 * What a tensor of the checkpoint is in the plan: a weight, or a state that ops write, as an optimiser does; and its dtype: how it
 * is kept, and by which compute path products with it run. `sharedOutliers`: rows of a step are those of one call, over which LLM.int8
 * chooses its outlier columns; else each row has its own, so that batch mates do not matter.
 */
export type LeafOf = (
  name: string,
  sharedOutliers?: boolean,
) => { readonly kind: Exclude<LeafKind, "input">; readonly dtype: DType };

export type Wants = {
  /** [N, K], K the width of the model's head */
  readonly logits?: boolean;
  /** [N, H], after the final norm */
  readonly last?: boolean;
  /** L × [T, H], what enters each layer */
  readonly hidden?: boolean;
  /** L × [T, Hq, columns]; needs `columns` */
  readonly attentions?: boolean;
  /** [N], or [B · K] of spans: losses of all wanted rows against the input `labels` */
  readonly losses?: Loss;
  /** Tokens [N] that `sample` chooses, and their statuses [N]; with `logProbs` the tokens' negative log-probabilities [N]. */
  readonly choice?: { readonly logProbs: boolean };
};

export type Recorded = {
  readonly plan: Plan;
  /** For each wanted result, its indices among the plan's outputs. */
  readonly at: Readonly<Record<keyof Wants, readonly number[]>>;
};

/** The plan of a step of that shape. */
export function recordStep(
  { config: c, modelClass, leafOf }: StepModel,
  shape: StepShape,
): Recorded {
  const graph = new Graph();
  const w = plainWeights((name, ...dims) => {
    const { kind, dtype } = leafOf(name, shape.sharedOutliers);
    return graph.leaf(name, kind, dims, dtype);
  });
  const input = (name: string, live: "rows" | "wanted", ...dims: Shape): Tensor =>
    graph.leaf(name, "input", [live === "rows" ? shape.T : shape.N, ...dims], "f32", live);
  const indices = (name: string, live: "rows" | "wanted"): Tensor =>
    graph.leaf(name, "input", [live === "rows" ? shape.T : shape.N], "i32", live);

  const x = shape.embeds
    ? input("embeds", "rows", c.hidden_size)
    : graph.region("embed", () => embedTokens(indices("ids", "rows"), c, w));
  const half = c.head_dim / 2;
  const rows = {
    cos: input("cos", "rows", half),
    sin: input("sin", "rows", half),
    want: indices("want", "wanted"),
  };
  const probabilities: Tensor[] = [];
  const attend = recordAttend(graph, c, shape, probabilities, (name) => indices(name, "rows"));

  const outputs: Tensor[] = [];
  const keep = (...tensors: Tensor[]): number[] => tensors.map((t) => outputs.push(t) - 1);
  const { wants } = shape;
  const at = graph.region("head", () => {
    const { hidden, last } = mistral(x, c, w, rows, attend);
    const needsHead = wants.logits || wants.choice !== undefined || wants.losses !== undefined;
    const logits = needsHead ? recordHead(last, modelClass, c, w) : undefined;
    return {
      logits: wants.logits && logits ? keep(logits) : [],
      last: wants.last ? keep(last) : [],
      hidden: wants.hidden ? keep(...hidden) : [],
      attentions: wants.attentions ? keep(...probabilities) : [],
      losses: wants.losses && logits ? keep(recordLosses(logits, wants.losses)) : [],
      choice: wants.choice && logits ? keep(...recordChoice(logits, wants.choice.logProbs)) : [],
    };
  });
  return { plan: makePlan(graph, outputs), at };
}

function recordAttend(
  graph: Graph,
  c: MistralConfig,
  { S, P, cache: dtype, columns, unmasked }: StepShape,
  probabilities: Tensor[],
  indices: (name: string) => Tensor,
): Attend {
  const table = graph.leaf("pages", "input", [S, P, 2], "i32");
  const places: RowPlaces = {
    seq: indices("seq"),
    at: indices("at"),
    slots: indices("slots"),
    pages: table,
  };
  const eager = columns > 0 ? { columns, unmasked, probabilities } : undefined;
  return cachedAttention(graph, c, places, { dtype, eager });
}

/** The plan that copies up to N pages in every layer: inputs `from` and `to` [N]. */
export function recordCopy(c: MistralConfig, cache: CacheDType, N: number): Plan {
  const graph = new Graph();
  const [from, to] = ["from", "to"].map((name) => graph.leaf(name, "input", [N], "i32", "rows"));
  for (let layer = 0; layer < c.num_hidden_layers; layer++) {
    const [K, V, KS, VS] = cacheLeaves(c, layer, cache).map(({ name, shape, dtype }) =>
      graph.leaf(name, "state", shape, dtype),
    );
    graph.region(`layers.${layer}`, () => {
      copyPages(K, V, from, to);
      if (KS !== undefined) copyPages(KS, VS, from, to);
    });
  }
  return makePlan(graph, []);
}
