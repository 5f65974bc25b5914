// The threads that run programs: a leader, which calls `Team.run`, and helpers, each a worker that runs `helperMain` and never leaves
// it. The helpers that are ready take part; a late, missing or dead one makes a run slower, not wrong. Any thread may stop a run;
// a kernel that traps stops it too. The next run works.

import { EngineError } from "../../errors.ts";
import { Aborted } from "../backend.ts";
import { BUSY, STOP, THREAD, THREAD_BYTES } from "./kernels/header.ts";
import { instantiate, type Kernels } from "./kernel-module.ts";

/** What a stop word says. */
export const StopCode = { aborted: 1, failed: 2 } as const;
export type StopCode = (typeof StopCode)[keyof typeof StopCode];

// The control buffer. A line has 16 words of 4 bytes, so that two threads do not write to one cache line; helper i is counted from 1.
//
//   offset          size                content
//   0               one line            for all: STOPPED, VERSION, SHARD, PROGRAM, REPLAY
//   i lines         one line            of helper i: STATE, TEXT_BYTES
//   threads lines   threads × 2048      error texts, the leader's unused one last, helper 1's before it, and so on
const LINE = 16;
const STOPPED = 0;
/** Counts the changes of the words after it: odd while they are being written. */
const VERSION = 1;
const SHARD = 2;
const PROGRAM = 3;
const REPLAY = 4;
const STATE = 0;
const TEXT_BYTES = 1;
const TEXT_LIMIT = 2048;

const READY = 1;
const GONE = 2;

/** How often a helper looks for a new program before it sleeps: for some 100 µs, longer than the time between two steps. */
const SPINS = 50_000;

type Memories = readonly WebAssembly.Memory[];

/** What a helper worker needs; can be cloned to it. */
export type HelperData = {
  readonly module: WebAssembly.Module;
  readonly memories: Memories;
  readonly control: ArrayBufferLike;
  /** 1 to threads − 1: the leader is 0. */
  readonly index: number;
  readonly threads: number;
};

/** The control buffer of a team; shared when there are helpers. */
export function makeControl(threads: number): ArrayBufferLike {
  const bytes = threads * (LINE * 4 + TEXT_LIMIT);
  return threads > 1 ? new SharedArrayBuffer(bytes) : new ArrayBuffer(bytes);
}

/**
 * Makes the team leave the run in progress, or the next one, within one op; it then throws Aborted (or EngineError).
 * From any thread, at any time; twice is harmless. A stop that comes when a run has just ended hits the next one.
 */
export function stopTeam(
  memories: Memories,
  control: ArrayBufferLike,
  code: StopCode = StopCode.aborted,
): void {
  for (const memory of memories) Atomics.store(new Int32Array(memory.buffer), STOP / 4, code);
  Atomics.store(new Int32Array(control), STOPPED, code);
}

/** To be called by whoever sees that a helper's thread has ended, before another one takes its place. */
export function helperGone(memories: Memories, control: ArrayBufferLike, index: number): void {
  Atomics.store(new Int32Array(control), index * LINE + STATE, GONE);
  const inChunk = memories.some((memory) => Atomics.load(...busyWord(memory, index)) !== 0);
  if (inChunk) stopTeam(memories, control, StopCode.failed);
}

/** What a helper's thread does: waits for programs and takes part in them. Never returns. */
export function helperMain({ module, memories, control, index }: HelperData): never {
  const words = new Int32Array(control);
  const instances: Kernels[] = [];
  let version = Atomics.load(words, VERSION);
  for (const memory of memories) Atomics.store(...busyWord(memory, index), 0);
  Atomics.store(words, index * LINE + TEXT_BYTES, 0);
  Atomics.store(words, index * LINE + STATE, READY);
  for (;;) {
    waitWhile(words, VERSION, version);
    version = Atomics.load(words, VERSION);
    const [shard, program, replay] = [SHARD, PROGRAM, REPLAY].map((word) =>
      Atomics.load(words, word),
    );
    // The words were being written, or the memory is newer than this helper: the others compute without it.
    if (
      version % 2 !== 0 ||
      Atomics.load(words, VERSION) !== version ||
      memories[shard] === undefined
    )
      continue;
    try {
      instances[shard] ??= instantiate(module, memories[shard]);
      instances[shard].run(program, index, replay);
    } catch (error) {
      writeText(control, index, String(error));
      stopTeam(memories, control, StopCode.failed);
      Atomics.store(...busyWord(memories[shard], index), 0);
    }
  }
}

export class Team {
  readonly #module: WebAssembly.Module;
  readonly #control: ArrayBufferLike;
  readonly #words: Int32Array;
  readonly #threads: number;
  readonly #instances: Kernels[] = [];

  constructor(module: WebAssembly.Module, control: ArrayBufferLike, threads: number) {
    this.#module = module;
    this.#control = control;
    this.#words = new Int32Array(control);
    this.#threads = threads;
  }

  /** How many threads may take part in a run now. */
  get size(): number {
    return 1 + this.#helpers().filter((index) => this.#stateOf(index) === READY).length;
  }

  /** The kernels over a shard, for calls of this thread alone. */
  kernels(memories: Memories, shard: number): Kernels {
    return (this.#instances[shard] ??= instantiate(this.#module, memories[shard]));
  }

  /**
   * Runs a program of a shard with the helpers that are ready.
   * @param nameOf what the op of that index is called, for errors
   * @throws Aborted, EngineError; no thread is in the program then
   */
  run(memories: Memories, shard: number, program: number, nameOf: (op: number) => string): void {
    this.#takeStop(memories);
    const replay = (this.#words[REPLAY] + 1) | 0;
    let trap: Error | undefined;
    let code: number = StopCode.failed;
    try {
      const kernels = this.kernels(memories, shard);
      kernels.prepare(program, replay, this.size);
      this.#send(shard, program, replay);
      code = kernels.run(program, 0, replay);
    } catch (error) {
      trap = error as Error; // instances throw nothing else
      stopTeam(memories, this.#control, StopCode.failed);
    }
    if (code !== 0) this.#fail(memories, shard, code, trap, nameOf);
  }

  /** Brings a team to rest whose leader died. */
  settle(memories: Memories): void {
    stopTeam(memories, this.#control, StopCode.failed);
    for (const shard of memories.keys()) this.#rest(memories, shard);
    this.#clear(memories);
  }

  #helpers(): number[] {
    return Array.from({ length: this.#threads - 1 }, (_, i) => i + 1);
  }

  #stateOf(index: number): number {
    return Atomics.load(this.#words, index * LINE + STATE);
  }

  #send(shard: number, program: number, replay: number): void {
    const words = this.#words;
    Atomics.add(words, VERSION, 1);
    Atomics.store(words, SHARD, shard);
    Atomics.store(words, PROGRAM, program);
    Atomics.store(words, REPLAY, replay);
    Atomics.add(words, VERSION, 1);
    if (this.#threads > 1) Atomics.notify(words, VERSION);
  }

  /** After a stop: waits until nobody is in a chunk, then says what happened. */
  #fail(
    memories: Memories,
    shard: number,
    code: number,
    trap: Error | undefined,
    nameOf: (op: number) => string,
  ): never {
    const gone = this.#rest(memories, shard);
    const opOf = (thread: number): string =>
      nameOf(new Int32Array(memories[shard].buffer)[(THREAD + thread * THREAD_BYTES) / 4]);
    const texts = this.#helpers().map((index) => takeText(this.#control, index));
    this.#clear(memories);
    const end = "the step is void, the next call works";
    if (trap !== undefined)
      throw new EngineError(`${opOf(0)}: the kernel failed (${String(trap)}); ${end}`, {
        cause: trap,
      });
    const failed = texts.findIndex((text) => text !== "");
    if (failed >= 0)
      throw new EngineError(`${opOf(failed + 1)}: the kernel failed (${texts[failed]}); ${end}`);
    if (gone.length > 0)
      throw new EngineError(`${opOf(gone[0])}: a thread of the CPU backend died in it; ${end}`);
    if (code === StopCode.failed)
      throw new EngineError(`the CPU backend's threads were stopped; ${end}`);
    throw new Aborted();
  }

  /** Lets no more claims succeed and waits for the chunks in progress; returns the helpers that died in one. */
  #rest(memories: Memories, shard: number): number[] {
    this.kernels(memories, shard).close();
    return this.#helpers().filter((index) => {
      const [words, at] = busyWord(memories[shard], index);
      while (Atomics.load(words, at) !== 0) {
        if (this.#stateOf(index) !== READY) {
          Atomics.store(words, at, 0);
          return true;
        }
        Atomics.wait(words, at, 1, 1);
      }
      return false;
    });
  }

  /** A stop that came between two runs: an abort is meant for this one, a failure is over. */
  #takeStop(memories: Memories): void {
    const code = Atomics.load(this.#words, STOPPED);
    if (code === 0) return;
    this.#clear(memories);
    if (code === StopCode.aborted) throw new Aborted();
  }

  #clear(memories: Memories): void {
    for (const memory of memories) Atomics.store(new Int32Array(memory.buffer), STOP / 4, 0);
    Atomics.store(this.#words, STOPPED, 0);
  }
}

/** The word that says whether a thread may hold a chunk of the program in that memory. */
function busyWord(memory: WebAssembly.Memory, thread: number): [words: Int32Array, at: number] {
  return [new Int32Array(memory.buffer), (THREAD + thread * THREAD_BYTES + BUSY) / 4];
}

/** Spins, then sleeps, while the word is `value`. */
function waitWhile(words: Int32Array, index: number, value: number): void {
  for (let spins = SPINS; spins > 0; spins--) {
    if (Atomics.load(words, index) !== value) return;
  }
  Atomics.wait(words, index, value);
}

function textAt(control: ArrayBufferLike, index: number): number {
  return control.byteLength - (index + 1) * TEXT_LIMIT;
}

function writeText(control: ArrayBufferLike, index: number, text: string): void {
  const bytes = new TextEncoder().encode(text).subarray(0, TEXT_LIMIT);
  new Uint8Array(control, textAt(control, index), bytes.length).set(bytes);
  Atomics.store(new Int32Array(control), index * LINE + TEXT_BYTES, bytes.length);
}

function takeText(control: ArrayBufferLike, index: number): string {
  const length = Atomics.exchange(new Int32Array(control), index * LINE + TEXT_BYTES, 0);
  return new TextDecoder().decode(
    Uint8Array.from(new Uint8Array(control, textAt(control, index), length)),
  );
}
