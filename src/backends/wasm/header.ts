// The first 64 KiB of every WASM memory, and the shape of a program: byte addresses that kernels/executor.ts has too.

/** Not 0: threads leave the program at the next claim or barrier. One of StopCode. */
export const STOP = 64;
/** Live rows, then wanted rows. */
export const LIVE = 80;
/** Address of the threads' scratch, then bytes a thread. */
export const SCRATCH = 88;
/** 1: use the tiles made for 256-bit vectors. */
export const WIDE = 96;
/** The barrier: threads that arrived, generation, sleepers. */
export const ARRIVED = 128;
export const GENERATION = 192;
export const SLEEPERS = 196;
/** The op that a thread is in, 64 bytes a thread. */
export const CURRENT = 1024;
export const CURRENT_STRIDE = 64;
/** Where tensors may begin. */
export const HEAP = 65536;

export const MAX_THREADS: number = (HEAP - CURRENT) / CURRENT_STRIDE;

/** A program: its number of ops, padded; then the ops; then their counters, a cache line each. */
export const PROGRAM_HEADER = 64;
export const OP_WORDS = 32;
export const COUNTER_BYTES = 64;

/** Every tensor begins at a multiple of this. */
export const ALIGNMENT = 64;

export function align(bytes: number): number {
  return Math.ceil(bytes / ALIGNMENT) * ALIGNMENT;
}
