// The largest magnitude among many f32, found from their bits: NaN and infinity count, and no branch depends on the numbers.
// Does not know what the numbers are.

const one = new Float32Array(1);
const word = new Int32Array(one.buffer);

/** The largest |x| of numbers [from, to), which are given as their bits; NaN if one is NaN, Infinity if one is infinite. */
export function largestMagnitude(bits: Int32Array, from: number, to: number): number {
  let first = 0;
  let second = 0;
  let i = from;
  // Without the sign bit, the bits of floats compare as the floats do. The maximum is computed without a branch: a processor could
  // not predict it.
  for (; i + 1 < to; i += 2) {
    const a = (bits[i] & 0x7fffffff) - first;
    const b = (bits[i + 1] & 0x7fffffff) - second;
    first += a & ~(a >> 31);
    second += b & ~(b >> 31);
  }
  if (i < to) first = Math.max(first, bits[i] & 0x7fffffff);
  word[0] = Math.max(first, second);
  return one[0];
}

/** The bits of f32 numbers, as a view. */
export function bitsOf(values: Float32Array): Int32Array {
  return new Int32Array(values.buffer, values.byteOffset, values.length);
}
