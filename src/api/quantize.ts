// From a checkpoint to a quantised one on the disk: each weight is read, quantised and written before the next one, so that memory
// holds one. The new folder appears under its name when it is complete; on any error, or when stopped, nothing stays of it.
// Which weight becomes what is the rule of loading.

import {
  copyFile,
  exists,
  freeBytes,
  joinPath,
  listFiles,
  makeFolder,
  parentFolder,
  processId,
  realPath,
  removeFolder,
  replaceFolder,
  writeText,
} from "#platform";
import { readJsonObject } from "../checkpoint/json-file.ts";
import { findQuantizationSettings } from "../checkpoint/quantized/packed-settings.ts";
import { planShards, saveSafetensors, shardIndex } from "../checkpoint/save-safetensors.ts";
import { openWeights } from "../checkpoint/weight-source.ts";
import { checkOptions } from "../did-you-mean.ts";
import { CheckpointError, InputError } from "../errors.ts";
import { checkConfig } from "../models/config-check.ts";
import { pythonFloats } from "../models/config.ts";
import { AutoConfig } from "./auto-config.ts";
import { methodConfig, type QuantizationMethod } from "./quantization-methods.ts";
import { configSettings, tensorsOf } from "./quantized-tensors.ts";

export type QuantizeOptions = {
  /** "nf4", "nf4-dq", "fp4", "fp4-dq", "int8" (bitsandbytes'), "q4", "q8" (ours). */
  method: QuantizationMethod;
  /** Replace a folder of that name. Default false: refused. */
  force?: boolean;
  /** Bytes of a file of weights at most (one weight may take more). Default 5 GB, as Transformers saves. */
  max_shard_size?: number;
  /** Stops; the promise rejects with the signal's reason, and nothing was written. */
  signal?: AbortSignal;
  /** Bytes of the source that are done, of how many, and the weight at hand. */
  onProgress?: (progress: QuantizeProgress) => void;
};

export type QuantizeProgress = {
  readonly loaded: number;
  readonly total: number;
  readonly tensor: string;
};

/** What was written. */
export type Quantized = {
  /** The new folder. */
  path: string;
  /** Bytes of weights, before and after. */
  source_bytes: number;
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

/** What belongs to a model besides config and weights. */
const COMPANIONS =
  /^(tokenizer.*|special_tokens_map\.json|added_tokens\.json|vocab\..*|merges\.txt|chat_template\..*|generation_config\.json|LICENSE.*|NOTICE.*)$/i;

/**
 * Quantises the checkpoint of a local folder into another folder: config.json with `quantization_config`, safetensors (in files
 * of 5 GB), and copies of the tokenizer's and generation's files. Checkpoints of bitsandbytes' methods are those that
 * Transformers writes. Memory: one weight and buffers.
 *
 * @throws InputError an unknown option or method; `out` exists (without `force`), or is the model's own folder; the model is
 *   quantised already
 * @throws CheckpointError the model is not complete, a weight is not finite, the disk is full or may not be written
 */
export async function quantize(
  model: string,
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
  if (/\.gguf$/i.test(model)) {
    throw new InputError(
      `quantize: ${model} is a GGUF file, which runs as it is; start from the safetensors checkpoint that it was made of`,
    );
  }
  const config = await AutoConfig.from_pretrained(model);
  checkConfig(config);
  await checkFolders(model, out, force);
  const raw = await readJsonObject(joinPath(model, "config.json"));
  await refuseQuantized(model, raw);

  const source = await openWeights(model, {}, raw);
  const partial = partialFolder(out);
  try {
    const total = [...source.weights.values()].reduce((sum, { bytes }) => sum + bytes, 0);
    let loaded = 0;
    const wasTied = config.tie_word_embeddings;
    const tensors = await tensorsOf(source, config, settings, (bytes, tensor) => {
      signal?.throwIfAborted();
      loaded += bytes;
      onProgress?.({ loaded: Math.min(loaded, total), total, tensor });
    });
    const shards = planShards(tensors, max_shard_size);
    const bytes = shards.reduce((sum, shard) => sum + shard.bytes, 0);
    await checkRoom(out, bytes);
    signal?.throwIfAborted();

    await removeFolder(partial); // of a process that was killed
    await makeFolder(partial);
    for (const { file, tensors: inFile } of shards)
      await saveSafetensors(joinPath(partial, file), inFile, { alignment: 64 });
    await writeSettings(partial, shards.length > 1 ? shardIndex(shards) : undefined, {
      ...raw,
      ...(wasTied && !config.tie_word_embeddings && { tie_word_embeddings: false }),
      quantization_config: configSettings(settings),
    });
    for (const name of (await listFiles(model)).filter((each) => COMPANIONS.test(each)))
      await copyFile(joinPath(model, name), joinPath(partial, name));
    signal?.throwIfAborted();
    await replaceFolder(partial, out);
    onProgress?.({ loaded: total, total, tensor: "" });
    return { path: out, source_bytes: total, bytes, files: shards.map(({ file }) => file) };
  } catch (error) {
    await removeFolder(partial);
    throw error;
  } finally {
    await source.close();
  }
}

/** Where a folder grows before it has its name: one a process. For the command, which may be ended at once. */
export function partialFolder(out: string): string {
  return `${out.replace(/[\\/]+$/, "")}.${processId()}.quantizing.partial`;
}

async function checkFolders(model: string, out: string, force: boolean): Promise<void> {
  if (typeof out !== "string" || out === "")
    throw new InputError(`quantize: ${JSON.stringify(out)} is no path for the new folder`);
  if (!(await exists(out))) return;
  if ((await realPath(out)) === (await realPath(model)))
    throw new InputError(`quantize: ${out} is the model's own folder; give another one`);
  if (!force) throw new InputError(`quantize: ${out} exists already; give another name, or force`);
}

async function refuseQuantized(model: string, config: Record<string, unknown>): Promise<void> {
  const settings = await findQuantizationSettings(model, config);
  if (settings === undefined) return;
  throw new InputError(
    `quantize: ${model} is quantised already (${String(settings.quant_method)}); start from the checkpoint that it was made of`,
  );
}

async function checkRoom(out: string, bytes: number): Promise<void> {
  const free = await freeBytes(parentFolder(out));
  if (bytes <= free) return;
  throw new CheckpointError(
    `quantize: ${out} will take ${bytes} bytes, and the disk has room for ${free}; make room and try again`,
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
