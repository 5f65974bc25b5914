// The int8 road: what a product of rows with packed weights is when activations are rounded to int8. Plain loops, the
// specification of the kernels pack_rows_int8 and linear_q4, _q4r, _q6r, _q8, _q4k, _q6k. Less exact than the weights alone:
// each activation is off by up to half of its block's largest size / 127.

/** Numbers of a row that share a scale: of activations, and of the weights they meet. */
export const INT8_BLOCK = 32;
/** Blocks with no number of this size are zeros. */
const LEAST = 2 ** -100;

/** A row of activations: code · scale, a scale for each block of 32. */
export type Int8Row = { readonly codes: Int8Array; readonly scales: Float32Array };

/**
 * Rounds one row, in f32: scale = largest size / 127, code = x · (127 / largest size) to nearest, ties to even. A block with NaN
 * or an infinity gets a scale that is not finite. Kernels hold scale · 2¹¹², so sizes must stay below 127 · 2¹⁶.
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
 * One row of weights: integers, each with the scale of its run of 16 or 32; and, where a format has them, a minimum for each 32
 * that is taken off, or a scale of the whole row by which the sum is multiplied in the end. q4, q4r: code − 8; q6r, q6k: code −
 * 32; q8: code − 128; q4k: code.
 */
export type IntegerRow = {
  readonly integers: Int8Array;
  readonly run: 16 | 32;
  readonly scales: Float32Array;
  readonly minima?: Float32Array;
  readonly ofRow?: number;
};

/**
 * Their product: block after block of 32, the integer sum of each run · (scale · scale), less the sum of activations · (scale ·
 * minimum). Integer sums are exact, those of two runs of 16 too; kernels round the products of scales and each addition to f32,
 * in this order, with one rounding (fused) or two for a block's product and addition.
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
