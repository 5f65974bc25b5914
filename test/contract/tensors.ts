// Inputs of ops for tests: their shape, dtype, kind of leaf and numbers, and the bytes that these are in memory.

import { findFormat } from "../../src/formats/format.ts";
import { matrixShape } from "../../src/formats/weight-format.ts";
import {
  type DType,
  elements,
  type LeafKind,
  type Shape,
  type Values,
} from "../../src/graph/graph.ts";
import type { Random } from "../random.ts";
import { packedMatrix } from "./packed-matrix.ts";

export type TestTensor = {
  readonly shape: Shape;
  readonly dtype: DType;
  readonly kind: LeafKind;
  readonly values: Values;
  /** Of a packed weight: its bytes, whose meaning `values` is. */
  readonly parts?: readonly Uint8Array[];
};

/** Numbers of [−1, 1) that f32 holds, written before each replay. */
export const numbers = (random: Random, ...shape: number[]): TestTensor => ({
  ...{ shape, dtype: "f32", kind: "input" },
  values: random.numbers(elements(shape)).map(Math.fround),
});

/** A weight, which is tried in the plain formats: see `variants`. */
export const weights = (random: Random, ...shape: number[]): TestTensor => ({
  ...numbers(random, ...shape),
  kind: "weight",
});

/** i32; a list of them when no shape is given. */
export const indices = (values: readonly number[], ...shape: number[]): TestTensor => ({
  shape: shape.length > 0 ? shape : [values.length],
  ...{ dtype: "i32", kind: "input", values: Float64Array.from(values) },
});

/** The given numbers as f32; those that f32 does not hold are rounded where bytes are made of them. */
export const given = (shape: Shape, values: readonly number[]): TestTensor => ({
  ...{ shape, dtype: "f32", kind: "input", values: Float64Array.from(values) },
});

/** `count` random indices below `below`. */
export const picks = (random: Random, count: number, below: number): number[] =>
  Array.from({ length: count }, () => random.below(below));

export function scaled(tensor: TestTensor, factor: number): TestTensor {
  return { ...tensor, values: tensor.values.map((x) => Math.fround(x * factor)) };
}

/** The numbers as that plain format holds them. */
export function rounded(tensor: TestTensor, dtype: DType): TestTensor {
  const wide = new Float32Array(tensor.values.length);
  findFormat(dtype)?.unpack(plainBytes(tensor.values, dtype), wide);
  return { ...tensor, dtype, values: new Float64Array(wide) };
}

/** A weight of the same shape in any format, with other numbers. `dtype` may name a compute path. */
export function packedWeight({ shape }: TestTensor, dtype: DType, random: Random): TestTensor {
  const { rows, columns } = matrixShape(shape);
  const { parts, values } = packedMatrix(dtype.split(":")[0], rows, columns, random);
  return { shape, dtype, kind: "weight", values: new Float64Array(values), parts };
}

/** The inputs with weights in each plain format, if there is a weight among them. */
export function variants(ins: readonly TestTensor[]): TestTensor[][] {
  if (!ins.some(({ kind }) => kind === "weight")) return [[...ins]];
  return ["f32", "bf16", "f16"].map((dtype) =>
    ins.map((t) => (t.kind === "weight" ? rounded(t, dtype) : t)),
  );
}

/** The bytes of each part. */
export function bytesOf({ values, dtype, parts }: TestTensor): readonly Uint8Array[] {
  return parts ?? [plainBytes(values, dtype)];
}

function plainBytes(values: Values, dtype: DType): Uint8Array {
  if (dtype === "i32") return new Uint8Array(new Int32Array(values).buffer);
  if (dtype === "i8") return new Uint8Array(new Int8Array(values).buffer);
  const format = findFormat(dtype);
  if (format === undefined) throw new Error(`${dtype} is no plain format`);
  const bytes = new Uint8Array(format.bytes(values.length));
  format.pack(new Float32Array(values), bytes);
  return bytes;
}
