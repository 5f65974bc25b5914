// The 16 values of nf4 and of fp4, and tables that find the nearest one to a number.
// NF4: Dettmers et al. 2023, "QLoRA" (arXiv:2305.14314), appendix E. FP4: one sign bit, two exponent bits, one fraction bit, divided
// by the largest value; it has two zeros. Halfway between two values the lower one is taken, as bitsandbytes does on the CPU.
// Does not know blocks and scales.

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

/**
 * Tables that take a number in [-1, 1] to its code. A value's rank is its place among the 16 values in ascending order. The cell in
 * which the number lies gives a rank that is right or one too low; comparing with the bound of that rank decides.
 */
export type Ranks = {
  /** The rank at the low end of each cell. A cell is 1 / CELLS wide; cell 0 begins at -1. */
  readonly cells: Uint8Array;
  /** The largest number of each rank. */
  readonly bounds: Float32Array;
  /** The code of each rank. */
  readonly codes: Uint8Array;
};

/** Cells between 0 and 1. So many that no cell holds two bounds: the closest two, in fp4, are 0.0026 apart. */
export const CELLS = 512;

function ranksOf(values: Float32Array, order: readonly number[]): Ranks {
  const bounds = new Float32Array(16).fill(Infinity);
  for (let i = 0; i < 15; i++) {
    bounds[i] = Math.fround(values[order[i]] + values[order[i + 1]]) / 2;
  }
  // Two cells more than [-1, 1] has: rounding may give numbers slightly above 1.
  const cells = new Uint8Array(2 * CELLS + 2).map((_, cell) =>
    bounds.findIndex((bound) => cell / CELLS - 1 <= bound),
  );
  return { cells, bounds, codes: Uint8Array.from(order) };
}

export const fourBitRanks: Readonly<Record<FourBitType, Ranks>> = {
  nf4: ranksOf(fourBitValues.nf4, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15]),
  fp4: ranksOf(fourBitValues.fp4, [11, 10, 13, 12, 15, 14, 9, 0, 8, 1, 6, 7, 4, 5, 2, 3]),
};
