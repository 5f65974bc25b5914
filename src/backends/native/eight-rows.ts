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
import { chooseFunction, define, defineForRows } from "./functions.ts";
import { multiplyBlock, TOGETHER, X_AT } from "./eight-row-tiles.ts";

const { rax, rbx, rbp, rsi, rdi, r8, r9, r10, r11, r12, r13, r14, r15 } = register;

// General registers. rdi: the words of the call; rax: free between blocks, else x of the tile.
/** Weights of the first of the two groups, and y of the first row, for the columns that are computed. */
const [W_AT, Y_AT] = [r12, r14];
/** Functions: one that unpacks a block from weights, one that brings the next block of a tile, one that multiplies it. */
const [UNPACK, BRING, MULTIPLY] = [rbp, r15, r13];
/** Where the panel is read or written; blocks that are left. */
const [PANEL_AT, BLOCKS] = [r8, r10];
/** With four streams: the groups of the third and the fourth, and the function that multiplies them. */
const [OTHER_GROUPS, MULTIPLY_OTHERS] = [[r8, r9], r15];
/** Rows that are left, rows of the tile, x and y of its first row. */
const [ROWS_LEFT, TILE, TILE_X, TILE_Y] = [r9, rbx, rsi, r11];

/** Mask registers for the columns that exist, of 16: of the first and the second stream, and of the third and the fourth. */
const MASKS = [
  [1, 2],
  [3, 4],
] as const;
/** Where the sums of the third and the fourth stream's columns are, in vector registers: so many after those of the first and the second. */
const OTHER_SUMS = word.TILE_ROWS / 2;
/** A vector register that is free when a tile ends: scales of rows. */
const ROW_SCALES = 24;
/** How far ahead weights are asked for, in bytes of each stream: about what memory delivers in the time that one access takes. */
const AHEAD = 384;

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
    others: Array.from({ length: mayHaveFour(sums) ? word.FOUR_STREAMS_ROWS : 0 }, () => a.label()),
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
  for (const { sums, begin, bring, keep, multiply, others } of bodies) {
    a.place(begin);
    allColumns(a, pool, { bring, keep, multiply, others });
    a.jmp(done);
    define(a, bring, () => bringBlock(a, sums));
    define(a, keep, () => keepBlock(a, sums));
    defineForRows(a, multiply, TOGETHER, (rows) => multiplyBlock(a, pool, sums, rows));
    for (const [i, label] of others.entries()) {
      const rows = Array.from({ length: i + 1 }, (_, row) => row);
      define(a, label, () => multiplyBlock(a, pool, sums, rows, OTHER_SUMS));
    }
  }
  eightRowFormats.forEach((format, i) => define(a, unpack[i], () => unpackBlock(a, pool, format)));
  a.place(done);
}

/** Whether there are formats without heads: four streams have no registers for what a head says. */
function mayHaveFour(sums: Sums): boolean {
  return eightRowFormats.some((format) => format.sums === sums && format.headBytes === 0);
}

/**
 * Functions for formats whose sums are made alike: `bring` a block from a panel, `keep` one there, `multiply` it by so many rows, or
 * `others` of the third and the fourth stream.
 */
type Functions = {
  readonly bring: Label;
  readonly keep: Label;
  readonly multiply: readonly Label[];
  readonly others: readonly Label[];
};

function allColumns(a: Assembler, pool: ConstantPool, functions: Functions): void {
  const [many, four, next] = [a.label(), a.label(), a.label()];
  a.mov(W_AT, at(rdi, word.W));
  a.mov(Y_AT, at(rdi, word.Y));
  const columns = a.here();
  chooseColumns(a, pool);
  a.mov(TILE_X, at(rdi, word.X));
  a.mov(TILE_Y, Y_AT);
  a.mov(TILE, at(rdi, word.ROWS));
  a.mov(rax, at(rdi, word.STREAMS));
  a.cmpImmediate(rax, 4);
  a.j("e", four);
  a.mov(ROWS_LEFT, TILE);
  a.cmpImmediate(ROWS_LEFT, word.TILE_ROWS);
  a.j("g", many);
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
  a.jmp(next);
  a.place(four);
  if (functions.others.length > 0) fourStreams(a, pool, functions);
  a.place(next);
  a.add(W_AT, at(rdi, word.W_STEP));
  a.mov(TILE, at(rdi, word.COLUMNS_STEP));
  a.lea(Y_AT, at(Y_AT, 0, TILE, 4));
  a.mov(rax, at(rdi, word.ROW_SCALES));
  a.lea(rax, at(rax, 0, TILE, 4));
  a.store(at(rdi, word.ROW_SCALES), rax);
  a.mov(rax, at(rdi, word.COLUMNS));
  a.sub(rax, TILE);
  a.store(at(rdi, word.COLUMNS), rax);
  a.mov(rax, at(rdi, word.STEPS));
  a.subImmediate(rax, 1);
  a.store(at(rdi, word.STEPS), rax);
  a.j("ne", columns);
}

/** Sets the groups' addresses, and the masks. A stream that has ended reads the first again, and nobody reads its columns. */
function chooseColumns(a: Assembler, pool: ConstantPool): void {
  const [group, table, columns] = [TILE_Y, TILE, TILE_X];
  a.mov(group, W_AT);
  a.mov(columns, at(rdi, word.COLUMNS));
  const streams = [...GROUPS, ...OTHER_GROUPS];
  for (const [i, stream] of streams.entries()) {
    const masks = Array.from({ length: 9 }, (_, count) => (2 ** count - 1) << (8 * (i % 2)));
    const [isThere, isPart] = [a.label(), a.label()];
    a.mov(stream, group);
    a.mov(rax, columns);
    a.cmpImmediate(rax, 0);
    a.j("g", isThere);
    a.mov(stream, W_AT);
    a.movImmediate(rax, 0);
    a.place(isThere);
    a.cmpImmediate(rax, 8);
    a.j("le", isPart);
    a.movImmediate(rax, 8);
    a.place(isPart);
    a.lea(table, atLabel(pool.words(...masks)));
    a.movsxd(rax, at(table, 0, rax, 4));
    a.kmovw(MASKS.flat()[i], rax);
    a.add(group, at(rdi, word.W_SECOND));
    a.sub(columns, at(rdi, word.COLUMNS_SECOND));
  }
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
  chooseFunction(a, MULTIPLY, TILE, multiply);
  for (let row = 0; row < word.TILE_ROWS; row++) a.op("vpxor", 512, row, row, row);
  a.mov(X_AT, TILE_X);
  overBlocks(a, () => {
    a.callRegister(BRING);
    a.callRegister(MULTIPLY);
    a.add(X_AT, at(rdi, word.X_STRIDE));
  });
  storeSums(a, pool, 0);
}

/** The same for few rows and four streams. */
function fourStreams(a: Assembler, pool: ConstantPool, { multiply, others }: Functions): void {
  const { length: most } = others;
  chooseFunction(a, MULTIPLY, TILE, multiply.slice(0, most));
  chooseFunction(a, MULTIPLY_OTHERS, TILE, others);
  for (const first of [0, OTHER_SUMS])
    for (let row = first; row < first + most; row++) a.op("vpxor", 512, row, row, row);
  const exchange = (): void => GROUPS.forEach((group, i) => a.xchg(group, OTHER_GROUPS[i]));
  a.mov(X_AT, TILE_X);
  overBlocks(a, () => {
    a.callRegister(UNPACK);
    a.callRegister(MULTIPLY);
    exchange();
    a.callRegister(UNPACK);
    a.callRegister(MULTIPLY_OTHERS);
    exchange();
    a.add(X_AT, at(rdi, word.X_STRIDE));
  });
  storeSums(a, pool, 0);
  a.mov(rax, at(rdi, word.COLUMNS_SECOND));
  a.lea(TILE_Y, at(Y_AT, 0, rax, 8));
  storeSums(a, pool, OTHER_SUMS);
}

/**
 * Sums times the scales of their columns' rows, if there are any, go to y. TILE_X and TILE_Y come to the next tile's first row.
 * @param first the register of the first row's sums
 */
function storeSums(a: Assembler, pool: ConstantPool, first: number): void {
  const [noScales, stored] = [a.label(), a.label()];
  const [mask, secondMask] = MASKS[first === 0 ? 0 : 1];
  const second = MULTIPLY;
  a.mov(second, at(rdi, word.COLUMNS_SECOND));
  a.load("vbroadcastss", 512, ROW_SCALES, atLabel(pool.float(1)));
  a.mov(rax, at(rdi, word.HAS_ROW_SCALES));
  a.cmpImmediate(rax, 0);
  a.j("e", noScales);
  a.mov(rax, at(rdi, word.ROW_SCALES));
  if (first !== 0) a.lea(rax, at(rax, 0, second, 8));
  a.load("vmovups", 512, ROW_SCALES, at(rax), { mask, zero: true });
  a.load("vmovups", 512, ROW_SCALES, at(rax, -32, second, 4), { mask: secondMask });
  a.place(noScales);
  for (let row = 0; row < (first === 0 ? word.TILE_ROWS : word.FOUR_STREAMS_ROWS); row++) {
    const sums = first + row;
    a.op("vmulps", 512, sums, sums, ROW_SCALES);
    a.storeVector(512, at(TILE_Y), sums, { mask });
    // Lanes 8 to 15 belong to the second stream, so that the first lane lies eight columns before it.
    a.storeVector(512, at(TILE_Y, -32, second, 4), sums, { mask: secondMask });
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
