// Functions within machine code, and choosing by a number. Does not know what they compute.

import { type Assembler, atLabel, type Operand } from "./assembler.ts";
import type { Label } from "./code-buffer.ts";

/** Places a function at a label. It may be called through a register. */
export function define(a: Assembler, label: Label, body: () => void): void {
  a.align(32);
  a.place(label);
  a.endbr64();
  body();
  a.ret();
}

/** Runs the code of the number that `of` holds, and goes on behind all; for another number it does nothing. */
export function choose(
  a: Assembler,
  of: Operand,
  cases: readonly (readonly [number: number, body: () => void])[],
): void {
  const done = a.label();
  for (const [number, body] of cases) {
    const others = a.label();
    a.cmpImmediate(of, number);
    a.j("ne", others);
    body();
    a.jmp(done);
    a.place(others);
  }
  a.place(done);
}

/** Sets a register to the address of a function: the first for 1, the second for 2 and so on. */
export function chooseFunction(
  a: Assembler,
  to: number,
  of: Operand,
  functions: readonly Label[],
): void {
  const cases = functions.map((label, i) => [i + 1, () => a.lea(to, atLabel(label))] as const);
  choose(a, of, cases);
}

/**
 * Functions for one row, for two rows and so on. They share those that do `together` rows, or the last few.
 * @param part writes the code for some rows, at most `together`
 * @param around writes the whole function, whose parts it is to call
 */
export function defineForRows(
  a: Assembler,
  labels: readonly Label[],
  together: number,
  part: (rows: readonly number[]) => void,
  around: (callParts: () => void) => void = (callParts) => callParts(),
): void {
  const parts = new Map<string, Label>();
  const partOf = (first: number, end: number): Label => {
    const rows = Array.from({ length: end - first }, (_, i) => first + i);
    let label = parts.get(rows.join());
    if (label === undefined) {
      parts.set(rows.join(), (label = a.label()));
      define(a, label, () => part(rows));
    }
    return label;
  };
  for (const [i, label] of labels.entries()) {
    const own: Label[] = [];
    for (let first = 0; first <= i; first += together)
      own.push(partOf(first, Math.min(first + together, i + 1)));
    define(a, label, () => around(() => own.forEach((each) => a.call(each))));
  }
}
