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
};

/** Bytes of a file, one piece for each part of a format; a part that is not in the file is known (never the first). */
export type FilePlace = {
  readonly path: string;
  readonly parts: readonly FilePart[];
};
export type FilePart =
  | { readonly offset: number; readonly bytes: number }
  | { readonly known: Uint8Array };

/** Bits of exponents in a word, the lowest of them, and the bits above them. */
export type ExponentBits = { readonly mask: number; readonly one: number; readonly above: number };

/** Thrown by a program that was stopped. Internal: the engine turns it into the reason of the caller's signal. */
export class Aborted extends Error {
  override readonly name = "Aborted";
}

export type InputData = Int32Array | Float32Array;

/** A plan made ready. Replays are one at a time. */
export interface Program {
  /**
   * Writes the inputs (the live part of each, row-major) and runs the plan once.
   * @throws EngineError when a kernel trapped or a thread died: the step is void, the states hold what earlier steps wrote
   * @throws Aborted when the stop word was set: the step is void likewise
   */
  run(inputs: Readonly<Record<string, InputData>>, live: LiveCounts): Promise<void>;
  /** The live part of output `index` of the plan, copied out. */
  read(index: number): Promise<Float32Array>;
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
   * Lets `fill` write a weight's bytes in its own format, part by part, straight into the place where kernels read them.
   * The views are valid until `fill` resolves. `there`: the bytes were mapped from the leaf's file and need not be read.
   */
  load(
    name: string,
    fill: (parts: readonly Uint8Array[], there: boolean) => Promise<void>,
  ): Promise<void>;
  /**
   * Where a backend can tell faster than areFinite of formats/finite.ts, whether in 16 bytes of each `every` no number has all
   * bits of its exponent set. `bytes`: any part of a view that `load` gave, or others.
   */
  areFinite?(bytes: Uint8Array, of: ExponentBits, every: number): boolean;
  /** Frees leaves. Programs that use them must be disposed of first. */
  release(names: readonly string[]): void;
  compile(plan: Plan): Program;
  /** Bytes reserved now, by kind: for MemoryErrors, `doctor` and tests. */
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
