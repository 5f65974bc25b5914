// For tests: marks a thread of a team as busy with a chunk until the team is told to stop; then says what the memory's header held.

import { parent } from "#platform";
import {
  BASE,
  BUSY,
  NATIVE,
  STOP,
  THREAD,
  THREAD_BYTES,
} from "../../src/backends/wasm/kernels/header.ts";

/** What the worker is started with. */
export type BusyData = { readonly memory: WebAssembly.Memory; readonly thread: number };
/** What machine code reads of a memory's header. */
export type NativeHeader = { readonly families: number; readonly base: bigint };

/** Milliseconds from the stop to the end of the chunk: long enough for a new leader to write to the header, if it does not wait. */
const CHUNK = 100;

const { data, post } = await parent();
const { memory, thread } = data as BusyData;
const words = new Int32Array(memory.buffer);
const busy = (THREAD + thread * THREAD_BYTES + BUSY) / 4;
Atomics.store(words, busy, 1);
post("busy");
while (Atomics.load(words, STOP / 4) === 0) Atomics.wait(words, STOP / 4, 0, 1); // nobody wakes those who wait for it
Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, CHUNK);
post({ families: words[NATIVE / 4], base: new BigUint64Array(memory.buffer)[BASE / 8] });
Atomics.store(words, busy, 0);
