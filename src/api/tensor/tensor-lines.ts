// What is computed along one dimension of a tensor: softmax, argmax, topk. A *line* is the elements that differ in that dimension only.
// Results are those of PyTorch 2; where PyTorch leaves the order of equal elements open, the lower index comes first.

import { InputError } from "../../errors.ts";
import { exp, softmax as softmax32 } from "../../ops/softmax.ts";
import { ARRAYS, type Dense, shown, type TensorData } from "./tensor-data.ts";

/** The number of a dimension, or of an index, counted from 0. @throws InputError it is no integer in [−count, count) */
export function placeOf(
  what: string,
  index: number,
  count: number,
  dims: readonly number[],
): number {
  if (Number.isInteger(index) && index >= -count && index < count)
    return index < 0 ? index + count : index;
  const limits =
    count === 0 ? "there is none" : `expected an integer from ${-count} to ${count - 1}`;
  throw new InputError(`Tensor: ${what} ${index} of a tensor ${shown(dims)}: ${limits}`);
}

/** Dimension `dim` of a tensor; a scalar counts as one line of one element. */
function dimOf(what: string, { dims }: Dense, dim: number): number {
  return placeOf(`${what}: dim`, dim, Math.max(1, dims.length), dims);
}

/** e^x / Σ e^x over each line, the largest element subtracted first; float64 stays float64, else float32. */
export function softmax(x: Dense, dim: number): Dense {
  const along = dimOf("softmax", x, dim);
  if (x.dtype !== "float32" && x.dtype !== "float64") {
    throw new InputError(
      `Tensor: softmax of a tensor of ${x.dtype}: expected float32 or float64; convert it first, with to("float32")`,
    );
  }
  const data = new ARRAYS[x.dtype](x.data.length);
  for (const line of lines(x, along)) {
    const values = line.read();
    line.write(data, values instanceof Float32Array ? softmax32(values) : softmax64(values));
  }
  return { dtype: x.dtype, data, dims: x.dims };
}

function softmax64(values: TensorData): Float64Array {
  let max = -Infinity;
  for (const value of values) max = Math.max(max, value);
  const terms = Float64Array.from(values, (value) => exp(value - max));
  const sum = terms.reduce((a, b) => a + b, 0);
  return terms.map((term) => term / sum);
}

/** Where each line has its largest element, the first one if there are several. NaN counts as larger than all numbers. */
export function argmax(x: Dense, dim: number, keepdim: boolean): Dense {
  const along = dimOf("argmax", x, dim);
  refuseBool("argmax", x);
  if (x.dims[along] === 0) {
    throw new InputError(
      `Tensor: argmax of a tensor ${shown(x.dims)}: dimension ${along} has no elements`,
    );
  }
  const data = Int32Array.from(lines(x, along), (line) => largestAt(line.read()));
  const dims = x.dims.flatMap((size, d) => (d !== along ? [size] : keepdim ? [1] : []));
  return { dtype: "int32", data, dims };
}

/** Where a tensor, read as one line, has its largest element. */
export function argmaxOfAll(x: Dense): Dense {
  refuseBool("argmax", x);
  if (x.data.length > 0)
    return { dtype: "int32", data: Int32Array.of(largestAt(x.data)), dims: [] };
  throw new InputError(`Tensor: argmax of a tensor ${shown(x.dims)}: it has no elements`);
}

function largestAt(values: TensorData): number {
  let at = 0;
  for (let i = 1; i < values.length; i++) if (isAbove(values[i], values[at])) at = i;
  return at;
}

/** The order of PyTorch: NaN is above all numbers. */
const isAbove = (a: number, b: number): boolean => a > b || (a !== a && b === b);

/** The k largest (or smallest) elements of each line, in order, and where they are. */
export function topk(
  x: Dense,
  k: number,
  dim: number,
  largest: boolean,
): { values: Dense; indices: Dense } {
  const along = dimOf("topk", x, dim);
  refuseBool("topk", x);
  const size = x.dims[along] ?? 1;
  if (!Number.isInteger(k) || k < 0 || k > size) {
    throw new InputError(
      `Tensor: topk: k is ${k}: expected an integer from 0 to ${size}, the size of dimension ${along} of ${shown(x.dims)}`,
    );
  }
  const dims = x.dims.map((each, d) => (d === along ? k : each));
  // PyTorch gives a scalar for a scalar, whatever k is.
  const count = x.dims.length === 0 ? 1 : k;
  const elements = dims.reduce((a, b) => a * b, 1);
  const values = { dtype: x.dtype, data: new ARRAYS[x.dtype](elements), dims };
  const indices = { dtype: "int32" as const, data: new Int32Array(elements), dims };
  const targets = lines(indices, along);
  for (const line of lines(x, along)) {
    const all = line.read();
    const order = firstOf(all, count, largest);
    const target = targets.next().value;
    target?.write(indices.data, order);
    target?.write(
      values.data,
      order.map((i) => all[i]),
    );
  }
  return { values, indices };
}

/** Above one in this many, sorting all elements costs less than keeping a sorted list of the first ones. */
const FEW = 64;

/** Where the `count` first elements are, sorted by value, equal ones by index. */
function firstOf(values: TensorData, count: number, largest: boolean): number[] {
  const order = (a: number, b: number): number => {
    if (isAbove(values[a], values[b])) return largest ? -1 : 1;
    if (isAbove(values[b], values[a])) return largest ? 1 : -1;
    return a - b;
  };
  if (count * FEW > values.length) return Array.from(values.keys()).toSorted(order).slice(0, count);
  const first: number[] = [];
  for (let i = 0; i < values.length; i++) {
    if (first.length === count && (count === 0 || order(first[count - 1], i) < 0)) continue;
    const place = first.findIndex((other) => order(i, other) < 0);
    first.splice(place < 0 ? first.length : place, 0, i);
    first.length = Math.min(first.length, count);
  }
  return first;
}

function refuseBool(what: string, { dtype }: Dense): void {
  if (dtype !== "bool") return;
  throw new InputError(
    `Tensor: ${what} of a tensor of bool: expected numbers; convert it first, with to("int32")`,
  );
}

type Line = { read(): TensorData; write(data: TensorData, values: ArrayLike<number>): void };

/** All lines along a dimension, in the order of the other dimensions. */
function* lines({ dims, data }: Dense, along: number): Generator<Line, undefined, undefined> {
  const size = dims[along] ?? 1;
  const stride = dims.slice(along + 1).reduce((a, b) => a * b, 1);
  const blocks = dims.slice(0, along).reduce((a, b) => a * b, 1);
  for (let block = 0; block < blocks; block++) {
    for (let inner = 0; inner < stride; inner++) {
      const begin = block * size * stride + inner;
      yield {
        read: () =>
          stride === 1
            ? data.subarray(begin, begin + size)
            : data.slice(0, size).map((_, i) => data[begin + i * stride]),
        write(to, values) {
          for (let i = 0; i < size; i++) to[begin + i * stride] = values[i];
        },
      };
    }
  }
  return undefined;
}
