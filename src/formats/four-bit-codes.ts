// The 16 values of nf4 and of fp4, and which of them is nearest to a number.
// NF4: Dettmers et al. 2023, "QLoRA" (arXiv:2305.14314), appendix E. FP4: a sign, two bits of exponent, one of fraction,
// divided by the largest; it has two zeros. On a midpoint the lower value is taken, as bitsandbytes does it on the CPU.

export type FourBitType = "nf4" | "fp4";

const nf4 = [
  ...[-1, -0.6961928009986877, -0.5250730514526367, -0.39491748809814453, -0.28444138169288635],
  ...[-0.18477343022823334, -0.09105003625154495, 0, 0.07958029955625534, 0.16093020141124725],
  ...[0.24611230194568634, 0.33791524171829224, 0.44070982933044434, 0.5626170039176941],
  ...[0.7229568362236023, 1],
];
const positive = [0, 0.0625, 8, 12, 4, 6, 2, 3].map((value) => value / 12);
const fp4 = [...positive, ...positive.map((value) => -value)];

/** The value of each code; fp4's code 8 is -0. */
export const fourBitValues: Readonly<Record<FourBitType, Float32Array>> = {
  nf4: Float32Array.from(nf4),
  fp4: Float32Array.from(fp4),
};

/** How a number in [-1, 1] becomes a code: its cell gives a rank that is right or one too low, and a bound decides. */
export type Ranks = {
  /** Rank at the low end of each cell; a cell is 1 / CELLS wide, and cell 0 begins at -1. */
  readonly cells: Uint8Array;
  /** What numbers of a rank may be at most. */
  readonly bounds: Float32Array;
  /** The code of each rank; ranks go up with the value. */
  readonly codes: Uint8Array;
};

/** No cell holds two bounds: the nearest are fp4's, 0.0026 apart. */
export const CELLS = 512;

function ranksOf(values: Float32Array, order: readonly number[]): Ranks {
  const bounds = new Float32Array(16).fill(Infinity);
  for (let i = 0; i < 15; i++) {
    bounds[i] = Math.fround(values[order[i]] + values[order[i + 1]]) / 2;
  }
  // Rounding may give numbers a little beyond 1.
  const cells = new Uint8Array(2 * CELLS + 2).map((_, cell) =>
    bounds.findIndex((bound) => cell / CELLS - 1 <= bound),
  );
  return { cells, bounds, codes: Uint8Array.from(order) };
}

export const fourBitRanks: Readonly<Record<FourBitType, Ranks>> = {
  nf4: ranksOf(fourBitValues.nf4, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15]),
  fp4: ranksOf(fourBitValues.fp4, [11, 10, 13, 12, 15, 14, 9, 0, 8, 1, 6, 7, 4, 5, 2, 3]),
};
