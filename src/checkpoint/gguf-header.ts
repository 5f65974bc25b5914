// Reads the header of a GGUF file, versions 2 and 3, little endian: the metadata, and the name, type, shape and place of each tensor.
// Makes every check that needs no model. However large the counts in the file are, no more memory is taken than the file's own
// size can account for. https://github.com/ggml-org/ggml/blob/master/docs/gguf.md. Knows nothing of models.

import { CheckpointError } from "../errors.ts";
import { ggmlTypes, readableTypes } from "../formats/gguf-types.ts";
import { findFormat } from "../formats/format.ts";
import { findWeightFormat } from "../formats/registry.ts";
import { matrixShape, type WeightFormat } from "../formats/weight-format.ts";
import { fileKind } from "./file-kind.ts";
import { DAMAGED, GgufReader, u32, u64 } from "./gguf-reader.ts";
import { type GgufValue, MAX_VALUES, readValue, UINT32 } from "./gguf-value.ts";
import { shown } from "./json-reader.ts";
import { type ByteSource, MAX_TENSORS } from "./safetensors.ts";

export type GgufTensor = {
  readonly name: string;
  /** ggml's name of its type: "F32", "Q4_K". */
  readonly type: string;
  readonly format: WeightFormat;
  /** Row-major, as everywhere in this project: the last dimension is contiguous. The file lists dimensions the other way round. */
  readonly shape: readonly number[];
  readonly bytes: number;
  /** Where its bytes begin, counted from the beginning of the file. */
  readonly offset: number;
};

export type GgufHeader = {
  readonly path: string;
  readonly version: number;
  readonly metadata: ReadonlyMap<string, GgufValue>;
  /** In the header's order. */
  readonly tensors: ReadonlyMap<string, GgufTensor>;
};

const MAGIC = "GGUF";
/** Magic, version and both counts. */
const FIXED_BYTES = 24;
const ALIGNMENT = "general.alignment";
const DEFAULT_ALIGNMENT = 32;
const MAX_DIMENSIONS = 4;

/**
 * Reads and checks the header of the file at `path`.
 *
 * | content                           | bytes                                                                      |
 * | --------------------------------- | -------------------------------------------------------------------------- |
 * | "GGUF", version                   | 4, u32                                                                     |
 * | number of tensors, number of keys | u64, u64                                                                   |
 * | each key                          | a string (u64 length, UTF-8), u32 type, the value (gguf-value.ts)          |
 * | each tensor                       | a string, u32 number of dimensions, u64 each dimension, u32 type, u64 place |
 * | padding                           | up to a multiple of general.alignment (default 32); places count from here |
 * | the tensors' data                 |                                                                            |
 *
 * @throws CheckpointError a header that contradicts itself or the file's size, a type that is not read
 */
export async function readGgufHeader(path: string, source: ByteSource): Promise<GgufHeader> {
  const reader = new GgufReader(path, source);
  const version = await readVersion(reader, source.size);
  const tensorCount = await reader.count(24, "the number of tensors");
  const keyCount = await reader.count(13, "the number of metadata keys");
  if (tensorCount > MAX_TENSORS || keyCount > MAX_VALUES) {
    throw new CheckpointError(
      `${path}: ${tensorCount} tensors and ${keyCount} metadata keys, at most ${MAX_TENSORS} and ${MAX_VALUES} are read; ${DAMAGED}`,
    );
  }
  const metadata = await readMetadata(reader, keyCount);
  const alignment = alignmentOf(path, metadata);
  const found = new Map<string, Unplaced>();
  for (let i = 0; i < tensorCount; i++) {
    const tensor = await readTensor(reader, i);
    if (found.has(tensor.name)) {
      throw new CheckpointError(
        `${path}: the tensor ${shown(tensor.name)} comes twice; ${DAMAGED}`,
      );
    }
    found.set(tensor.name, tensor);
  }
  const dataBegin = Math.ceil(reader.at / alignment) * alignment;
  const tensors = new Map<string, GgufTensor>();
  for (const [name, tensor] of found) {
    tensors.set(name, place(path, tensor, dataBegin, alignment, source.size));
  }
  checkOverlaps(path, tensors);
  return { path, version, metadata, tensors };
}

async function readVersion(reader: GgufReader, size: number): Promise<number> {
  const { path } = reader;
  if (size < FIXED_BYTES) {
    throw new CheckpointError(
      `${path}: the file has ${size} bytes, a GGUF file has at least ${FIXED_BYTES}; ${DAMAGED}`,
    );
  }
  await reader.load(FIXED_BYTES, "the header");
  const magic = String.fromCharCode(...reader.bytes(4));
  if (magic !== MAGIC) {
    const kind = fileKind(reader.first());
    throw new CheckpointError(
      `${path}: the file begins with ${shown(magic)}, a GGUF file with "${MAGIC}"; ${kind ?? "is it one?"}`,
    );
  }
  const version = reader.take(u32);
  if (version === 2 || version === 3) return version;
  const why =
    version === 1
      ? "it is of version 1, whose counts have 32 bits"
      : (version & 0xffff) === 0
        ? `its version is ${version}, which is ${(version >>> 24) | ((version >>> 8) & 0xff00)} in big endian`
        : `its version is ${version}`;
  throw new CheckpointError(
    `${path}: ${why}; versions 2 and 3 in little endian are read: convert the file with llama.cpp's tools, or fetch a newer one`,
  );
}

async function readMetadata(reader: GgufReader, count: number): Promise<Map<string, GgufValue>> {
  const metadata = new Map<string, GgufValue>();
  const budget = { values: MAX_VALUES };
  for (let i = 0; i < count; i++) {
    const key = await reader.string(`metadata key ${i}`);
    if (key === "") {
      throw new CheckpointError(`${reader.path}: metadata key ${i} has no name; ${DAMAGED}`);
    }
    if (metadata.has(key)) {
      throw new CheckpointError(
        `${reader.path}: the metadata key ${shown(key)} comes twice; ${DAMAGED}`,
      );
    }
    const { type, value } = await readValue(reader, shown(key), budget);
    // ggml ends the process when the type is another one.
    if (key === ALIGNMENT && type !== UINT32) {
      throw new CheckpointError(
        `${reader.path}: ${ALIGNMENT} is ${String(value).slice(0, 40)} of type number ${type}, expected ${UINT32} (UINT32); ${DAMAGED}`,
      );
    }
    metadata.set(key, value);
  }
  return metadata;
}

function alignmentOf(path: string, metadata: ReadonlyMap<string, GgufValue>): number {
  const value = metadata.get(ALIGNMENT) ?? DEFAULT_ALIGNMENT;
  const isPowerOfTwo =
    typeof value === "number" && value > 0 && value < 2 ** 31 && (value & (value - 1)) === 0;
  if (isPowerOfTwo && Number.isInteger(value)) return value;
  throw new CheckpointError(
    `${path}: ${ALIGNMENT} is ${String(value).slice(0, 40)}, expected a power of two; ${DAMAGED}`,
  );
}

type Unplaced = Omit<GgufTensor, "offset"> & { readonly at: number | bigint };

async function readTensor(reader: GgufReader, index: number): Promise<Unplaced> {
  const name = await reader.string(`the name of tensor ${index}`);
  const where = `${reader.path}: tensor ${shown(name)}`;
  const count = await reader.scalar(u32, "a number of dimensions");
  if (count > MAX_DIMENSIONS) {
    throw new CheckpointError(
      `${where} has ${count} dimensions, at most ${MAX_DIMENSIONS} are possible; ${DAMAGED}`,
    );
  }
  const shape: number[] = [];
  let elements = 1n;
  for (let i = 0; i < count; i++) {
    const size = await reader.scalar(u64, "a dimension");
    elements *= BigInt(size);
    // A dimension of 0 makes the product 0 whatever the others are. So each is checked by itself too: above 2^53 it is a bigint.
    if (typeof size === "bigint" || elements > MAX_ELEMENTS) {
      throw new CheckpointError(
        `${where}: its dimensions (${[...shape.toReversed(), size].join(", ")}, …) overflow: more than 2^50 numbers; ${DAMAGED}`,
      );
    }
    shape.unshift(size);
  }
  const { type, format } = typeOf(await reader.scalar(u32, "a type"), where);
  const { rows, columns } = matrixShape(shape);
  if (columns % format.param !== 0) {
    throw new CheckpointError(
      `${where}: ${type} has blocks of ${format.param} numbers, and rows of ${columns} are no multiple of that; ${DAMAGED}`,
    );
  }
  const [bytes] = format.parts(rows, columns);
  return { name, type, format, shape, bytes, at: await reader.scalar(u64, "an offset") };
}

const MAX_ELEMENTS = 2n ** 50n;

function typeOf(number: number, where: string): { type: string; format: WeightFormat } {
  const type = ggmlTypes.get(number);
  const format =
    type !== undefined && readableTypes.includes(type)
      ? findWeightFormat(findFormat(type)?.name ?? type)
      : undefined;
  if (type !== undefined && format !== undefined) return { type, format };
  throw new CheckpointError(
    `${where} is of type ${type ?? `number ${number}`}, which is not read; types that are: ${readableTypes.join(", ")}: ` +
      "fetch the model in one of them, such as Q4_K_M or Q8_0",
  );
}

function place(
  path: string,
  { at, ...tensor }: Unplaced,
  dataBegin: number,
  alignment: number,
  fileSize: number,
): GgufTensor {
  const where = `${path}: tensor ${shown(tensor.name)}`;
  const offset = dataBegin + Number(at);
  if (typeof at === "bigint" || offset + tensor.bytes > fileSize) {
    throw new CheckpointError(
      `${where} (${tensor.type} [${tensor.shape.join(", ")}], ${tensor.bytes} bytes from byte ${BigInt(dataBegin) + BigInt(at)} on) ` +
        `ends after the file, which has ${fileSize}; ${DAMAGED}`,
    );
  }
  if (at % alignment !== 0) {
    throw new CheckpointError(
      `${where} begins at byte ${at} of the data, expected a multiple of ${alignment}; ${DAMAGED}`,
    );
  }
  return { ...tensor, offset };
}

function checkOverlaps(path: string, tensors: ReadonlyMap<string, GgufTensor>): void {
  const ordered = [...tensors.values()]
    .filter(({ bytes }) => bytes > 0)
    .toSorted((a, b) => a.offset - b.offset);
  for (const [i, { name, offset }] of ordered.entries()) {
    if (i === 0) continue;
    const before = ordered[i - 1];
    if (offset < before.offset + before.bytes) {
      throw new CheckpointError(
        `${path}: tensor ${shown(name)} begins at byte ${offset}, within ${shown(before.name)}; ` +
          "the file is damaged or was made to deceive",
      );
    }
  }
}
