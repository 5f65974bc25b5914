// Choosing tokens with the op `sample`, on the device and spread over its threads: which calls can, what it is told of each row,
// and the plan for scores that the host has changed. The tokens are those of the processors and of sampler.ts, bit for bit.
// Knows no sequences, and not how a step is run.

import { Graph, type Tensor } from "../graph/graph.ts";
import { makePlan, type Plan } from "../graph/plan.ts";
import { crossEntropy } from "../ops/cross-entropy.ts";
import { DRAW, DRAWS, LOG_PROB, sample, SETTINGS } from "../ops/sample.ts";
import type { LogitsProcessor } from "./logits-processor.ts";
import {
  distributionProcessors,
  isSet,
  type ProcessorFields,
  type ProcessorSetting,
  tokenProcessors,
} from "./processors.ts";

/**
 * Who chooses a call's tokens.
 * device: `sample`, from the logits as the model gives them; the host need not read them
 * scores: `sample`, from scores that the host has changed (recordSample)
 * host: the processors and sampler.ts
 */
export type Chooser = "device" | "scores" | "host";

export type Choice = {
  readonly chooser: Chooser;
  /** What the host does with a row's scores: nothing, what comes before `sample`, or all. */
  readonly processors: readonly LogitsProcessor[];
  /** For `sample`. */
  readonly settings: RowSettings;
};

/** What `sample` is told of all rows of a call. */
export type RowSettings = {
  /** false: the best token; nothing else counts then */
  readonly draw: boolean;
  readonly temperature: number;
  /** 0: off */
  readonly topK: number;
  /** 1 − top_p; −1: off */
  readonly cut: number;
  /** 0: off */
  readonly minP: number;
};

/** What else it is told of one row. */
export type SampledRow = {
  readonly settings: RowSettings;
  /** The two words of the number to draw with: uniformWords. */
  readonly words: readonly [high: number, low: number];
  /** The log-probability of the token is wanted. */
  readonly logProb?: boolean;
};

/** What a call gives back besides tokens: whether the host must see each step's logits, or its scores after all processors. */
export type Kept = { readonly logits: boolean; readonly scores: boolean };

/** How the tokens of a call are chosen. @throws InputError for a value out of its range */
export function chooseBy(config: ProcessorFields, setting: ProcessorSetting, kept: Kept): Choice {
  const first = tokenProcessors(config, setting);
  const last = distributionProcessors(config);
  const settings = settingsOf(config);
  const host: Choice = { chooser: "host", processors: [...first, ...last], settings };
  if (kept.scores || !isKnownToSample(config)) return host;
  if (first.length === 0 && !kept.logits) return { chooser: "device", processors: [], settings };
  // To find the largest score costs the host no more than to hand the row over.
  return config.do_sample ? { chooser: "scores", processors: first, settings } : host;
}

/** Whether the processors of the distribution are those that `sample` does too. */
function isKnownToSample(config: ProcessorFields): boolean {
  const { eos_token_id, do_sample, temperature, top_k, top_p, min_p } = config;
  const known = { eos_token_id, do_sample, temperature, top_k, top_p, min_p };
  const isBeam = (config.num_beams ?? 1) > 1; // more than one token must stay
  return !isBeam && distributionProcessors(known).length === distributionProcessors(config).length;
}

function settingsOf(config: ProcessorFields): RowSettings {
  const { do_sample, temperature, top_k, top_p, min_p } = config;
  return {
    draw: do_sample ?? false,
    temperature: temperature ?? 1,
    topK: Math.min(top_k ?? 0, 2 ** 31 - 1),
    cut: isSet(top_p, 1) ? 1 - top_p : -1,
    minP: min_p ?? 0,
  };
}

/** The inputs of `sample`. */
export type SampleInputs = {
  /** [N, 3] */
  readonly sample_settings: Float32Array;
  /** [N, 4] */
  readonly sample_draws: Int32Array;
};

/** The inputs of `sample` for rows in their order; rows that it need not choose for are undefined, and cost little. */
export function sampleInputs(rows: readonly (SampledRow | undefined)[]): SampleInputs {
  const sample_settings = new Float32Array(rows.length * SETTINGS);
  const sample_draws = new Int32Array(rows.length * DRAWS);
  rows.forEach((row, n) => {
    if (row === undefined) return;
    const { draw, temperature, topK, cut, minP } = row.settings;
    const flags = (draw ? DRAW : 0) | (row.logProb ? LOG_PROB : 0);
    sample_settings.set([temperature, cut, minP], n * SETTINGS);
    sample_draws.set([flags, topK, ...row.words], n * DRAWS);
  });
  return { sample_settings, sample_draws };
}

/**
 * Records `sample` on scores [N, V], with the inputs of sampleInputs.
 * @param logits [N, V] of which the log-probabilities are; default: the scores themselves
 * @returns the tokens [N] i32, and their statuses [N] i32: where one is not 0, throw noTokenError of it; with `logProbs` also the
 *   negative log-probabilities [N] of the tokens, 0 where none is wanted
 */
export function recordChoice(scores: Tensor, logProbs: boolean, logits: Tensor = scores): Tensor[] {
  const { graph, live } = scores;
  const [N] = scores.shape;
  const { token, label, status } = sample(
    scores,
    graph.leaf("sample_settings", "input", [N, SETTINGS], "f32", live),
    graph.leaf("sample_draws", "input", [N, DRAWS], "i32", live),
  );
  return [token, status, ...(logProbs ? [crossEntropy(logits, label)] : [])];
}

/**
 * The plan that chooses from up to N rows of `scores` [N, V], an input beside those of sampleInputs. Its outputs are those of
 * recordChoice; log-probabilities are those under the input `logits` [N, V].
 */
export function recordSample(V: number, N: number, logProbs: boolean = false): Plan {
  const graph = new Graph();
  const input = (name: string): Tensor => graph.leaf(name, "input", [N, V], "f32", "rows");
  const logits = logProbs ? input("logits") : undefined;
  return makePlan(graph, recordChoice(input("scores"), logProbs, logits));
}
