// The int8 road in the check of 256-bit vectors: rows are packed and multiplied with weights of every format that it has.
// Integers are the same on every tier of the compiler, and sums are fused or not on all alike: no bit may change.

import type { Kernels } from "./kernel-module.ts";

/** Rows: tiles of two and one on panels of k; then few, which read weights as they lie, two and one. All four groups of rows of w. */
const [T, FEW, K, O] = [7, 3, 1024, 32];

export type Places = {
  readonly scratch: number;
  /** [T, K] numbers. */
  readonly x: number;
  /** 34 KiB of which any 16 bits are a finite f16. */
  readonly weights: number;
  /** Room for packed rows and results. */
  readonly to: number;
};

/** The bits of the products of many rows and of few, format after format. */
export function int8Products(
  kernels: Kernels,
  memory: WebAssembly.Memory,
  { scratch, x, weights, to }: Places,
): Uint32Array {
  const y = to + T * (K / 32) * 40;
  const formats = ["q4", "q8", "q4k", "q6k"];
  formats.forEach((format, i) => {
    const linear = kernels[`linear_${format}`];
    const at = y + i * (T + FEW) * O * 4;
    kernels.pack_rows_int8(to, x, K, T, format === "q6k" ? 16 : 32, scratch, 0, T);
    linear(at, to, weights, K, O, scratch, 1, T, 0, T, 0, O);
    linear(at + T * O * 4, to, weights, K, O, scratch, 1, T, 0, FEW, 0, O);
  });
  return new Uint32Array(memory.buffer.slice(y, y + formats.length * (T + FEW) * O * 4));
}
