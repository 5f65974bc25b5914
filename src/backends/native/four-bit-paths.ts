// The compute paths of nf4 and fp4 weights in machine code: how codes become integers, and how these are multiplied. Does not know what a
// code stands for: the table comes with the call.

import type { Assembler } from "./assembler.ts";

export type FourBitPath = {
  /** Looks up the lowest bits of each byte, or of each 16 bits. The other bits have no effect, as the table repeats itself. */
  readonly lookUp: "vpermb" | "vpermw";
  readonly dot: "vpdpbusd" | "vpdpwssd";
  /** For each plane of x, by how much the bits of its codes are shifted. Of two bytes the first has code 0 in its high half, then 1. */
  readonly shifts: readonly number[];
  /** Whether the integers of weights have a zero point, for which sums start elsewhere than at 0. */
  readonly hasStarts: boolean;
};

export const int8Path: FourBitPath = {
  ...{ lookUp: "vpermb", dot: "vpdpbusd", shifts: [4, 0], hasStarts: true },
};
export const fixed16Path: FourBitPath = {
  ...{ lookUp: "vpermw", dot: "vpdpwssd", shifts: [4, 0, 12, 8], hasStarts: false },
};

/** Vector registers that all kernels keep: the table of the codes' integers, and what 1 stands for in them. */
export const TABLE = 31;
export const UNIT = 30;

/** The integers of the codes of one plane. */
export function lookUp(
  a: Assembler,
  path: FourBitPath,
  plane: number,
  to: number,
  codes: number,
): void {
  const shift = path.shifts[plane];
  if (shift !== 0) a.shiftWords("right", 512, to, codes, shift);
  a.op(path.lookUp, 512, to, shift === 0 ? codes : to, TABLE);
}
