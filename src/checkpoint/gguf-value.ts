// Reads the typed values of GGUF metadata: numbers, strings, and lists of them, lists of lists included. A list of numbers becomes a
// typed array, so that it takes no more memory than in the file. Does not know what a key means.

import { CheckpointError } from "../errors.ts";
import { DAMAGED, type GgufReader, i64, type Scalar, u32, u64 } from "./gguf-reader.ts";

/** A 64-bit integer is a bigint if a number would round it; a list of booleans is an array of 1 and 0. */
export type GgufValue = number | bigint | boolean | string | GgufNumbers | readonly GgufValue[];

export type GgufNumbers =
  | Uint8Array
  | Int8Array
  | Uint16Array
  | Int16Array
  | Uint32Array
  | Int32Array
  | Float32Array
  | BigUint64Array
  | BigInt64Array
  | Float64Array;

/** The most values that a file's metadata may have, the items of lists of strings included. A vocabulary with merges has about 10^6. */
export const MAX_VALUES: number = 2 ** 22;
const MAX_DEPTH = 4;

type NumberType = Scalar<number | bigint> & { list(buffer: ArrayBuffer): GgufNumbers };

const numberTypes: ReadonlyMap<number, NumberType> = new Map<number, NumberType>([
  [0, { bytes: 1, get: (v, at) => v.getUint8(at), list: (b) => new Uint8Array(b) }],
  [1, { bytes: 1, get: (v, at) => v.getInt8(at), list: (b) => new Int8Array(b) }],
  [2, { bytes: 2, get: (v, at) => v.getUint16(at, true), list: (b) => new Uint16Array(b) }],
  [3, { bytes: 2, get: (v, at) => v.getInt16(at, true), list: (b) => new Int16Array(b) }],
  [4, { ...u32, list: (b) => new Uint32Array(b) }],
  [5, { bytes: 4, get: (v, at) => v.getInt32(at, true), list: (b) => new Int32Array(b) }],
  [6, { bytes: 4, get: (v, at) => v.getFloat32(at, true), list: (b) => new Float32Array(b) }],
  [7, { bytes: 1, get: (v, at) => v.getUint8(at), list: (b) => new Uint8Array(b) }],
  [10, { ...u64, list: (b) => new BigUint64Array(b) }],
  [11, { ...i64, list: (b) => new BigInt64Array(b) }],
  [12, { bytes: 8, get: (v, at) => v.getFloat64(at, true), list: (b) => new Float64Array(b) }],
]);
const BOOL = 7;
const STRING = 8;
const ARRAY = 9;

/** How many more values may be read. All values of a file share it. */
export type Budget = { values: number };

/** GGUF's number of the type of unsigned integers of 32 bits. */
export const UINT32 = 4;

/** Reads a type number, then a value of that type. @throws CheckpointError */
export async function readValue(
  reader: GgufReader,
  key: string,
  budget: Budget,
): Promise<{ type: number; value: GgufValue }> {
  const type = await reader.scalar(u32, `the type of ${key}`);
  return { type, value: await typedValue(reader, key, type, budget, 0) };
}

async function typedValue(
  reader: GgufReader,
  key: string,
  type: number,
  budget: Budget,
  depth: number,
): Promise<GgufValue> {
  if (--budget.values < 0) {
    throw new CheckpointError(
      `${reader.path}: the metadata has more than ${MAX_VALUES} values; ${DAMAGED}`,
    );
  }
  if (type === STRING) return reader.string(key);
  if (type === ARRAY) return readList(reader, key, budget, depth + 1);
  const value = await reader.scalar(numberType(reader, key, type), key);
  if (type !== BOOL) return value;
  if (value === 0 || value === 1) return value === 1;
  throw new CheckpointError(
    `${reader.path}: ${key} is a boolean of value ${value}, expected 0 or 1; ${DAMAGED}`,
  );
}

async function readList(
  reader: GgufReader,
  key: string,
  budget: Budget,
  depth: number,
): Promise<GgufValue> {
  if (depth > MAX_DEPTH) {
    throw new CheckpointError(
      `${reader.path}: ${key} holds lists nested deeper than ${MAX_DEPTH}; ${DAMAGED}`,
    );
  }
  const type = await reader.scalar(u32, `the type of the list ${key}`);
  if (type !== STRING && type !== ARRAY) {
    const { bytes, list } = numberType(reader, key, type);
    const length = bytes * (await reader.count(bytes, `the length of ${key}`));
    if (!reader.holds(length)) await reader.load(length, key);
    return list(reader.bytes(length).slice().buffer);
  }
  const items: GgufValue[] = [];
  const least = type === STRING ? 8 : 12;
  const count = await reader.count(least, `the length of ${key}`);
  for (let i = 0; i < count; i++) {
    const held = type === STRING && budget.values > 0 ? reader.heldString(key) : undefined;
    if (held !== undefined) budget.values--;
    items.push(held ?? (await typedValue(reader, key, type, budget, depth)));
  }
  return items;
}

function numberType(reader: GgufReader, key: string, type: number): NumberType {
  const found = numberTypes.get(type);
  if (found !== undefined) return found;
  throw new CheckpointError(
    `${reader.path}: ${key} has type number ${type}, which GGUF does not have; ${DAMAGED}`,
  );
}
