// The tensor that users see: dims, dtype and a flat typed array in row-major order, with what is needed to read results.
// It has nothing to do with the graph's symbolic tensors.

import { InputError } from "../../errors.ts";
import {
  ARRAYS,
  type Dense,
  dtypeNamed,
  type NestedArray,
  nestedOf,
  readNested,
  shown,
  type TensorData,
  type TensorDType,
} from "./tensor-data.ts";
import { readTarget, type Target } from "../device.ts";
import type { Spelled } from "./torch.ts";
import { argmax, argmaxOfAll, placeOf, softmax, topk } from "./tensor-lines.ts";

export type { NestedArray, TensorData, TensorDType } from "./tensor-data.ts";

/** What `Tensor.from` reads: numbers or booleans in arrays (or typed arrays) of any depth, all rows of one length. */
export type NestedInput = number | bigint | boolean | Tensor | TensorData | readonly NestedInput[];

/** For `slice`: null takes all of a dimension, a number one index, which drops the dimension, and [start, end) a range. */
export type Slice = number | null | readonly [start: number | null, end?: number | null];

/**
 * A dense array of numbers. `data` is shared, not copied: writing to it changes the tensor.
 * Booleans are kept as bytes 0 and 1; `tolist` returns them as booleans.
 *
 * `for (const row of tensor)` goes through the first dimension, as `tensor.at(0)`, `tensor.at(1)` … do. A scalar cannot be iterated.
 */
export class Tensor {
  /** Sizes from the outermost to the innermost dimension; empty for a scalar. */
  readonly dims: readonly number[];
  readonly dtype: TensorDType;
  /** The elements in row-major order; `data.length` is the product of `dims`. */
  readonly data: TensorData;

  /** @throws InputError `data` has another type than `dtype`, or its length is not the product of `dims` */
  constructor(dtype: TensorDType, data: TensorData, dims: readonly number[]) {
    const Data = ARRAYS[dtypeNamed(dtype)];
    if (!(data instanceof Data)) {
      throw new InputError(`Tensor: dtype ${dtype} keeps its data in a ${Data.name}`);
    }
    if (dims.some((d) => !Number.isSafeInteger(d) || d < 0)) {
      throw new InputError(`Tensor: dims ${shown(dims)} must be integers of 0 or more`);
    }
    const size = dims.reduce((a, b) => a * b, 1);
    if (size !== data.length) {
      throw new InputError(
        `Tensor: dims ${shown(dims)} need ${size} elements, data has ${data.length}`,
      );
    }
    this.dims = Object.freeze([...dims]);
    this.dtype = dtype;
    this.data = data;
    // A scalar has no rows. Without the method `for … of` says "not iterable", and test tools compare scalars by their fields.
    if (dims.length === 0) Object.defineProperty(this, Symbol.iterator, { value: undefined });
  }

  /**
   * Makes a tensor of nested arrays. Without `dtype` it is int32 for integers, bool for booleans, else float32; typed arrays keep their
   * own type.
   *
   * @throws InputError rows of different lengths, an element that is no number, or one that does not fit `dtype`
   */
  static from(nested: NestedInput, dtype?: TensorDType): Tensor {
    if (nested instanceof Tensor && (dtype === undefined || dtype === nested.dtype)) return nested;
    return Tensor.#of(readNested(nested, dtype));
  }

  static #of({ dtype, data, dims }: Dense): Tensor {
    return new Tensor(dtype, data, dims);
  }

  /** The same as `dims`, under PyTorch's name. */
  get shape(): readonly number[] {
    return this.dims;
  }

  /** The number of dimensions. */
  get ndim(): number {
    return this.dims.length;
  }

  /** The number of elements. */
  get size(): number {
    return this.data.length;
  }

  /**
   * The part at these indices of the first dimensions: `tensor.at(0, -1)` is `tensor[0, -1]` in Python. Negative indices count from the
   * end. It shares its data with the tensor. With an index for every dimension it is a scalar, whose number `item()` gives.
   *
   * @throws InputError an index outside its dimension, or more indices than dimensions
   */
  at(...indices: number[]): Tensor {
    if (indices.length > this.dims.length) {
      throw new InputError(
        `Tensor: at(${indices.join(", ")}) of a tensor ${shown(this.dims)}: expected at most ${this.dims.length} indices`,
      );
    }
    let [begin, length] = [0, this.data.length];
    for (const [d, index] of indices.entries()) {
      const size = this.dims[d];
      const place = placeOf("at: index", index, size, this.dims);
      length /= size;
      begin += place * length;
    }
    const data = this.data.subarray(begin, begin + length);
    return new Tensor(this.dtype, data, this.dims.slice(indices.length));
  }

  /** The parts along the first dimension, which share their data with the tensor. */
  *[Symbol.iterator](): Generator<Tensor, void, undefined> {
    for (let i = 0; i < this.dims[0]; i++) yield this.at(i);
  }

  /**
   * A copy of a part: an argument says what is taken of a dimension, and dimensions without one are taken whole.
   * `x.slice(null, [-2, null], 0)` is `x[:, -2:, 0]` in Python. As there, a range beyond the ends is cut to them.
   *
   * @throws InputError an index outside its dimension, or more arguments than dimensions
   */
  slice(...slices: Slice[]): Tensor {
    if (slices.length > this.dims.length) {
      throw new InputError(
        `Tensor: slice of a tensor ${shown(this.dims)}: ${slices.length} arguments, expected at most ${this.dims.length}`,
      );
    }
    const ranges = this.dims.map((size, d) => this.#range(slices[d] ?? null, size));
    const counts = ranges.map(([start, end]) => Math.max(0, end - start));
    const data = new ARRAYS[this.dtype](counts.reduce((a, b) => a * b, 1));
    for (let i = 0; i < data.length; i++) {
      let [rest, from, stride] = [i, 0, 1];
      for (let d = this.dims.length - 1; d >= 0; d--) {
        from += (ranges[d][0] + (rest % counts[d])) * stride;
        rest = Math.floor(rest / counts[d]);
        stride *= this.dims[d];
      }
      data[i] = this.data[from];
    }
    return new Tensor(
      this.dtype,
      data,
      counts.filter((_, d) => typeof slices[d] !== "number"),
    );
  }

  #range(slice: Slice, size: number): [start: number, end: number] {
    if (typeof slice === "number") {
      const place = placeOf("slice: index", slice, size, this.dims);
      return [place, place + 1];
    }
    if (slice !== null && (!Array.isArray(slice) || slice.length > 2)) {
      throw new InputError(
        `Tensor: slice: ${JSON.stringify(slice)}: expected null, an index or a range [start, end]`,
      );
    }
    const bound = (value: number | null | undefined, otherwise: number): number => {
      if (value === null || value === undefined) return otherwise;
      if (Number.isInteger(value))
        return Math.min(Math.max(value < 0 ? value + size : value, 0), size);
      throw new InputError(`Tensor: slice: ${String(value)}: expected integers or null in a range`);
    };
    return slice === null ? [0, size] : [bound(slice[0], 0), bound(slice[1], size)];
  }

  /**
   * Probabilities: eˣ / Σ eˣ along dimension `dim` (negative: from the end), the largest element subtracted first. In float32, or in
   * float64 for a tensor of float64.
   *
   * @throws InputError the tensor holds integers or booleans; there is no such dimension
   */
  softmax(dim: number): Tensor {
    return Tensor.#of(softmax(this, dim));
  }

  /**
   * Where the largest element is, as int32: along dimension `dim`, which is dropped unless `keepdim`, or without `dim` in all elements
   * read as one row. Of equal elements the first counts; NaN counts as the largest.
   *
   * @throws InputError the tensor holds booleans; there is no element, or no such dimension
   */
  argmax(dim?: number | null, keepdim = false): Tensor {
    return Tensor.#of(
      dim === undefined || dim === null ? argmaxOfAll(this) : argmax(this, dim, keepdim),
    );
  }

  /**
   * The `k` largest elements along dimension `dim` (default: the last), largest first, and where they are; with `largest` false the
   * smallest, smallest first. Of equal elements the first comes first (PyTorch leaves their order open); NaN counts as the largest.
   *
   * @throws InputError k is negative, or above the dimension's size; the tensor holds booleans
   */
  topk(k: number, dim = -1, largest = true): { values: Tensor; indices: Tensor } {
    const { values, indices } = topk(this, k, dim, largest);
    return { values: Tensor.#of(values), indices: Tensor.#of(indices) };
  }

  /**
   * With a dtype: the elements converted, in a new tensor if they are not of that dtype already. As in PyTorch, fractions are cut off
   * for integers, and every number but 0 is true. "int64" means int32. With a device, such as "cuda" or `model.device`: the tensor
   * itself, since data stay where they are, and models take them from there.
   *
   * @throws InputError an unknown device or dtype
   */
  to(
    target: Target<Spelled<TensorDType | "int64">>,
    dtype?: Spelled<TensorDType | "int64">,
  ): Tensor {
    const known = [...Object.keys(ARRAYS), "int64"];
    const wanted = readTarget("Tensor.to", target, dtype, known).dtype ?? this.dtype;
    const name = dtypeNamed(wanted === "int64" ? "int32" : wanted);
    if (name === this.dtype) return this;
    const data =
      name === "bool"
        ? Uint8Array.from(this.data, (value) => (value === 0 ? 0 : 1))
        : ARRAYS[name].from(this.data);
    return new Tensor(name, data, this.dims);
  }

  /** The elements as nested arrays; a scalar as one number. */
  tolist(): NestedArray {
    return nestedOf(this);
  }

  /** The only element, as a number. @throws InputError there is not exactly one */
  item(): number {
    if (this.data.length === 1) return this.data[0];
    throw new InputError(
      `Tensor: item() of a tensor ${shown(this.dims)}: expected one element; use data or tolist()`,
    );
  }

  toJSON(): NestedArray {
    return this.tolist();
  }
}
