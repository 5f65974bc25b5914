// save_pretrained of models: the weights as the engine keeps them, in safetensors files, with the settings beside them. Reads one weight
// after the other, so that memory holds one. Files get their names in the folder when all of them are complete: after an error, or when
// stopped, the folder is as before. Does not know how a weight came to be as it is.

import {
  exists,
  isDirectory,
  joinPath,
  makeFolder,
  processId,
  removeFolder,
  writeText,
} from "#platform";
import { checkDiskRoom } from "../../checkpoint/disk-room.ts";
import {
  canBeSaved,
  plannedTensors,
  shapesLast,
} from "../../checkpoint/quantized/planned-tensors.ts";
import {
  planShards,
  saveSafetensors,
  shardIndex,
  type TensorToSave,
} from "../../checkpoint/save-safetensors.ts";
import { checkOptions } from "../../did-you-mean.ts";
import type { KeptWeight } from "../../engine/messages.ts";
import type { Engine } from "../../engine/supervisor.ts";
import { InputError } from "../../errors.ts";
import { findFormat } from "../../formats/format.ts";
import type { NumberFormat } from "../../formats/number-format.ts";
import { weightDType } from "../../formats/registry.ts";
import { matrixShape, type Parts } from "../../formats/weight-format.ts";
import type { GenerationConfig } from "../../generate/generation-config.ts";
import { MistralConfig } from "../../models/config.ts";
import { headOf, type ModelClass } from "../../models/heads.ts";
import { replaceFiles } from "./replace-files.ts";

export type SaveOptions = {
  /** The most bytes of a weights file, as a number or as "5GB", "500MB"; a larger weight gets a file of its own. Default "50GB". */
  max_shard_size?: number | string;
  /** The middle of the weights' file names: "fp16" means model.fp16.safetensors. */
  variant?: string;
  /** Only `true`, the default: weights are never written as a pickle. */
  safe_serialization?: boolean;
  /** Only `false`, the default: nothing is uploaded. */
  push_to_hub?: boolean;
  /** Stops; the promise rejects with the signal's reason, and the folder is as before. */
  signal?: AbortSignal;
  /** Called as weights are written. */
  onProgress?: (progress: SaveProgress) => void;
};

export type SaveProgress = {
  /** Bytes of weights that have been written. */
  readonly saved: number;
  /** Bytes of all of them. */
  readonly total: number;
};

/** For the library: what saving needs to know of a model's weights. */
export type KeptWeights = {
  readonly weights: readonly KeptWeight[];
  /** `quantization_config` of the checkpoint, or the one that quantised the weights while they were loaded. */
  readonly settings?: Record<string, unknown>;
  readonly isGguf: boolean;
};

type Model = KeptWeights & {
  readonly engine: Engine;
  readonly config: MistralConfig;
  readonly generation_config: GenerationConfig;
  readonly dtype: string;
  readonly modelClass: ModelClass;
};

const OPTIONS: ReadonlySet<string> = new Set<keyof SaveOptions>([
  "max_shard_size",
  "variant",
  "safe_serialization",
  "push_to_hub",
  "signal",
  "onProgress",
]);

/** Why nothing is uploaded, and what to do instead. */
export const NO_UPLOAD =
  "models are not uploaded from here; write the folder with save_pretrained, then upload it with `hf upload`";

/** Writes a model into a folder; `PreTrainedModel.save_pretrained` describes it. @param where the function that was called, for messages */
export async function saveModel(
  where: string,
  model: Model,
  dir: string,
  options: SaveOptions,
): Promise<void> {
  const { variant, signal, onProgress } = options;
  const maxBytes = checkSaveOptions(where, options);
  await checkFolder(where, dir);
  const reader = new WeightReader(model.engine, signal);
  const tensors = shapesLast(model.weights.flatMap((w) => tensorsOf(where, model, w, reader)));
  const shards = planShards(tensors, maxBytes, variant);
  const total = shards.reduce((sum, { bytes }) => sum + bytes, 0);
  signal?.throwIfAborted();

  const isThere = await exists(dir);
  await makeFolder(dir);
  const partial = joinPath(dir, `saving.${processId()}.partial`);
  try {
    await checkDiskRoom(`${where}: the weights`, dir, total);
    await removeFolder(partial); // left by a killed process that had the same id
    await makeFolder(partial);
    let before = 0;
    for (const shard of shards) {
      await saveSafetensors(joinPath(partial, shard.file), shard.tensors, {
        alignment: 64,
        onProgress: (done) => {
          signal?.throwIfAborted();
          onProgress?.({ saved: before + done, total });
        },
      });
      before += shard.bytes;
    }
    if (shards.length > 1)
      await writeText(joinPath(partial, indexName(variant)), shardIndex(shards));
    await writeText(joinPath(partial, "config.json"), configText(model));
    if (model.modelClass === "MistralForCausalLM") {
      const text = model.generation_config.to_json_string();
      await writeText(joinPath(partial, "generation_config.json"), text);
    }
    signal?.throwIfAborted();
  } catch (error) {
    await removeFolder(isThere ? partial : dir);
    throw error;
  }
  await replaceFiles(dir, partial, (file) => isWeightsFile(file, variant));
}

/** The bytes of weights, from the engine; the last weight is kept, since it may be several tensors. */
class WeightReader {
  readonly #engine: Engine;
  readonly #signal: AbortSignal | undefined;
  #last: { readonly name: string; readonly parts: Parts } | undefined;

  constructor(engine: Engine, signal: AbortSignal | undefined) {
    this.#engine = engine;
    this.#signal = signal;
  }

  async parts(name: string): Promise<Parts> {
    if (this.#last?.name !== name) {
      this.#last = undefined; // let it go before the next one comes
      const { parts } = await this.#engine.call("weight", { name }, { signal: this.#signal });
      this.#last = { name, parts };
    }
    return this.#last.parts;
  }
}

/** The tensors in which a weight is saved. @throws InputError its format is only read */
function tensorsOf(
  where: string,
  { modelClass, dtype, isGguf, settings }: Model,
  { name: leaf, shape, dtype: kept }: KeptWeight,
  reader: WeightReader,
): TensorToSave[] {
  // Transformers saves the bare decoder without the prefix that models with a head give it.
  const name = modelClass === "MistralModel" ? leaf.replace(/^model\./, "") : leaf;
  const { format } = weightDType(kept);
  const plain = findFormat(format.name);
  if (plain !== undefined) {
    const data = async function* (): AsyncGenerator<Uint8Array> {
      yield (await reader.parts(leaf))[0];
    };
    return [{ name, dtype: plain.safetensors, shape, data }];
  }
  if (isGguf) {
    const as = findFormat(dtype) ?? findFormat("float32");
    if (as !== undefined) {
      const data = (): AsyncGenerator<Uint8Array> => dequantised(reader, leaf, shape, kept, as);
      return [{ name, dtype: as.safetensors, shape, data }];
    }
  }
  const method = settings?.quant_method ?? "bitsandbytes";
  const isOurs = typeof method === "string" && /^(bitsandbytes|mistral_)/.test(method);
  if (!isOurs || !canBeSaved(format)) {
    throw new InputError(
      `${where}: the weights are quantised by a method (${JSON.stringify(method)}, ${format.name}) whose files are read here but not written; copy the folder that the model was loaded from`,
    );
  }
  return plannedTensors(name, format, shape, dtype).map(({ bytes, ...tensor }) => ({
    ...tensor,
    async *data() {
      yield bytes(await reader.parts(leaf));
    },
  }));
}

/** How many numbers are dequantised at once: 4 Mi. */
const PIECE = 1 << 22;

async function* dequantised(
  reader: WeightReader,
  name: string,
  shape: readonly number[],
  dtype: string,
  as: NumberFormat,
): AsyncGenerator<Uint8Array> {
  const { format } = weightDType(dtype);
  const matrix = matrixShape(shape);
  const parts = await reader.parts(name);
  const step = Math.max(1, Math.floor(PIECE / matrix.columns));
  for (let from = 0; from < matrix.rows; from += step) {
    const to = Math.min(from + step, matrix.rows);
    const numbers = new Float32Array((to - from) * matrix.columns);
    format.unpack(parts, matrix, from, to, numbers);
    const bytes = new Uint8Array(as.bytes(numbers.length));
    as.pack(numbers, bytes);
    yield bytes;
  }
}

/** config.json: the model's class and dtype, and how its weights are quantised, if they are. */
function configText({ config, modelClass, dtype, settings, weights, isGguf }: Model): string {
  const { quantization_config: _, ...fields } = config.to_dict();
  const isUntied = weights.some(({ name }) => name === "lm_head.weight");
  const isPacked = weights.some((w) => findFormat(weightDType(w.dtype).format.name) === undefined);
  return new MistralConfig({
    ...fields,
    ...{ architectures: [modelClass], dtype },
    ...(isUntied && { tie_word_embeddings: false }),
    ...(isPacked &&
      !isGguf && { quantization_config: withPlainHead(settings, config, modelClass) }),
  }).to_json_string();
}

/** Transformers would take the head of some classes for quantised unless the settings say that it is not. */
function withPlainHead(
  settings: Model["settings"],
  config: MistralConfig,
  modelClass: ModelClass,
): Model["settings"] {
  const { module } = headOf(modelClass, config) ?? {};
  const isGiven = (settings?.llm_int8_skip_modules ?? null) !== null;
  if (module === undefined || !/^(score|qa_outputs)$/.test(module) || isGiven) return settings;
  return settings?.load_in_4bit || settings?.load_in_8bit
    ? { ...settings, llm_int8_skip_modules: [module] }
    : settings;
}

const indexName = (variant?: string): string =>
  variant === undefined
    ? "model.safetensors.index.json"
    : `model.safetensors.index.${variant}.json`;

/** Whether a file holds weights of an earlier save. */
function isWeightsFile(file: string, variant?: string): boolean {
  const stem = variant === undefined ? "model" : `model.${variant}`;
  return (
    file === indexName(variant) ||
    file === `${stem}.safetensors` ||
    (file.startsWith(`${stem}-`) && /^-\d{5}-of-\d{5}\.safetensors$/.test(file.slice(stem.length)))
  );
}

/** Checks the options. @returns the most bytes of a file @throws InputError */
function checkSaveOptions(where: string, options: SaveOptions): number {
  checkOptions(where, options, OPTIONS);
  const { max_shard_size = "50GB", variant, safe_serialization = true, push_to_hub } = options;
  if (push_to_hub) throw new InputError(`${where}: push_to_hub: ${NO_UPLOAD}`);
  if (!safe_serialization) {
    throw new InputError(
      `${where}: safe_serialization: false asks for a pickle, which can run any code when it is loaded; weights are written as safetensors`,
    );
  }
  if (variant !== undefined && !/^[\w-]+(\.[\w-]+)*$/.test(variant)) {
    throw new InputError(
      `${where}: variant: ${JSON.stringify(variant)}: expected the middle of a file's name, such as "fp16"`,
    );
  }
  return readSize(where, max_shard_size);
}

const UNITS: Readonly<Record<string, number>> = {
  ...{ B: 1, KB: 1e3, MB: 1e6, GB: 1e9, TB: 1e12 },
  ...{ KIB: 2 ** 10, MIB: 2 ** 20, GIB: 2 ** 30, TIB: 2 ** 40 },
};

function readSize(where: string, size: number | string): number {
  const [, count, unit] = /^([0-9.]+) *([A-Z]+)$/i.exec(String(size)) ?? [];
  const bytes = typeof size === "number" ? size : Number(count) * UNITS[unit?.toUpperCase()];
  if (bytes > 0) return bytes;
  throw new InputError(
    `${where}: max_shard_size: ${JSON.stringify(size)}: expected a number of bytes, or a text such as "5GB"`,
  );
}

/** @throws InputError no path, or that of a file */
async function checkFolder(where: string, dir: string): Promise<void> {
  if (typeof dir !== "string" || dir === "")
    throw new InputError(`${where}: ${JSON.stringify(dir)} is no path of a folder`);
  if ((await exists(dir)) && !(await isDirectory(dir)))
    throw new InputError(`${where}: ${dir} is a file; give the path of a folder`);
}
