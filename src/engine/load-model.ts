// Brings a model into a backend: opens its checkpoint, decides how each weight is kept, and loads the weights.
// Knows no calls and no cache.

import type { Backend } from "../backends/backend.ts";
import { openGgufWeights } from "../checkpoint/gguf-weights.ts";
import type { StoredWeight, WeightSource } from "../checkpoint/stored-weight.ts";
import { openWeights } from "../checkpoint/weight-source.ts";
import { CheckpointError } from "../errors.ts";
import { findFormat } from "../formats/format.ts";
import type { LeafOf } from "../generate/record.ts";
import { Runner } from "../generate/runner.ts";
import type { DType } from "../graph/graph.ts";
import { checkWeights, type WeightMatch } from "../models/config-weights.ts";
import { MistralConfig } from "../models/config.ts";
import { headOf, type ModelClass } from "../models/heads.ts";
import { keptAs } from "./kept-formats.ts";
import { type LoadProgress, loadWeights } from "./load.ts";
import type { LoadReport, ModelSource } from "./messages.ts";
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
  onProgress: (progress: LoadProgress) => void,
): Promise<LoadedModel> {
  const { modelClass } = model;
  const config = new MistralConfig(model.config);
  const source = await openSource(model);
  try {
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
      : await loadWeights(backend, leaves, stored, onProgress, model.disableMmap);
    const dtype = findFormat(dtypeOf("model.norm.weight"))?.torch ?? "float32";
    const notes = ignoredOptions(model, leaves, stored, dtypeOf);
    const rowsDependOnStep = leaves.some(({ name }) => dtypeOf(name, true).endsWith(":call"));
    return { runner, rowsDependOnStep, report: { info: match.info, nonFinite, dtype, notes } };
  } finally {
    await source.close();
  }
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
function openSource({
  dir,
  subfolder,
  variant,
  ggufFile,
  config,
}: ModelSource): Promise<WeightSource> {
  if (ggufFile !== undefined) return openGgufWeights(ggufFile);
  return openWeights(dir, { subfolder, variant }, config);
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
