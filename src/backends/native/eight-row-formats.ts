// The weight formats whose rows lie in groups of eight (src/formats/), for machine code: how a block of 32 k of two groups becomes vectors
// of 16 columns. Does not know what is multiplied by them.

import { type Assembler, at, atLabel, register } from "./assembler.ts";
import type { ConstantPool } from "./constant-pool.ts";

/** The two groups' addresses. */
export const GROUPS: readonly [number, number] = [register.rcx, register.rdx];

/** Vector registers of an unpacked block. */
export const unpacked: {
  /** Eight quads: four codes of each of 16 columns, unsigned bytes. */
  readonly quads: readonly number[];
  /** The scales of 16 columns · 2⁻¹¹². */
  readonly scale: number;
  /** "shifted": the count, in the lowest 64 bits. "minima": minima / 8. "halves": the two factors of each column, i16. */
  readonly more: number;
} = { quads: [16, 17, 18, 19, 20, 21, 22, 23], scale: 24, more: 26 };

/** Vector registers that `head` fills and `block` reads; and those that unpacking may use for itself. */
const [D, E, T, U] = [12, 13, 30, 31];

export type EightRowFormat = {
  readonly name: string;
  /** How sums are made from an unpacked block. */
  readonly sums: Sums;
  readonly blockBytes: number;
  /** Bytes before each eight blocks; 0: there are none. */
  readonly headBytes: number;
  head(a: Assembler, pool: ConstantPool): void;
  block(a: Assembler, pool: ConstantPool): void;
};

/**
 * "zero point": code − 8 stands for a number; "shifted": code − 8 · 2ⁿ, n being in `unpacked.more`. "minima": code · scale − minimum.
 * "halves": code − 32, and the first and the last 16 k of a block have factors of their own.
 */
export type Sums = "zero point" | "shifted" | "minima" | "halves";

/** The scales of packed activations are too large by 2¹¹². */
export const DOWN: number = 2 ** -112;

/** 32 bytes of each group, side by side. */
function pair(a: Assembler, to: number, offset: number): void {
  const [first, second] = GROUPS;
  a.load("vmovups", 256, to, at(first, offset));
  a.op("vinserti64x4", 512, to, to, at(second, offset), { immediate: 1 });
}

/** 16 bytes of each group, side by side. */
function halfPair(a: Assembler, to: number, offset: number): void {
  const [first, second] = GROUPS;
  a.load("vmovups", 128, to, at(first, offset));
  a.op("vinserti128", 256, to, to, at(second, offset), { immediate: 1 });
}

/** Each quad from 32 bytes of its own. */
function wholeBytes(a: Assembler, offset: number): void {
  unpacked.quads.forEach((quad, i) => pair(a, quad, offset + 32 * i));
}

/** Quad j from the low halves of the bytes of run j, quad j + 4 from the high halves. */
function nibbles(a: Assembler, pool: ConstantPool, offset: number): void {
  const low = atLabel(pool.words(0x0f0f0f0f));
  for (let run = 0; run < 4; run++) {
    pair(a, T, offset + 32 * run);
    a.op("vpand", 512, unpacked.quads[run], T, low, { broadcast: true });
    a.shiftWords("right", 512, T, T, 4);
    a.op("vpand", 512, unpacked.quads[run + 4], T, low, { broadcast: true });
  }
}

/** Low four bits of codes as above, then their high two bits: four quads in each byte. */
function sixBits(a: Assembler, pool: ConstantPool, offset: number): void {
  nibbles(a, pool, offset);
  const high = atLabel(pool.words(0x30303030));
  const A_OR_B_AND_C = 0xf8;
  for (const run of [0, 1]) {
    pair(a, T, offset + 128 + 32 * run);
    for (const [i, shift] of [4, 2, 0, -2].entries()) {
      const quad = unpacked.quads[run + 2 * i];
      if (shift !== 0) a.shiftWords(shift > 0 ? "left" : "right", 512, U, T, Math.abs(shift));
      const bits = shift === 0 ? T : U;
      a.op("vpternlogd", 512, quad, bits, high, { broadcast: true, immediate: A_OR_B_AND_C });
    }
  }
}

function down(a: Assembler, pool: ConstantPool, vector: number): void {
  a.op("vmulps", 512, vector, vector, atLabel(pool.float(DOWN)), { broadcast: true });
}

/** Scales of eight bits, which the scale of the row is multiplied by. */
function byteScales(a: Assembler, pool: ConstantPool): void {
  const [first, second] = GROUPS;
  a.load("vmovq", 128, T, at(first));
  a.op("vmovhps", 128, T, T, at(second));
  a.load("vpmovsxbd", 512, unpacked.scale, T);
  a.load("vcvtdq2ps", 512, unpacked.scale, unpacked.scale);
  down(a, pool, unpacked.scale);
}

/** Numbers of 16 bits, f16, at an offset of each group: · 2⁻¹¹². */
function halfScales(a: Assembler, pool: ConstantPool, to: number, offset: number): void {
  halfPair(a, T, offset);
  a.load("vcvtph2ps", 512, to, T);
  down(a, pool, to);
}

function shiftCount(a: Assembler, pool: ConstantPool, count: number): void {
  a.load("vmovq", 128, unpacked.more, atLabel(pool.words(count, 0)));
}

const noHead = { headBytes: 0, head: () => {} } as const;

export const eightRowFormats: readonly EightRowFormat[] = [
  {
    ...{ name: "q4", blockBytes: 144, ...noHead, sums: "zero point" },
    block(a, pool) {
      halfScales(a, pool, unpacked.scale, 0);
      nibbles(a, pool, 16);
    },
  },
  {
    ...{ name: "q4r", blockBytes: 136, ...noHead, sums: "zero point" },
    block(a, pool) {
      byteScales(a, pool);
      nibbles(a, pool, 8);
    },
  },
  {
    ...{ name: "q6r", blockBytes: 200, ...noHead, sums: "shifted" },
    block(a, pool) {
      byteScales(a, pool);
      sixBits(a, pool, 8);
      shiftCount(a, pool, 2);
    },
  },
  {
    ...{ name: "q8", blockBytes: 272, ...noHead, sums: "shifted" },
    block(a, pool) {
      halfScales(a, pool, unpacked.scale, 0);
      wholeBytes(a, 16);
      shiftCount(a, pool, 4);
    },
  },
  {
    ...{ name: "q4k", blockBytes: 144, headBytes: 32, sums: "minima" },
    head(a, pool) {
      halfScales(a, pool, D, 0);
      halfPair(a, T, 16);
      a.load("vcvtph2ps", 512, E, T);
      const part = atLabel(pool.float(0.125 / 256));
      a.op("vmulps", 512, E, E, part, { broadcast: true });
    },
    block(a, pool) {
      halfPair(a, T, 0);
      a.load("vpmovzxwd", 512, T, T);
      for (const [to, factor, bits] of [
        [unpacked.scale, D, 0xff],
        [unpacked.more, E, 0xff00],
      ]) {
        a.op("vpand", 512, to, T, atLabel(pool.words(bits)), { broadcast: true });
        a.load("vcvtdq2ps", 512, to, to);
        a.op("vmulps", 512, to, to, factor);
      }
      nibbles(a, pool, 16);
    },
  },
  {
    ...{ name: "q6k", blockBytes: 208, headBytes: 16, sums: "halves" },
    head: (a, pool) => halfScales(a, pool, D, 0),
    block(a, pool) {
      a.load("vmovups", 512, unpacked.scale, D);
      halfPair(a, T, 0);
      a.load("vpmovsxbw", 512, unpacked.more, T);
      sixBits(a, pool, 16);
    },
  },
];
