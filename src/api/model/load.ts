// Loads a model: from a name and options to an engine, and the object of a model class around it. The only file that chooses a
// backend and its threads. Does not know how a model computes, nor which model classes there are.

import { defaultThreads, enableRevectorize } from "../../backends/wasm/features.ts";
import type { LoadReport, ModelSource } from "../../engine/messages.ts";
import { Engine } from "../../engine/supervisor.ts";
import type { GenerationConfig as GenerationSettings } from "../../generate/generation-config.ts";
import { checkConfig } from "../../models/config-check.ts";
import type { LoadingInfo } from "../../models/config-weights.ts";
import type { MistralConfig } from "../../models/config.ts";
import type { ModelClass } from "../../models/heads.ts";
import { configOf, GenerationConfig, generationConfigOf } from "../auto-config.ts";
import { addressSpace, allowsMachineCode, env } from "../env.ts";
import type { KeptWeights } from "./save-model.ts";
import {
  checkLoadOptions,
  checkNewModelOptions,
  choose,
  type LoadOptions,
  type NewModelOptions,
  overridesOf,
} from "./load-options.ts";
import { locateModel } from "../model-files.ts";

/** What from_pretrained returns with `output_loading_info`. */
export type WithLoadingInfo<Model> = { model: Model; loading_info: LoadingInfo };

/** For the library: what a model object is made from. */
export type Loaded = {
  engine: Engine;
  config: MistralConfig;
  generation_config: GenerationSettings;
  device: "cpu" | "reference";
  dtype: string;
  attention: "flash" | "eager";
  kept: KeptWeights;
};

/** For the library: a model class. */
export type ModelConstructor<Model> = {
  new (loaded: Loaded): Model;
  readonly modelClass: ModelClass;
};

/**
 * from_pretrained of a model class; `PreTrainedModel.from_pretrained` describes it.
 * @param where the function that the user called, for messages
 * @param name  a folder, the path of a GGUF file, or the id of a model on the hub
 */
export async function loadModel<Model>(
  where: string,
  Class: ModelConstructor<Model>,
  name: string,
  options: LoadOptions,
): Promise<Model | WithLoadingInfo<Model>> {
  checkLoadOptions(where, options);
  const overrides = overridesOf(where, options);
  const files = await locateModel(where, name, options, ["config", "generation", "weights"]);
  const config = options.config ?? (await configOf(files, name, overrides));
  const generation_config = options.generation_config ?? (await generationConfigOf(files));
  const source = {
    dir: files.dir,
    subfolder: options.subfolder ?? undefined,
    variant: options.variant ?? undefined,
    ggufFile: files.gguf,
  };
  const { model, report } = await start(where, Class, source, config, generation_config, options);
  warnOfNonFinite(name, report.nonFinite);
  if (report.drawn.length > 0) {
    console.warn(
      `${name}: ${report.drawn.join(", ")} of ${Class.modelClass} ${report.drawn.length > 1 ? "are" : "is"} not in the checkpoint: ` +
        "new random weights took the place, and what the model says means nothing until they are trained",
    );
  }
  for (const note of report.notes) console.warn(`${name}: ${note}`);
  return options.output_loading_info ? { model, loading_info: report.info } : model;
}

/**
 * from_config of a model class; `PreTrainedModel.from_config` describes it.
 * @param where the function that the user called, for messages
 */
export async function newModel<Model>(
  where: string,
  Class: ModelConstructor<Model>,
  config: MistralConfig,
  options: NewModelOptions,
): Promise<Model> {
  checkNewModelOptions(where, config, options);
  const generation_config =
    options.generation_config ?? GenerationConfig.fromFile(where, config.to_dict(), "config");
  const source = { dir: "", isNew: true };
  return (await start(where, Class, source, config, generation_config, options)).model;
}

/** Starts an engine on a checkpoint, or on new weights, and makes the model object. */
async function start<Model>(
  where: string,
  Class: ModelConstructor<Model>,
  source: Pick<ModelSource, "dir" | "isNew" | "subfolder" | "variant" | "ggufFile">,
  config: MistralConfig,
  generation_config: GenerationSettings,
  options: LoadOptions,
): Promise<{ model: Model; report: LoadReport }> {
  const { memoryLimit, signal, onProgress, seed } = options;
  checkConfig(config);
  const { backend, settings, ...how } = choose(where, options, config);
  const { engine, report } = await Engine.start(
    {
      ...{ ...source, config: config.to_dict(), ...how, modelClass: Class.modelClass, seed },
      disableMmap: options.disable_mmap,
      ignoreMismatchedSizes: options.ignore_mismatched_sizes,
    },
    {
      name: backend,
      threads: options.threads ?? env.wasm.threads ?? defaultThreads(),
      memoryLimit,
      addressSpace: addressSpace(),
      wideVectors: env.wasm.revectorize && enableRevectorize(),
      native: allowsMachineCode(),
    },
    { signal, onProgress },
  );
  const model = new Class({
    ...{ engine, config, generation_config, attention: how.attention },
    device: backend === "wasm" ? "cpu" : backend,
    dtype: report.dtype,
    kept: {
      weights: report.weights,
      // What the checkpoint says of its weights comes first: they stay quantised as they are.
      settings: (source.isNew ? undefined : storedSettings(config)) ?? settings,
      isGguf: source.ggufFile !== undefined,
    },
  });
  return { model, report };
}

function storedSettings(config: MistralConfig): Record<string, unknown> | undefined {
  const settings = config.to_dict().quantization_config;
  return typeof settings === "object" && settings !== null
    ? (settings as Record<string, unknown>)
    : undefined;
}

function warnOfNonFinite(name: string, tensors: readonly string[]): void {
  if (tensors.length === 0) return;
  const more = tensors.length > 1 ? ` and ${tensors.length - 1} more` : "";
  console.warn(
    `${name}: ${tensors[0]}${more} hold NaN or Inf: what the model computes from them will not be numbers. ` +
      "The file is damaged, or training went wrong; generation will refuse to go on",
  );
}
