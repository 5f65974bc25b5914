// Plain weights (f32, bf16, f16) for machine code: how eight k of eight rows become four vectors of f32. A vector holds two rows, the eight
// k of one behind those of the other. Does not know what is multiplied by them.

import { type Assembler, at, atLabel, type Extras, type Memory, register } from "./assembler.ts";
import type { ConstantPool } from "./constant-pool.ts";

const { rbx, rcx, rdx, rbp, r8, r12, r13, r14, r15 } = register;

/** Addresses of the eight rows, and how many bytes of them have been read. */
export const ROWS_AT: readonly number[] = [rbx, rcx, rdx, rbp, r12, r13, r14, r15];
export const READ: number = r8;

/** Vector registers of two rows each; one that unpacking may use; and what `prepare` puts into one. */
export const WEIGHTS: readonly number[] = [24, 25, 26, 27];
const FREE = 28;
const PLACES = 31;

/** Mask registers: the last k of a row, less than eight; the odd words of a vector. */
export const LAST_MASK = 1;
const ODD_MASK = 4;

/** How far ahead weights are asked for, in bytes. */
const AHEAD = 2048;

export type DenseFormat = {
  readonly name: string;
  readonly bytes: 2 | 4;
  /** What `bring` needs before its first call. */
  prepare(a: Assembler, pool: ConstantPool): void;
  /** Two rows' numbers, side by side in a register, become f32. */
  widen(a: Assembler, vector: number): void;
};

export const denseFormats: readonly DenseFormat[] = [
  { name: "f32", bytes: 4, prepare: () => {}, widen: () => {} },
  {
    ...{ name: "bf16", bytes: 2 },
    // A number is the upper half of an f32: word i goes to word 2i + 1.
    prepare(a, pool) {
      const words = Array.from({ length: 16 }, (_, i) => i << 16);
      a.load("vmovups", 512, PLACES, atLabel(pool.words(...words)));
      a.movImmediate(register.rax, 0xaaaaaaaa | 0); // its low 32 bits
      a.kmovd(ODD_MASK, register.rax);
    },
    widen: (a, vector) =>
      a.op("vpermw", 512, vector, PLACES, vector, { mask: ODD_MASK, zero: true }),
  },
  {
    ...{ name: "f16", bytes: 2, prepare: () => {} },
    widen: (a, vector) => a.load("vcvtph2ps", 512, vector, vector),
  },
];

/** The next eight k of the eight rows. */
export function bring(a: Assembler, format: DenseFormat): void {
  eachPair((vector, first, second) => {
    if (format.bytes === 4) {
      a.load("vmovups", 256, vector, first);
      a.op("vinserti64x4", 512, vector, vector, second, { immediate: 1 });
    } else {
      a.load("vmovups", 128, vector, first);
      a.op("vinserti128", 256, vector, vector, second, { immediate: 1 });
    }
    format.widen(a, vector);
  });
}

/** The last k of the eight rows, less than eight, filled up with zeros. */
export function bringLast(a: Assembler, format: DenseFormat): void {
  const last: Extras = { mask: LAST_MASK, zero: true };
  eachPair((vector, first, second) => {
    if (format.bytes === 4) {
      a.load("vmovups", 256, vector, first, last);
      a.load("vmovups", 256, FREE, second, last);
      a.op("vinserti64x4", 512, vector, vector, FREE, { immediate: 1 });
    } else {
      a.load("vmovdqu16", 128, vector, first, last);
      a.load("vmovdqu16", 128, FREE, second, last);
      a.op("vinserti128", 256, vector, vector, FREE, { immediate: 1 });
    }
    format.widen(a, vector);
  });
}

/** Asks for what the rows hold further on. */
export function askAhead(a: Assembler): void {
  for (const row of ROWS_AT) a.prefetch(at(row, AHEAD, READ), 1);
}

function eachPair(body: (vector: number, first: Memory, second: Memory) => void): void {
  WEIGHTS.forEach((vector, i) =>
    body(vector, at(ROWS_AT[2 * i], 0, READ), at(ROWS_AT[2 * i + 1], 0, READ)),
  );
}
