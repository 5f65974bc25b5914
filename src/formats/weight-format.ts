// How a matrix of weights lies in memory: one or more parts of bytes, which kernels read as they are. A vector is one row.
// A format is known by a name that holds its parameters ("nf4-64-dq"), so that a name is enough to find it anywhere.
// Contract: unpack is the specification of every kernel. Knows no files and no kernels.

import type { AreFinite } from "./finite.ts";

/** One format of matrices; see the file of its family. */
export type WeightFormat = {
  readonly name: string;
  /** What picks kernels: "nf4", "q4", "Q4_K" … */
  readonly family: string;
  /** The family's one number: numbers that share a scale, or what its file says. */
  readonly param: number;
  /** Bytes of each part of a matrix [rows, columns]. @throws InputError a shape that it cannot hold */
  parts(rows: number, columns: number): readonly number[];
  /** Rows are packed by multiples of this many, except the last ones. */
  step(columns: number): number;
  /** Rows [from, to) of a matrix [rows, columns] as f32, exactly what the bytes mean. `out` has (to − from) · columns numbers. */
  unpack(parts: Parts, shape: MatrixShape, from: number, to: number, out: Float32Array): void;
  /**
   * Whether no number of a loaded matrix is NaN or Inf, or no scale where it was quantised.
   * @param look how words are looked at: a backend may do it faster
   */
  isFinite?(parts: Parts, look?: AreFinite): boolean;
  /** Quantises into `parts`; formats that are only read have none. */
  packer?(parts: Parts, shape: MatrixShape): Packer;
};

export type Parts = readonly Uint8Array<ArrayBufferLike>[];
export type MatrixShape = { readonly rows: number; readonly columns: number };

/** Fills the parts of one matrix, rows in order. */
export type Packer = {
  /** Rows [from, to), each once and in order; `from` is a multiple of the format's step. */
  rows(values: Float32Array, from: number, to: number): void;
  /** What is known only when all rows have come. */
  finish(): void;
};

/** A tensor's shape as that of a matrix: all but the last dimension are rows; a vector is one row. */
export function matrixShape(shape: readonly number[]): MatrixShape {
  const columns = shape.at(-1) ?? 1;
  return { rows: shape.slice(0, -1).reduce((product, size) => product * size, 1), columns };
}
