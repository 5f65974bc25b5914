// nf4 and LLM.int8 in the check of 256-bit vectors: packs rows and multiplies them on each compute path of these weights.
// V8's compilers may not change a bit: sums of integers are exact, and they all fuse multiply and add of f32, or none does.

import type { Kernels } from "./kernel-module.ts";
import { FORMAT_NF4 } from "./kernels/header.ts";
import type { Places } from "./wide-check-int8.ts";

const [T, K, O] = [5, 1024, 32];
const BLOCK = 64;

/** The bits of the products of many rows and of one, on each compute path. Any bytes serve as codes, and x as scales. */
export function packedProducts(
  kernels: Kernels,
  memory: WebAssembly.Memory,
  { scratch, x, weights, to }: Places,
): Uint32Array {
  const wide = 1;
  const fourBit = [weights, x, 0, 0, FORMAT_NF4, BLOCK, K, O, scratch];
  const computePaths: readonly { pack?: () => void; multiply(y: number, rows: number): void }[] = [
    {
      multiply: (y, rows) => void kernels.linear_packed(y, x, ...fourBit, wide, 0, rows, 0, O),
    },
    {
      pack: () => void kernels.pack_rows_fixed16(to, x, K, T, 0, 0, T),
      multiply: (y, rows) => void kernels.linear_fixed16(y, to, ...fourBit, wide, 0, rows, 0, O),
    },
    {
      pack: () => void kernels.pack_rows_int8_halves(to, x, K, T, 0, 0, T),
      multiply: (y, rows) => void kernels.linear_nf4_int8(y, to, ...fourBit, 0, rows, 0, O),
    },
    {
      pack: () => void kernels.pack_rows_llm_int8(to, x, K, 6, 0, scratch, 0, T),
      multiply: (y, rows) =>
        void kernels.linear_llm_int8(y, to, weights, x, K, O, scratch, 0, rows, 0, O),
    },
  ];
  // The largest packed row is LLM.int8's.
  const first = to + T * (64 + 10 * K);
  let at = first;
  for (const { pack, multiply } of computePaths) {
    pack?.();
    for (const rows of [T, 1]) {
      multiply(at, rows);
      at += rows * O * 4;
    }
  }
  return new Uint32Array(memory.buffer.slice(first, at));
}
