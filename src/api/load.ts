// Loads a model: from a folder and options to an engine, and the object of a model class around it. The only file that chooses a
// backend and its threads. Does not know how a model computes, nor which model classes there are.

import { defaultThreads, enableRevectorize } from "../backends/wasm/features.ts";
import { InputError } from "../errors.ts";
import { Engine } from "../engine/supervisor.ts";
import type { GenerationConfig as GenerationSettings } from "../generate/generation-config.ts";
import { checkConfig } from "../models/config-check.ts";
import type { LoadingInfo } from "../models/config-weights.ts";
import type { MistralConfig } from "../models/config.ts";
import type { ModelClass } from "../models/heads.ts";
import { AutoConfig, GenerationConfig } from "./auto-config.ts";
import { addressSpace, env } from "./env.ts";
import { ggufPath } from "./gguf-file.ts";
import { checkLoadOptions, choose, type LoadOptions } from "./load-options.ts";

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
};

/** For the library: a model class. */
export type ModelConstructor<Model> = {
  new (loaded: Loaded): Model;
  readonly modelClass: ModelClass;
};

/**
 * from_pretrained of a model class; `PreTrainedModel.from_pretrained` describes it.
 * @param where the function that the user called, for messages
 */
export async function loadModel<Model>(
  where: string,
  Class: ModelConstructor<Model>,
  dir: string,
  options: LoadOptions,
): Promise<Model | WithLoadingInfo<Model>> {
  if (typeof dir !== "string" || dir === "") {
    throw new InputError(
      `${where}: got ${JSON.stringify(dir)}; expected the path of a model's folder`,
    );
  }
  checkLoadOptions(where, options);
  const { subfolder, variant, gguf_file, memoryLimit, signal, onProgress } = options;
  const ggufFile = await ggufPath(where, dir, options);
  const files = { subfolder, gguf_file };
  const config = options.config ?? (await AutoConfig.from_pretrained(dir, files));
  checkConfig(config);
  const generation_config =
    options.generation_config ?? (await GenerationConfig.ofModel(dir, files));
  const chosen = choose(where, options, config);
  const { backend, ...how } = chosen;
  const { engine, report } = await Engine.start(
    {
      ...{
        dir,
        subfolder,
        variant,
        ggufFile,
        config: config.to_dict(),
        ...how,
        modelClass: Class.modelClass,
      },
      disableMmap: options.disable_mmap,
    },
    {
      name: backend,
      threads: options.threads ?? env.wasm.threads ?? defaultThreads(),
      memoryLimit,
      addressSpace: addressSpace(),
      wideVectors: env.wasm.revectorize && enableRevectorize(),
    },
    { signal, onProgress },
  );
  warnOfNonFinite(dir, report.nonFinite);
  for (const note of report.notes) console.warn(`${dir}: ${note}`);
  const model = new Class({
    ...{ engine, config, generation_config, attention: how.attention },
    device: backend === "wasm" ? "cpu" : backend,
    dtype: report.dtype,
  });
  return options.output_loading_info ? { model, loading_info: report.info } : model;
}

function warnOfNonFinite(dir: string, tensors: readonly string[]): void {
  if (tensors.length === 0) return;
  const more = tensors.length > 1 ? ` and ${tensors.length - 1} more` : "";
  console.warn(
    `${dir}: ${tensors[0]}${more} hold NaN or Inf: what the model computes from them will not be numbers. ` +
      "The file is damaged, or training went wrong; generation will refuse to go on",
  );
}
