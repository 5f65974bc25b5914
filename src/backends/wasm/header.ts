// Numbers that follow from the addresses in kernels/header.ts, and the alignment of tensors.

import { HEAP, THREAD, THREAD_BYTES } from "./kernels/header.ts";

/** As many threads as have room in the header of a memory. */
export const MAX_THREADS: number = (HEAP - THREAD) / THREAD_BYTES;

/** `bytes` rounded up to a multiple of 64: every tensor begins at one. */
export function align(bytes: number): number {
  return Math.ceil(bytes / 64) * 64;
}
