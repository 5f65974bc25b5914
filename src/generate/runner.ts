// Runs steps of one model on one backend: places leaves, keeps the few plans in use, writes inputs, reads results.
// Knows rows and pages as numbers; nothing of requests, batches or tokens' meaning.

import { availableBytes } from "#platform";
import { layoutOf } from "../graph/graph.ts";
import type { Backend, InputData, LeafSpec, Program } from "../backends/backend.ts";
import { type CacheDType, cacheLeaves, cachePageBytes } from "../models/attend.ts";
import type { MistralConfig } from "../models/config.ts";
import type { ModelClass } from "../models/heads.ts";
import type { Labels } from "../models/losses.ts";
import { ropeAngles } from "../models/rope.ts";
import { PAGE } from "../ops/kv-append.ts";
import {
  type LeafOf,
  type Recorded,
  recordCopy,
  recordStep,
  type StepModel,
  type StepShape,
  type Wants,
} from "./record.ts";

/** T flat rows of any sequences, N of them wanted. */
export type StepRows = {
  /** [T] */
  readonly ids?: Int32Array;
  /** [T, H], in place of ids */
  readonly embeds?: Float32Array;
  /** [T]: what rotates */
  readonly positions: ArrayLike<number>;
  /** [T], for the rope types that depend on it: the length of each row's sequence that its angles are made for. */
  readonly ropeLengths?: ArrayLike<number>;
  /** [T]: the row's entry in `pages`, its column, and where its key goes (page · 16 + offset, −1: nowhere) */
  readonly seq: Int32Array;
  readonly at: Int32Array;
  readonly slots: Int32Array;
  /** [S, P, 2] */
  readonly pages: Int32Array;
  readonly tables: { readonly S: number; readonly P: number };
  /** [N]: rows whose result is wanted */
  readonly want: Int32Array;
  /** For `losses`: see Loss */
  readonly labels?: Labels;
  /** The rows are those of one call: see LeafOf. */
  readonly together?: boolean;
  /** Columns over which a row that sees none takes the mean: see EagerAttrs. The step then runs eager attention. */
  readonly unmasked?: number;
};

/** Live parts, row-major; see Wants for the shapes. */
export type StepResult = {
  readonly logits?: Float32Array;
  readonly last?: Float32Array;
  readonly hidden: readonly Float32Array[];
  readonly attentions: readonly Float32Array[];
  /** C, the width of `attentions`; 0 without them */
  readonly columns: number;
  readonly losses?: Float32Array;
};

/** Plans kept ready; each costs little but the first run of a new shape. */
const PROGRAMS_KEPT = 24;

export class Runner {
  readonly config: MistralConfig;
  readonly modelClass: ModelClass;
  readonly cacheDType: CacheDType;
  readonly #backend: Backend;
  readonly #model: StepModel;
  readonly #programs = new Map<string, { program: Program; recorded: Recorded }>();
  #pages = 0;

  /** @param cacheDType how the cache keeps keys and values */
  constructor(model: StepModel, backend: Backend, cacheDType: CacheDType = "f32") {
    this.config = model.config;
    this.modelClass = model.modelClass;
    this.cacheDType = cacheDType;
    this.#backend = backend;
    this.#model = model;
  }

  /** Pages of each layer's pool. */
  get pages(): number {
    return this.#pages;
  }

  /** The model's leaves that a step with those results uses, with the regions that use them: what is to be placed and loaded. */
  weightLeaves(wants: Wants): LeafSpec[] {
    const shape: StepShape = {
      ...{ T: 1, N: 1, S: 1, P: 1, pages: 1, columns: 0 },
      ...{ embeds: false, wants },
    };
    const asked = new Set<string>();
    const leafOf: LeafOf = (name, together) => {
      asked.add(name);
      return this.#model.leafOf(name, together);
    };
    const { plan } = recordStep({ ...this.#model, leafOf }, shape);
    return [...plan.leaves.values()].flatMap(({ name, kind, shape: dims, dtype, id }) => {
      if (kind === "input" || !asked.has(name)) return []; // the cache is not the model's
      const users = plan.nodes.filter((node) => node.ins.some((t) => t.id === id));
      const regions = [...new Set(users.map((node) => node.region ?? "head"))];
      return [{ name, kind, shape: dims, dtype: layoutOf(dtype), regions }];
    });
  }

  /** Pages that each pool could have at most. */
  get maxPages(): number {
    return this.#pages + Math.floor(availableBytes() / this.bytesPerPage);
  }

  /** Bytes of cache that one page takes in all layers. */
  get bytesPerPage(): number {
    return cachePageBytes(this.config, this.cacheDType);
  }

  /** Makes the pools hold at least that many pages; what is in them stays. @throws MemoryError nothing has changed */
  async growPool(pages: number): Promise<void> {
    if (pages <= this.#pages) return;
    const leaves = Array.from({ length: this.config.num_hidden_layers }, (_, layer) =>
      cacheLeaves(this.config, layer, pages, this.cacheDType).map((leaf): LeafSpec => ({
        ...{ ...leaf, kind: "state", regions: [`layers.${layer}`] },
      })),
    );
    await this.#backend.place(leaves.flat());
    this.#pages = pages;
    this.#forgetPrograms();
  }

  /** Copies pages in every layer: [from, to] each. */
  async copyPages(copies: readonly (readonly [from: number, to: number])[]): Promise<void> {
    if (copies.length === 0) return;
    const N = capacity(copies.length);
    const { program } = this.#program(`copy ${N}`, () => ({
      plan: recordCopy(this.config, this.#pages, this.cacheDType, N),
      at: { logits: [], last: [], hidden: [], attentions: [], losses: [] },
    }));
    const [from, to] = [0, 1].map((side) => Int32Array.from(copies, (pair) => pair[side]));
    await program.run({ from, to }, { rows: copies.length, wanted: 0 });
  }

  /**
   * Runs one step. The keys and values of its rows stand in their slots afterwards; whether they count is the caller's business.
   * @param eager the plain road of attention, with its matrices; default flash attention
   * @throws EngineError, Aborted the step is void
   */
  async step(rows: StepRows, wants: Wants, eager = false): Promise<StepResult> {
    const T = rows.seq.length;
    const shape: StepShape = {
      T: capacity(T),
      N: capacity(rows.want.length),
      ...rows.tables,
      ...{ pages: this.#pages, cache: this.cacheDType },
      embeds: rows.embeds !== undefined,
      columns: eager || rows.unmasked ? capacity(columnsOf(rows)) : 0,
      unmasked: rows.unmasked,
      ...(rows.together && { together: true }),
      wants,
    };
    const { program, recorded } = this.#program(JSON.stringify(shape), () =>
      recordStep(this.#model, shape),
    );
    await program.run(this.#inputs(rows), { rows: T, wanted: rows.want.length });
    const read = (want: keyof Wants): Promise<Float32Array[]> =>
      Promise.all(recorded.at[want].map((index) => program.read(index)));
    return {
      logits: (await read("logits"))[0],
      last: (await read("last"))[0],
      hidden: await read("hidden"),
      attentions: await read("attentions"),
      columns: shape.columns,
      losses: (await read("losses"))[0],
    };
  }

  dispose(): void {
    this.#forgetPrograms();
  }

  #inputs(rows: StepRows): Record<string, InputData> {
    const { cos, sin } = ropeAngles(this.config, rows.positions, rows.ropeLengths);
    const { seq, at, slots, pages, want } = rows;
    return {
      ...{ cos, sin, seq, at, slots, pages, want },
      ...(rows.ids && { ids: rows.ids }),
      ...(rows.embeds && { embeds: rows.embeds }),
      ...(rows.labels && { labels: rows.labels }),
    };
  }

  #program(key: string, record: () => Recorded): { program: Program; recorded: Recorded } {
    const known = this.#programs.get(key);
    if (known !== undefined) {
      // Moved to the end: the first one is always the one not used for longest.
      this.#programs.delete(key);
      this.#programs.set(key, known);
      return known;
    }
    if (this.#programs.size >= PROGRAMS_KEPT) {
      const [oldest, { program }] = [...this.#programs][0];
      program.dispose();
      this.#programs.delete(oldest);
    }
    const recorded = record();
    const made = { program: this.#backend.compile(recorded.plan), recorded };
    this.#programs.set(key, made);
    return made;
  }

  #forgetPrograms(): void {
    for (const { program } of this.#programs.values()) program.dispose();
    this.#programs.clear();
  }
}

/** The capacity that a plan is recorded for: the next power of two, so that few plans serve all sizes. */
export function capacity(count: number): number {
  return 2 ** Math.ceil(Math.log2(Math.max(1, count)));
}

/** Columns up to the last one that a row stands at; at least a page. */
function columnsOf({ at }: StepRows): number {
  return at.reduce((columns, column) => Math.max(columns, column + 1), PAGE);
}
