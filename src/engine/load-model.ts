// Brings a model into a backend: opens its checkpoint, decides how each weight is kept, and loads the weights.
// Knows no calls and no cache.

import type { Backend } from "../backends/backend.ts";
import { openGgufWeights } from "../checkpoint/gguf-weights.ts";
import type { StoredWeight, WeightSource } from "../checkpoint/stored-weight.ts";
import { openWeights } from "../checkpoint/weight-source.ts";
import { CheckpointError } from "../errors.ts";
import { f32 } from "../formats/f32.ts";
import { findFormat } from "../formats/format.ts";
import type { LeafOf } from "../generate/record.ts";
import { Runner } from "../generate/runner.ts";
import type { DType } from "../graph/graph.ts";
import {
  checkWeights,
  expectedWeights,
  type LoadingInfo,
  matchWeights,
  partOfModel,
  type WeightMatch,
} from "../models/config-weights.ts";
import { MistralConfig } from "../models/config.ts";
import { headOf, type ModelClass } from "../models/heads.ts";
import { keptAs } from "./kept-formats.ts";
import { type LoadHooks, loadWeights } from "./load.ts";
import type { LoadReport, ModelSource } from "./messages.ts";
import { nothing, withNewWeights } from "./new-weights.ts";
import { roundedTo } from "./rounded-weight.ts";
import { ignoredOptions } from "./ignored-options.ts";

export type LoadedModel = {
  readonly runner: Runner;
  /** Whether a forward call's results depend on which rows run in one step: LLM.int8 chooses outlier columns over all rows of a step. */
  readonly rowsDependOnStep: boolean;
  readonly report: LoadReport;
};

/**
 * Loads the model that `model` names into the backend.
 * @param weightsAreThere the backend took over the memory of a worker that died, with all weights in it
 * @throws CheckpointError, MemoryError; nothing stays allocated
 */
export async function loadModel(
  model: ModelSource,
  backend: Backend,
  weightsAreThere: boolean,
  hooks: LoadHooks,
): Promise<LoadedModel> {
  const { modelClass } = model;
  const config = new MistralConfig(model.config);
  const opened = await openSource(model, partOfModel(config, modelClass));
  try {
    const { source, drawn, mismatched } = complete(config, opened, model);
    const found = checkWeights(config, source, modelClass);
    const match = await untie(config, source, found, modelClass);
    const stored = (leaf: string): StoredWeight =>
      roundedTo(model.dtype, storedWeight(source, match, leaf));
    const dtypeOf = (leaf: string, sharedOutliers?: boolean): DType =>
      keptAs(leaf, stored(leaf), model, sharedOutliers);
    const leafOf: LeafOf = (leaf, sharedOutliers) => ({
      kind: "weight",
      dtype: dtypeOf(leaf, sharedOutliers),
    });
    const runner = new Runner({ config, modelClass, leafOf }, backend, model.cacheDtype);
    const hasHead = headOf(modelClass, config) !== undefined;
    const leaves = runner.weightLeaves(hasHead ? { logits: true } : { last: true });
    const nonFinite = weightsAreThere
      ? []
      : await loadWeights(backend, leaves, stored, hooks, model.disableMmap);
    const dtype = findFormat(dtypeOf("model.norm.weight"))?.torch ?? "float32";
    const notes = ignoredOptions(model, leaves, stored, dtypeOf);
    const rowsDependOnStep = leaves.some(({ name }) => dtypeOf(name, true).endsWith(":call"));
    const info = {
      ...match.info,
      missing_keys: drawn.filter((name) => !mismatched.some(({ key }) => key === name)),
      mismatched_keys: mismatched,
    };
    const weights = leaves.map(({ name, shape, dtype: kept }) => ({ name, shape, dtype: kept }));
    const report = { info, drawn, nonFinite, dtype, notes, weights };
    return { runner, rowsDependOnStep, report };
  } finally {
    await opened.close();
  }
}

/** Heads that are trained on a language model's decoder: a checkpoint of the decoder, or with another head, lacks them. */
const TRAINED_HEAD = /^(score|qa_outputs)\./;

/**
 * The source with new weights for what it may lack: everything in a new model, else the head of a classifier or question answerer;
 * and for weights of other shapes where the caller allows it.
 */
function complete(
  config: MistralConfig,
  source: WeightSource,
  model: ModelSource,
): { source: WeightSource; drawn: string[]; mismatched: LoadingInfo["mismatched_keys"] } {
  const { isNew = false, seed = 0, dtype, modelClass, ignoreMismatchedSizes } = model;
  const { info, names } = matchWeights(config, source, modelClass);
  const mismatched = ignoreMismatchedSizes ? info.mismatched_keys : [];
  const missing = info.missing_keys.filter((name) => isNew || TRAINED_HEAD.test(name));
  const drawn = [...missing, ...mismatched.map(({ key }) => key)];
  if (drawn.length === 0) return { source, drawn, mismatched };
  const norm = source.tensors.get(names.get("model.norm.weight") ?? "");
  const kept = isNew && dtype !== "auto" ? dtype : (norm?.dtype ?? config.dtype ?? "float32");
  const format = findFormat(kept) ?? f32;
  const shapes = expectedWeights(config, modelClass);
  const wanted = new Map([...shapes].filter(([name]) => drawn.includes(name)));
  return { source: withNewWeights(source, wanted, { seed, config, format }), drawn, mismatched };
}

/** Corrects the config of a model that claims to be tied, though its file holds two different matrices; as Transformers does. */
export async function untie(
  config: MistralConfig,
  source: WeightSource,
  match: WeightMatch,
  modelClass: ModelClass,
): Promise<WeightMatch> {
  if (!match.bothTiedStored) return match;
  const embedding = storedWeight(source, match, "model.embed_tokens.weight");
  const head = storedWeight(source, match, "lm_head.weight");
  const [rows, columns] = embedding.shape;
  const step = Math.max(1, Math.floor(2 ** 22 / columns));
  for (let from = 0; from < rows; from += step) {
    const to = Math.min(from + step, rows);
    const [a, b] = [embedding, head].map(() => new Float32Array((to - from) * columns));
    await embedding.readRows(from, to, a);
    await head.readRows(from, to, b);
    if (a.every((value, i) => Object.is(value, b[i]))) continue;
    config.tie_word_embeddings = false;
    return checkWeights(config, source, modelClass);
  }
  return match;
}

/** The weights of a model's folder, or of its GGUF file. */
async function openSource(
  { dir, isNew = false, subfolder, variant, ggufFile, config }: ModelSource,
  isNeeded: (name: string) => boolean,
): Promise<WeightSource> {
  if (isNew) return nothing;
  if (ggufFile !== undefined) return openGgufWeights(ggufFile);
  return openWeights(dir, { subfolder, variant, isNeeded }, config);
}

export function storedWeight(
  { dir, weights }: WeightSource,
  match: WeightMatch,
  leaf: string,
): StoredWeight {
  const stored = weights.get(match.names.get(leaf) ?? leaf);
  if (stored === undefined) throw new CheckpointError(`${dir}: tensor ${leaf} is missing`);
  return stored;
}
