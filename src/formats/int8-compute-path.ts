// The int8 compute path: the product of a row of activations with a row of packed weights when activations are rounded to int8. Plain
// loops, the specification of the kernels pack_rows_int8 and linear_q4, _q4r, _q6r, _q8, _q4k, _q6k. It is less exact than the
// weights are: rounding changes an activation by up to 1/254 of the largest magnitude in its block. Does not know layouts.

/** How many activations share a scale. */
export const INT8_BLOCK = 32;
/** A block whose magnitudes are all smaller becomes zeros. */
const LEAST = 2 ** -100;

/** A row of activations as codes; each block of 32 has a scale. A number is code · scale. */
export type Int8Row = { readonly codes: Int8Array; readonly scales: Float32Array };

/**
 * Rounds one row, in f32: scale = largest magnitude / 127, code = x · (127 / largest magnitude), rounded to nearest, ties to even. A block
 * with NaN or an infinity gets a scale that is not finite. Kernels keep scale · 2¹¹², so magnitudes must stay below 127 · 2¹⁶.
 */
export function roundToInt8(x: Float32Array): Int8Row {
  const blocks = Math.ceil(x.length / INT8_BLOCK);
  const codes = new Int8Array(blocks * INT8_BLOCK);
  const scales = new Float32Array(blocks);
  for (let block = 0; block < blocks; block++) {
    const numbers = x.subarray(block * INT8_BLOCK, (block + 1) * INT8_BLOCK);
    const largest = numbers.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
    if (largest < LEAST) continue;
    scales[block] = largest / 127;
    const inverse = Math.fround(127 / largest);
    codes.set(
      numbers.map((value) => toEven(Math.fround(value * inverse))),
      block * INT8_BLOCK,
    );
  }
  return { codes, scales };
}

/**
 * One row of weights: integers, and a scale for each run of 16 or 32 of them. The integers are code − 8 (q4, q4r), code − 32 (q6r, q6k),
 * code − 128 (q8) or code (q4k).
 */
export type IntegerRow = {
  readonly integers: Int8Array;
  readonly run: 16 | 32;
  readonly scales: Float32Array;
  /** q4k: for each 32 numbers, what is subtracted from each of them. */
  readonly minima?: Float32Array;
  /** q4r, q6r: the scale of the row, by which the whole sum is multiplied. */
  readonly ofRow?: number;
};

/**
 * Their product, run after run: (sum of integer products) · (scale · scale), minus (sum of codes) · (scale · minimum). The integer sums
 * are exact. Kernels round the products of scales, and each addition, to f32, in this order; a block's product and its addition
 * are rounded once (fused) or separately.
 */
export function int8Product(x: Int8Row, w: IntegerRow): number {
  let sum = 0;
  for (let k = 0; k < x.codes.length; k += w.run) {
    const block = Math.floor(k / INT8_BLOCK);
    let integer = 0;
    let codes = 0;
    for (let i = k; i < k + w.run; i++) {
      integer += x.codes[i] * w.integers[i];
      codes += x.codes[i];
    }
    sum += integer * (x.scales[block] * w.scales[k / w.run]);
    if (w.minima !== undefined) sum -= codes * (x.scales[block] * w.minima[block]);
  }
  return sum * (w.ofRow ?? 1);
}

function toEven(x: number): number {
  const nearest = Math.round(x); // halves up
  return nearest - x === 0.5 && nearest % 2 !== 0 ? nearest - 1 : nearest;
}
