// A folder of weights as one table of tensors, read by byte range: one safetensors file, or shards with an index. Everything is
// checked against the headers before a byte of a tensor is read. No file leads out of the folder, unless the user made a link; no pickle
// is ever loaded, and no code of the folder runs. Does not know which tensors a model needs.

import { isDirectory, joinPath, listFiles, openFile, type OpenFile } from "#platform";
import { nearest } from "../did-you-mean.ts";
import { CheckpointError, InputError } from "../errors.ts";
import { findFormat } from "../formats/format.ts";
import { refuseAdapter, withoutWeights } from "./folder-diagnosis.ts";
import { shown } from "./json-reader.ts";
import { transformersName } from "./mistral-names.ts";
import { readSafetensorsHeader, type SafetensorsHeader, type TensorEntry } from "./safetensors.ts";
import { readShardIndex } from "./shard-index.ts";

export type { TensorEntry } from "./safetensors.ts";

export type CheckpointOptions = {
  /** A folder within the folder: the weights are read from there. */
  subfolder?: string;
  /** The middle of the file names: "fp16" means model.fp16.safetensors. */
  variant?: string;
  /**
   * Whether the model needs a tensor of this name, or one that belongs to it. Shards and index may disagree about the others, such as the
   * rotary frequencies in old checkpoints. Default: all are needed.
   */
  isNeeded?: (name: string) => boolean;
};

/** An open checkpoint. Its files stay open until close(). */
export type Checkpoint = {
  readonly dir: string;
  /** Whether names and the order of rows are those of Mistral AI's own layout: mistral-layout.ts. */
  readonly isMistralLayout: boolean;
  /** Every tensor, by its name in the file. */
  readonly tensors: ReadonlyMap<string, TensorEntry>;
  /** The sum of the sizes of all tensors. */
  readonly bytes: number;
  /**
   * Fills `target` with bytes [from, to) of a tensor (default: all of it). `target` may be a view on shared memory.
   * @throws InputError unknown name, a range outside the tensor, a target of another length
   */
  read(
    name: string,
    target: Uint8Array<ArrayBufferLike>,
    from?: number,
    to?: number,
  ): Promise<void>;
  /** A whole tensor of a plain format widened to f32. @throws CheckpointError its dtype is none of F32, F16, BF16 */
  readValues(name: string): Promise<Float32Array<ArrayBuffer>>;
  close(): Promise<void>;
};

/** Opens the weights in a folder. @throws CheckpointError with file, tensor, what came, what was expected and what to do */
export async function openCheckpoint(
  dir: string,
  options: CheckpointOptions = {},
): Promise<Checkpoint> {
  const { subfolder } = options;
  const folder = subfolder === undefined ? dir : joinPath(dir, subfolder);
  if (!(await isDirectory(folder))) {
    throw new CheckpointError(
      `${folder}: no such folder; a model is a folder with config.json and model.safetensors`,
    );
  }
  const open: OpenFile[] = [];
  try {
    return await openFolder(folder, options, open);
  } catch (error) {
    await Promise.all(open.map((file) => file.close()));
    throw error;
  }
}

async function openFolder(
  folder: string,
  { variant, isNeeded = () => true }: CheckpointOptions,
  open: OpenFile[],
): Promise<Checkpoint> {
  await refuseAdapter(folder);
  const files = new Map<string, OpenFile>();
  const openHeader = async (name: string): Promise<SafetensorsHeader> => {
    const path = joinPath(folder, name);
    const file = await openFile(path);
    open.push(file);
    files.set(path, file);
    return readSafetensorsHeader(path, file);
  };

  const layouts = weightLayouts(variant);
  const names = new Set(await listFiles(folder));
  for (const layout of layouts) {
    const { single, index } = layout;
    const isMistralLayout = layout === MISTRAL_LAYOUT;
    if (names.has(single)) {
      const { tensors } = await openHeader(single);
      return { ...checkpointOf(folder, tensors, files, open), isMistralLayout };
    }
    if (names.has(index)) {
      const indexPath = joinPath(folder, index);
      const shardOf = await readShardIndex(indexPath);
      const absent = [...shardOf.values()].find((shard) => !names.has(shard));
      if (absent !== undefined) {
        throw new CheckpointError(
          `${indexPath} names the file ${shown(absent)}, which is not in the folder; the checkpoint is incomplete: fetch that file`,
        );
      }
      const needed = isMistralLayout
        ? (name: string): boolean => isNeeded(transformersName(name))
        : isNeeded;
      const tensors = await openShards(folder, indexPath, shardOf, openHeader, needed);
      return { ...checkpointOf(folder, tensors, files, open), isMistralLayout };
    }
  }
  throw await withoutWeights(folder, layouts[0].single, layouts[0].index);
}

/** The names of a checkpoint that is one file, and of the index of one in shards. */
export type WeightLayout = { readonly single: string; readonly index: string };

/** The names under which weights are looked for; the first that is there is read. */
export function weightLayouts(variant?: string): readonly WeightLayout[] {
  const middle = variant === undefined ? "" : `.${variant}`;
  return [
    { single: `model${middle}.safetensors`, index: `model.safetensors.index${middle}.json` },
    ...(variant === undefined ? [MISTRAL_LAYOUT] : []),
  ];
}

/** The file names of Mistral AI's own layout: mistral-layout.ts. */
const MISTRAL_LAYOUT: WeightLayout = {
  single: "consolidated.safetensors",
  index: "consolidated.safetensors.index.json",
};

async function openShards(
  folder: string,
  indexPath: string,
  shardOf: ReadonlyMap<string, string>,
  openHeader: (name: string) => Promise<SafetensorsHeader>,
  isNeeded: (name: string) => boolean,
): Promise<ReadonlyMap<string, TensorEntry>> {
  const tensors = new Map<string, TensorEntry>();
  for (const shard of new Set(shardOf.values())) {
    for (const [name, entry] of (await openHeader(shard)).tensors) {
      const expected = shardOf.get(name);
      const other = tensors.get(name);
      if (other !== undefined && isNeeded(name)) {
        throw new CheckpointError(
          `tensor ${shown(name)} is in two files, ${other.file} and ${entry.file}; ${MIXED}`,
        );
      }
      if (expected === undefined && isNeeded(name)) {
        throw new CheckpointError(
          `${entry.file} holds tensor ${shown(name)}, which ${indexPath} does not name; ${MIXED}`,
        );
      }
      tensors.set(name, entry);
    }
  }
  for (const [name, shard] of shardOf) {
    if (tensors.get(name)?.file === joinPath(folder, shard) || !isNeeded(name)) continue;
    throw new CheckpointError(
      `${indexPath} places tensor ${shown(name)} in ${shown(shard)}, which does not hold it; ${MIXED}`,
    );
  }
  return tensors;
}

const MIXED =
  "index and shards are not of one checkpoint: fetch all of them from one revision of one repository";

function checkpointOf(
  dir: string,
  tensors: ReadonlyMap<string, TensorEntry>,
  files: ReadonlyMap<string, OpenFile>,
  open: readonly OpenFile[],
): Omit<Checkpoint, "isMistralLayout"> {
  const find = (name: string): { entry: TensorEntry; file: OpenFile } => {
    const entry = tensors.get(name);
    const file = entry && files.get(entry.file);
    if (entry === undefined || file === undefined) {
      const meant = nearest(name, tensors.keys());
      throw new InputError(
        `${dir} has no tensor ${shown(name)}${meant === undefined ? "" : `; did you mean ${shown(meant)}?`}`,
      );
    }
    return { entry, file };
  };

  return {
    dir,
    tensors,
    bytes: [...tensors.values()].reduce((sum, { bytes }) => sum + bytes, 0),

    async read(name, target, from = 0, to = find(name).entry.bytes) {
      const { entry, file } = find(name);
      if (
        !(
          Number.isInteger(from) &&
          Number.isInteger(to) &&
          0 <= from &&
          from <= to &&
          to <= entry.bytes
        )
      ) {
        throw new InputError(
          `read of ${shown(name)}: bytes ${from} to ${to}, but the tensor has ${entry.bytes}`,
        );
      }
      if (target.length !== to - from) {
        throw new InputError(
          `read of ${shown(name)}: the target has ${target.length} bytes, expected ${to - from}`,
        );
      }
      await file.readInto(target, entry.offset + from);
    },

    async readValues(name) {
      const { entry, file } = find(name);
      const format = findFormat(entry.dtype);
      if (format === undefined) {
        throw new CheckpointError(
          `${entry.file}: tensor ${shown(name)} has dtype ${entry.dtype}, expected F32, F16 or BF16; quantised weights are not read here`,
        );
      }
      const bytes = new Uint8Array(entry.bytes);
      await file.readInto(bytes, entry.offset);
      const values = new Float32Array(entry.shape.reduce((product, size) => product * size, 1));
      format.unpack(bytes, values);
      return values;
    },

    async close() {
      await Promise.all(open.map((file) => file.close()));
    },
  };
}
