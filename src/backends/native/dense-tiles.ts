// Products of plain weights in AVX-512: up to DENSE_TILE rows of x times eight rows of weights. Order of summation, that of the WebAssembly
// kernels (../wasm/kernels/linear.ts): eight lanes over k in a block, fused; then lane i + lane (i + 4); then (0 + 2) + (1 + 3).
// Does not know where weights come from.

import { type Assembler, at, atLabel, type Memory, register } from "./assembler.ts";
import type { ConstantPool } from "./constant-pool.ts";
import { DENSE_TILE, DENSE_X_TAILS } from "./dense-call-words.ts";
import { LAST_MASK, WEIGHTS } from "./dense-formats.ts";

const { rax, rdi, rsi, r9, r10, r11 } = register;

/** x of the tile's first row and of its fourth, and the bytes from a row to the next. */
export const X_AT: number = rsi;
export const FOURTH_AT: number = r9;
export const X_STEP: number = r10;
/** How many k are left, less eight. */
export const LEFT: number = r11;
/** Where the panel is read. */
export const PANEL_AT: number = rax;

/** Mask registers: columns that are stored; columns that are added to what y holds. */
export const STORED_MASK = 2;
export const ADDED_MASK = 3;

/** A row of x, its eight k in both halves. */
const X = 29;
/** What sums are folded with. The weights' registers are free then. */
const [A, B, C, D] = WEIGHTS;
const ORDER = 30;

/** The vector register of sums of a row of x and the pair of rows of weights. */
const sumsOf = (row: number, pair: number): number => WEIGHTS.length * row + pair;

const rows = (count: number): number[] => Array.from({ length: count }, (_, i) => i);

function ofX(row: number): Memory {
  const base = row < 3 ? X_AT : FOURTH_AT;
  return row % 3 === 0 ? at(base) : at(base, 0, X_STEP, row % 3 === 1 ? 1 : 2);
}

export function clearSums(a: Assembler): void {
  for (const row of rows(DENSE_TILE))
    WEIGHTS.forEach((_, pair) => {
      const sums = sumsOf(row, pair);
      a.op("vpxor", 512, sums, sums, sums);
    });
}

/** Adds the products of the weights that were brought with eight k of `count` rows of x, and goes on to the next eight. */
export function multiply(a: Assembler, count: number): void {
  for (const row of rows(count)) {
    a.load("vbroadcastf32x8", 512, X, ofX(row));
    WEIGHTS.forEach((weights, pair) => a.op("vfmadd231ps", 512, sumsOf(row, pair), weights, X));
  }
  a.addImmediate(X_AT, 32);
  if (count > 3) a.addImmediate(FOURTH_AT, 32);
}

/** The next eight k of a panel. */
export function bringFromPanel(a: Assembler): void {
  WEIGHTS.forEach((to, pair) => a.load("vmovups", 512, to, at(PANEL_AT, 64 * pair)));
  a.addImmediate(PANEL_AT, 256);
}

/** To the next eight k of a panel. */
export function keepInPanel(a: Assembler): void {
  WEIGHTS.forEach((from, pair) => a.storeVector(512, at(PANEL_AT, 64 * pair), from));
  a.addImmediate(PANEL_AT, 256);
}

/** Copies the last k of the tile's rows of x, less than eight, and fills them up with zeros. x is read there from now on. */
export function bringLastOfX(a: Assembler, count: number): void {
  const last = { mask: LAST_MASK, zero: true } as const;
  for (const row of rows(count)) {
    a.load("vmovups", 256, X, ofX(row), last);
    a.storeVector(256, at(rdi, DENSE_X_TAILS + 32 * row), X);
  }
  a.lea(X_AT, at(rdi, DENSE_X_TAILS));
  a.lea(FOURTH_AT, at(rdi, DENSE_X_TAILS + 3 * 32));
  a.movImmediate(X_STEP, 32);
}

/** Folds the sums of `count` rows into y, the first of whose rows is at X_AT; X_STEP: the bytes from a row to the next. */
export function foldSums(a: Assembler, pool: ConstantPool, count: number): void {
  a.load(
    "vmovups",
    512,
    ORDER,
    atLabel(pool.words(0, 4, 8, 12, 2, 6, 10, 14, ...Array<number>(8).fill(0))),
  );
  for (const row of rows(count)) {
    const [first, second, third, fourth] = WEIGHTS.map((_, pair) => sumsOf(row, pair));
    // Four lanes of each of four rows of weights, twice.
    for (const [to, low, high] of [
      [A, first, second],
      [C, third, fourth],
    ]) {
      a.op("vshuff32x4", 512, to, low, high, { immediate: 0b10_00_10_00 });
      a.op("vshuff32x4", 512, B, low, high, { immediate: 0b11_01_11_01 });
      a.op("vaddps", 512, to, to, B);
    }
    // Two lanes of each.
    a.op("vpunpcklqdq", 512, B, A, C);
    a.op("vpunpckhqdq", 512, D, A, C);
    a.op("vaddps", 512, B, B, D);
    a.op("vshufps", 512, D, B, B, { immediate: 0b10_11_00_01 });
    a.op("vaddps", 512, B, B, D);
    a.op("vpermd", 512, B, ORDER, B);
    // −0 changes no number that it is added to.
    a.load("vbroadcastss", 256, C, atLabel(pool.float(-0)));
    a.load("vmovups", 256, C, at(X_AT), { mask: ADDED_MASK });
    a.op("vaddps", 256, C, C, B);
    a.storeVector(256, at(X_AT), C, { mask: STORED_MASK });
    a.add(X_AT, X_STEP);
  }
}
