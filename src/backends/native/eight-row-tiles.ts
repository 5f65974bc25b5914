// Products of the 8-bit compute path in AVX-512 with VNNI: some rows of packed x times 16 columns of an unpacked block. Order of summation,
// that of the WebAssembly kernels (../wasm/kernels/linear-eight-rows.ts): integers exactly within 32 k, then block after block, fused.
// Does not know where blocks come from.

import { type Assembler, at, atLabel, type Memory, register } from "./assembler.ts";
import { X_BLOCK, X_CODES, X_START } from "./call-words.ts";
import type { ConstantPool } from "./constant-pool.ts";
import { DOWN, type Sums, unpacked } from "./eight-row-formats.ts";

/** x of the tile's first row in the block that is multiplied. */
export const X_AT: number = register.rax;
/** Vector registers: the integer sums of a block, and what they are multiplied by. The sums of row n are in register n. */
const ACCUMULATORS = [28, 29, 30, 31, 14, 15];
const FACTORS = [25, 27];
/** How many rows are computed side by side, so that none waits for the sum that it adds to. */
export const TOGETHER: number = ACCUMULATORS.length;

/**
 * Adds the products of an unpacked block with some rows, TOGETHER at most, to their sums.
 * @param sumsAfter how many vector registers after that of the row's number its sums are
 */
export function multiplyBlock(
  a: Assembler,
  pool: ConstantPool,
  sums: Sums,
  rows: readonly number[],
  sumsAfter = 0,
): void {
  const ofX = (row: number, offset: number): Memory => at(X_AT, row * X_BLOCK + offset);
  const all = { broadcast: true } as const;
  const { quads, scale, more } = unpacked;
  const acc = (i: number): number => ACCUMULATORS[i];
  const each = (f: (row: number, i: number) => void): void => rows.forEach(f);
  if (sums === "zero point" || sums === "shifted") {
    each((row, i) => a.load("vpbroadcastd", 512, acc(i), ofX(row, X_START)));
    if (sums === "shifted") each((_, i) => a.op("vpslld", 512, acc(i), acc(i), more));
  } else each((_, i) => a.op("vpxor", 512, acc(i), acc(i), acc(i)));
  if (sums === "halves") {
    a.shiftWords("left", 512, FACTORS[0], more, 2); // 32 = 8 · 2²
    each((row, i) => a.op("vpdpwssd", 512, acc(i), FACTORS[0], ofX(row, X_START), all));
    // Two products of at most 63 · 127 fit into 16 bits, and so do four.
    for (let quad = 0; quad < 8; quad += 2)
      each((row, i) => {
        for (const q of [0, 1]) {
          a.load("vpbroadcastd", 512, FACTORS[q], ofX(row, X_CODES + 4 * (quad + q)));
          a.op("vpmaddubsw", 512, FACTORS[q], quads[quad + q], FACTORS[q]);
        }
        a.op("vpaddw", 512, FACTORS[0], FACTORS[0], FACTORS[1]);
        a.op("vpdpwssd", 512, acc(i), FACTORS[0], more);
      });
  } else {
    for (let quad = 0; quad < 8; quad++) {
      const codes = X_CODES + 4 * quad;
      each((row, i) => a.op("vpdpbusd", 512, acc(i), quads[quad], ofX(row, codes), all));
    }
  }
  each((row, i) => {
    a.load("vcvtdq2ps", 512, acc(i), acc(i));
    a.op("vmulps", 512, FACTORS[i % 2], scale, ofX(row, 0), all);
    a.op("vfmadd231ps", 512, row + sumsAfter, acc(i), FACTORS[i % 2]);
  });
  if (sums === "minima") each((row, i) => subtractMinima(a, pool, row, ofX, acc(i), sumsAfter));
}

/** sum += (f32(−8 · Σ codes) · scale of x) · (minimum / 8). */
function subtractMinima(
  a: Assembler,
  pool: ConstantPool,
  row: number,
  ofX: (row: number, offset: number) => Memory,
  free: number,
  sumsAfter: number,
): void {
  const [scale] = FACTORS;
  a.load("vpbroadcastd", 512, free, ofX(row, X_START));
  a.load("vcvtdq2ps", 512, free, free);
  a.load("vbroadcastss", 512, scale, atLabel(pool.float(DOWN)));
  a.op("vmulps", 512, scale, scale, ofX(row, 0), { broadcast: true });
  a.op("vmulps", 512, free, free, scale);
  a.op("vfmadd231ps", 512, row + sumsAfter, free, unpacked.more);
}
