// The interface of a backend: it keeps leaves (weights and states) in memory, and compiles plans into programs that compute.
// generate/ and engine/ know a backend through this file only.
// Contract: a row of a result depends neither on its neighbours, nor on the capacity, nor on the number of threads.

import type { DType, LeafKind, LiveCounts, Shape } from "../graph/graph.ts";
import type { Plan } from "../graph/plan.ts";

/** A leaf to be placed: weights and states live in the backend under their name, shared by all programs. */
export type LeafSpec = {
  readonly name: string;
  readonly kind: Exclude<LeafKind, "input">;
  readonly shape: Shape;
  readonly dtype: DType;
  /**
   * The parts of the model that use it: "embed", "layers.0" …, "head". A backend keeps all leaves of a region in one memory;
   * a leaf that two regions use names both.
   */
  readonly regions: readonly string[];
  /** Where a file holds its bytes, exactly as the format has them: a backend may then map the file instead of reading it. */
  readonly file?: FilePlace;
  /**
   * For a state that will grow: for how many rows (of the first dimension) addresses are set aside. Only the first `shape[0]`
   * rows can be used now, and only they count as memory. Default: `shape[0]`.
   */
  readonly reserve?: number;
};

/** Where a file holds a leaf, part by part. A part that the file lacks is given as `known` bytes; the first never is. */
export type FilePlace = {
  readonly path: string;
  readonly parts: readonly FilePart[];
};
export type FilePart =
  | { readonly offset: number; readonly bytes: number }
  | { readonly known: Uint8Array };

/** How many rows each of some states could have. */
export type Room = {
  /** Rows for which there are addresses: the states have reserved them, or could reserve them now. */
  readonly reserve: number;
  /** Rows for which there is memory: those in use, and those that fit into free memory beside scratch. At most `reserve`. */
  readonly now: number;
};

/** Masks of a 32-bit word, which holds one f32 or two 16-bit numbers; see formats/finite.ts. */
export type ExponentBits = { readonly mask: number; readonly one: number; readonly above: number };

/** Thrown by a program that was stopped. Internal: the engine turns it into the reason of the caller's signal. */
export class Aborted extends Error {
  override readonly name = "Aborted";
}

export type InputData = Int32Array | Float32Array;

/** A plan made ready. */
export interface Program {
  /**
   * Submits one replay of the plan. A replay writes the inputs (the live part of each, row-major), runs the ops, and copies out
   * the live part of the outputs whose indices in the plan are given.
   * The caller may submit more replays, on any program of the backend, before an earlier one has ended: they run in the order of
   * submission. `inputs` have been read when this method returns. If a replay fails, the caller ignores the later ones.
   * @throws EngineError (the promise rejects) a kernel trapped or a thread died: the replay is void, the states hold what earlier
   *   ones wrote
   * @throws Aborted (the promise rejects) the stop word was set: the replay is void likewise
   */
  submit(
    inputs: Readonly<Record<string, InputData>>,
    live: LiveCounts,
    outputs: readonly number[],
  ): Promise<Float32Array[]>;
  /** Frees the program's memory, once the submitted replays have ended. */
  dispose(): void;
}

export interface Backend {
  readonly name: string;
  /**
   * Reserves memory for leaves; states are zero. Placing a state again with another shape keeps what fits (rows first).
   * Programs compiled before stay valid.
   * @throws MemoryError with the arithmetic, before anything is reserved
   */
  place(leaves: readonly LeafSpec[]): Promise<void>;
  /**
   * Makes `rows` rows of each of those states usable. What they hold stays; new rows are zero. Up to a state's `reserve` nothing
   * moves; beyond it the states are placed anew and copied. Programs stay valid.
   * @throws MemoryError with the arithmetic; nothing has changed
   */
  grow(names: readonly string[], rows: number): Promise<void>;
  /**
   * How many rows each of those states could have, whether they are placed already or not.
   * @param scratch bytes of computed tensors in the largest usual step: memory for these is left free
   */
  room(states: readonly LeafSpec[], scratch: number): Room;
  /**
   * Lets `fill` write a leaf's bytes in its own format, part by part, straight into the place where kernels read them.
   * The views are valid until `fill` resolves. `alreadyMapped`: the bytes were mapped from the leaf's file and need not be read.
   */
  load(
    name: string,
    fill: (parts: readonly Uint8Array[], alreadyMapped: boolean) => Promise<void>,
  ): Promise<void>;
  /**
   * A copy of a leaf's bytes in its own format, part by part, after the replays submitted so far; of a state, its usable rows.
   * Each part has a buffer of its own, so that an f32 part can be viewed as a Float32Array; `unpackAll` of formats/registry.ts
   * turns other formats into numbers. The cache's pools have the layout of the backend's kernels.
   */
  read(name: string): Promise<Uint8Array<ArrayBuffer>[]>;
  /**
   * As areFinite of formats/finite.ts, for a backend that can do it faster: whether all numbers are finite in the first 16 bytes
   * of each `every` bytes. `bytes` may be part of a view that `load` gave, or any others.
   */
  areFinite?(bytes: Uint8Array, of: ExponentBits, every: number): boolean;
  /**
   * Makes what quantises by kernels, for a backend that has such: its bytes are those of the formats' packers. It takes buffers until it
   * is disposed of. Undefined: there is no room for them.
   * @param columns those of the widest matrix that is to be quantised
   */
  quantizer?(columns: number): Quantizer | undefined;
  /** Frees leaves; names that are not placed are ignored. Programs that use them must be disposed of first. */
  release(names: readonly string[]): void;
  /** Makes a plan ready; its weights and states must have been placed. @throws EngineError, MemoryError */
  compile(plan: Plan): Promise<Program> | Program;
  /** Bytes in use now, by kind, without what is only reserved: for MemoryErrors, `doctor` and tests. */
  memory(): { weights: number; states: number; scratch: number };
  /**
   * What other threads need in order to help this backend, to stop it, or to take over its leaves. The caller asks again whenever
   * leaves were placed. Undefined, or no such method: no thread helps, and the leaves are lost when the worker dies.
   */
  handover?(): Handover | undefined;
  dispose(): Promise<void>;
}

/** Quantises matrices of plain numbers piece by piece, a piece being some neighbouring rows. */
export interface Quantizer {
  /**
   * How many rows a piece of such a matrix may have at most; all but the last piece must have as many. 0: there is no kernel for the
   * format, or such rows are too long.
   */
  rows(from: Numbers, format: string, columns: number): number;
  /** Memory for the numbers of a piece, `slot` 0 or 1: the next piece may be read into the one while the other is quantised. */
  input(slot: number, bytes: number): Uint8Array;
  /**
   * Quantises the piece in a slot. With double quantisation of scales (formats in "-dq") pass the format without it.
   * @returns its parts, valid until the next call; undefined: there are numbers that the format cannot hold, and its packer says which
   * @throws EngineError as Program.submit
   */
  quantize(
    slot: number,
    from: Numbers,
    format: string,
    rows: number,
    columns: number,
  ): readonly Uint8Array[] | undefined;
  dispose(): void;
}

/** Plain numbers: their format, "f32", "bf16" or "f16", and that to which they are rounded before anything else. */
export type Numbers = { readonly format: string; readonly rounded?: string };

/** What a backend gives to other threads, by postMessage. Only the backend's own code knows what is inside. */
export type Handover = {
  /** The backend's name. */
  readonly backend: string;
  /** With it a new worker takes over the leaves when this one has died, and the supervisor stops a program. */
  readonly state: unknown;
  /** For each helper thread, the data that it is started with. */
  readonly helpers: readonly unknown[];
  /** What the backend has found out about this process and its machine, so that a later one in it need not. */
  readonly findings?: unknown;
};

/** What other threads can do with a handover. Each backend that gives one has its own. */
export type TeamControl = {
  /** Stops the running program, or else the next one, within one op; it then throws `Aborted`. From any thread, at any time. */
  stop(state: unknown): void;
  /** To be called when a helper's thread has ended, before another takes its place. `helper`: its index in `helpers`. */
  helperGone(state: unknown, helper: number): void;
  /** What a helper's thread does. */
  help(data: unknown): Promise<void>;
};
