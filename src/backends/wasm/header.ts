// Numbers of the header that follow from others, and how tensors are aligned. The addresses: kernels/header.ts.

import { HEAP, THREAD, THREAD_BYTES } from "./kernels/header.ts";

export const MAX_THREADS: number = (HEAP - THREAD) / THREAD_BYTES;

/** The next multiple of 64, where every tensor begins. */
export function align(bytes: number): number {
  return Math.ceil(bytes / 64) * 64;
}
