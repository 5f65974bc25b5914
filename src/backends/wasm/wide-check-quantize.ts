// Quantising in the check of 256-bit vectors: a few rows into each family of formats.
// V8's compilers may not change a bit: all of it rounds as JavaScript does.

import { formatCodes } from "./format-codes.ts";
import type { Kernels } from "./kernel-module.ts";
import { rankTable } from "./quantizer.ts";
import type { Places } from "./wide-check-int8.ts";

const [ROWS, K] = [8, 512];
const BLOCK = 64;
/** Bytes of codes, and of all parts: those of q8, which are the most. */
const [CODES, ROOM] = [4352, 4608];

/** The bytes of each format, from numbers of 16 bits: any weights that are finite. */
export function quantizedBytes(
  kernels: Kernels,
  memory: WebAssembly.Memory,
  { scratch, weights, to }: Places,
): Uint32Array {
  const [failed, table, first] = [to, to + 64, to + 256];
  new Uint8Array(memory.buffer).set(rankTable("nf4"), table);
  let at = first;
  for (const family of ["q4", "q4r", "q6r", "q8", "nf4", "int8"]) {
    const units = family === "nf4" ? (ROWS * K) / BLOCK : family === "int8" ? ROWS : ROWS / 8;
    kernels.quantize(
      ...[at, at + CODES, weights, formatCodes.bf16 ?? 0, formatCodes.f16 ?? 0, ROWS, K],
      ...[formatCodes[family] ?? 0, BLOCK, table, failed, scratch, 0, units],
    );
    at += ROOM;
  }
  return new Uint32Array(memory.buffer.slice(first, at));
}
