// What a tensor is made of: dtypes, their typed arrays, and the reading of nested arrays into one flat array. Knows no operations.

import { InputError } from "../../errors.ts";

export type TensorDType = "float32" | "float64" | "int32" | "uint8" | "bool";
export type TensorData = Float32Array | Float64Array | Int32Array | Uint8Array;

/** A dense array: `data` holds the product of `dims` elements in row-major order. */
export type Dense = {
  readonly dims: readonly number[];
  readonly dtype: TensorDType;
  readonly data: TensorData;
};

/** What can be read: numbers or booleans in arrays (or typed arrays, or tensors) of any depth. */
type Nested = number | bigint | boolean | Dense | TensorData | readonly Nested[];

/** What `tolist` returns: a number (or boolean) for a scalar, else nested arrays. */
export type NestedArray = number | boolean | NestedArray[];

type Arrays = {
  readonly float32: typeof Float32Array;
  readonly float64: typeof Float64Array;
  readonly int32: typeof Int32Array;
  readonly uint8: typeof Uint8Array;
  readonly bool: typeof Uint8Array;
};

/** The typed array of each dtype. */
export const ARRAYS: Arrays = {
  float32: Float32Array,
  float64: Float64Array,
  int32: Int32Array,
  uint8: Uint8Array,
  bool: Uint8Array,
};

/** The name of a dtype, checked. @throws InputError another name */
export function dtypeNamed(name: unknown): TensorDType {
  if (typeof name === "string" && Object.hasOwn(ARRAYS, name)) return name as TensorDType;
  const known = Object.keys(ARRAYS).join(", ");
  throw new InputError(`Tensor: dtype ${JSON.stringify(name)} is none of ${known}`);
}

/** [2, 3] as text. */
export const shown = (dims: readonly number[]): string => `[${dims.join(", ")}]`;

/** Whether a value is a tensor; one of another copy of this package is too. */
function isDense(value: unknown): value is Dense {
  if (typeof value !== "object" || value === null) return false;
  const { dims, dtype, data } = value as Partial<Record<keyof Dense, unknown>>;
  const Data = Object.hasOwn(ARRAYS, String(dtype)) ? ARRAYS[dtype as TensorDType] : undefined;
  return Data !== undefined && Array.isArray(dims) && data instanceof Data;
}

/**
 * The flat array and dims of nested arrays.
 * @throws InputError rows of different lengths, an element that is no number, or one that does not fit `dtype`
 */
export function readNested(nested: Nested, dtype?: TensorDType): Dense {
  const { dims, values } = flatten(nested);
  const chosen = dtypeNamed(dtype ?? dtypeOf(nested) ?? dtypeOfValues(values));
  const data = new ARRAYS[chosen](values.length);
  const [low, high] = range(chosen);
  values.forEach((value, i) => {
    if (low !== undefined && !(Number.isInteger(value) && value >= low && value <= high)) {
      const limits = `an integer from ${low} to ${high}`;
      throw new InputError(`Tensor: element ${i} is ${value}; ${chosen} needs ${limits}`);
    }
    data[i] = value;
  });
  return { dtype: chosen, data, dims };
}

/** Dense data as nested arrays. */
export function nestedOf({ dims, dtype, data }: Dense): NestedArray {
  let next = 0;
  const build = (depth: number): NestedArray => {
    if (depth === dims.length) {
      const value = data[next++] ?? 0;
      return dtype === "bool" ? value !== 0 : value;
    }
    return Array.from({ length: dims[depth] ?? 0 }, () => build(depth + 1));
  };
  return build(0);
}

function range(dtype: TensorDType): [number, number] | [undefined, undefined] {
  if (dtype === "int32") return [-(2 ** 31), 2 ** 31 - 1];
  if (dtype === "uint8") return [0, 255];
  if (dtype === "bool") return [0, 1];
  return [undefined, undefined];
}

function dtypeOf(nested: Nested): TensorDType | undefined {
  if (isDense(nested)) return nested.dtype;
  if (nested instanceof Float32Array) return "float32";
  if (nested instanceof Float64Array) return "float64";
  if (nested instanceof Int32Array) return "int32";
  if (nested instanceof Uint8Array) return "uint8";
  if (typeof nested === "boolean") return "bool";
  return Array.isArray(nested) && nested.length > 0 ? dtypeOf(nested[0]) : undefined;
}

function dtypeOfValues(values: readonly number[]): TensorDType {
  return values.every((v) => Number.isInteger(v)) ? "int32" : "float32";
}

function flatten(nested: Nested): { dims: number[]; values: number[] } {
  const dims: number[] = [];
  const values: number[] = [];
  const visit = (value: Nested, depth: number, open: boolean): void => {
    const row = rowOf(value);
    if (row === undefined) {
      if (depth !== dims.length) throw ragged(depth, "a number", "an array");
      values.push(numberOf(value));
      return;
    }
    if (open && depth === dims.length) dims.push(row.length);
    if (depth >= dims.length) throw ragged(depth, "an array", "a number");
    if (dims[depth] !== row.length) {
      throw ragged(depth, `${row.length} elements`, `${dims[depth]}`);
    }
    // only the first path may add a dimension; all others must agree with dims
    for (let i = 0; i < row.length; i++) visit(row[i], depth + 1, open && i === 0);
  };
  visit(nested, 0, true);
  return { dims, values };
}

function rowOf(value: Nested): ArrayLike<Nested> | undefined {
  if (isDense(value)) return value.dims.length === 0 ? undefined : rowsOf(value);
  return Array.isArray(value) || ArrayBuffer.isView(value)
    ? (value as ArrayLike<Nested>)
    : undefined;
}

/** The rows of a tensor of at least one dimension, as nested arrays. */
const rowsOf = (value: Dense): readonly Nested[] => nestedOf(value) as NestedArray[];

function numberOf(value: Nested): number {
  if (typeof value === "number") return value;
  if (typeof value === "boolean" || typeof value === "bigint") return Number(value);
  if (isDense(value)) return value.data[0];
  throw new InputError(`Tensor: an element is ${describe(value)}; expected a number`);
}

function describe(value: unknown): string {
  return value === null || value === undefined ? String(value) : `of type ${typeof value}`;
}

function ragged(depth: number, came: string, expected: string): InputError {
  return new InputError(
    `Tensor: rows differ in dimension ${depth} (${came}, where the first has ${expected}); ` +
      `pad them to one length, for texts by { padding: true }`,
  );
}
