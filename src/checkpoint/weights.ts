// A folder of weights as one table of tensors, read by byte range: one safetensors file, or shards with an index. Everything is
// checked against the headers before a byte of a tensor is read. Nothing outside the folder is opened, no pickle is ever loaded,
// and no code of the folder runs. Does not know which tensors a model needs.

import {
  exists,
  isDirectory,
  isInside,
  joinPath,
  listFiles,
  openFile,
  realPath,
  type OpenFile,
} from "#platform";
import { nearest } from "../did-you-mean.ts";
import { CheckpointError, InputError } from "../errors.ts";
import { findFormat } from "../formats/format.ts";
import { shown } from "./json-reader.ts";
import { readSafetensorsHeader, type SafetensorsHeader, type TensorEntry } from "./safetensors.ts";
import { readShardIndex } from "./shard-index.ts";

export type { TensorEntry } from "./safetensors.ts";

export type CheckpointOptions = {
  /** A folder within the folder: the weights are read from there. */
  subfolder?: string;
  /** The middle of the file names: "fp16" means model.fp16.safetensors. */
  variant?: string;
};

/** An open checkpoint. Its files stay open until close(). */
export type Checkpoint = {
  readonly dir: string;
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
  const { subfolder, variant } = options;
  const folder = subfolder === undefined ? dir : joinPath(dir, subfolder);
  if (!(await isDirectory(folder))) {
    throw new CheckpointError(
      `${folder}: no such folder; a model is a folder with config.json and model.safetensors`,
    );
  }
  const open: OpenFile[] = [];
  try {
    return await openFolder(dir, folder, variant, open);
  } catch (error) {
    await Promise.all(open.map((file) => file.close()));
    throw error;
  }
}

async function openFolder(
  dir: string,
  folder: string,
  variant: string | undefined,
  open: OpenFile[],
): Promise<Checkpoint> {
  const root = await repositoryRoot(dir);
  const files = new Map<string, OpenFile>();
  const openHeader = async (name: string): Promise<SafetensorsHeader> => {
    const path = joinPath(folder, name);
    if (!(await isInside(root, path))) {
      throw new CheckpointError(
        `${path} is a link to ${await realPath(path)}, outside ${root}; copy the file into the folder`,
      );
    }
    const file = await openFile(path);
    open.push(file);
    files.set(path, file);
    return readSafetensorsHeader(path, file);
  };

  const middle = variant === undefined ? "" : `.${variant}`;
  const single = `model${middle}.safetensors`;
  const index = `model.safetensors.index${middle}.json`;
  let tensors: ReadonlyMap<string, TensorEntry>;
  if (await exists(joinPath(folder, single))) tensors = (await openHeader(single)).tensors;
  else if (await exists(joinPath(folder, index))) {
    tensors = await openShards(folder, joinPath(folder, index), openHeader);
  } else throw await noWeights(folder, single, index);
  return checkpointOf(folder, tensors, files, open);
}

// The folder that links may not leave: `dir`. For a snapshot in the hub's cache it is two folders up, because a snapshot's files are
// links to the blobs beside it: models--a--b/snapshots/<commit>/x -> ../../blobs/<sha>.
async function repositoryRoot(dir: string): Promise<string> {
  const real = await realPath(dir);
  return /[\\/]snapshots[\\/][^\\/]+$/.test(real) ? joinPath(real, "..", "..") : real;
}

async function openShards(
  folder: string,
  indexPath: string,
  openHeader: (name: string) => Promise<SafetensorsHeader>,
): Promise<ReadonlyMap<string, TensorEntry>> {
  const shardOf = await readShardIndex(indexPath);
  const tensors = new Map<string, TensorEntry>();
  for (const shard of new Set(shardOf.values())) {
    if (!(await exists(joinPath(folder, shard)))) {
      throw new CheckpointError(
        `${indexPath} names the file ${shown(shard)}, which is not in the folder; the download is incomplete: fetch that file`,
      );
    }
    for (const [name, entry] of (await openHeader(shard)).tensors) {
      const expected = shardOf.get(name);
      const other = tensors.get(name);
      if (other !== undefined) {
        throw new CheckpointError(
          `tensor ${shown(name)} is in two files, ${other.file} and ${entry.file}; the shards are not of one checkpoint: download it again`,
        );
      }
      if (expected === undefined) {
        throw new CheckpointError(
          `${entry.file} holds tensor ${shown(name)}, which ${indexPath} does not name; index and shards are not of one checkpoint: download both again`,
        );
      }
      tensors.set(name, entry);
    }
  }
  for (const [name, shard] of shardOf) {
    if (tensors.get(name)?.file === joinPath(folder, shard)) continue;
    throw new CheckpointError(
      `${indexPath} places tensor ${shown(name)} in ${shown(shard)}, which does not hold it; index and shards are not of one checkpoint: download both again`,
    );
  }
  return tensors;
}

async function noWeights(folder: string, single: string, index: string): Promise<CheckpointError> {
  const names = await listFiles(folder);
  const expected = `${folder}: found neither ${single} nor ${index}`;
  const of = (pattern: RegExp): string | undefined => names.find((name) => pattern.test(name));
  const pickle = of(/\.(bin|pt|pth|ckpt|pkl|pickle)$/);
  const consolidated = of(/^consolidated.*\.safetensors$/);
  const other = of(/^model.*\.safetensors$/);
  const gguf = of(/\.gguf$/);
  if (other !== undefined) {
    return new CheckpointError(
      `${expected}, but ${other}; name its middle part with the option variant`,
    );
  }
  if (consolidated !== undefined) {
    return new CheckpointError(
      `${expected}, but ${consolidated}: Mistral's own layout, whose tensors have other names; ` +
        "fetch the files model-*.safetensors and their index from the same repository",
    );
  }
  if (gguf !== undefined) {
    return new CheckpointError(`${expected}, but ${gguf}; name it with the option gguf_file`);
  }
  if (pickle !== undefined) {
    return new CheckpointError(
      `${expected}, only ${pickle}, a Python pickle. Loading a pickle can run any code that it names, so it is never loaded; ` +
        "fetch the safetensors files of this model, or convert it once with save_pretrained in Python",
    );
  }
  return new CheckpointError(`${expected}; fetch the model's safetensors files into it`);
}

function checkpointOf(
  dir: string,
  tensors: ReadonlyMap<string, TensorEntry>,
  files: ReadonlyMap<string, OpenFile>,
  open: readonly OpenFile[],
): Checkpoint {
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
