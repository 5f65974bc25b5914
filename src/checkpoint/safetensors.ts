// Reads the header of a safetensors file: the name, dtype, shape and place of each tensor. Makes every check that the format's own
// reader makes, before memory is taken for a tensor. https://github.com/huggingface/safetensors. Knows nothing of models.

import { CheckpointError } from "../errors.ts";
import { fileKind } from "./file-kind.ts";
import { JsonReader, shown } from "./json-reader.ts";

/** Where one tensor lies. */
export type TensorEntry = {
  readonly name: string;
  /** The dtype as the header names it: "F32", "F16", "BF16", "U8", … */
  readonly dtype: string;
  readonly shape: readonly number[];
  /** Its length in bytes: shape × dtype. */
  readonly bytes: number;
  /** The file (a path). */
  readonly file: string;
  /** Where its bytes begin, counted from the beginning of the file. */
  readonly offset: number;
};

export type SafetensorsHeader = {
  /** In the order of their places in the file. */
  readonly tensors: ReadonlyMap<string, TensorEntry>;
  readonly metadata: ReadonlyMap<string, string>;
};

/** What the reader needs of a file; `OpenFile` of the platform is one. */
export type ByteSource = {
  readonly size: number;
  readInto(target: Uint8Array<ArrayBufferLike>, offset: number): Promise<void>;
};

/** The longest header that is read; the format's own limit. */
export const MAX_HEADER_BYTES = 100_000_000;
/** The most tensors that a file may have. The largest published checkpoints have tens of thousands. */
export const MAX_TENSORS = 200_000;

const BITS: ReadonlyMap<string, number> = new Map([
  ...["BOOL", "U8", "I8", "F8_E5M2", "F8_E4M3", "F8_E8M0", "F8_E4M3FNUZ", "F8_E5M2FNUZ"].map(
    (name) => [name, 8] as const,
  ),
  ...["U16", "I16", "F16", "BF16"].map((name) => [name, 16] as const),
  ...["U32", "I32", "F32"].map((name) => [name, 32] as const),
  ...["U64", "I64", "F64", "C64"].map((name) => [name, 64] as const),
  ["F4", 4],
  ["F6_E2M3", 6],
  ["F6_E3M2", 6],
]);

/** Bits of one element of a safetensors dtype, or undefined for a dtype that the format does not have. */
export function dtypeBits(dtype: string): number | undefined {
  return BITS.get(dtype);
}

const DOWNLOAD = "the file is incomplete or damaged: fetch it again, or write it again";

/**
 * Reads and checks the header of the file at `path`.
 *
 * | offset | size | content                                                                          |
 * | ------ | ---- | -------------------------------------------------------------------------------- |
 * | 0      | 8    | n, the header's length: u64, little endian                                       |
 * | 8      | n    | JSON: name → dtype, shape and data_offsets [begin, end), which count from 8 + n  |
 * | 8 + n  |      | the tensors' data, without a hole, up to the end of the file                     |
 *
 * @throws CheckpointError
 */
export async function readSafetensorsHeader(
  path: string,
  source: ByteSource,
): Promise<SafetensorsHeader> {
  const length = await readHeaderLength(path, source);
  const bytes = new Uint8Array(length);
  await source.readInto(bytes, 8);
  return parseSafetensorsHeader(path, bytes, source.size);
}

async function readHeaderLength(path: string, source: ByteSource): Promise<number> {
  if (source.size < 8) {
    throw new CheckpointError(
      `${path}: the file has ${source.size} bytes, a safetensors file has at least 8; ${DOWNLOAD}`,
    );
  }
  const word = new Uint8Array(8);
  await source.readInto(word, 0);
  const length = new DataView(word.buffer).getBigUint64(0, true);
  if (length > BigInt(MAX_HEADER_BYTES)) {
    // Asked here only: a length that can be right may look like the beginning of a pickle, as 640 does.
    const kind = fileKind(word);
    if (kind !== undefined) throw new CheckpointError(`${path} is no safetensors file: ${kind}`);
    throw new CheckpointError(
      `${path}: the header's length is given as ${length} bytes, at most ${MAX_HEADER_BYTES} are read; ` +
        "this is no safetensors file, or it is damaged",
    );
  }
  if (8 + Number(length) > source.size) {
    throw new CheckpointError(
      `${path}: the header's length is given as ${length} bytes, but the file has only ${source.size}; ${DOWNLOAD}`,
    );
  }
  return Number(length);
}

/** Checks a header, the JSON's bytes. `fileSize` is the size of the whole file. @throws CheckpointError */
export function parseSafetensorsHeader(
  path: string,
  header: Uint8Array<ArrayBuffer>,
  fileSize: number,
): SafetensorsHeader {
  let text: string;
  try {
    text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(header);
  } catch (cause) {
    throw new CheckpointError(`${path}: the header is not UTF-8; ${DOWNLOAD}`, { cause });
  }
  // Writers may pad the header with white space, before it as well as after.
  if (!/^[ \t\r\n]*\{/.test(text)) {
    throw new CheckpointError(
      `${path}: the header begins with ${shown(text.slice(0, 12))}, expected "{"; this is no safetensors file, or it is damaged`,
    );
  }
  const dataBegin = 8 + header.length;
  const found: TensorEntry[] = [];
  const metadata = new Map<string, string>();
  const json = new JsonReader(
    text,
    (what) => new CheckpointError(`${path}: the header is malformed: ${what}; ${DOWNLOAD}`),
  );
  json.object((key) => {
    if (key === "__metadata__") return readMetadata(json, metadata);
    if (found.length === MAX_TENSORS) {
      throw json.error(`more than ${MAX_TENSORS} tensors, the most that are read`);
    }
    found.push(readEntry(json, path, key, dataBegin));
  });
  json.end();
  return { tensors: checkCoverage(path, found, dataBegin, fileSize), metadata };
}

function readMetadata(json: JsonReader, metadata: Map<string, string>): void {
  if (json.peek() !== "object" && json.literal() === null) return;
  json.object((key) => metadata.set(key, json.string()));
}

function readEntry(json: JsonReader, file: string, name: string, dataBegin: number): TensorEntry {
  const where = `${file}: tensor ${shown(name)}`;
  let dtype: string | undefined;
  let shape: number[] | undefined;
  let offsets: number[] | undefined;
  json.object((field) => {
    if (field === "dtype") dtype = json.string();
    else if (field === "shape") shape = readSizes(json, where, "shape");
    else if (field === "data_offsets") offsets = readSizes(json, where, "data_offsets");
    else json.skip();
  });
  if (dtype === undefined || shape === undefined || offsets === undefined) {
    const missing = dtype === undefined ? "dtype" : shape === undefined ? "shape" : "data_offsets";
    throw new CheckpointError(`${where} has no ${missing} in the header; ${DOWNLOAD}`);
  }
  const bits = BITS.get(dtype);
  if (bits === undefined) {
    throw new CheckpointError(
      `${where} has dtype ${shown(dtype)}; safetensors knows ${[...BITS.keys()].join(", ")}. ` +
        "A newer tool may have written it: save it again in float32, float16 or bfloat16",
    );
  }
  if (offsets.length !== 2 || offsets[0] > offsets[1]) {
    throw new CheckpointError(
      `${where} has data_offsets [${offsets.slice(0, 4).join(", ")}], expected [begin, end] with begin ≤ end; ${DOWNLOAD}`,
    );
  }
  const bytes = tensorBytes(where, dtype, bits, shape);
  if (offsets[1] - offsets[0] !== bytes) {
    throw new CheckpointError(
      `${where}: ${dtype} [${shape.join(", ")}] takes ${bytes} bytes, but data_offsets gives it ${offsets[1] - offsets[0]}; ${DOWNLOAD}`,
    );
  }
  return { name, dtype, shape, bytes, file, offset: dataBegin + offsets[0] };
}

// Sizes are read from their digits: JSON.parse would turn 1e400 into Infinity and round 2^53 + 1.
function readSizes(json: JsonReader, where: string, field: string): number[] {
  const sizes: number[] = [];
  json.array(() => {
    if (json.peek() !== "other") {
      throw new CheckpointError(
        `${where}: ${field} holds ${json.peek() === "string" ? "a string" : "a list or object"}, expected whole numbers; ${DOWNLOAD}`,
      );
    }
    const digits = json.number();
    if (
      !/^[0-9]+$/.test(digits) ||
      digits.length > 16 ||
      Number(digits) > Number.MAX_SAFE_INTEGER
    ) {
      throw new CheckpointError(
        `${where}: ${field} holds ${shown(digits)}, expected a whole number from 0 to 2^53 - 1; ${DOWNLOAD}`,
      );
    }
    sizes.push(Number(digits));
  });
  return sizes;
}

function tensorBytes(where: string, dtype: string, bits: number, shape: readonly number[]): number {
  let total = BigInt(bits);
  for (const size of shape) {
    total *= BigInt(size);
    if (total > BigInt(Number.MAX_SAFE_INTEGER)) {
      throw new CheckpointError(
        `${where}: the product of its shape [${shape.slice(0, 8).join(", ")}] overflows: more than 2^53 bits; ${DOWNLOAD}`,
      );
    }
  }
  if (total % 8n !== 0n) {
    throw new CheckpointError(
      `${where}: ${dtype} [${shape.join(", ")}] takes ${total} bits, which is no whole number of bytes`,
    );
  }
  return Number(total / 8n);
}

// Sorted by place, each tensor must begin where the one before it ends, and the last must end where the file ends.
function checkCoverage(
  path: string,
  found: readonly TensorEntry[],
  dataBegin: number,
  fileSize: number,
): ReadonlyMap<string, TensorEntry> {
  const ordered = found.toSorted((a, b) => a.offset - b.offset || a.bytes - b.bytes);
  let end = dataBegin;
  for (const { name, offset, bytes } of ordered) {
    if (offset !== end) {
      const what = offset < end ? "overlaps the tensor before it" : "leaves a hole before it";
      throw new CheckpointError(
        `${path}: tensor ${shown(name)} begins at byte ${offset} and ${what}, expected byte ${end}; the file is damaged or was made to deceive`,
      );
    }
    end += bytes;
    if (end > fileSize) {
      throw new CheckpointError(
        `${path}: tensor ${shown(name)} ends at byte ${end}, but the file has ${fileSize}; ${DOWNLOAD}`,
      );
    }
  }
  if (end !== fileSize) {
    throw new CheckpointError(
      `${path}: the last tensor ends at byte ${end}, but the file has ${fileSize}; the ${fileSize - end} bytes after it belong to no tensor: the file is damaged`,
    );
  }
  return new Map(ordered.map((entry) => [entry.name, entry]));
}
