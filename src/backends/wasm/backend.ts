// The CPU backend: kernels in WebAssembly, a plan replayed inside WASM by a team of threads over shared memories.
// Contract: a row's bits depend on its own numbers only, never on threads, neighbours, capacity or shards.
// Weights and states live in the memories, not in this object: another worker can take them over.

import { memoryMaxima, type MemoryMaxima, nativeMemory, type NativeMemory } from "#platform";
import type { Plan } from "../../graph/plan.ts";
import { EngineError, MemoryError } from "../../errors.ts";
import type { Backend, ExponentBits, Handover, LeafSpec, Room } from "../backend.ts";
import { areFinite, FINITE_RUN } from "../../formats/finite.ts";
import { detectFeatures, type Features, requireThreads } from "./features.ts";
import { MAX_THREADS } from "./header.ts";
import { checkedKernels } from "./checked-kernels.ts";
import { type Directory, ShardedMemory } from "./memory.ts";
import {
  chooseNative,
  type NativeChoice,
  type NativeFindings,
  SWITCHED_OFF,
  noNative,
} from "./native-choice.ts";
import type { Checked } from "./native-trial.ts";
import { openLibrary, type OpenLibrary } from "../native/open-library.ts";
import { WasmProgram } from "./program.ts";
import { WasmQuantizer } from "./quantizer.ts";
import { choosesSums32 } from "./sums-probe.ts";
import { type HelperData, makeControl, stopTeam, StopCode, Team } from "./threads.ts";

/** What survives the worker that made it: another worker gets it as `adopted`. It can be sent by postMessage. */
export type Adopted = {
  readonly control: ArrayBufferLike;
  readonly memories: readonly WebAssembly.Memory[];
  readonly directory: Directory;
  readonly machineCode: NativeChoice;
};

export type WasmOptions = {
  /** Threads of the team, the calling one included; 1 needs no shared memory. */
  readonly threads: number;
  /** The memories of a backend whose worker died, with all that is placed in them. */
  readonly adopted?: Adopted;
  /** Default: what this machine turns out to have. */
  readonly features?: Features;
  /** Whether machine code may compute what it is good at, see native-choice.ts. Default: true. */
  readonly native?: boolean;
  /** What an earlier backend of this process found out: its `handover().findings`. */
  readonly findings?: NativeFindings;
  /** Bytes that may be reserved; not given: what the system has available. */
  readonly memoryLimit?: number;
  /** Bytes of addresses that its memories may reserve. Default: what the platform says. */
  readonly addressSpace?: Partial<MemoryMaxima>;
  /** For tests: bytes of weights after which another memory is begun. Default: half of what a memory can hold. */
  readonly shardBytes?: number;
};

/**
 * How many runs of 16 bytes one call of are_finite checks. V8 replaces a function by its optimised code only between two calls,
 * so one call must not check everything.
 */
const RUNS_OF_A_CALL = 65536;

export class WasmBackend implements Backend {
  readonly name = "wasm";
  readonly features: Features;
  readonly threads: number;
  /** What machine code computes. */
  readonly machineCode: NativeChoice;
  /** Whether the choice was made by trying, so that it holds for later backends too. */
  readonly #canLearn: boolean;
  readonly #module: WebAssembly.Module;
  readonly #memory: ShardedMemory;
  readonly #control: ArrayBufferLike;
  readonly #team: Team;

  private constructor(
    { module, features }: Checked,
    options: WasmOptions,
    maxima: MemoryMaxima,
    native: NativeMemory | undefined,
    sums32: boolean,
    machineCode: NativeChoice,
    library: OpenLibrary | undefined,
  ) {
    const { threads, adopted } = options;
    this.features = features;
    this.threads = threads;
    this.machineCode = machineCode;
    this.#canLearn = options.native !== false;
    this.#module = module;
    this.#control = adopted?.control ?? makeControl(threads);
    this.#team = new Team(module, this.#control, threads, library?.native);
    // Before the memories' headers are written: until then, helpers may still compute what the dead worker has left.
    if (adopted !== undefined) this.#team.settle(adopted.memories);
    this.#memory = new ShardedMemory({
      shared: features.threads,
      threads,
      wide: features.wideVectors,
      sums32,
      machineCode: library && { ...machineCode, addressOf: library.addressOf },
      native,
      memories: adopted?.memories,
      directory: adopted?.directory,
      memoryLimit: options.memoryLimit,
      maxima,
      shardBytes: options.shardBytes,
    });
  }

  /** @throws EngineError no SIMD, more threads than one without shared memory, missing kernel files */
  static async create(options: WasmOptions): Promise<WasmBackend> {
    const features = options.features ?? detectFeatures();
    const { threads } = options;
    if (!Number.isInteger(threads) || threads < 1 || threads > MAX_THREADS) {
      throw new EngineError(
        `the CPU backend was asked for ${threads} threads; expected 1 to ${MAX_THREADS}`,
      );
    }
    requireThreads(features, threads);
    // Asked first: the checks below make memories, which keep their addresses until they are garbage-collected.
    const maxima = { ...memoryMaxima(threads - 1), ...options.addressSpace };
    const checked = await checkedKernels(features);
    const sums32 = choosesSums32(checked);
    const [choice, library] = await openNative(checked, sums32, options);
    const native = await nativeMemory();
    return new WasmBackend(checked, options, maxima, native, sums32, choice, library);
  }

  async place(leaves: readonly LeafSpec[]): Promise<void> {
    this.#memory.place(leaves);
  }

  async grow(names: readonly string[], rows: number): Promise<void> {
    this.#memory.grow(names, rows);
  }

  room(states: readonly LeafSpec[], scratch: number): Room {
    return this.#memory.room(states, scratch);
  }

  async load(
    name: string,
    fill: (parts: readonly Uint8Array[], alreadyMapped: boolean) => Promise<void>,
  ): Promise<void> {
    const { spec, places } = this.#memory.leaf(name);
    const [first, ...others] = places;
    await fill(this.#memory.views(spec, first), this.#memory.isMapped(first));
    const from = this.#memory.views(spec, first);
    for (const place of others) this.#memory.views(spec, place).forEach((to, i) => to.set(from[i]));
  }

  async read(name: string): Promise<Uint8Array<ArrayBuffer>[]> {
    const { spec, places } = this.#memory.leaf(name);
    return this.#memory.views(spec, places[0]).map((part) => new Uint8Array(part));
  }

  areFinite(bytes: Uint8Array, of: ExponentBits, every: number): boolean {
    const runs = Math.floor((bytes.length - FINITE_RUN) / every) + 1;
    const shard = this.#memory.shards.findIndex(({ memory }) => memory.buffer === bytes.buffer);
    if (shard < 0 || runs <= 0) return areFinite(bytes, of, every);
    const kernels = this.#team.kernels(this.#memories, shard);
    for (let run = 0; run < runs; run += RUNS_OF_A_CALL) {
      const at = bytes.byteOffset + run * every;
      const count = Math.min(RUNS_OF_A_CALL, runs - run);
      if (!kernels.are_finite(at, count, every, of.mask, of.one, of.above)) return false;
    }
    return every > FINITE_RUN || areFinite(bytes.subarray(runs * every), of, every);
  }

  quantizer(columns: number): WasmQuantizer | undefined {
    try {
      return new WasmQuantizer(this.#memory, this.#team, columns);
    } catch (error) {
      if (error instanceof MemoryError) return undefined;
      throw error;
    }
  }

  release(names: readonly string[]): void {
    for (const name of names) this.#memory.release(name);
  }

  compile(plan: Plan): WasmProgram {
    return new WasmProgram(plan, this.#memory, this.#team);
  }

  memory(): { weights: number; states: number; scratch: number } {
    return this.#memory.usage();
  }

  async dispose(): Promise<void> {
    this.release(Object.keys(this.#memory.directory.leaves));
  }

  /** The data to start the helper workers 1 … threads − 1 with, once all leaves have been placed. */
  helpers(): HelperData[] {
    return Array.from({ length: this.threads - 1 }, (_, i) => ({
      module: this.#module,
      memories: this.#memories,
      control: this.#control,
      index: i + 1,
      threads: this.threads,
      machineCode: this.machineCode.path,
    }));
  }

  /** What another worker needs to take over when this one dies. The caller asks again whenever leaves were placed. */
  adopted(): Adopted {
    return {
      control: this.#control,
      memories: this.#memories,
      directory: structuredClone(this.#memory.directory),
      machineCode: this.machineCode,
    };
  }

  /** Undefined where memory is not shared: no other thread could use it. */
  handover(): Handover | undefined {
    if (!this.features.threads) return undefined;
    const findings: NativeFindings | undefined = this.#canLearn
      ? { wide: this.features.wideVectors, choice: this.machineCode }
      : undefined;
    return { backend: this.name, state: this.adopted(), helpers: this.helpers(), findings };
  }

  get #memories(): WebAssembly.Memory[] {
    return this.#memory.shards.map(({ memory }) => memory);
  }

  /** Threads that would take part in a run now. Right after the start it is fewer than `threads`: helpers take a moment. */
  get ready(): number {
    return this.#team.size;
  }

  /** Stops the run in progress, or the next one, which then throws Aborted. Other threads call stopTeam. */
  stop(): void {
    stopTeam(this.#memories, this.#control, StopCode.aborted);
  }
}

/** The machine code for a backend, and the library if it uses one. */
async function openNative(
  checked: Checked,
  sums32: boolean,
  { native = true, findings, adopted }: WasmOptions,
): Promise<[choice: NativeChoice, library: OpenLibrary | undefined]> {
  if (!native) return [noNative(SWITCHED_OFF), undefined];
  const choice = adopted?.machineCode ?? (await chooseNative(checked, sums32, findings));
  if (choice.path === undefined) return [choice, undefined];
  try {
    return [choice, await openLibrary(choice.path)];
  } catch (error) {
    return [noNative(String(error)), undefined];
  }
}
