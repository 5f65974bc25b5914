// Random numbers for tests: seeded, so that a failure can be repeated.

export type Random = {
  /** One number of [from, to). */
  uniform(from?: number, to?: number): number;
  /** An integer of [0, below). */
  below(below: number): number;
  /** `count` numbers of [-1, 1). */
  numbers(count: number): Float64Array;
};

/** The sequence of Marsaglia's 32-bit xorshift (2003) that starts at `seed`. */
export function seeded(seed: number): Random {
  let state = seed | 1;
  const next = (): number => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) / 2 ** 32;
  };
  const uniform = (from = 0, to = 1): number => from + next() * (to - from);
  return {
    uniform,
    below: (below) => Math.floor(next() * below),
    numbers: (count) => Float64Array.from({ length: count }, () => uniform(-1, 1)),
  };
}
