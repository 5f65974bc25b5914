// Products with nf4 and fp4 weights in AVX-512 with VNNI and VBMI, on the compute paths of int8 activations and of 16-bit fixed point.
// Order of summation, that of the WebAssembly kernels (../wasm/kernels/linear-nf4.ts): integers exactly within 64 k, then block after block,
// fused. The call: four-bit-words.ts. Does not know how much is computed side by side.

import { type Assembler, at, register } from "./assembler.ts";
import type { ConstantPool } from "./constant-pool.ts";
import { fixed16Path, int8Path, TABLE, UNIT } from "./four-bit-paths.ts";
import { fourBitRow } from "./four-bit-row.ts";
import { fourBitRows } from "./four-bit-rows.ts";
import * as word from "./four-bit-words.ts";

const { rax, rdi } = register;

/** Writes the kernels. They come with the number of theirs in rax, and change all registers but rdi and rsp. */
export function fourBit(a: Assembler, pool: ConstantPool): void {
  const done = a.label();
  for (const [number, path, kernel] of [
    [word.FOUR_BIT_INT8_ROW, int8Path, fourBitRow],
    [word.FOUR_BIT_FIXED16_ROW, fixed16Path, fourBitRow],
    [word.FOUR_BIT_INT8_ROWS, int8Path, fourBitRows],
    [word.FOUR_BIT_FIXED16_ROWS, fixed16Path, fourBitRows],
  ] as const) {
    const others = a.label();
    a.cmpImmediate(rax, number);
    a.j("ne", others);
    a.load("vmovups", 512, TABLE, at(rdi, word.FOUR_BIT_TABLE));
    a.load("vbroadcastss", 512, UNIT, at(rdi, word.FOUR_BIT_UNIT));
    kernel(a, pool, path, done);
    a.place(others);
  }
  a.place(done);
}
