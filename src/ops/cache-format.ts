// How the cache keeps numbers: as f32, rounded to f16 or bf16, or as int8 codes with one scale for each column and head.
// This is the specification of what kernels append: inputs are f32, and every step to a code is computed in f32.

import { findFormat } from "../formats/format.ts";
import type { DType } from "../graph/graph.ts";

/** `x` as f32 numbers, rounded to nearest even where the format is narrower. */
export function roundedTo(dtype: DType, x: ArrayLike<number>): Float32Array {
  const values = Float32Array.from(x);
  const format = findFormat(dtype);
  if (dtype === "f32" || format === undefined) return values;
  const bytes = new Uint8Array(format.bytes(values.length));
  format.pack(values, bytes);
  format.unpack(bytes, values);
  return values;
}

/** The smallest normal f32. With a scale below it, all codes are zero. */
const LEAST_SCALE = 2 ** -126;

/**
 * scale = largest size / 127; codes = x · (1 / scale), rounded to nearest, ties to even, so that codes · scale is nearly x. A NaN in x
 * makes the scale NaN, an infinity makes it infinite.
 */
export function codesOf(x: ArrayLike<number>): { scale: number; codes: number[] } {
  const values = Float32Array.from(x);
  const largest = values.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
  const scale = Math.fround(largest / 127);
  const inverse = scale >= LEAST_SCALE ? Math.fround(1 / scale) : 0;
  return { scale, codes: Array.from(values, (value) => toEven(Math.fround(value * inverse))) };
}

/** Rounds to the nearest whole number, ties to even; 0 for NaN. */
function toEven(x: number): number {
  if (Number.isNaN(x)) return 0;
  const near = Math.round(x);
  return near - x === 0.5 && near % 2 !== 0 ? near - 1 : near;
}
