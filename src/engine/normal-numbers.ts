// Numbers of the standard normal distribution, for weights that nobody has trained: 65,536 quantiles, chosen by xorshift32. Good enough
// for initial values, and fast. Does not know what the numbers are for.

let kept: Float32Array<ArrayBuffer> | undefined;

/** 65,536 numbers that divide the standard normal distribution into equally likely parts. */
export function normalQuantiles(): Float32Array<ArrayBuffer> {
  kept ??= Float32Array.from({ length: 65536 }, (_, i) => normalQuantile((i + 0.5) / 65536));
  return kept;
}

export type Words = Uint16Array<ArrayBuffer> | Uint32Array<ArrayBuffer>;

/**
 * Fills `target` with entries of `table` (65,536 of them): each draw of xorshift32 (Marsaglia 2003, period 2^32 - 1) gives two.
 * @param from the generator's state, not 0
 * @returns its next state
 */
export function drawFrom(target: Words, table: Words, from: number): number {
  let state = from;
  for (let i = 0; i < target.length; i += 2) {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    target[i] = table[state & 0xffff];
    target[i + 1] = table[state >>> 16]; // a typed array ignores a write past its end, when the length is odd
  }
  return state;
}

/** The inverse of the normal distribution function, by bisection; the function itself is Zelen and Severo 1964, 26.2.17. */
function normalQuantile(p: number): number {
  let [low, high] = [-6, 6];
  for (let i = 0; i < 50; i++) {
    const middle = (low + high) / 2;
    if (normalShare(middle) < p) low = middle;
    else high = middle;
  }
  return (low + high) / 2;
}

function normalShare(x: number): number {
  const t = 1 / (1 + 0.2316419 * Math.abs(x));
  const sum =
    t *
    (0.31938153 + t * (-0.356563782 + t * (1.781477937 + t * (-1.821255978 + t * 1.330274429))));
  const upper = (Math.exp((-x * x) / 2) / Math.sqrt(2 * Math.PI)) * sum;
  return x < 0 ? upper : 1 - upper;
}
