// Writes a safetensors file: first the header, from names, dtypes and shapes, then the bytes piece by piece, so that memory holds one
// piece at a time. The file gets its name only when it is complete. Tensors lie in the order of the list, and their data begins at
// a multiple of 8 bytes. Does not know where the bytes come from.

import { createFile, joinPath } from "#platform";
import { InputError } from "../errors.ts";
import type { Parts } from "../formats/weight-format.ts";
import { checkDiskRoom } from "./disk-room.ts";
import { shown } from "./json-reader.ts";
import { dtypeBits, MAX_HEADER_BYTES, MAX_TENSORS } from "./safetensors.ts";

/** A tensor to write. */
export type TensorToSave = {
  readonly name: string;
  /** As safetensors names it: "F32", "F16", "BF16", … */
  readonly dtype: string;
  readonly shape: readonly number[];
  /** Its bytes, in pieces of any size. Called once, when all tensors before it have been written. */
  data(): Iterable<Uint8Array<ArrayBufferLike>> | AsyncIterable<Uint8Array<ArrayBufferLike>>;
};

/** A tensor of a weight that has not been quantised yet. Its name, dtype and shape are known, so the header can be written. */
export type PlannedTensor = Omit<TensorToSave, "data"> & {
  /** Its bytes, from the parts of the weight's format. */
  bytes(parts: Parts): Uint8Array<ArrayBufferLike>;
};

export type SaveOptions = {
  /** Goes into the header. Default: `{ format: "pt" }`, which Transformers asks for. */
  metadata?: Readonly<Record<string, string>>;
  /** Bytes: the data begins at a multiple of it; itself a multiple of 8. Default 8; 64 suits readers that map the file. */
  alignment?: number;
  /** Called after each piece. `done`: bytes of tensors written so far; `total`: bytes of all tensors. */
  onProgress?: (done: number, total: number) => void;
};

/** Bytes of a tensor of that dtype and shape. @throws InputError a dtype that the format does not have */
export function tensorBytes({
  name,
  dtype,
  shape,
}: Pick<TensorToSave, "name" | "dtype" | "shape">): number {
  const bits = dtypeBits(dtype);
  if (bits === undefined)
    throw new InputError(
      `save: tensor ${shown(name)} has dtype ${shown(dtype)}, which safetensors does not have`,
    );
  return (shape.reduce((product, size) => product * size, 1) * bits) / 8;
}

/**
 * Writes one file.
 *
 * @throws InputError two tensors of one name, or data of another length than dtype and shape say
 * @throws CheckpointError the disk has too little room (checked before writing), or cannot be written
 */
export async function saveSafetensors(
  path: string,
  tensors: readonly TensorToSave[],
  options: SaveOptions = {},
): Promise<void> {
  const { metadata = { format: "pt" }, alignment = 8, onProgress } = options;
  const header = encodeHeader(tensors, metadata, alignment);
  const total = tensors.reduce((sum, tensor) => sum + tensorBytes(tensor), 0);
  await checkDiskRoom(path, joinPath(path, ".."), header.length + total);

  const file = await createFile(path);
  try {
    await file.write(header);
    let done = 0;
    for (const tensor of tensors) {
      const end = done + tensorBytes(tensor);
      for await (const piece of tensor.data()) {
        done += piece.length;
        if (done > end) throw wrongLength(tensor, `more than ${tensorBytes(tensor)}`);
        await file.write(piece);
        onProgress?.(done, total);
      }
      if (done !== end) throw wrongLength(tensor, `${tensorBytes(tensor) - (end - done)}`);
    }
  } catch (error) {
    await file.discard();
    throw error;
  }
  await file.close();
}

/** One file of a sharded checkpoint. */
export type Shard<T> = {
  readonly file: string;
  readonly bytes: number;
  readonly tensors: readonly T[];
};

/**
 * Divides tensors over files of at most `maxBytes` (a larger tensor gets its own), named as Transformers names them.
 * @param variant the middle of the files' names: "fp16" gives model.fp16.safetensors
 */
export function planShards<T extends Pick<TensorToSave, "name" | "dtype" | "shape">>(
  tensors: readonly T[],
  maxBytes: number,
  variant?: string,
): Shard<T>[] {
  const stem = variant === undefined ? "model" : `model.${variant}`;
  const groups: { bytes: number; tensors: T[] }[] = [];
  for (const tensor of tensors) {
    const bytes = tensorBytes(tensor);
    const last = groups.at(-1);
    if (last === undefined || last.bytes + bytes > maxBytes)
      groups.push({ bytes, tensors: [tensor] });
    else {
      last.bytes += bytes;
      last.tensors.push(tensor);
    }
  }
  return groups.map((group, i) => ({
    ...group,
    file:
      groups.length === 1
        ? `${stem}.safetensors`
        : `${stem}-${number(i + 1)}-of-${number(groups.length)}.safetensors`,
  }));
}

const number = (n: number): string => String(n).padStart(5, "0");

/** The text of model.safetensors.index.json for these shards. */
export function shardIndex(shards: readonly Shard<TensorToSave>[]): string {
  const places = shards.flatMap(({ file, tensors }) =>
    tensors.map(({ name }) => [name, file] as const),
  );
  const elements = shards.flatMap(({ tensors }) =>
    tensors.map(({ shape }) => shape.reduce((a, b) => a * b, 1)),
  );
  const metadata = {
    total_parameters: elements.reduce((sum, n) => sum + n, 0),
    total_size: shards.reduce((sum, { bytes }) => sum + bytes, 0),
  };
  const weight_map = Object.fromEntries(places.toSorted(([a], [b]) => (a < b ? -1 : 1)));
  return `${JSON.stringify({ metadata, weight_map }, undefined, 2)}\n`;
}

function encodeHeader(
  tensors: readonly TensorToSave[],
  metadata: Readonly<Record<string, string>>,
  alignment: number,
): Uint8Array<ArrayBuffer> {
  if (tensors.length > MAX_TENSORS)
    throw new InputError(`save: ${tensors.length} tensors, at most ${MAX_TENSORS} fit into a file`);
  const names = new Set(["__metadata__"]);
  const entries = [`"__metadata__":${JSON.stringify(metadata)}`];
  let offset = 0;
  for (const tensor of tensors) {
    const { name, dtype, shape } = tensor;
    if (names.has(name)) throw new InputError(`save: two tensors have the name ${shown(name)}`);
    names.add(name);
    const end = offset + tensorBytes(tensor);
    entries.push(
      `${JSON.stringify(name)}:${JSON.stringify({ dtype, shape, data_offsets: [offset, end] })}`,
    );
    offset = end;
  }
  const text = new TextEncoder().encode(`{${entries.join(",")}}`);
  const length = Math.ceil((8 + text.length) / alignment) * alignment - 8;
  if (length > MAX_HEADER_BYTES)
    throw new InputError(
      `save: the header takes ${length} bytes, at most ${MAX_HEADER_BYTES} are read`,
    );
  const bytes = new Uint8Array(8 + length).fill(0x20);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(length), true);
  bytes.set(text, 8);
  return bytes;
}

function wrongLength({ name, dtype, shape }: TensorToSave, got: string): InputError {
  return new InputError(
    `save: the data of tensor ${shown(name)} has ${got} bytes, but ${dtype} [${shape.join(", ")}] takes ${tensorBytes({ name, dtype, shape })}`,
  );
}
