// The largest magnitude among many f32, found on their bits: NaN and infinity are not lost, and nothing branches.

const one = new Float32Array(1);
const word = new Int32Array(one.buffer);

/** The largest |value| of numbers [from, to), given as their bits: NaN when one is NaN, Infinity when one is infinite. */
export function largestMagnitude(bits: Int32Array, from: number, to: number): number {
  let first = 0;
  let second = 0;
  let i = from;
  // Bits of magnitudes are in the order of the magnitudes. Which is the largest so far cannot be foretold by a branch.
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
