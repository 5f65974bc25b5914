// Products with plain weights (f32, bf16, f16) in AVX-512: eight columns of y a call. Few rows of x read the weights where they lie, over all
// k; many share a panel, to which the weights of a block of k are unpacked first. The call: dense-call-words.ts.
// Does not know how weights are unpacked or multiplied.

import { type Assembler, at, register } from "./assembler.ts";
import type { Label } from "./code-buffer.ts";
import type { ConstantPool } from "./constant-pool.ts";
import * as word from "./dense-call-words.ts";
import {
  askAhead,
  bring,
  bringLast,
  type DenseFormat,
  denseFormats,
  LAST_MASK,
  READ,
  ROWS_AT,
} from "./dense-formats.ts";
import {
  ADDED_MASK,
  bringFromPanel,
  bringLastOfX,
  clearSums,
  foldSums,
  FOURTH_AT,
  keepInPanel,
  LEFT,
  multiply,
  PANEL_AT,
  STORED_MASK,
  X_AT,
  X_STEP,
} from "./dense-tiles.ts";
import { choose, define } from "./functions.ts";

const { rax, rdi } = register;

/** How many rows of a tile there can be. */
const tiles: readonly number[] = Array.from({ length: word.DENSE_TILE }, (_, i) => i + 1);

/**
 * While a tile is multiplied by a panel: the addresses of four rows of weights of the next panel, which are asked for, and how many of their
 * bytes with each eight k. The registers are those of rows of weights, which have been read by then.
 */
const NEXT = ROWS_AT.slice(4);
const NEXT_STEP = ROWS_AT[3];

/** Functions for each number of rows of a tile: multiply by a panel, copy the last k of x, fold the sums into y. */
type Functions = {
  readonly byPanel: readonly Label[];
  readonly lastOfX: readonly Label[];
  readonly fold: readonly Label[];
};

/** Writes the kernels. They come with the number of theirs in rax, and change all registers but rdi and rsp. */
export function dense(a: Assembler, pool: ConstantPool): void {
  const done = a.label();
  const ofTiles = (): Label[] => tiles.map(() => a.label());
  const functions: Functions = { byPanel: ofTiles(), lastOfX: ofTiles(), fold: ofTiles() };
  for (const [number, format] of denseFormats.entries()) {
    for (const [first, kernel] of [
      [word.DENSE_FEW_F32, fewRows],
      [word.DENSE_MANY_F32, manyRows],
    ] as const) {
      const others = a.label();
      a.cmpImmediate(rax, first + number);
      a.j("ne", others);
      kernel(a, pool, format, functions);
      a.jmp(done);
      a.place(others);
    }
  }
  a.jmp(done);
  for (const [i, rows] of tiles.entries()) {
    define(a, functions.byPanel[i], () => {
      overK(a, () => {
        bringFromPanel(a);
        // Few rows come here for their last k, when rows of weights have been read: what is then asked for does not matter.
        for (const next of NEXT) a.prefetch(at(next, 0, READ), 2);
        a.add(READ, NEXT_STEP);
        multiply(a, rows);
      });
    });
    define(a, functions.lastOfX[i], () => bringLastOfX(a, rows));
    define(a, functions.fold[i], () => foldSums(a, pool, rows));
  }
  a.place(done);
}

/** Runs the code for as many rows as the tile has. */
function forTile(a: Assembler, body: (rows: number) => void): void {
  const cases = tiles.map((rows) => [rows, () => body(rows)] as const);
  choose(a, at(rdi, word.DENSE_ROWS_OF_TILE), cases);
}

/** Calls the function for as many rows as the tile has. */
function callForTile(a: Assembler, functions: readonly Label[]): void {
  forTile(a, (rows) => a.call(functions[rows - 1]));
}

/** Repeats, while LEFT is not negative, for each eight k. */
function overK(a: Assembler, body: () => void): void {
  const begin = a.here();
  body();
  a.subImmediate(LEFT, 8);
  a.j("ge", begin);
}

function start(a: Assembler, pool: ConstantPool, format: DenseFormat): void {
  ROWS_AT.forEach((row, i) => a.mov(row, at(rdi, word.DENSE_W + 8 * i)));
  a.movImmediate(READ, 0);
  for (const [mask, place] of [
    [LAST_MASK, word.DENSE_LAST],
    [STORED_MASK, word.DENSE_STORED],
    [ADDED_MASK, word.DENSE_ADDED],
  ]) {
    a.mov(rax, at(rdi, place));
    a.kmovw(mask, rax);
  }
  format.prepare(a, pool);
}

/** FOURTH_AT from X_AT. */
function setFourth(a: Assembler): void {
  a.lea(FOURTH_AT, at(X_AT, 0, X_STEP, 2));
  a.add(FOURTH_AT, X_STEP);
}

/** If a row ends with less than eight k. */
function ifLast(a: Assembler, body: () => void): void {
  const none = a.label();
  a.cmpImmediate(at(rdi, word.DENSE_LAST), 0);
  a.j("e", none);
  body();
  a.place(none);
}

/** Multiplies the last k, which PANEL_AT holds unpacked. */
function multiplyLast(a: Assembler, { byPanel, lastOfX }: Functions): void {
  callForTile(a, lastOfX);
  a.movImmediate(LEFT, 0);
  callForTile(a, byPanel);
}

/** All rows of x, all k: the sums of a block of k go to y. */
function fewRows(
  a: Assembler,
  pool: ConstantPool,
  format: DenseFormat,
  functions: Functions,
): void {
  const [isWhole, noEights, noLast] = [a.label(), a.label(), a.label()];
  const kLeft = at(rdi, word.DENSE_LEFT);
  const panel = at(rdi, word.DENSE_PANEL);
  start(a, pool, format);
  a.mov(X_AT, at(rdi, word.DENSE_X));
  a.mov(rax, at(rdi, word.DENSE_K));
  a.store(kLeft, rax);
  const block = a.here();
  clearSums(a);
  a.mov(X_STEP, at(rdi, word.DENSE_X_STRIDE));
  setFourth(a);
  a.mov(LEFT, kLeft);
  a.cmpImmediate(LEFT, word.DENSE_BLOCK);
  a.j("le", isWhole);
  a.movImmediate(LEFT, word.DENSE_BLOCK);
  a.place(isWhole);
  a.subImmediate(LEFT, 8);
  a.j("l", noEights);
  forTile(a, (rows) => {
    overK(a, () => {
      bring(a, format);
      askAhead(a);
      multiply(a, rows);
      a.addImmediate(READ, 8 * format.bytes);
    });
  });
  a.place(noEights);
  a.push(X_AT);
  a.cmpImmediate(kLeft, word.DENSE_BLOCK);
  a.j("ge", noLast);
  ifLast(a, () => {
    bringLast(a, format);
    a.lea(PANEL_AT, panel);
    keepInPanel(a);
    a.lea(PANEL_AT, panel);
    multiplyLast(a, functions);
  });
  a.place(noLast);
  a.mov(X_AT, at(rdi, word.DENSE_Y));
  a.mov(X_STEP, at(rdi, word.DENSE_Y_STRIDE));
  callForTile(a, functions.fold);
  a.pop(X_AT);
  a.mov(rax, at(rdi, word.DENSE_STORED));
  a.kmovw(ADDED_MASK, rax);
  a.mov(rax, kLeft);
  a.subImmediate(rax, word.DENSE_BLOCK);
  a.store(kLeft, rax);
  a.j("g", block);
}

/** One block of k: its weights are unpacked, then multiplied by one tile of rows after the other. */
function manyRows(
  a: Assembler,
  pool: ConstantPool,
  format: DenseFormat,
  functions: Functions,
): void {
  // Registers of the rows of weights, which have been read when these are needed.
  const [TILE_X, TILE_Y, ROWS_LEFT] = ROWS_AT;
  const [unpacked, noEights, isWhole] = [a.label(), a.label(), a.label()];
  const panel = at(rdi, word.DENSE_PANEL);
  start(a, pool, format);
  a.lea(PANEL_AT, panel);
  a.mov(LEFT, at(rdi, word.DENSE_K));
  a.subImmediate(LEFT, 8);
  a.j("l", unpacked);
  overK(a, () => {
    bring(a, format);
    keepInPanel(a);
    a.addImmediate(READ, 8 * format.bytes);
  });
  a.place(unpacked);
  ifLast(a, () => {
    bringLast(a, format);
    keepInPanel(a);
  });
  a.mov(TILE_X, at(rdi, word.DENSE_X));
  a.mov(TILE_Y, at(rdi, word.DENSE_Y));
  a.mov(ROWS_LEFT, at(rdi, word.DENSE_ROWS));
  a.movImmediate(NEXT_STEP, 8 * format.bytes);
  a.mov(rax, at(rdi, word.DENSE_NEXT));
  for (const row of NEXT) {
    a.mov(row, rax);
    a.add(rax, at(rdi, word.DENSE_W_STRIDE));
  }
  const tile = a.here();
  a.cmp(ROWS_LEFT, at(rdi, word.DENSE_ROWS_OF_TILE));
  a.j("ge", isWhole);
  a.store(at(rdi, word.DENSE_ROWS_OF_TILE), ROWS_LEFT);
  a.place(isWhole);
  a.movImmediate(READ, 0);
  clearSums(a);
  a.mov(X_AT, TILE_X);
  a.mov(X_STEP, at(rdi, word.DENSE_X_STRIDE));
  setFourth(a);
  a.lea(PANEL_AT, panel);
  a.mov(LEFT, at(rdi, word.DENSE_K));
  a.subImmediate(LEFT, 8);
  a.j("l", noEights);
  callForTile(a, functions.byPanel);
  a.place(noEights);
  ifLast(a, () => multiplyLast(a, functions));
  a.mov(X_AT, TILE_Y);
  a.mov(X_STEP, at(rdi, word.DENSE_Y_STRIDE));
  callForTile(a, functions.fold);
  a.mov(TILE_Y, X_AT);
  a.mov(rax, at(rdi, word.DENSE_ROWS_OF_TILE));
  a.sub(ROWS_LEFT, rax);
  a.imul(rax, at(rdi, word.DENSE_X_STRIDE));
  a.add(TILE_X, rax);
  a.mov(rax, at(rdi, word.DENSE_W_STRIDE));
  for (const row of NEXT) a.lea(row, at(row, 0, rax, 4));
  a.cmpImmediate(ROWS_LEFT, 0);
  a.j("g", tile);
}
