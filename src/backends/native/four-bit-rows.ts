// Several rows of x times 16 rows of nf4 and fp4 weights, side by side in the lanes. Codes are turned, eight of a row of w in a lane, and
// looked up: so few rows of x are multiplied by one block after the other, more by a panel of all k. Does not know what codes stand for.

import { type Assembler, at, register } from "./assembler.ts";
import { TILE_ROWS } from "./call-words.ts";
import type { Label } from "./code-buffer.ts";
import type { ConstantPool } from "./constant-pool.ts";
import { type FourBitPath, lookUp, UNIT } from "./four-bit-paths.ts";
import * as word from "./four-bit-words.ts";
import { chooseFunction, define, defineForRows } from "./functions.ts";

const { rax, rbx, rbp, rcx, rdx, rsi, rdi, r8, r9, r10, r11, r12, r13, r14, r15 } = register;

// General registers. rdi: the words of the call; rax is free.
/** Plane 0 of x, its scales and absmax, for the block that is multiplied; the block's place in the panel. */
const [X_AT, SCALES_AT, ABSMAX_AT, PANEL_AT] = [rsi, r9, r11, r8];
/** Running within a block: x of a plane, the panel; planes that are left. */
const [X, PANEL, PLANES_LEFT] = [rcx, rdx, r13];
/** Bytes from a plane to the next. Where in the rows of w the block lies; while it is unpacked, where those are that are asked for. */
const [PLANE, OFFSET, AHEAD] = [rbx, r12, r13];
/** Blocks and rows that are left; rows of the tile, and the function that multiplies so many. */
const [BLOCKS, ROWS_LEFT, TILE, MULTIPLY] = [r10, r14, r15, rbp];

/** The mask of the columns that are stored. */
const STORED = 1;
// Vector registers. 0 to 11: the sums of each row of a tile, f32.
/** Free for a function. */
const FREE = Array.from({ length: 18 }, (_, i) => 12 + i);
/** The most rows that a function multiplies; more rows are several calls. So many keep two units of 512 bits busy. */
const TOGETHER = 6;
/** Numbers of x in 32 bits, and so vectors of 16 rows of w, of a plane's block. */
const QUADS = 8;
const VECTOR = 64;

/** Writes the kernel. It ends with a jump to `done`. */
export function fourBitRows(a: Assembler, _: ConstantPool, path: FourBitPath, done: Label): void {
  const multiply = Array.from({ length: TILE_ROWS }, () => a.label());
  const [unpack, many] = [a.label(), a.label()];
  const panelBlock = VECTOR * QUADS * path.shifts.length;
  a.mov(rax, at(rdi, word.FOUR_BIT_STORED));
  a.kmovw(STORED, rax);
  a.mov(PLANE, at(rdi, word.FOUR_BIT_PLANE));
  a.mov(ROWS_LEFT, at(rdi, word.FOUR_BIT_ROWS));
  a.movImmediate(OFFSET, 0);
  a.cmpImmediate(ROWS_LEFT, TILE_ROWS);
  a.j("g", many);
  a.mov(TILE, ROWS_LEFT);
  beginTile(a, multiply);
  overBlocks(a, () => {
    a.mov(PANEL, PANEL_AT);
    a.call(unpack);
    a.callRegister(MULTIPLY);
  });
  endTile(a);
  a.jmp(done);

  a.place(many);
  a.mov(PANEL, at(rdi, word.FOUR_BIT_PANEL));
  overBlocks(a, () => a.call(unpack));
  const rows = a.here();
  a.mov(TILE, at(rdi, word.FOUR_BIT_TILE));
  a.cmp(TILE, ROWS_LEFT);
  a.cmovg(TILE, ROWS_LEFT);
  beginTile(a, multiply);
  overBlocks(a, () => {
    a.callRegister(MULTIPLY);
    a.addImmediate(PANEL_AT, panelBlock);
  });
  endTile(a);
  a.sub(ROWS_LEFT, TILE);
  a.j("g", rows);
  a.jmp(done);

  define(a, unpack, () => unpackBlock(a, path));
  multiplyRows(a, path, multiply);
}

/** Functions that multiply a block by one row, two rows and so on, and go on to the next block. */
function multiplyRows(a: Assembler, path: FourBitPath, multiply: readonly Label[]): void {
  const part = (rows: readonly number[]): void => multiplyBlock(a, path, rows);
  defineForRows(a, multiply, TOGETHER, part, (callParts) => {
    scaleRows(a);
    callParts();
    a.add(X_AT, at(rdi, word.FOUR_BIT_X_STRIDE));
    a.add(SCALES_AT, at(rdi, word.FOUR_BIT_SCALE_STRIDE));
    a.addImmediate(ABSMAX_AT, VECTOR);
  });
}

/** Spills the scales of 16 rows of x · unit. Those that the tile does not have are read too, from what lies behind, and not used. */
function scaleRows(a: Assembler): void {
  const [scales] = FREE;
  a.op("vmulps", 512, scales, UNIT, at(SCALES_AT));
  a.storeVector(512, at(rdi, word.FOUR_BIT_SPILLED), scales);
}

function overBlocks(a: Assembler, body: () => void): void {
  a.mov(BLOCKS, at(rdi, word.FOUR_BIT_BLOCKS));
  const begin = a.here();
  body();
  a.subImmediate(BLOCKS, 1);
  a.j("ne", begin);
}

function beginTile(a: Assembler, multiply: readonly Label[]): void {
  chooseFunction(a, MULTIPLY, TILE, multiply);
  for (let row = 0; row < TILE_ROWS; row++) a.op("vpxor", 512, row, row, row);
  a.mov(X_AT, at(rdi, word.FOUR_BIT_X));
  a.mov(SCALES_AT, at(rdi, word.FOUR_BIT_SCALES));
  a.mov(ABSMAX_AT, at(rdi, word.FOUR_BIT_ABSMAX));
  a.mov(PANEL_AT, at(rdi, word.FOUR_BIT_PANEL));
}

/** Sums go to y. The words of the call come to the next tile's first row. */
function endTile(a: Assembler): void {
  const [yAt, stored] = [rcx, a.label()];
  a.mov(yAt, at(rdi, word.FOUR_BIT_Y));
  for (let row = 0; row < TILE_ROWS; row++) {
    a.storeVector(512, at(yAt), row, { mask: STORED });
    a.add(yAt, at(rdi, word.FOUR_BIT_Y_STRIDE));
    a.cmpImmediate(TILE, row + 1);
    a.j("e", stored);
  }
  a.place(stored);
  a.store(at(rdi, word.FOUR_BIT_Y), yAt);
  for (const [place, shift] of [
    [word.FOUR_BIT_SCALES, 2],
    [word.FOUR_BIT_X, 5],
  ]) {
    a.mov(rax, TILE);
    a.shiftLeft(rax, shift);
    a.add(rax, at(rdi, place));
    a.store(at(rdi, place), rax);
  }
}

/** 64 codes of each of 16 rows of w become vectors of a panel: plane after plane, quad after quad. */
function unpackBlock(a: Assembler, path: FourBitPath): void {
  const [Z, T, free] = [FREE.slice(0, 8), FREE.slice(8, 12), FREE.slice(12)];
  a.mov(AHEAD, at(rdi, word.FOUR_BIT_AHEAD));
  a.add(AHEAD, OFFSET);
  Z.forEach((z, i) => {
    // Registers 0 to 3 hold rows 0 to 3 and 4 to 7, registers 4 to 7 the others.
    const row = (i & 3) + 8 * (i >> 2);
    for (const half of [0, 1]) {
      a.mov(rax, at(rdi, word.FOUR_BIT_W + 8 * (row + 4 * half)));
      if (half === 0) a.load("vmovups", 256, z, at(rax, 0, OFFSET));
      else a.op("vinserti64x4", 512, z, z, at(rax, 0, OFFSET), { immediate: 1 });
      a.prefetch(at(rax, 0, AHEAD), 2);
    }
  });
  for (const [p, q, r, s] of [Z.slice(0, 4), Z.slice(4)]) {
    a.op("vpunpckldq", 512, T[0], p, q);
    a.op("vpunpckhdq", 512, T[1], p, q);
    a.op("vpunpckldq", 512, T[2], r, s);
    a.op("vpunpckhdq", 512, T[3], r, s);
    a.op("vpunpcklqdq", 512, p, T[0], T[2]);
    a.op("vpunpckhqdq", 512, q, T[0], T[2]);
    a.op("vpunpcklqdq", 512, r, T[1], T[3]);
    a.op("vpunpckhqdq", 512, s, T[1], T[3]);
  }
  for (let quad = 0; quad < QUADS; quad++) {
    const [codes, integers] = [free[quad & 1], free[2 + (quad & 1)]];
    const immediate = quad < 4 ? 0x88 : 0xdd;
    a.op("vshuff32x4", 512, codes, Z[quad & 3], Z[4 + (quad & 3)], { immediate });
    path.shifts.forEach((_, plane) => {
      lookUp(a, path, plane, integers, codes);
      a.storeVector(512, at(PANEL, VECTOR * (QUADS * plane + quad)), integers);
    });
  }
  a.addImmediate(PANEL, VECTOR * QUADS * path.shifts.length);
  a.addImmediate(OFFSET, word.PLANE_BLOCK);
}

/** Adds the products of a block with some rows of the tile to their sums. */
function multiplyBlock(a: Assembler, path: FourBitPath, rows: readonly number[]): void {
  const integers = FREE.slice(0, TOGETHER);
  const [vector, absmax, ...free] = FREE.slice(TOGETHER);
  const all = { broadcast: true } as const;
  a.mov(X, X_AT);
  a.mov(PANEL, PANEL_AT);
  if (path.hasStarts) {
    a.mov(rax, SCALES_AT);
    a.add(rax, at(rdi, word.FOUR_BIT_STARTS));
    rows.forEach((row, i) => a.load("vpbroadcastd", 512, integers[i], at(rax, 4 * row)));
  } else rows.forEach((_, i) => a.op("vpxor", 512, integers[i], integers[i], integers[i]));
  a.movImmediate(PLANES_LEFT, path.shifts.length);
  const plane = a.here();
  for (let quad = 0; quad < QUADS; quad++) {
    a.load("vmovups", 512, vector, at(PANEL, VECTOR * quad));
    rows.forEach((row, i) =>
      a.op(path.dot, 512, integers[i], vector, at(X, word.PLANE_BLOCK * row + 4 * quad), all),
    );
  }
  a.addImmediate(PANEL, VECTOR * QUADS);
  a.add(X, PLANE);
  a.subImmediate(PLANES_LEFT, 1);
  a.j("ne", plane);
  a.load("vmovups", 512, absmax, at(ABSMAX_AT));
  rows.forEach((row, i) => {
    a.load("vcvtdq2ps", 512, integers[i], integers[i]);
    a.op("vmulps", 512, free[i], absmax, at(rdi, word.FOUR_BIT_SPILLED + 4 * row), all);
    a.op("vfmadd231ps", 512, row, integers[i], free[i]);
  });
}
