// What a backend is: a place for leaves, and programs made of plans. The only thing that generate/ and engine/ know of one.
// Contract: rows of a result never depend on their neighbours, on the capacity or on the number of threads (reference, wasm).

import type { DType, LeafKind, LiveCounts, Shape } from "../graph/graph.ts";
import type { Plan } from "../graph/plan.ts";

/** A leaf to be placed: weights and states live in the backend under their name, shared by all programs. */
export type LeafSpec = {
  readonly name: string;
  readonly kind: Exclude<LeafKind, "input">;
  readonly shape: Shape;
  readonly dtype: DType;
  /** Leaves of one region lie together: "embed", "layers.0" …, "head". A leaf used in two regions names both. */
  readonly regions: readonly string[];
  /** Where its parts lie in a file, byte for byte as the format has them: a backend may map them instead of loading them. */
  readonly file?: FilePlace;
  /**
   * Of a state that will grow: rows (of the first dimension) for which addresses are set aside. `shape[0]` of them can be used
   * now, and only these count as memory. Default `shape[0]`.
   */
  readonly reserve?: number;
};

/** Bytes of a file, one piece for each part of a format; a part that is not in the file is known (never the first). */
export type FilePlace = {
  readonly path: string;
  readonly parts: readonly FilePart[];
};
export type FilePart =
  | { readonly offset: number; readonly bytes: number }
  | { readonly known: Uint8Array };

/** Rows that each of some states can have. */
export type Room = {
  /** For which the backend has addresses: those that the states have reserved, or could reserve now. */
  readonly reserve: number;
  /** For which there is memory now: those that the states have, and what fits into free memory beside scratch. At most `reserve`. */
  readonly now: number;
};

/** Bits of exponents in a word, the lowest of them, and the bits above them. */
export type ExponentBits = { readonly mask: number; readonly one: number; readonly above: number };

/** Thrown by a program that was stopped. Internal: the engine turns it into the reason of the caller's signal. */
export class Aborted extends Error {
  override readonly name = "Aborted";
}

export type InputData = Int32Array | Float32Array;

/** A plan made ready. */
export interface Program {
  /**
   * Submits one replay of the plan: the inputs are written (the live part of each, row-major), the ops run, and the live part of
   * the plan's outputs of the given indices is copied out. It may be called again before an earlier replay has ended, on any
   * program of the backend: replays run in the order in which they were submitted, each with its own inputs, which have been
   * read when this method returns. After a replay that failed, the caller ignores those that it had submitted behind it.
   * @throws EngineError (the promise rejects) a kernel trapped or a thread died: the replay is void, the states hold what earlier
   *   ones wrote
   * @throws Aborted (the promise rejects) the stop word was set: the replay is void likewise
   */
  submit(
    inputs: Readonly<Record<string, InputData>>,
    live: LiveCounts,
    outputs: readonly number[],
  ): Promise<Float32Array[]>;
  /** Gives back what the program takes, after the replays that were submitted. */
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
   * Makes `rows` rows of each of those states usable; what they hold stays, new rows are zero. Up to the `reserve` of each this is
   * accounting, and nothing moves; beyond it they are placed again, with a copy. Programs stay valid.
   * @throws MemoryError with the arithmetic; nothing has changed
   */
  grow(names: readonly string[], rows: number): Promise<void>;
  /**
   * How many rows each of those states could have; they may be placed already, or not yet.
   * @param scratch bytes of computed tensors in the largest step that is usual: states leave room for it
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
   * A copy of a leaf's bytes, part by part, in its own format, as the replays submitted so far leave it; of a state the rows that
   * can be used. Each part has a buffer of its own, so that f32 parts can be seen as a Float32Array; for other formats see
   * `unpackAll` of formats/registry.ts. The cache's pools lie as the backend's kernels want them.
   */
  read(name: string): Promise<Uint8Array<ArrayBuffer>[]>;
  /**
   * Where a backend can tell faster than areFinite of formats/finite.ts, whether in 16 bytes of each `every` no number has all
   * bits of its exponent set. `bytes`: any part of a view that `load` gave, or others.
   */
  areFinite?(bytes: Uint8Array, of: ExponentBits, every: number): boolean;
  /** Frees leaves; names that are not placed are ignored. Programs that use them must be disposed of first. */
  release(names: readonly string[]): void;
  /** Makes a plan ready; its weights and states must have been placed. @throws EngineError, MemoryError */
  compile(plan: Plan): Promise<Program> | Program;
  /** Bytes in use now, by kind, without what is only reserved: for MemoryErrors, `doctor` and tests. */
  memory(): { weights: number; states: number; scratch: number };
  /**
   * What other threads need of it; to be asked for again whenever leaves were placed. Undefined, or no such method: its leaves
   * are lost with the worker that it runs in, and nobody helps it.
   */
  handover?(): Handover | undefined;
  dispose(): Promise<void>;
}

/** What a backend gives to other threads. Can be posted to them; what is in it is known to that backend alone. */
export type Handover = {
  /** The backend's name. */
  readonly backend: string;
  /** How a new worker goes on with the leaves, when this one has died; and how the supervisor stops a program. */
  readonly state: unknown;
  /** What each of its helper threads is started with. */
  readonly helpers: readonly unknown[];
};

/** What other threads do with a handover. One a backend. */
export type TeamControl = {
  /** Stops the program that runs, or the next one, within one op; it then throws `Aborted`. From any thread, at any time. */
  stop(state: unknown): void;
  /** To be called when a helper's thread has ended, before another one takes its place. `helper` counts in `helpers`. */
  helperGone(state: unknown, helper: number): void;
  /** What a helper's thread does. */
  help(data: unknown): void;
};
