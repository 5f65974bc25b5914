// Products of packed rows with weights in groups of eight rows, in AVX-512 with VNNI: 16 columns after the other. Up to TILE_ROWS rows of x
// read the weights where they lie; more rows share a panel, to which the weights of all k are unpacked first. The call: call-words.ts.
// Does not know how a block is unpacked or multiplied.

import { type Assembler, at, atLabel, register } from "./assembler.ts";
import * as word from "./call-words.ts";
import type { Label } from "./code-buffer.ts";
import type { ConstantPool } from "./constant-pool.ts";
import {
  type EightRowFormat,
  eightRowFormats,
  GROUPS,
  type Sums,
  unpacked,
} from "./eight-row-formats.ts";
import { multiplyBlock, TOGETHER, X_AT } from "./eight-row-tiles.ts";

const { rax, rbx, rbp, rsi, rdi, r8, r9, r10, r11, r12, r13, r14, r15 } = register;
const [FIRST, SECOND] = GROUPS;

// General registers. rdi: the words of the call; rax: free between blocks, else x of the tile.
/** Weights of the first of the two groups, and y of the first row, for the columns that are computed. */
const [W_AT, Y_AT] = [r12, r14];
/** Functions: one that unpacks a block from weights, one that brings the next block of a tile, one that multiplies it. */
const [UNPACK, BRING, MULTIPLY] = [rbp, r15, r13];
/** Where the panel is read or written; blocks that are left. */
const [PANEL_AT, BLOCKS] = [r8, r10];
/** Rows that are left, rows of the tile, x and y of its first row. */
const [ROWS_LEFT, TILE, TILE_X, TILE_Y] = [r9, rbx, rsi, r11];

/** The mask register for the columns that exist, of 16. */
const COLUMNS_MASK = 1;
/** A vector register that is free when a tile ends: scales of rows. */
const ROW_SCALES = 24;
/** How far ahead weights are asked for, in bytes. */
const AHEAD = 2048;
const LINE = 64;
/** Formats with heads have one before so many blocks. */
const BLOCKS_OF_HEAD = 8;

/** Writes the kernels of all formats. They come with the number of theirs in rax, and change all registers but rdi and rsp. */
export function eightRows(a: Assembler, pool: ConstantPool): void {
  const kinds: readonly Sums[] = [...new Set(eightRowFormats.map(({ sums }) => sums))];
  const done = a.label();
  const bodies = kinds.map((sums) => ({
    ...{ sums, begin: a.label(), bring: a.label(), keep: a.label() },
    multiply: Array.from({ length: word.TILE_ROWS }, () => a.label()),
  }));
  const unpack = eightRowFormats.map((format, number) => {
    const [label, others] = [a.label(), a.label()];
    a.cmpImmediate(rax, number);
    a.j("ne", others);
    a.lea(UNPACK, atLabel(label));
    a.jmp(bodies[kinds.indexOf(format.sums)].begin);
    a.place(others);
    return label;
  });
  a.jmp(done);
  for (const { sums, begin, bring, keep, multiply } of bodies) {
    a.place(begin);
    allColumns(a, pool, { bring, keep, multiply });
    a.jmp(done);
    define(a, bring, () => bringBlock(a, sums));
    define(a, keep, () => keepBlock(a, sums));
    multiplyRows(a, pool, sums, multiply);
  }
  eightRowFormats.forEach((format, i) => define(a, unpack[i], () => unpackBlock(a, pool, format)));
  a.place(done);
}

/** Functions that multiply a block by one row, two rows and so on. They share those that multiply TOGETHER rows, or the last few. */
function multiplyRows(
  a: Assembler,
  pool: ConstantPool,
  sums: Sums,
  multiply: readonly Label[],
): void {
  const parts = new Map<string, Label>();
  const part = (first: number, end: number): Label => {
    const rows = Array.from({ length: end - first }, (_, i) => first + i);
    let label = parts.get(rows.join());
    if (label === undefined) {
      parts.set(rows.join(), (label = a.label()));
      define(a, label, () => multiplyBlock(a, pool, sums, rows));
    }
    return label;
  };
  for (const [i, label] of multiply.entries()) {
    const rows = i + 1;
    const labels: Label[] = [];
    for (let first = 0; first < rows; first += TOGETHER)
      labels.push(part(first, Math.min(first + TOGETHER, rows)));
    define(a, label, () => {
      for (const each of labels) a.call(each);
    });
  }
}

/** A function that is called through a register. */
function define(a: Assembler, label: Label, body: () => void): void {
  a.align(32);
  a.place(label);
  a.endbr64();
  body();
  a.ret();
}

/** Functions for formats whose sums are made alike: `bring` a block from a panel, `keep` one there, `multiply` it by so many rows. */
type Functions = {
  readonly bring: Label;
  readonly keep: Label;
  readonly multiply: readonly Label[];
};

function allColumns(a: Assembler, pool: ConstantPool, functions: Functions): void {
  const [many, next] = [a.label(), a.label()];
  a.mov(W_AT, at(rdi, word.W));
  a.mov(Y_AT, at(rdi, word.Y));
  const columns = a.here();
  chooseColumns(a, pool);
  a.mov(ROWS_LEFT, at(rdi, word.ROWS));
  a.mov(TILE_X, at(rdi, word.X));
  a.mov(TILE_Y, Y_AT);
  a.cmpImmediate(ROWS_LEFT, word.TILE_ROWS);
  a.j("g", many);
  a.mov(TILE, ROWS_LEFT);
  a.mov(BRING, UNPACK);
  tile(a, pool, functions);
  a.jmp(next);
  a.place(many);
  fillPanel(a, functions);
  a.lea(BRING, atLabel(functions.bring));
  const rows = a.here();
  a.mov(TILE, at(rdi, word.TILE));
  a.cmp(TILE, ROWS_LEFT);
  a.cmovg(TILE, ROWS_LEFT);
  a.mov(PANEL_AT, at(rdi, word.PANEL));
  tile(a, pool, functions);
  a.sub(ROWS_LEFT, TILE);
  a.j("g", rows);
  a.place(next);
  a.mov(rax, at(rdi, word.W_STRIDE));
  a.lea(W_AT, at(W_AT, 0, rax, 2));
  a.addImmediate(Y_AT, 16 * 4);
  for (const [place, step] of [
    [word.ROW_SCALES, 16 * 4],
    [word.COLUMNS, -16],
  ]) {
    a.mov(rax, at(rdi, place));
    a.addImmediate(rax, step);
    a.store(at(rdi, place), rax);
  }
  a.cmpImmediate(rax, 0);
  a.j("g", columns);
}

/** Sets the groups' addresses, and the mask. If there is no second group, the first is read again, and nobody reads its columns. */
function chooseColumns(a: Assembler, pool: ConstantPool): void {
  const masks = Array.from({ length: 17 }, (_, columns) => 2 ** columns - 1);
  const [isWhole, isOne] = [a.label(), a.label()];
  a.mov(FIRST, W_AT);
  a.mov(SECOND, W_AT);
  a.mov(rax, at(rdi, word.COLUMNS));
  a.cmpImmediate(rax, 8);
  a.j("le", isOne);
  a.add(SECOND, at(rdi, word.W_STRIDE));
  a.place(isOne);
  a.cmpImmediate(rax, 16);
  a.j("le", isWhole);
  a.movImmediate(rax, 16);
  a.place(isWhole);
  a.lea(TILE, atLabel(pool.words(...masks)));
  a.movsxd(rax, at(TILE, 0, rax, 4));
  a.kmovw(COLUMNS_MASK, rax);
}

/** Repeats until there are no blocks left. */
function overBlocks(a: Assembler, body: () => void): void {
  a.mov(BLOCKS, at(rdi, word.BLOCKS));
  const begin = a.here();
  body();
  a.subImmediate(BLOCKS, 1);
  a.j("ne", begin);
}

/** Unpacks the weights of all k. */
function fillPanel(a: Assembler, { keep }: Functions): void {
  a.mov(PANEL_AT, at(rdi, word.PANEL));
  overBlocks(a, () => {
    a.callRegister(UNPACK);
    a.call(keep);
  });
}

/** The rows of one tile, all k. */
function tile(a: Assembler, pool: ConstantPool, { multiply }: Functions): void {
  const chosen = a.label();
  multiply.forEach((label, i) => {
    const others = a.label();
    a.cmpImmediate(TILE, i + 1);
    a.j("ne", others);
    a.lea(MULTIPLY, atLabel(label));
    a.jmp(chosen);
    a.place(others);
  });
  a.place(chosen);
  for (let row = 0; row < word.TILE_ROWS; row++) a.op("vpxor", 512, row, row, row);
  a.mov(X_AT, TILE_X);
  overBlocks(a, () => {
    a.callRegister(BRING);
    a.callRegister(MULTIPLY);
    a.add(X_AT, at(rdi, word.X_STRIDE));
  });
  storeSums(a, pool);
}

/** Sums times the scales of their columns' rows, if there are any, go to y. TILE_X and TILE_Y come to the next tile's first row. */
function storeSums(a: Assembler, pool: ConstantPool): void {
  const [noScales, stored] = [a.label(), a.label()];
  a.load("vbroadcastss", 512, ROW_SCALES, atLabel(pool.float(1)));
  a.mov(rax, at(rdi, word.HAS_ROW_SCALES));
  a.cmpImmediate(rax, 0);
  a.j("e", noScales);
  a.mov(rax, at(rdi, word.ROW_SCALES));
  a.load("vmovups", 512, ROW_SCALES, at(rax), { mask: COLUMNS_MASK, zero: true });
  a.place(noScales);
  for (let row = 0; row < word.TILE_ROWS; row++) {
    a.op("vmulps", 512, row, row, ROW_SCALES);
    a.storeVector(512, at(TILE_Y), row, { mask: COLUMNS_MASK });
    a.addImmediate(TILE_X, word.X_BLOCK);
    a.add(TILE_Y, at(rdi, word.Y_STRIDE));
    a.cmpImmediate(TILE, row + 1);
    a.j("e", stored);
  }
  a.place(stored);
}

/** The next block of two groups, from where weights lie. The groups' addresses go on. */
function unpackBlock(a: Assembler, pool: ConstantPool, format: EightRowFormat): void {
  const { headBytes, blockBytes } = format;
  if (headBytes > 0) {
    const noHead = a.label();
    a.testImmediate(BLOCKS, BLOCKS_OF_HEAD - 1);
    a.j("ne", noHead);
    format.head(a, pool);
    for (const group of GROUPS) a.addImmediate(group, headBytes);
    a.place(noHead);
  }
  format.block(a, pool);
  for (let line = 0; line < blockBytes; line += LINE)
    for (const group of GROUPS) a.prefetch(at(group, AHEAD + line), 1);
  for (const group of GROUPS) a.addImmediate(group, blockBytes);
}

/** The vector registers in the order in which a block of a panel holds them. */
function placesInPanel(sums: Sums): number[] {
  const { quads, scale, more } = unpacked;
  return [...quads, scale, ...(sums === "zero point" ? [] : [more])];
}

function bringBlock(a: Assembler, sums: Sums): void {
  placesInPanel(sums).forEach((to, i) => a.load("vmovups", 512, to, at(PANEL_AT, 64 * i)));
  a.addImmediate(PANEL_AT, word.PANEL_BLOCK);
}

function keepBlock(a: Assembler, sums: Sums): void {
  placesInPanel(sums).forEach((from, i) => a.storeVector(512, at(PANEL_AT, 64 * i), from));
  a.addImmediate(PANEL_AT, word.PANEL_BLOCK);
}
