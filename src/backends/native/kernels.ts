// All kernels in machine code, and the one function by which WebAssembly calls them. Does not know how code is loaded.

import { Assembler, at, register } from "./assembler.ts";
import { attention } from "./attention.ts";
import { KERNEL } from "./call-words.ts";
import { ConstantPool } from "./constant-pool.ts";
import { dense } from "./dense.ts";
import { eightRows } from "./eight-rows.ts";
import { fourBit } from "./four-bit.ts";

const { rax, rbx, rbp, rdi, r12, r13, r14, r15 } = register;
/** Registers that a function gives back as they were. */
const SAVED = [rbx, rbp, r12, r13, r14, r15];

/**
 * Machine code of the kernels. Its function `native(call)` takes the address of the words of a call, see call-words.ts, as an f64: a
 * WebAssembly f64 becomes a JavaScript number, an i64 would become a BigInt, for which memory is taken.
 * @returns the code, and where in it functions begin
 */
export function assembleKernels(): {
  readonly code: Uint8Array<ArrayBuffer>;
  readonly symbols: Readonly<Record<string, number>>;
} {
  const a = new Assembler();
  const pool = new ConstantPool();
  a.endbr64();
  for (const r of SAVED) a.push(r);
  a.cvttsd2si(rdi, 0);
  for (const family of [eightRows, fourBit, attention, dense]) {
    a.mov(rax, at(rdi, KERNEL));
    family(a, pool);
  }
  a.vzeroupper();
  for (const r of SAVED.toReversed()) a.pop(r);
  a.ret();
  pool.place(a);
  return { code: a.finish(), symbols: { native: 0 } };
}
