// One row of x times nf4 and fp4 weights: four rows of w side by side, each read as a long stream, eight blocks of 64 k a round. The sum of a
// block lies in eight lanes until all are folded together: to a vector of four blocks, with the four rows of w in neighbouring lanes.
// Does not know what codes stand for.

import { type Assembler, at, atLabel, register } from "./assembler.ts";
import type { Label } from "./code-buffer.ts";
import type { ConstantPool } from "./constant-pool.ts";
import { type FourBitPath, lookUp, UNIT } from "./four-bit-paths.ts";
import * as word from "./four-bit-words.ts";

const { rax, rbx, rbp, rcx, rdx, rsi, rdi, r8, r9, r10, r11, r12, r13, r14, r15 } = register;

// General registers. rdi: the words of the call; rax is free.
/** Codes of the four rows of w. */
const W_AT = [rcx, rdx, rsi, r8];
/** Plane 0 of x, and how far behind it planes 1 and 3 are. */
const [X_AT, PLANE, PLANE_3] = [r9, r10, r11];
/** Scales of x, and how far behind them sums' starts are; absmax of the group. */
const [SCALES_AT, STARTS, ABSMAX_AT] = [r12, r13, rbx];
/** Blocks that are left; addresses of rows of w; where results go. */
const [LEFT, LIST_AT, RESULTS_AT] = [r14, r15, rbp];

/** The vectors of a round: 64 bytes of codes, two blocks, of each row of w. */
const VECTORS = [0, 1, 2, 3];
const ROWS = [0, 1, 2, 3];
const BLOCKS = 2 * VECTORS.length;
/** For each vector of a round, the mask of its existing codes, a bit for four bytes. */
const MASKS = [1, 2, 3, 4];

// Vector registers. 0 to 15: the sums of each vector and row of w; later all others but those below.
const PLANES = [16, 17, 18, 19];
const [CODES, INTEGERS] = [20, 21];
const [T, U] = [22, 23];
/** The sums of the four rows of w, f32. */
const TOTAL = 29;
/** The numbers 0 to 3, and 4 to 7, each four times. */
const SPREAD = [28, 27];

/** How far ahead weights are asked for, in bytes. */
const AHEAD = 4096;
const LINE = 64;

const sumsOf = (vector: number, row: number): number => 4 * vector + row;

/** Writes the kernel. It ends with a jump to `done`. */
export function fourBitRow(a: Assembler, pool: ConstantPool, path: FourBitPath, done: Label): void {
  SPREAD.forEach((spread, i) => {
    const numbers = Array.from({ length: 16 }, (_, lane) => 4 * i + (lane >> 2));
    a.load("vmovups", 512, spread, atLabel(pool.words(...numbers)));
  });
  a.mov(PLANE, at(rdi, word.FOUR_BIT_PLANE));
  a.lea(PLANE_3, at(PLANE, 0, PLANE, 2));
  a.mov(STARTS, at(rdi, word.FOUR_BIT_STARTS));
  a.mov(ABSMAX_AT, at(rdi, word.FOUR_BIT_ABSMAX));
  a.lea(LIST_AT, at(rdi, word.FOUR_BIT_W));
  a.lea(RESULTS_AT, at(rdi, word.FOUR_BIT_RESULTS));
  const group = a.here();
  fourRows(a, path);
  a.storeVector(128, at(RESULTS_AT), TOTAL);
  a.addImmediate(RESULTS_AT, 4 * ROWS.length);
  a.addImmediate(LIST_AT, 8 * ROWS.length);
  a.mov(rax, at(rdi, word.FOUR_BIT_ROWS));
  a.subImmediate(rax, 1);
  a.store(at(rdi, word.FOUR_BIT_ROWS), rax);
  a.cmpImmediate(rax, 0);
  a.j("g", group);
  a.jmp(done);
}

function fourRows(a: Assembler, path: FourBitPath): void {
  const [round, last, end] = [a.label(), a.label(), a.label()];
  W_AT.forEach((w, row) => a.mov(w, at(LIST_AT, 8 * row)));
  a.mov(X_AT, at(rdi, word.FOUR_BIT_X));
  a.mov(SCALES_AT, at(rdi, word.FOUR_BIT_SCALES));
  a.mov(LEFT, at(rdi, word.FOUR_BIT_BLOCKS));
  a.op("vpxor", 512, TOTAL, TOTAL, TOTAL);
  a.movImmediate(rax, -1);
  for (const mask of MASKS) a.kmovw(mask, rax);
  const begin = a.here();
  a.cmpImmediate(LEFT, BLOCKS);
  a.j("ge", round);
  a.place(last);
  MASKS.forEach((mask, i) => {
    a.movsxd(rax, at(rdi, word.FOUR_BIT_LAST + 2 * i));
    a.kmovw(mask, rax);
  });
  a.place(round);
  for (const vector of VECTORS) addProducts(a, path, vector);
  foldSums(a);
  scaleSums(a, path);
  addBlocks(a, end);
  a.subImmediate(LEFT, BLOCKS);
  a.j("ne", begin);
  a.place(end);
}

/** The products of two blocks of the four rows of w with x: each in eight lanes, of integers. */
function addProducts(a: Assembler, path: FourBitPath, vector: number): void {
  const existing = { mask: MASKS[vector], zero: true } as const;
  const places = [
    at(X_AT, LINE * vector),
    at(X_AT, LINE * vector, PLANE),
    at(X_AT, LINE * vector, PLANE, 2),
    at(X_AT, LINE * vector, PLANE_3),
  ];
  path.shifts.forEach((_, plane) => a.load("vmovups", 512, PLANES[plane], places[plane], existing));
  for (const row of ROWS) {
    const sums = sumsOf(vector, row);
    a.load("vmovups", 512, CODES, at(W_AT[row], LINE * vector), existing);
    a.prefetch(at(W_AT[row], LINE * vector + AHEAD), 2);
    a.op("vpxor", 512, sums, sums, sums);
    path.shifts.forEach((_, plane) => {
      lookUp(a, path, plane, INTEGERS, CODES);
      a.op(path.dot, 512, sums, INTEGERS, PLANES[plane]);
    });
  }
}

/** Folds the sums of all vectors to registers 0 and 1: four blocks each, and of each block the four rows of w. */
function foldSums(a: Assembler): void {
  /** to ← the lanes of x and y that one instruction takes + those that another one takes. */
  const add = (
    [first, second]: readonly ["vpunpckldq" | "vpunpcklqdq", "vpunpckhdq" | "vpunpckhqdq"],
    to: number,
    x: number,
    y: number,
  ): void => {
    a.op(first, 512, T, x, y);
    a.op(second, 512, U, x, y);
    a.op("vpaddd", 512, to, T, U);
  };
  const [pairs, fours] = [
    ["vpunpckldq", "vpunpckhdq"] as const,
    ["vpunpcklqdq", "vpunpckhqdq"] as const,
  ];
  for (const vector of VECTORS) {
    const [p, q, r, s] = ROWS.map((row) => sumsOf(vector, row));
    add(pairs, p, p, q);
    add(pairs, r, r, s);
    add(fours, p, p, r);
  }
  // A block's sum is now in two 128-bit lanes.
  for (const half of [0, 1]) {
    const [p, q] = [sumsOf(2 * half, 0), sumsOf(2 * half + 1, 0)];
    a.op("vshuff32x4", 512, T, p, q, { immediate: 0x88 });
    a.op("vshuff32x4", 512, U, p, q, { immediate: 0xdd });
    a.op("vpaddd", 512, half, T, U);
  }
}

/** Spills the sums as f32, and their scales: absmax · (scale of x · unit). All that is read goes on by eight blocks. */
function scaleSums(a: Assembler, path: FourBitPath): void {
  const [scales, starts] = [2, 3];
  a.op("vmulps", 256, scales, UNIT, at(SCALES_AT));
  if (path.hasStarts) a.load("vmovups", 256, starts, at(SCALES_AT, 0, STARTS));
  for (const half of [0, 1]) {
    if (path.hasStarts) {
      a.op("vpermd", 512, T, SPREAD[half], starts);
      a.op("vpaddd", 512, half, half, T);
    }
    a.load("vcvtdq2ps", 512, half, half);
    a.op("vpermd", 512, U, SPREAD[half], scales);
    a.op("vmulps", 512, U, U, at(ABSMAX_AT, LINE * half));
    a.storeVector(512, at(rdi, word.FOUR_BIT_SPILLED + LINE * half), half);
    a.storeVector(512, at(rdi, word.FOUR_BIT_SPILLED + LINE * (2 + half)), U);
  }
  for (const w of W_AT) a.addImmediate(w, LINE * VECTORS.length);
  a.addImmediate(X_AT, LINE * VECTORS.length);
  a.addImmediate(SCALES_AT, 4 * BLOCKS);
  a.addImmediate(ABSMAX_AT, 16 * BLOCKS);
}

/** Adds block after block; ends after the last one. */
function addBlocks(a: Assembler, end: Label): void {
  for (let block = 0; block < BLOCKS; block++) {
    const sums = word.FOUR_BIT_SPILLED + 16 * block;
    a.load("vmovups", 128, T, at(rdi, sums));
    a.op("vfmadd231ps", 128, TOTAL, T, at(rdi, sums + 2 * LINE));
    if (block === BLOCKS - 1) return;
    a.cmpImmediate(LEFT, block + 1);
    a.j("e", end);
  }
}
