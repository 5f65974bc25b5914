// The composition root: makes a loaded model from a folder and options. The only file that chooses a backend and its threads.
// Does not know how a model computes.

import { defaultThreads, enableRevectorize } from "../backends/wasm/features.ts";
import { InputError } from "../errors.ts";
import type { ModelSource } from "../engine/messages.ts";
import { Engine } from "../engine/supervisor.ts";
import { checkConfig } from "../models/config-check.ts";
import type { LoadingInfo } from "../models/config-weights.ts";
import { AutoConfig, GenerationConfig } from "./auto-config.ts";
import { addressSpace, env } from "./env.ts";
import { ggufPath } from "./gguf-file.ts";
import { checkLoadOptions, choose, type LoadOptions } from "./load-options.ts";
import { type Loaded, MistralForCausalLM, MistralModel } from "./model.ts";

/** What from_pretrained returns with `output_loading_info`. */
export type WithLoadingInfo<Model> = { model: Model; loading_info: LoadingInfo };

type FromPretrained<Model> = {
  /**
   * Loads a model from a local folder with config.json and safetensors, or from a GGUF file.
   *
   * @param dir the folder as it was published, or the path of a GGUF file
   * @throws InputError      an unknown option or value
   * @throws CheckpointError a file is missing, malformed, or does not fit the config; nothing has been allocated
   * @throws MemoryError     the weights do not fit (with the arithmetic); nothing has been allocated
   */
  from_pretrained(
    dir: string,
    options: LoadOptions & { output_loading_info: true },
  ): Promise<WithLoadingInfo<Model>>;
  from_pretrained(dir: string, options?: LoadOptions): Promise<Model>;
};

/** The language model of a folder. */
export const AutoModelForCausalLM: FromPretrained<MistralForCausalLM> = loader(
  "AutoModelForCausalLM",
  "MistralForCausalLM",
  (loaded) => new MistralForCausalLM(loaded),
);

/** The decoder of a folder, without a head. */
export const AutoModel: FromPretrained<MistralModel> = loader(
  "AutoModel",
  "MistralModel",
  (loaded) => new MistralModel(loaded),
);

function loader<Model>(
  name: string,
  modelClass: ModelSource["modelClass"],
  make: (loaded: Loaded) => Model,
): FromPretrained<Model> {
  const where = `${name}.from_pretrained`;
  async function from_pretrained(
    dir: string,
    options: LoadOptions = {},
  ): Promise<Model & WithLoadingInfo<Model>> {
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
        ...{ dir, subfolder, variant, ggufFile, config: config.to_dict(), ...how, modelClass },
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
    const model = make({
      ...{ engine, config, generation_config, attention: how.attention },
      device: backend === "wasm" ? "cpu" : backend,
      dtype: report.dtype,
    });
    const result = options.output_loading_info ? { model, loading_info: report.info } : model;
    return result as Model & WithLoadingInfo<Model>;
  }
  return { from_pretrained };
}

function warnOfNonFinite(dir: string, tensors: readonly string[]): void {
  if (tensors.length === 0) return;
  const more = tensors.length > 1 ? ` and ${tensors.length - 1} more` : "";
  console.warn(
    `${dir}: ${tensors[0]}${more} hold NaN or Inf: what the model computes from them will not be numbers. ` +
      "The file is damaged, or training went wrong; generation will refuse to go on",
  );
}
