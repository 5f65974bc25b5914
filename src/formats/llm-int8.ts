// LLM.int8: rows of 8-bit integers with one scale a row (Dettmers et al. 2022, arXiv:2208.07339), with the bytes that bitsandbytes gives
// on the CPU, where weights are rounded to f16 first. Names: "int8-6"; the number is the magnitude from which an activation makes its
// column an outlier, 0: there are no outliers. Does not know activations: llm-int8-product.ts.

import { CheckpointError } from "../errors.ts";
import { areFinite, exponents, FINITE_RUN } from "./finite.ts";
import { bitsOf, largestMagnitude } from "./magnitude.ts";
import type { WeightFormat } from "./weight-format.ts";
import { bytesOf, floats32 } from "./words.ts";

/** The name of the format for an outlier threshold. */
export const int8Name = (threshold: number): string => `int8-${threshold}`;

/**
 * The format of that name, or undefined. Its parameter is the threshold. The parts of a matrix [O, K]:
 *
 * | part | shape     | content                              |
 * | ---- | --------- | ------------------------------------ |
 * | 0    | i8 [O, K] | integers                             |
 * | 1    | f32 [O]   | SCB, the largest magnitude of a row  |
 */
export function int8Format(name: string): WeightFormat | undefined {
  const threshold = Number(/^int8-(\d+(?:\.\d+)?)$/.exec(name)?.[1]);
  if (!(threshold >= 0) || int8Name(threshold) !== name) return undefined;
  return {
    name,
    family: "int8",
    param: threshold,
    parts: (rows, columns) => [rows * columns, rows * 4],
    step: () => 1,

    unpack(parts, { columns }, from, to, out) {
      const codes = asSigned(parts[0]);
      const scales = floats32(parts[1]);
      for (let row = from, at = 0; row < to; row++) {
        const scale = scales[row];
        for (let i = row * columns; i < (row + 1) * columns; i++)
          out[at++] = widened(codes[i], scale);
      }
    },

    isFinite: ([, scales], look = areFinite) => look(scales, exponents.f32, FINITE_RUN),

    packer(parts, { rows, columns }) {
      const codes = asSigned(parts[0]);
      const scales = new Float32Array(rows);
      const rounded = new Float32Array(columns);
      return {
        rows(values, from, to) {
          for (let row = from; row < to; row++) {
            const begin = (row - from) * columns;
            const scale = roundToF16(values.subarray(begin, begin + columns), rounded);
            if (!(scale < Infinity)) throw notFinite(name, row);
            scales[row] = scale;
            quantizeRow(rounded, scale, codes.subarray(row * columns, (row + 1) * columns));
          }
        },
        finish: () => parts[1].set(bytesOf(scales)),
      };
    },
  };
}

// bitsandbytes' constant for 1 / 127, in f32.
const INVERSE_127 = Math.fround(7.874015718698502e-3);

/** The weight that an integer means: code · SCB / 127, each step rounded to f32. */
export function widened(code: number, scale: number): number {
  return Math.fround(Math.fround(code * scale) * INVERSE_127);
}

/** The least normal number of f16. */
const NORMAL = 2 ** -14;
/** The least number that f16 rounds to infinity. */
const BEYOND = 65520;
/** Adding this in f64 and subtracting it again rounds to a multiple of 2⁻²⁴, the unit of f16's subnormals, ties to even. */
const SUBNORMALS = 1.5 * 2 ** 28;

/** Rounds numbers to f16, and returns their largest magnitude: NaN or Infinity if one of them is. */
export function roundToF16(values: Float32Array, out: Float32Array): number {
  out.set(values);
  const bits = bitsOf(out);
  for (let i = 0; i < out.length; i++) {
    const value = out[i];
    const magnitude = Math.abs(value);
    if (magnitude < NORMAL) out[i] = value + SUBNORMALS - SUBNORMALS;
    else if (magnitude < BEYOND) bits[i] = (bits[i] + 0xfff + ((bits[i] >>> 13) & 1)) & ~0x1fff;
    else out[i] = value * Infinity;
  }
  return largestMagnitude(bits, 0, bits.length);
}

/** Adding this in f64 and subtracting it again rounds to a whole number, ties to even. */
const WHOLE = 1.5 * 2 ** 52;

/** Rounds one row to integers from −127 to 127, ties to even. `scale`: its largest magnitude; a row of zeros becomes zeros. */
export function quantizeRow(values: Float32Array, scale: number, codes: Int8Array): void {
  const inverse = Math.fround(Math.fround(1 / scale) * 127);
  if (inverse === Infinity) return void codes.fill(0);
  for (let i = 0; i < values.length; i++) {
    codes[i] = Math.fround(values[i] * inverse) + WHOLE - WHOLE;
  }
}

function asSigned(bytes: Uint8Array): Int8Array {
  return new Int8Array(bytes.buffer, bytes.byteOffset, bytes.length);
}

function notFinite(name: string, row: number): CheckpointError {
  return new CheckpointError(
    `quantising to ${name}: row ${row} holds NaN or a number beyond 65,504, the largest of float16, to which LLM.int8 rounds every weight; ` +
      'use another method (load_in_4bit, or { method: "q8" }), or the checkpoint is damaged',
  );
}
