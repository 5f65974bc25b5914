// How a matrix of weights lies in memory: as one or more parts of bytes, which kernels read directly. A vector is a matrix of one row.
// A format's name holds its parameters ("nf4-64-dq"), so that the name is enough to find it (registry.ts). `unpack` is the
// specification of every kernel that reads the format. Knows no files and no kernels.

import type { AreFinite } from "./finite.ts";

/** One weight format; see the file of its family. */
export type WeightFormat = {
  readonly name: string;
  /** Chooses the kernels: "nf4", "q4", "Q4_K" … */
  readonly family: string;
  /** The format's one parameter. For most families: how many numbers share a scale. */
  readonly param: number;
  /** How many bytes each part of a matrix [rows, columns] takes. @throws InputError a shape that the format cannot hold */
  parts(rows: number, columns: number): readonly number[];
  /** Rows are packed in multiples of this many; only the last call may end elsewhere. */
  step(columns: number): number;
  /** Unpacks rows [from, to) to f32, exactly as the bytes mean. `out` has (to − from) · columns numbers. */
  unpack(parts: Parts, shape: MatrixShape, from: number, to: number, out: Float32Array): void;
  /**
   * Whether all numbers of a loaded matrix are finite; for a quantised one, whether its scales are.
   * @param look looks at the bytes; a backend may have a faster way
   */
  isFinite?(parts: Parts, look?: AreFinite): boolean;
  /** Of a format whose scales are quantised too (in the end, for all rows): the one whose scales are not. */
  readonly single?: {
    readonly format: WeightFormat;
    /** Quantises its f32 scales, those of a whole matrix, into the parts that follow the codes. Overwrites them. */
    nest(scales: Uint8Array, parts: Parts): void;
  };
  /** Starts quantising a matrix into `parts`. Formats that are only read do not have it. */
  packer?(parts: Parts, shape: MatrixShape): Packer;
};

export type Parts = readonly Uint8Array<ArrayBufferLike>[];
export type MatrixShape = { readonly rows: number; readonly columns: number };

/** Quantises one matrix, its rows in order. */
export type Packer = {
  /** Quantises rows [from, to). Each row comes once, in order; `from` is a multiple of the format's step. */
  rows(values: Float32Array, from: number, to: number): void;
  /** Called after the last row: writes what depends on all of them. */
  finish(): void;
};

/** A tensor's shape as that of a matrix: all but the last dimension are rows; a vector is one row. */
export function matrixShape(shape: readonly number[]): MatrixShape {
  const columns = shape.at(-1) ?? 1;
  return { rows: shape.slice(0, -1).reduce((product, size) => product * size, 1), columns };
}
