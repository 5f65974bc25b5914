// Quantises a checkpoint on the disk into files of weights in another folder. Reads, quantises and writes one weight after the other:
// memory holds two of them. Knows no threads and no messages, and does not write settings.

import { makeFolder, joinPath, parentFolder } from "#platform";
import type { Backend } from "../backends/backend.ts";
import { checkDiskRoom } from "../checkpoint/disk-room.ts";
import { planShards, saveSafetensors, shardIndex } from "../checkpoint/save-safetensors.ts";
import { openWeights } from "../checkpoint/weight-source.ts";
import { MistralConfig } from "../models/config.ts";
import type { ModelClass } from "../models/heads.ts";
import type { Quantisation } from "./kept-formats.ts";
import type { LoadHooks } from "./load.ts";
import { tensorsOf } from "./quantized-tensors.ts";

/** What is to be done, as plain data. */
export type QuantizeJob = {
  /** The checkpoint's folder, the object in its config.json, and MistralConfig.to_dict(). */
  readonly dir: string;
  readonly settings: Record<string, unknown>;
  readonly config: Record<string, unknown>;
  readonly modelClass: ModelClass;
  /** What is quantised if head and embedding are one matrix, and if they are not. */
  readonly tied: Quantisation | undefined;
  readonly untied: Quantisation | undefined;
  /** The new folder. */
  readonly folder: string;
  /** The most bytes of a file. */
  readonly maxShardSize: number;
};

/** What was written. */
export type QuantizedFiles = {
  readonly files: readonly string[];
  /** The text of the index, if there are several. */
  readonly index?: string;
  readonly bytes: number;
  /** Bytes of the source's weights. */
  readonly sourceBytes: number;
  /** Whether head and embedding are one matrix. */
  readonly isTied: boolean;
};

/** @throws CheckpointError the weights do not fit the config, a weight is not finite, the disk is full or cannot be written */
export async function quantizeCheckpoint(
  job: QuantizeJob,
  backend: Backend,
  { onProgress, placed }: LoadHooks,
): Promise<QuantizedFiles> {
  const config = new MistralConfig(job.config);
  const source = await openWeights(job.dir, {}, job.settings);
  try {
    const weights = [...source.weights.values()];
    const total = weights.reduce((sum, { bytes }) => sum + bytes, 0);
    let loaded = 0;
    const quantizer = backend.quantizer?.(
      Math.max(1, ...weights.map(({ shape }) => shape.at(-1) ?? 1)),
    );
    if (quantizer !== undefined) placed();
    const tensors = await tensorsOf(source, config, {
      ...{ modelClass: job.modelClass, quantizer },
      quantisationOf: (tied) => (tied ? job.tied : job.untied),
      onBytes(bytes, tensor) {
        loaded = Math.min(loaded + bytes, total);
        onProgress({ loaded, total, tensor });
      },
    });
    const shards = planShards(tensors, job.maxShardSize);
    const bytes = shards.reduce((sum, shard) => sum + shard.bytes, 0);
    await checkDiskRoom("quantize: the new weights", parentFolder(job.folder), bytes);
    await makeFolder(job.folder);
    for (const { file, tensors: inFile } of shards)
      await saveSafetensors(joinPath(job.folder, file), inFile, { alignment: 64 });
    return {
      files: shards.map(({ file }) => file),
      ...(shards.length > 1 && { index: shardIndex(shards) }),
      ...{ bytes, sourceBytes: total, isTied: config.tie_word_embeddings },
    };
  } finally {
    await source.close();
  }
}
