// Makes a quantised checkpoint from one on the disk: checks what is asked, lets a worker write the weights, and adds the other files.
// The new folder gets its name only when it is complete; after an error, or when stopped, nothing of it stays. Does not decide
// which weight gets which format: engine/kept-formats.ts does, as in loading.

import {
  copyFile,
  exists,
  isDirectory,
  joinPath,
  listFiles,
  listFolder,
  makeFolder,
  processId,
  realPath,
  removeFolder,
  replaceFolder,
  writeText,
} from "#platform";
import { defaultThreads, enableRevectorize } from "../../backends/wasm/features.ts";
import { readModelConfig } from "../../checkpoint/model-config.ts";
import { findQuantizationSettings } from "../../checkpoint/quantized/packed-settings.ts";
import { checkOptions } from "../../did-you-mean.ts";
import type { BackendChoice } from "../../engine/messages.ts";
import { quantizeInWorker } from "../../engine/quantize-in-worker.ts";
import { InputError } from "../../errors.ts";
import type { DownloadProgress } from "../../hub/meter.ts";
import { checkConfig } from "../../models/config-check.ts";
import { type MistralConfig, pythonFloats } from "../../models/config.ts";
import { type ModelClass, modelClasses } from "../../models/heads.ts";
import { configOf } from "../auto-config.ts";
import { addressSpace, env } from "../env.ts";
import { locateModel } from "../model-files.ts";
import { methodConfig, type QuantizationMethod } from "./quantization-methods.ts";
import { type QuantizationPlan, planQuantization } from "./quantization.ts";

export type QuantizeOptions = {
  /** "nf4", "nf4-dq", "fp4", "fp4-dq", "int8" (bitsandbytes), or our own "q4", "q8". */
  method: QuantizationMethod;
  /**
   * Whether to replace `out` if it exists. Default false: an InputError. A folder that holds anything but the files of a checkpoint is
   * never replaced, since all of it would be lost.
   */
  force?: boolean;
  /** The most bytes of a weights file (a larger weight gets a file of its own). Default 5 GB, as in Transformers. */
  max_shard_size?: number;
  /** Stops; the promise rejects with the signal's reason, and nothing stays on the disk. */
  signal?: AbortSignal;
  /** Called while files are fetched from the hub (then `progress` has `file`), and while weights are read (then it has `tensor`). */
  onProgress?: (progress: QuantizeProgress | DownloadProgress) => void;
};

export type QuantizeProgress = {
  /** Bytes of the source's weights that have been read. */
  readonly loaded: number;
  /** Bytes of all of them. */
  readonly total: number;
  /** The weight that is being read; "" at the end. */
  readonly tensor: string;
};

/** What was written. */
export type Quantized = {
  /** The new folder. */
  path: string;
  /** Bytes of the source's weights. */
  source_bytes: number;
  /** Bytes of the new files of weights. */
  bytes: number;
  /** Names of the files of weights. */
  files: string[];
};

const OPTIONS: ReadonlySet<string> = new Set<keyof QuantizeOptions>([
  "method",
  "force",
  "max_shard_size",
  "signal",
  "onProgress",
]);

const DEFAULT_SHARD = 5e9;

/** Config and weights, as they are written here. */
const WRITTEN = /^config\.json$|\.safetensors(\.index\.json)?$/i;

/** Files that belong to a model besides config and weights; they are copied. */
const COMPANIONS =
  /^(tokenizer.*|tekken\.json|[\w-]+\.model(\.v\d+\w*)?|special_tokens_map\.json|added_tokens\.json|vocab\..*|merges\.txt|chat_template\..*|generation_config\.json|LICENSE.*|NOTICE.*)$/i;
/** A folder with chat templates besides the default one, as Transformers saves them. */
const TEMPLATES = "additional_chat_templates";

/**
 * Quantises the checkpoint `name`, a folder (of Transformers' layout or Mistral AI's own) or the id of a model on the hub, into the new
 * folder `out`: config.json with `quantization_config`, safetensors, and copies of the tokenizer's and generation's files. With a method of
 * bitsandbytes the tensors are those that Transformers would write. Computes in workers, with as many threads as `env.wasm.threads` says.
 * Memory: two weights and buffers.
 *
 * @throws InputError      an unknown option or method; `out` exists (without `force`), is the model's own folder, or holds other files
 *   than a checkpoint's; the model is quantised already
 * @throws CheckpointError the model is incomplete, a weight is not finite, the disk is full or cannot be written
 * @throws EngineError     no worker can be started, or one died
 */
export async function quantize(
  name: string,
  out: string,
  options: QuantizeOptions,
): Promise<Quantized> {
  checkOptions("quantize", options, OPTIONS);
  const { method, force = false, max_shard_size = DEFAULT_SHARD, signal, onProgress } = options;
  if (!(max_shard_size > 0)) {
    throw new InputError(
      `quantize: max_shard_size: ${String(max_shard_size)}: expected a number of bytes`,
    );
  }
  const settings = methodConfig("quantize", method);
  if (/\.gguf$/i.test(name)) {
    throw new InputError(
      `quantize: ${name} is a GGUF file, which runs as it is; start from the safetensors checkpoint that it was made of`,
    );
  }
  // The config alone, so that what cannot be quantised is refused before its weights are fetched.
  const files = await locateModel("quantize", name, { signal }, ["config"]);
  const model = files.dir;
  const config = await configOf(files, name);
  checkConfig(config);
  await checkFolders(model, out, force);
  const { values: raw } = await readModelConfig(model);
  await refuseQuantized(model, raw);
  const parts = ["config", "generation", "tokenizer", "weights"] as const;
  await locateModel("quantize", name, { signal, onProgress }, parts);

  const plan = (tied: boolean): QuantizationPlan | undefined =>
    planQuantization("quantize", settings, tied);
  const wasTied = config.tie_word_embeddings;
  const partial = partialFolder(out);
  await removeFolder(partial); // left by a killed process that had the same id
  try {
    const job = {
      ...{ dir: model, settings: raw, config: config.to_dict(), modelClass: modelClassOf(config) },
      ...{ tied: plan(true)?.quantisation, untied: plan(false)?.quantisation },
      ...{ folder: partial, maxShardSize: max_shard_size },
    };
    const {
      files: written,
      index,
      bytes,
      sourceBytes,
      isTied,
    } = await quantizeInWorker(job, backendChoice(), { signal, onProgress });
    await writeSettings(partial, index, {
      ...raw,
      ...(wasTied && !isTied && { tie_word_embeddings: false }),
      quantization_config: plan(wasTied)?.settings,
    });
    await copyCompanions(model, partial);
    signal?.throwIfAborted();
    await replaceFolder(partial, out);
    onProgress?.({ loaded: sourceBytes, total: sourceBytes, tensor: "" });
    return { path: out, source_bytes: sourceBytes, bytes, files: [...written] };
  } catch (error) {
    await removeFolder(partial);
    throw error;
  }
}

/** The CPU backend, with the process's settings. No machine code: there is none for quantising. */
function backendChoice(): BackendChoice {
  return {
    ...{ name: "wasm", threads: env.wasm.threads ?? defaultThreads(), native: false },
    ...{ addressSpace: addressSpace(), wideVectors: env.wasm.revectorize && enableRevectorize() },
  };
}

async function copyCompanions(model: string, folder: string): Promise<void> {
  for (const file of (await listFiles(model)).filter((each) => COMPANIONS.test(each)))
    await copyFile(joinPath(model, file), joinPath(folder, file));
  const templates = joinPath(model, TEMPLATES);
  if (!(await isDirectory(templates))) return;
  await makeFolder(joinPath(folder, TEMPLATES));
  for (const file of (await listFiles(templates)).filter((each) => each.endsWith(".jinja")))
    await copyFile(joinPath(templates, file), joinPath(folder, TEMPLATES, file));
}

/** The class that config.json names, whose head is then kept; a language model if it names none. */
function modelClassOf({ architectures }: MistralConfig): ModelClass {
  return modelClasses.find((name) => architectures?.includes(name)) ?? "MistralForCausalLM";
}

/** The name of the new folder until it is complete; it holds the process's id. The command removes it if it is interrupted. */
export function partialFolder(out: string): string {
  return `${out.replace(/[\\/]+$/, "")}.${processId()}.quantizing.partial`;
}

async function checkFolders(model: string, out: string, force: boolean): Promise<void> {
  if (typeof out !== "string" || out === "")
    throw new InputError(`quantize: ${JSON.stringify(out)} is no path for the new folder`);
  if (!(await exists(out))) return;
  if ((await realPath(out)) === (await realPath(model)))
    throw new InputError(`quantize: ${out} is the model's own folder; give another one`);
  if (!force) {
    throw new InputError(
      `quantize: ${out} exists already; give another name, or the option force to replace it`,
    );
  }
  if (!(await isDirectory(out)))
    throw new InputError(`quantize: ${out} is no folder, so it is not replaced; give another name`);
  // The folder is replaced as a whole.
  const others = (await listFolder(out)).filter(
    ({ name, kind }) =>
      name !== TEMPLATES && (kind === "folder" || !(WRITTEN.test(name) || COMPANIONS.test(name))),
  );
  if (others.length === 0) return;
  const names = others.slice(0, 3).map(({ name }) => name);
  const rest = others.length > names.length ? ` and ${others.length - names.length} more` : "";
  throw new InputError(
    `quantize: ${out} holds more than a checkpoint's files (${names.join(", ")}${rest}), which would be lost; give another name, or move them away`,
  );
}

async function refuseQuantized(model: string, config: Record<string, unknown>): Promise<void> {
  const settings = await findQuantizationSettings(model, config);
  if (settings === undefined) return;
  throw new InputError(
    `quantize: ${model} is quantised already (${String(settings.quant_method)}); start from the checkpoint that it was made of`,
  );
}

async function writeSettings(
  folder: string,
  index: string | undefined,
  config: Record<string, unknown>,
): Promise<void> {
  if (index !== undefined) await writeText(joinPath(folder, "model.safetensors.index.json"), index);
  const text = pythonFloats(JSON.stringify(config, undefined, 2));
  await writeText(joinPath(folder, "config.json"), `${text}\n`);
}
