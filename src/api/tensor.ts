// The tensor that users see: dims, dtype and a flat typed array in row-major order. It computes nothing, and has nothing to do with the
// graph's symbolic tensors.

import { InputError } from "../errors.ts";

export type TensorDType = "float32" | "float64" | "int32" | "uint8" | "bool";
export type TensorData = Float32Array | Float64Array | Int32Array | Uint8Array;

/** What `Tensor.from` reads: numbers or booleans in arrays (or typed arrays) of any depth. */
export type NestedInput = number | bigint | boolean | Tensor | TensorData | readonly NestedInput[];

/** What `tolist` returns: a number (or boolean) for a scalar, else nested arrays. */
export type NestedArray = number | boolean | NestedArray[];

const ARRAYS = {
  float32: Float32Array,
  float64: Float64Array,
  int32: Int32Array,
  uint8: Uint8Array,
  bool: Uint8Array,
} as const;

/**
 * A dense array of numbers. `data` is shared, not copied: writing to it changes the tensor.
 * Booleans are kept as bytes 0 and 1; `tolist` returns them as booleans.
 */
export class Tensor {
  /** Sizes from the outermost to the innermost dimension; empty for a scalar. */
  readonly dims: readonly number[];
  readonly dtype: TensorDType;
  /** The elements in row-major order; `data.length` is the product of `dims`. */
  readonly data: TensorData;

  /** @throws InputError `data` has another type than `dtype`, or its length is not the product of `dims` */
  constructor(dtype: TensorDType, data: TensorData, dims: readonly number[]) {
    if (!Object.hasOwn(ARRAYS, dtype)) {
      const known = Object.keys(ARRAYS).join(", ");
      throw new InputError(`Tensor: dtype ${JSON.stringify(dtype)} is none of ${known}`);
    }
    if (!(data instanceof ARRAYS[dtype])) {
      const expected = ARRAYS[dtype].name;
      throw new InputError(`Tensor: dtype ${dtype} keeps its data in a ${expected}`);
    }
    if (dims.some((d) => !Number.isSafeInteger(d) || d < 0)) {
      throw new InputError(`Tensor: dims [${dims.join(", ")}] must be integers of 0 or more`);
    }
    const size = dims.reduce((a, b) => a * b, 1);
    if (size !== data.length) {
      const shape = `[${dims.join(", ")}]`;
      throw new InputError(`Tensor: dims ${shape} need ${size} elements, data has ${data.length}`);
    }
    this.dims = Object.freeze([...dims]);
    this.dtype = dtype;
    this.data = data;
  }

  /**
   * Makes a tensor of nested arrays. Without `dtype` it is int32 for integers, bool for booleans, else float32; typed arrays keep their
   * own type.
   *
   * @throws InputError rows of different lengths, an element that is no number, or one that does not fit `dtype`
   */
  static from(nested: NestedInput, dtype?: TensorDType): Tensor {
    if (nested instanceof Tensor && (dtype === undefined || dtype === nested.dtype)) return nested;
    const { dims, values } = flatten(nested);
    const chosen = dtype ?? dtypeOf(nested) ?? dtypeOfValues(values);
    if (!Object.hasOwn(ARRAYS, chosen)) {
      const known = Object.keys(ARRAYS).join(", ");
      throw new InputError(`Tensor: dtype ${JSON.stringify(chosen)} is none of ${known}`);
    }
    const data = new ARRAYS[chosen](values.length);
    const [low, high] = range(chosen);
    values.forEach((value, i) => {
      if (low !== undefined && !(Number.isInteger(value) && value >= low && value <= high)) {
        const limits = `an integer from ${low} to ${high}`;
        throw new InputError(`Tensor: element ${i} is ${value}; ${chosen} needs ${limits}`);
      }
      data[i] = value;
    });
    return new Tensor(chosen, data, dims);
  }

  /** The number of elements. */
  get size(): number {
    return this.data.length;
  }

  /** The elements as nested arrays; a scalar as one number. */
  tolist(): NestedArray {
    let at = 0;
    const build = (depth: number): NestedArray => {
      if (depth === this.dims.length) {
        const value = this.data[at++] ?? 0;
        return this.dtype === "bool" ? value !== 0 : value;
      }
      return Array.from({ length: this.dims[depth] ?? 0 }, () => build(depth + 1));
    };
    return build(0);
  }

  /** The only element, as a number. @throws InputError there is not exactly one */
  item(): number {
    if (this.data.length === 1) return this.data[0];
    throw new InputError(
      `Tensor: item() of a tensor [${this.dims.join(", ")}]: expected one element; use data or tolist()`,
    );
  }

  toJSON(): NestedArray {
    return this.tolist();
  }
}

function range(dtype: TensorDType): [number, number] | [undefined, undefined] {
  if (dtype === "int32") return [-(2 ** 31), 2 ** 31 - 1];
  if (dtype === "uint8") return [0, 255];
  if (dtype === "bool") return [0, 1];
  return [undefined, undefined];
}

function dtypeOf(nested: NestedInput): TensorDType | undefined {
  if (nested instanceof Tensor) return nested.dtype;
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

function flatten(nested: NestedInput): { dims: number[]; values: number[] } {
  const dims: number[] = [];
  const values: number[] = [];
  const visit = (value: NestedInput, depth: number, open: boolean): void => {
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

function rowOf(value: NestedInput): ArrayLike<NestedInput> | undefined {
  if (value instanceof Tensor) return value.tolist() as readonly NestedInput[];
  return Array.isArray(value) || ArrayBuffer.isView(value)
    ? (value as ArrayLike<NestedInput>)
    : undefined;
}

function numberOf(value: NestedInput): number {
  if (typeof value === "number") return value;
  if (typeof value === "boolean" || typeof value === "bigint") return Number(value);
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
