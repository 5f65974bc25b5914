// The first 64 KiB of every WASM memory, and the shape of a program: byte addresses that kernels/executor.ts has too.

/** Not 0: threads leave the program at their next claim or wait. One of StopCode. */
export const STOP = 64;
/** Live rows, then wanted rows. */
export const LIVE = 80;
/** Address of the threads' scratch, then bytes a thread. */
export const SCRATCH = 88;
/** 1: use the tiles made for 256-bit vectors. */
export const WIDE = 96;
/** Address of the claim lines, one an op of the program that runs; then how many ops it has. */
export const LINES = 100;
export const LINE_BYTES = 64;
/** What a thread does, 64 bytes a thread: the op that it is in, then whether it may hold a chunk. */
export const THREAD = 1024;
export const THREAD_BYTES = 64;
export const BUSY = 4;
/** Where tensors may begin. */
export const HEAP = 65536;

export const MAX_THREADS: number = (HEAP - THREAD) / THREAD_BYTES;

/** A program: its number of ops, padded; then the ops. */
export const PROGRAM_HEADER = 64;
export const OP_WORDS = 32;

/** Every tensor begins at a multiple of this. */
export const ALIGNMENT = 64;

export function align(bytes: number): number {
  return Math.ceil(bytes / ALIGNMENT) * ALIGNMENT;
}
