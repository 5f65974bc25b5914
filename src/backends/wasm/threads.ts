// The threads that run a program together: one leader, which calls `Team.run`, and helpers, each a worker that stays in
// `helperMain` for ever. A run uses the helpers that are ready: a late, missing or dead one makes it slower, never wrong.
// Any thread may stop a run; a kernel that traps stops it too. The next run works again. Knows no ops.

import type { NativeFunction } from "#platform";
import { EngineError } from "../../errors.ts";
import { Aborted } from "../backend.ts";
import { BUSY, STOP, THREAD, THREAD_BYTES } from "./kernels/header.ts";
import { instantiate, type Kernels } from "./kernel-module.ts";

/** Why a run is stopped: a call was aborted, or a kernel trapped or a thread died. */
export const StopCode = { aborted: 1, failed: 2 } as const;
export type StopCode = (typeof StopCode)[keyof typeof StopCode];

// The control buffer. Threads are numbered: 0 is the leader, helpers follow from 1. A line is 64 bytes, one cache line, so that
// two threads never write to the same one.
//
//   offset                   size   content, words of 4 bytes
//   0                          64   of the team: STOPPED, VERSION, SHARD, PROGRAM, REPLAY
//   64 · i                     64   of helper i: STATE, TEXT_BYTES
//   end − 2048 · (i + 1)     2048   UTF-8 text of helper i's last error (the leader's place, i = 0, stays unused)

/** Words of a line. */
const LINE = 16;
/** A StopCode from the moment of a stop until the leader has handled it, else 0. */
const STOPPED = 0;
/** The leader adds 1 before and 1 after it writes the next three words: while VERSION is odd, they are incomplete. */
const VERSION = 1;
const SHARD = 2;
const PROGRAM = 3;
const REPLAY = 4;
const STATE = 0;
const TEXT_BYTES = 1;
const TEXT_LIMIT = 2048;

/** Values of STATE; 0 before the helper has started. */
const READY = 1;
const GONE = 2;

/** How often a helper looks for a new program before it sleeps. It takes some 100 µs: longer than the time between two steps. */
const SPINS = 50_000;

type Memories = readonly WebAssembly.Memory[];

/** What a helper worker is started with. It can be sent by postMessage. */
export type HelperData = {
  readonly module: WebAssembly.Module;
  readonly memories: Memories;
  readonly control: ArrayBufferLike;
  /** The helper's number, 1 to threads − 1. */
  readonly index: number;
  readonly threads: number;
  /** The path of the library of machine code, if the team uses one. */
  readonly machineCode?: string;
};

/** Makes the control buffer of a team. It is shared memory when there are helpers. */
export function makeControl(threads: number): ArrayBufferLike {
  const bytes = threads * (LINE * 4 + TEXT_LIMIT);
  return threads > 1 ? new SharedArrayBuffer(bytes) : new ArrayBuffer(bytes);
}

/**
 * Stops the run in progress, or else the next one: all threads leave it within one op, and `Team.run` throws Aborted or, by
 * `code`, EngineError. Any thread may call it, at any time, also twice. If a run has just ended, the next one is stopped.
 */
export function stopTeam(
  memories: Memories,
  control: ArrayBufferLike,
  code: StopCode = StopCode.aborted,
): void {
  for (const memory of memories) Atomics.store(new Int32Array(memory.buffer), STOP / 4, code);
  Atomics.store(new Int32Array(control), STOPPED, code);
}

/**
 * Whoever sees that a helper's thread has ended calls this, before another helper takes its place. If the thread died while it
 * computed a chunk (a claimed part of an op), the run is stopped.
 */
export function helperGone(memories: Memories, control: ArrayBufferLike, index: number): void {
  Atomics.store(new Int32Array(control), index * LINE + STATE, GONE);
  const inChunk = memories.some((memory) => Atomics.load(...busyWord(memory, index)) !== 0);
  if (inChunk) stopTeam(memories, control, StopCode.failed);
}

/**
 * What a helper's thread does: waits for programs and takes part in them. Never returns.
 * @param native the machine code that the team uses, if it does
 */
export function helperMain(
  { module, memories, control, index }: HelperData,
  native?: NativeFunction,
): never {
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
    // Skip this run if the leader was writing the words just now, or if the shard was made after this helper had started: the
    // other threads compute without it.
    if (
      version % 2 !== 0 ||
      Atomics.load(words, VERSION) !== version ||
      memories[shard] === undefined
    )
      continue;
    try {
      instances[shard] ??= instantiate(module, memories[shard], native);
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
  readonly #native: NativeFunction | undefined;
  readonly #instances: Kernels[] = [];

  /** @param native the machine code that the team uses, if it does */
  constructor(
    module: WebAssembly.Module,
    control: ArrayBufferLike,
    threads: number,
    native?: NativeFunction,
  ) {
    this.#module = module;
    this.#native = native;
    this.#control = control;
    this.#words = new Int32Array(control);
    this.#threads = threads;
  }

  /** How many threads would take part in a run now: the leader and the helpers that are ready. */
  get size(): number {
    return 1 + this.#helpers().filter((index) => this.#stateOf(index) === READY).length;
  }

  /** The kernels on a shard's memory, for calls by this thread only. */
  kernels(memories: Memories, shard: number): Kernels {
    return (this.#instances[shard] ??= instantiate(this.#module, memories[shard], this.#native));
  }

  /**
   * Runs a program of a shard with the helpers that are ready.
   * @param nameOf the name of the op with that index, for error messages
   * @throws Aborted, EngineError the run was stopped; by then every thread has left the program
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

  /** For a new leader, when the old one died: ends the run that it left behind, and waits until no helper is in it. */
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

  /** After a stop: waits until no thread computes a chunk, then throws the error that says what happened. */
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

  /** Lets nobody claim another chunk, and waits for the chunks in progress. @returns the helpers that died in one */
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

  /** Handles a stop that came between two runs. An abort is meant for the run that begins; a failure concerned one that is over. */
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

/** The word in a shard's memory that is 1 while a thread may be computing a chunk there. */
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
