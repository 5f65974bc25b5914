// Runs steps of one model on one backend: places the page pools, keeps the plans that were used last, writes inputs, reads results.
// Knows rows and pages as numbers; no requests and no batches.

import { layoutOf, type LiveCounts } from "../graph/graph.ts";
import type { Backend, InputData, LeafSpec, Program } from "../backends/backend.ts";
import { MemoryError } from "../errors.ts";
import { type CacheDType, cacheLeaves, cachePageBytes } from "../models/attend.ts";
import type { MistralConfig } from "../models/config.ts";
import type { ModelClass } from "../models/heads.ts";
import type { Labels } from "../models/losses.ts";
import { ropeAngles } from "../models/rope.ts";
import { PAGE } from "../ops/kv-append.ts";
import { recordSample, type SampleInputs } from "./device-sampling.ts";
import {
  type LeafOf,
  type Recorded,
  recordCopy,
  recordStep,
  type StepModel,
  type StepShape,
  type Wants,
} from "./record.ts";

/** T flat rows of any sequences, N of them wanted. The arrays are not changed before the step's result is there. */
export type StepRows = {
  /** [T] */
  readonly ids?: Int32Array;
  /** [T, H], in place of ids */
  readonly embeds?: Float32Array;
  /** [T]: the position that each row's rotary angles are made for */
  readonly positions: ArrayLike<number>;
  /** [T]: the length of its sequence that a row's angles are made for; see ropeAngles. Default: the rows are one whole sequence. */
  readonly ropeLengths?: ArrayLike<number>;
  /** [T]: the row's entry in `pages`, its column, and where its key goes (page · 16 + offset, −1: nowhere) */
  readonly seq: Int32Array;
  readonly at: Int32Array;
  readonly slots: Int32Array;
  /** [S, P, 2] */
  readonly pages: Int32Array;
  readonly tables: { readonly S: number; readonly P: number };
  /** [N], for `choice` */
  readonly sampling?: SampleInputs;
  /** [N]: rows whose result is wanted */
  readonly want: Int32Array;
  /** For `losses`: see Loss */
  readonly labels?: Labels;
  /** The rows are those of one call: see LeafOf. */
  readonly sharedOutliers?: boolean;
  /** Columns over which a row that sees none takes the mean: see EagerAttrs. The step then runs eager attention. */
  readonly unmasked?: number;
};

/** Results of the rows that came, row-major, without the plan's spare capacity; see Wants for the shapes. */
export type StepResult = {
  readonly logits?: Float32Array;
  readonly last?: Float32Array;
  readonly hidden: readonly Float32Array[];
  readonly attentions: readonly Float32Array[];
  /** C, the width of `attentions`; 0 without them */
  readonly columns: number;
  readonly losses?: Float32Array;
  readonly choice?: Chosen;
};

/** What `sample` gives for N rows; see recordChoice. */
export type Chosen = {
  readonly tokens: Float32Array;
  readonly statuses: Float32Array;
  readonly nll?: Float32Array;
};

/** A plan made ready, and where its results are. */
type Made = { readonly program: Program; readonly recorded: Recorded };

/**
 * The most rows of a step: enough to keep the kernels busy, few enough to bound scratch memory and the time until messages are read again.
 * The pools leave room in memory for the computed tensors of such a step.
 */
export const CHUNK = 512;

/** Where the results of a plan are that gives none. */
const NOTHING: Recorded["at"] = {
  ...{ logits: [], last: [], hidden: [], attentions: [], losses: [], choice: [] },
};

/** How many compiled plans are kept. They take little memory; compiling one delays the first step of its shape. */
const PROGRAMS_KEPT = 24;

export class Runner {
  readonly config: MistralConfig;
  readonly modelClass: ModelClass;
  readonly cacheDType: CacheDType;
  readonly #backend: Backend;
  readonly #model: StepModel;
  /** Bytes of computed tensors in a step of CHUNK rows. */
  readonly #stepBytes: number;
  /** Compiled plans by their keys; the one that has not been used for longest comes first. */
  readonly #programs = new Map<string, Promise<Made>>();
  #pages = 0;
  /** Resolves when the backend has been given what was submitted so far. */
  #given: Promise<void> = Promise.resolve();

  /** @param cacheDType how the cache keeps keys and values */
  constructor(model: StepModel, backend: Backend, cacheDType: CacheDType = "f32") {
    this.config = model.config;
    this.modelClass = model.modelClass;
    this.cacheDType = cacheDType;
    this.#backend = backend;
    this.#model = model;
    this.#stepBytes = stepBytes(model, CHUNK);
  }

  /** Pages of each layer's pool that can be used now. */
  get pages(): number {
    return this.#pages;
  }

  /** The most pages that the pools could have with the memory that is free now. */
  get maxPages(): number {
    return this.#backend.room(this.#pools(this.#pages), this.#stepBytes).now;
  }

  /** The model's leaves that a step with those results uses, with the regions that use them: what is to be placed and loaded. */
  weightLeaves(wants: Wants): LeafSpec[] {
    const shape: StepShape = {
      ...{ T: 1, N: 1, S: 1, P: 1, columns: 0 },
      ...{ embeds: false, wants },
    };
    const asked = new Set<string>();
    const leafOf: LeafOf = (name, sharedOutliers) => {
      asked.add(name);
      return this.#model.leafOf(name, sharedOutliers);
    };
    const { plan } = recordStep({ ...this.#model, leafOf }, shape);
    return [...plan.leaves.values()].flatMap(({ name, kind, shape: dims, dtype, id }) => {
      if (kind === "input" || !asked.has(name)) return []; // the cache is not the model's
      const users = plan.nodes.filter((node) => node.ins.some((t) => t.id === id));
      const regions = [...new Set(users.map((node) => node.region ?? "head"))];
      return [{ name, kind, shape: dims, dtype: layoutOf(dtype), regions }];
    });
  }

  /** Bytes of cache that one page takes in all layers. */
  get bytesPerPage(): number {
    return cachePageBytes(this.config, this.cacheDType);
  }

  /**
   * Makes the pools hold at least that many pages; old pages keep their content. The system gives memory when a page is first written. Pools
   * that grow by megabytes lie in the system's large pages, and are read faster. To be called one at a time.
   * @throws MemoryError with the arithmetic; nothing has changed
   */
  async growPool(pages: number): Promise<void> {
    if (pages <= this.#pages) return;
    const pools = this.#pools(pages);
    const names = pools.map(({ name }) => name);
    if (this.#pages > 0) await this.#backend.grow(names, pages);
    else {
      this.#backend.release(names); // what a worker that died has left
      await this.#placePools(pools, pages);
    }
    this.#pages = pages;
  }

  /** Copies pages in every layer: [from, to] each. */
  async copyPages(copies: readonly (readonly [from: number, to: number])[]): Promise<void> {
    if (copies.length === 0) return;
    const N = capacity(copies.length);
    const made = this.#program(`copy ${N}`, () => ({
      plan: recordCopy(this.config, this.cacheDType, N),
      at: NOTHING,
    }));
    const [from, to] = [0, 1].map((side) => Int32Array.from(copies, (pair) => pair[side]));
    await this.#replay(made, { from, to }, { rows: copies.length, wanted: 0 });
  }

  /** Runs one step and waits for its result: see `submit`. */
  async step(rows: StepRows, wants: Wants, eager = false): Promise<StepResult> {
    return this.submit(rows, wants, eager);
  }

  /**
   * Submits one step; it may be called again before the result is there. Steps and copies of pages run in the order of their calls,
   * so that a step sees what earlier ones wrote. The keys and values of its rows stand in their slots afterwards; whether they
   * count is the caller's business. After a step that failed, the caller ignores those that it had submitted behind it.
   * @param eager attention with its matrices of probabilities; default flash attention
   * @throws EngineError, Aborted the step is void. MemoryError there is no room for its plan
   */
  async submit(rows: StepRows, wants: Wants, eager = false): Promise<StepResult> {
    const T = rows.seq.length;
    const shape: StepShape = {
      T: capacity(T),
      N: capacity(rows.want.length),
      S: capacity(rows.tables.S),
      P: rows.tables.P,
      cache: this.cacheDType,
      embeds: rows.embeds !== undefined,
      columns: eager || rows.unmasked ? capacity(columnsOf(rows)) : 0,
      unmasked: rows.unmasked,
      ...(rows.sharedOutliers && { sharedOutliers: true }),
      wants,
    };
    const made = this.#program(JSON.stringify(shape), () => recordStep(this.#model, shape));
    const live = { rows: T, wanted: rows.want.length };
    const outputs = await this.#replay(made, this.#inputs(rows, shape), live);
    const { at } = (await made).recorded;
    const found = (want: keyof Wants): Float32Array[] => at[want].map((index) => outputs[index]);
    return {
      logits: found("logits")[0],
      last: found("last")[0],
      hidden: found("hidden"),
      attentions: found("attentions"),
      columns: shape.columns,
      losses: found("losses")[0],
      ...(wants.choice && { choice: chosen(found("choice")) }),
    };
  }

  /**
   * Chooses tokens from scores [N, V] that the host has changed, with all threads of the backend.
   * @param logits [N, V] of which log-probabilities are wanted
   */
  async choose(
    scores: Float32Array,
    sampling: SampleInputs,
    logits?: Float32Array,
  ): Promise<Chosen> {
    const V = this.config.vocab_size;
    const rows = scores.length / V;
    const N = capacity(rows);
    const made = this.#program(`choose ${N} ${logits !== undefined}`, () => {
      const plan = recordSample(V, N, logits !== undefined);
      return { plan, at: { ...NOTHING, choice: [...plan.outputs.keys()] } };
    });
    const inputs = { scores, ...sampling, ...(logits && { logits }) };
    return chosen(await this.#replay(made, inputs, { rows, wanted: 0 }));
  }

  dispose(): void {
    for (const made of this.#programs.values()) this.#dispose(made);
    this.#programs.clear();
  }

  /** The leaves of all pools. */
  #pools(pages: number): LeafSpec[] {
    return Array.from({ length: this.config.num_hidden_layers }, (_, layer) =>
      cacheLeaves(this.config, layer, this.cacheDType, pages).map((leaf): LeafSpec => ({
        ...{ ...leaf, kind: "state", regions: [`layers.${layer}`] },
      })),
    ).flat();
  }

  /** Places the pools with as many addresses as the backend has for them, so that they never move; with fewer where the system refuses. */
  async #placePools(pools: readonly LeafSpec[], pages: number): Promise<void> {
    let reserve = Math.max(pages, this.#backend.room(pools, this.#stepBytes).reserve);
    for (;;) {
      try {
        return await this.#backend.place(pools.map((pool) => ({ ...pool, reserve })));
      } catch (error) {
        if (!(error instanceof MemoryError) || reserve === pages) throw error;
        reserve = Math.max(pages, Math.floor(reserve / 2));
      }
    }
  }

  #inputs(rows: StepRows, { S, P }: StepShape): Record<string, InputData> {
    const { cos, sin } = ropeAngles(this.config, rows.positions, rows.ropeLengths);
    const { seq, at, slots, want } = rows;
    const pages = padded(rows.pages, S * P * 2);
    return {
      ...{ cos, sin, seq, at, slots, pages, want },
      ...(rows.ids && { ids: rows.ids }),
      ...(rows.embeds && { embeds: rows.embeds }),
      ...(rows.labels && { labels: rows.labels }),
      ...rows.sampling,
    };
  }

  /** Gives the backend a replay when it has been given all that was submitted before, though its plan may have been ready sooner. */
  async #replay(
    made: Promise<Made>,
    inputs: Readonly<Record<string, InputData>>,
    live: LiveCounts,
  ): Promise<Float32Array[]> {
    return this.#inOrder(made, ({ program, recorded }) =>
      program.submit(inputs, live, [...recorded.plan.outputs.keys()]),
    );
  }

  /** Calls `use` with a program that is ready, after what was asked for before. What it returns is not waited for by others. */
  async #inOrder<T>(made: Promise<Made>, use: (made: Made) => T): Promise<Awaited<T>> {
    const before = this.#given;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#given = promise;
    let result: T;
    try {
      await before;
      result = use(await made);
    } finally {
      resolve();
    }
    return await result;
  }

  /** The program of that key; it is recorded and compiled once, however many steps ask for it meanwhile. */
  #program(key: string, record: () => Recorded): Promise<Made> {
    const known = this.#programs.get(key);
    if (known !== undefined) {
      this.#programs.delete(key);
      this.#programs.set(key, known);
      return known;
    }
    if (this.#programs.size >= PROGRAMS_KEPT) {
      const [[oldest, made]] = this.#programs;
      this.#programs.delete(oldest);
      this.#dispose(made);
    }
    const made = this.#compile(record);
    this.#programs.set(key, made);
    made.catch(() => {
      if (this.#programs.get(key) === made) this.#programs.delete(key); // the next step tries again
    });
    return made;
  }

  async #compile(record: () => Recorded): Promise<Made> {
    const recorded = record();
    return { program: await this.#backend.compile(recorded.plan), recorded };
  }

  /** Disposes of a program when the steps that use it have been submitted. One that could not be compiled needs nothing. */
  #dispose(made: Promise<Made>): void {
    this.#inOrder(made, ({ program }) => program.dispose()).catch(() => {});
  }
}

/** The capacity that a plan is recorded for: the next power of two, so that few plans serve all sizes. */
export function capacity(count: number): number {
  return 2 ** Math.ceil(Math.log2(Math.max(1, count)));
}

/** Bytes of the computed tensors in a step of T rows, what a head gives for all rows included. */
function stepBytes(model: StepModel, T: number): number {
  const shape = { T, N: T, S: 1, P: 1, columns: 0, embeds: false };
  const { plan } = recordStep(model, { ...shape, wants: { last: true } });
  const slots = plan.slots.reduce((sum, slot) => sum + slot.elements, 0);
  return 4 * (slots + T * model.config.vocab_size);
}

/** Page tables, with empty ones behind them up to `length` numbers. */
function padded(pages: Int32Array, length: number): Int32Array {
  if (pages.length >= length) return pages;
  const all = new Int32Array(length);
  all.set(pages);
  return all;
}

/** Columns up to the last one that a row stands at; at least a page. */
function columnsOf({ at }: StepRows): number {
  return at.reduce((columns, column) => Math.max(columns, column + 1), PAGE);
}

function chosen([tokens, statuses, nll]: readonly Float32Array[]): Chosen {
  return { tokens, statuses, ...(nll && { nll }) };
}
