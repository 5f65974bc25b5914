// The most arithmetic that a thread can do with vectors of 512 bits, as machine code that does nothing else: limits to compare kernels
// with. No kernel uses it.

import { Assembler, at, register } from "./assembler.ts";
import type { Operation } from "./instructions.ts";
import { sharedLibrary } from "./shared-library.ts";

/** The instruction that does most of a kind, and how many operations (a product or an addition each) one of them does. */
const kinds: Readonly<Record<LimitKind, { instruction: Operation; operations: number }>> = {
  int8: { instruction: "vpdpbusd", operations: 128 },
  float32: { instruction: "vfmadd231ps", operations: 32 },
};

export type LimitKind = "int8" | "float32";

/** Sums that do not wait for each other: two units with a latency of five cycles need ten; the others hide what else a turn does. */
const SUMS = 24;
const [A, B] = [24, 25];

/** How many operations a turn of a function does. */
export function operationsOfTurn(kind: LimitKind): number {
  return SUMS * kinds[kind].operations;
}

/** A library with a function of each kind's name: its argument is the address of a 64-bit word, which says how many turns it does. */
export function limitsLibrary(): Uint8Array<ArrayBuffer> {
  const { rcx, rdi } = register;
  const a = new Assembler();
  const symbols: Record<string, number> = {};
  for (const [kind, { instruction }] of Object.entries(kinds)) {
    a.align(64);
    symbols[kind] = a.size;
    a.endbr64();
    a.cvttsd2si(rdi, 0);
    a.mov(rcx, at(rdi));
    for (let v = 0; v <= B; v++) a.op("vpxor", 512, v, v, v);
    const turn = a.here();
    for (let sum = 0; sum < SUMS; sum++) a.op(instruction, 512, sum, A, B);
    a.subImmediate(rcx, 1);
    a.j("ne", turn);
    a.vzeroupper();
    a.ret();
  }
  return sharedLibrary(a.finish(), symbols);
}
