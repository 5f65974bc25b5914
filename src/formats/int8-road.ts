// The int8 road: what a product of rows with packed weights is when activations are rounded to int8. Plain loops, the
// specification of the kernels pack_rows_int8, linear_q4 and linear_q8. Less exact than the weights alone: each activation is
// off by up to half of its block's largest size / 127.

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

/** One row of weights as integers, with a scale for each block of 32: q4's code − 8, q8's code − 128. */
export type IntegerRow = { readonly integers: Int8Array; readonly scales: Float32Array };

/**
 * Their product: the sum of block after block, integer sum · (scale · scale). Integer sums are exact; kernels round the product
 * of the scales and each addition to f32, in this order, with one rounding (fused) or two for a block's product and addition.
 */
export function int8Product(x: Int8Row, w: IntegerRow): number {
  let sum = 0;
  for (let block = 0; block < x.scales.length; block++) {
    let integer = 0;
    for (let k = block * INT8_BLOCK; k < (block + 1) * INT8_BLOCK; k++)
      integer += x.codes[k] * w.integers[k];
    sum += integer * (x.scales[block] * w.scales[block]);
  }
  return sum;
}

function toEven(x: number): number {
  const nearest = Math.round(x); // halves up
  return nearest - x === 0.5 && nearest % 2 !== 0 ? nearest - 1 : nearest;
}
