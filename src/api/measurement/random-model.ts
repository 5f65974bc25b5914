// Writes models with random weights of a given shape, for benchmarks and tests. Weights are independent draws from a normal distribution
// (65,536 quantiles, standard deviation initializer_range); norms are 1. The same seed gives the same files. Memory holds one piece.
// Knows no tokenizer.

import { joinPath, makeFolder, writeText } from "#platform";
import { checkDiskRoom } from "../../checkpoint/disk-room.ts";
import {
  planShards,
  saveSafetensors,
  shardIndex,
  type Shard,
  type TensorToSave,
} from "../../checkpoint/save-safetensors.ts";
import { unknownName } from "../../did-you-mean.ts";
import { InputError } from "../../errors.ts";
import { drawFrom, normalQuantiles, type Words } from "../../engine/normal-numbers.ts";
import { findFormat } from "../../formats/format.ts";
import type { NumberFormat } from "../../formats/number-format.ts";
import { checkConfig } from "../../models/config-check.ts";
import { expectedWeights } from "../../models/config-weights.ts";
import { MistralConfig, type MistralConfigOptions } from "../../models/config.ts";

/** The known shapes by name. */
export const shapes: Readonly<Record<string, MistralConfigOptions>> = {
  "mistral-7b": { rms_norm_eps: 1e-5, max_position_embeddings: 32768 },
  "mistral-7b-v0.3": {
    vocab_size: 32768,
    rms_norm_eps: 1e-5,
    max_position_embeddings: 32768,
    sliding_window: null,
    rope_theta: 1e6,
  },
  small: {
    vocab_size: 32000,
    hidden_size: 1024,
    intermediate_size: 3584,
    num_hidden_layers: 12,
    num_attention_heads: 16,
    num_key_value_heads: 4,
    max_position_embeddings: 8192,
  },
  tiny: {
    vocab_size: 640,
    hidden_size: 64,
    intermediate_size: 160,
    num_hidden_layers: 3,
    num_attention_heads: 4,
    num_key_value_heads: 2,
    max_position_embeddings: 512,
  },
};

export type RandomModelOptions = {
  /** Decides the weights. Default 0. */
  seed?: number;
  /** The most bytes of a file. Default 5 GB. */
  shardBytes?: number;
  signal?: AbortSignal;
  onProgress?: (done: number, total: number) => void;
};

/** The config of a shape. @param layers replaces the shape's number of layers. @throws InputError no such shape */
export function shapeConfig(name: string, layers?: number, dtype = "bfloat16"): MistralConfig {
  if (!Object.hasOwn(shapes, name))
    throw new InputError(unknownName("shape", name, Object.keys(shapes)));
  return new MistralConfig({
    ...shapes[name],
    ...(layers !== undefined && { num_hidden_layers: layers }),
    architectures: ["MistralForCausalLM"],
    dtype,
  });
}

/**
 * Writes config.json, generation_config.json and safetensors into a folder, which is made if it does not exist. Weights have the config's
 * `dtype` (default bfloat16). If `signal` is aborted, the promise rejects with its reason.
 * @throws InputError      a config that no model can have
 * @throws CheckpointError the folder cannot be written, or the disk has too little room
 */
export async function writeRandomModel(
  folder: string,
  config: MistralConfig,
  options: RandomModelOptions = {},
): Promise<Shard<TensorToSave>[]> {
  checkConfig(config);
  const dtype = config.dtype ?? "bfloat16";
  const format = findFormat(dtype);
  if (format === undefined)
    throw new InputError(unknownName("dtype", dtype, ["float32", "bfloat16", "float16"]));
  const { seed = 0, shardBytes = 5e9, signal, onProgress } = options;
  const tensors = [...expectedWeights(config, "MistralForCausalLM")].map(([name, shape], i) =>
    randomTensor(name, shape, format, [config.initializer_range, seed * 100_003 + i], signal),
  );
  const shards = planShards(tensors, shardBytes);
  const total = shards.reduce((sum, shard) => sum + shard.bytes, 0);
  await makeFolder(folder);
  await checkDiskRoom(
    "a model of that shape",
    folder,
    total,
    "choose fewer layers, or another disk",
  );
  await writeText(joinPath(folder, "config.json"), config.to_json_string());
  const { bos_token_id, eos_token_id } = config;
  await writeText(
    joinPath(folder, "generation_config.json"),
    `${JSON.stringify({ bos_token_id, eos_token_id }, undefined, 2)}\n`,
  );
  let before = 0;
  for (const shard of shards) {
    await saveSafetensors(joinPath(folder, shard.file), shard.tensors, {
      onProgress: (done) => onProgress?.(before + done, total),
    });
    before += shard.bytes;
  }
  if (shards.length > 1)
    await writeText(joinPath(folder, "model.safetensors.index.json"), shardIndex(shards));
  return shards;
}

function randomTensor(
  name: string,
  shape: readonly number[],
  format: NumberFormat,
  [std, seed]: readonly [std: number, seed: number],
  signal: AbortSignal | undefined,
): TensorToSave {
  const count = shape.reduce((product, size) => product * size, 1);
  const isNorm = shape.length === 1;
  return {
    name,
    dtype: format.safetensors,
    shape,
    data: () =>
      isNorm
        ? [packed(format, new Float32Array(count).fill(1))]
        : randomPieces(count, format, std, seed, signal),
  };
}

/** Pieces of packed random numbers: every 16 random bits choose one of the 65,536 quantiles. */
function* randomPieces(
  count: number,
  format: NumberFormat,
  std: number,
  seed: number,
  signal: AbortSignal | undefined,
): Generator<Uint8Array<ArrayBuffer>> {
  const table = words(
    packed(
      format,
      normalQuantiles().map((x) => x * std),
    ),
    format,
  );
  const piece = packed(format, new Float32Array(Math.min(count, 1 << 22)));
  const target = words(piece, format);
  let state = Math.imul(seed + 1, 0x9e3779b1) | 1;
  for (let done = 0; done < count; done += target.length) {
    signal?.throwIfAborted();
    const here = Math.min(target.length, count - done);
    state = drawFrom(target.subarray(0, here), table, state);
    yield piece.subarray(0, format.bytes(here));
  }
}

function packed(format: NumberFormat, values: Float32Array<ArrayBuffer>): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(format.bytes(values.length));
  format.pack(values, bytes);
  return bytes;
}

function words(bytes: Uint8Array<ArrayBuffer>, format: NumberFormat): Words {
  return format.bytes(1) === 2 ? new Uint16Array(bytes.buffer) : new Uint32Array(bytes.buffer);
}
