// The team that runs programs: a leader, which calls `Team.run`, and helpers, each a worker that runs `helperMain` and stays
// in it. They meet in a few shared words. Whoever is ready takes part: a missing or dead helper makes a run slower, not wrong.
// Any thread may stop the team; traps stop it too, and the next run works.

import { EngineError } from "../../errors.ts";
import { Aborted } from "../backend.ts";
import { ARRIVED, CURRENT, CURRENT_STRIDE, GENERATION, SLEEPERS, STOP } from "./header.ts";
import { instantiate, type Kernels } from "./kernel-module.ts";

/** What a stop word says. */
export const StopCode = { running: 0, aborted: 1, failed: 2 } as const;
export type StopCode = (typeof StopCode)[keyof typeof StopCode];

// Words of the control buffer: those of the leader, then a line a helper, then the helpers' error texts.
const LINE = 16;
const STOPPED = 0;
const SHARD = 1;
const PROGRAM = 2;
const THREADS = 3;
const GO = 0;
const DONE = 1;
const STATE = 2;
const THREAD = 3;
const TEXT_BYTES = 4;
/** Memories that the helper knows. */
const KNOWN = 5;
const TEXT_LIMIT = 2048;

const READY = 1;
const GONE = 2;

/** Tries before a thread sleeps: some 100 µs, longer than what lies between two steps. */
const SPINS = 50_000;
/** ms after which a sleeper looks around by itself. */
const SLEEP = 100;

/** What a helper worker needs; can be cloned to it. */
export type HelperData = {
  readonly module: WebAssembly.Module;
  readonly memories: readonly WebAssembly.Memory[];
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

/** Makes the team leave its program at the next claim or barrier. From any thread, at any time; twice is harmless. */
export function stopTeam(
  memories: readonly WebAssembly.Memory[],
  control: ArrayBufferLike,
  code: StopCode = StopCode.aborted,
): void {
  for (const memory of memories) {
    const words = new Int32Array(memory.buffer);
    Atomics.store(words, STOP / 4, code);
    if (memory.buffer instanceof ArrayBuffer) continue;
    Atomics.notify(words, GENERATION / 4);
  }
  Atomics.store(new Int32Array(control), STOPPED, code);
}

/** To be called by whoever sees that a helper's thread has ended, before another one takes its place. */
export function helperGone(
  memories: readonly WebAssembly.Memory[],
  control: ArrayBufferLike,
  index: number,
): void {
  const words = new Int32Array(control);
  const line = index * LINE;
  const inRun = Atomics.load(words, line + GO) !== Atomics.load(words, line + DONE);
  Atomics.store(words, line + STATE, GONE);
  if (inRun) stopTeam(memories, control, StopCode.failed);
  Atomics.notify(words, line + DONE);
}

/** The life of a helper: never returns. */
export function helperMain({ module, memories, control, index }: HelperData): never {
  const words = new Int32Array(control);
  const line = index * LINE;
  const instances: Kernels[] = [];
  Atomics.store(words, line + KNOWN, memories.length);
  Atomics.store(words, line + TEXT_BYTES, 0);
  let done = Atomics.load(words, line + GO);
  Atomics.store(words, line + DONE, done);
  Atomics.store(words, line + STATE, READY);
  for (;;) {
    waitWhile(words, line + GO, done);
    done = Atomics.load(words, line + GO);
    try {
      const shard = words[SHARD];
      instances[shard] ??= instantiate(module, memories[shard]);
      instances[shard].run(words[PROGRAM], words[line + THREAD], words[THREADS]);
    } catch (error) {
      writeText(control, index, String(error));
      stopTeam(memories, control, StopCode.failed);
    }
    Atomics.store(words, line + DONE, done);
    Atomics.notify(words, line + DONE);
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

  /** How many threads would take part in a run now. */
  get size(): number {
    return 1 + this.#ready(1).length;
  }

  /**
   * Runs a program of a shard on all threads that are ready.
   * @param nameOf what the op of that index is called, for errors
   * @throws Aborted, EngineError; no thread is in the program then
   */
  run(memories: readonly WebAssembly.Memory[], shard: number, program: number, nameOf: (op: number) => string): void {
    this.#takeStop(memories);
    const header = new Int32Array(memories[shard].buffer);
    Atomics.store(header, ARRIVED / 4, 0);
    Atomics.store(header, SLEEPERS / 4, 0);
    const helpers = this.#ready(shard + 1);
    this.#send(helpers, shard, program);

    let trap: unknown;
    let code = 0;
    try {
      this.#instances[shard] ??= instantiate(this.#module, memories[shard]);
      code = this.#instances[shard].run(program, 0, helpers.length + 1);
    } catch (error) {
      trap = error;
      stopTeam(memories, this.#control, StopCode.failed);
    }
    const gone = helpers.filter((line) => !this.#isDone(line));
    const opOf = (thread: number): string => nameOf(header[(CURRENT + thread * CURRENT_STRIDE) / 4]);
    if (trap !== undefined) {
      this.#clear(memories);
      throw new EngineError(`${opOf(0)}: the kernel trapped (${String(trap)}); the step is void, the next call works`, {
        cause: trap,
      });
    }
    for (const [i, line] of helpers.entries()) {
      const text = readText(this.#control, line / LINE);
      if (text === "") continue;
      this.#clear(memories);
      throw new EngineError(`${opOf(i + 1)}: the kernel trapped (${text}); the step is void, the next call works`);
    }
    if (gone.length > 0) {
      this.#clear(memories);
      throw new EngineError(
        `a helper thread of the CPU backend died in ${opOf(helpers.indexOf(gone[0]) + 1)}; the step is void, the next call works`,
      );
    }
    if (code !== 0) {
      this.#clear(memories);
      throw new Aborted();
    }
  }

  /** Waits until no helper is in a program: for a leader that follows one that died. */
  settle(memories: readonly WebAssembly.Memory[]): void {
    stopTeam(memories, this.#control, StopCode.failed);
    for (let i = 1; i < this.#threads; i++) {
      if (this.#words[i * LINE + STATE] === READY) this.#isDone(i * LINE);
    }
    this.#clear(memories);
  }

  /** The lines of the helpers that are idle and know that many memories. */
  #ready(memories: number): number[] {
    const lines: number[] = [];
    for (let line = LINE; line < this.#threads * LINE; line += LINE) {
      const idle = Atomics.load(this.#words, line + GO) === Atomics.load(this.#words, line + DONE);
      const ready = Atomics.load(this.#words, line + STATE) === READY;
      if (idle && ready && this.#words[line + KNOWN] >= memories) lines.push(line);
    }
    return lines;
  }

  #send(helpers: readonly number[], shard: number, program: number): void {
    const words = this.#words;
    words[SHARD] = shard;
    words[PROGRAM] = program;
    words[THREADS] = helpers.length + 1;
    helpers.forEach((line, i) => {
      words[line + THREAD] = i + 1;
      words[line + TEXT_BYTES] = 0;
      Atomics.add(words, line + GO, 1);
      Atomics.notify(words, line + GO);
    });
  }

  /** Waits for a helper. False when its thread has ended without finishing. */
  #isDone(line: number): boolean {
    const go = Atomics.load(this.#words, line + GO);
    for (;;) {
      const done = Atomics.load(this.#words, line + DONE);
      if (done === go) return true;
      if (Atomics.load(this.#words, line + STATE) !== READY) return false;
      waitWhile(this.#words, line + DONE, done, SLEEP);
    }
  }

  /** A stop that came between two runs: an abort is meant for this one, a failure is over. */
  #takeStop(memories: readonly WebAssembly.Memory[]): void {
    const code = Atomics.load(this.#words, STOPPED);
    if (code === 0) return;
    this.#clear(memories);
    if (code === StopCode.aborted) throw new Aborted();
  }

  #clear(memories: readonly WebAssembly.Memory[]): void {
    for (const memory of memories) Atomics.store(new Int32Array(memory.buffer), STOP / 4, 0);
    Atomics.store(this.#words, STOPPED, 0);
  }
}

/** Spins, then sleeps, while the word is `value`; returns after `limit` ms at the latest. */
function waitWhile(words: Int32Array, index: number, value: number, limit?: number): void {
  for (let spins = SPINS; spins > 0; spins--) {
    if (Atomics.load(words, index) !== value) return;
  }
  Atomics.wait(words, index, value, limit);
}

function textAt(control: ArrayBufferLike, index: number): number {
  return control.byteLength - (index + 1) * TEXT_LIMIT;
}

function writeText(control: ArrayBufferLike, index: number, text: string): void {
  const bytes = new TextEncoder().encode(text).subarray(0, TEXT_LIMIT);
  new Uint8Array(control, textAt(control, index), bytes.length).set(bytes);
  Atomics.store(new Int32Array(control), index * LINE + TEXT_BYTES, bytes.length);
}

function readText(control: ArrayBufferLike, index: number): string {
  const length = Atomics.load(new Int32Array(control), index * LINE + TEXT_BYTES);
  return new TextDecoder().decode(Uint8Array.from(new Uint8Array(control, textAt(control, index), length)));
}
