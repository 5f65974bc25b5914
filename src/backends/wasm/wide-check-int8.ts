// The int8 compute path in the check of 256-bit vectors: packs rows and multiplies them by weights of each of its formats.
// V8's compilers may not change a bit: sums of integers are exact, and they all fuse multiply and add, or none does.

import type { Kernels } from "./kernel-module.ts";

const [T, K, O] = [7, 1024, 32];
/** Tiles of two rows and one, with sums of 16 and of 32 bits; then few rows, two and one, which read weights as they lie. */
const WAYS = [
  { rows: T, tiles: 1 },
  { rows: T, tiles: 3 },
  { rows: 3, tiles: 1 },
];

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
  let at = y;
  for (const format of ["q4", "q4r", "q6r", "q8", "q4k", "q6k"]) {
    kernels.pack_rows_int8(to, x, K, T, format === "q6k" ? 16 : 32, 0, scratch, 0, T);
    for (const { rows, tiles } of WAYS) {
      kernels[`linear_${format}`](at, to, weights, x, K, O, scratch, tiles, T, 0, rows, 0, O);
      at += rows * O * 4;
    }
  }
  return new Uint32Array(memory.buffer.slice(y, at));
}
