// `past_key_values`: the user's handle of a cache that lives in the engine. Holds no keys and no values.

import { checkOptions } from "../did-you-mean.ts";
import { EngineError, InputError } from "../errors.ts";
import type { CacheRequest, CacheState } from "../engine/messages.ts";
import type { Engine } from "../engine/supervisor.ts";
import { readIndices } from "./inputs.ts";
import type { NestedInput } from "./tensor.ts";

/** What a cache is made with. */
export type CacheOptions = {
  /** Taken and not needed: the model that fills the cache knows its own. */
  config?: unknown;
};

type Held = { readonly engine: Engine; readonly state: CacheState };

/** A handle that is lost takes what it held with it, as in Python; until then, or `dispose()`, its pages are taken. */
const lost = new FinalizationRegistry<Held>(({ engine, state }) => engine.forget(state.id));

const OPTIONS: ReadonlySet<string> = new Set<keyof CacheOptions>(["config"]);

/**
 * The keys and values of a batch of sequences, as `forward` and `generate` leave them. With a sliding window it is a rolling
 * cache of fixed size; without one it grows. It holds memory in the engine until `dispose()`, or until it is garbage.
 *
 * `forward` and `generate` return one; a new one is empty, and the first model that it is given to fills it.
 */
export class DynamicCache {
  #held: Held | undefined;
  #disposed = false;

  /** @throws InputError an unknown option */
  constructor(options: CacheOptions = {}) {
    checkOptions("DynamicCache", options, OPTIONS);
  }

  /** Columns so far, padding included. */
  get_seq_length(): number {
    return this.#held?.state.length ?? 0;
  }

  get batch_size(): number {
    return this.#held?.state.batch ?? 0;
  }

  /**
   * Forgets the columns from `length` on; as in Transformers a negative number counts from the end, and one beyond the end
   * changes nothing.
   * @throws InputError with a window, when what the next token sees was already released
   */
  async crop(length: number): Promise<void> {
    const columns = this.get_seq_length();
    const to = length < 0 ? columns + length : Math.min(length, columns);
    await this.#change((cache) => ({ op: "crop", cache, length: to }));
  }

  /** Keeps row `indices[i]` as row i; a row may come several times (they share pages until they part). */
  async batch_select_indices(indices: NestedInput): Promise<void> {
    await this.#change((cache) => {
      const rows = readIndices("past_key_values", "indices", indices, this.batch_size);
      return { op: "select", cache, rows };
    });
  }

  /** As `batch_select_indices`: beam search's name for it. */
  async reorder_cache(beam_idx: NestedInput): Promise<void> {
    await this.batch_select_indices(beam_idx);
  }

  /** Each row `repeats` times, one after the other. */
  async batch_repeat_interleave(repeats: number): Promise<void> {
    if (!Number.isInteger(repeats) || repeats < 1) {
      throw new InputError(`past_key_values: ${repeats} repeats: expected an integer of 1 or more`);
    }
    const rows = Array.from({ length: this.batch_size * repeats }, (_, i) =>
      Math.floor(i / repeats),
    );
    await this.batch_select_indices(rows);
  }

  /** A second cache with the same content, in the same memory until one of them changes. */
  async fork(): Promise<DynamicCache> {
    const { engine, state } = this.#filled();
    const forked = await engine.call("cache", { op: "fork", cache: state.id });
    if (forked === undefined) throw new EngineError("the engine gave no cache back");
    return DynamicCache.of(engine, forked);
  }

  /** Gives the memory back. Twice is harmless, and so is a cache whose model has been disposed of. */
  async dispose(): Promise<void> {
    const held = this.#held;
    this.#hold(undefined);
    this.#disposed = true;
    if (held === undefined || !held.engine.alive) return;
    await held.engine.call("cache", { op: "dispose", cache: held.state.id });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.dispose();
  }

  /** For the library: the handle of what a call left in its engine. */
  static of(engine: Engine, state: CacheState): DynamicCache {
    const cache = new DynamicCache();
    cache.#hold({ engine, state });
    return cache;
  }

  /** For the library: what an option holds, if that engine can go on with it. @throws InputError it is something else */
  static read(value: unknown, engine: Engine): DynamicCache | undefined {
    if (value === undefined || value === null) return undefined;
    if (!(value instanceof DynamicCache)) {
      throw new InputError(
        "past_key_values: expected a DynamicCache, such as forward and generate return",
      );
    }
    value.#checkAlive();
    if (value.#held !== undefined && value.#held.engine !== engine) {
      throw new InputError(
        "past_key_values: the cache belongs to another model; pass one that this model returned",
      );
    }
    return value;
  }

  /** For the library: how a request names a cache; an empty one has no name yet, and must be kept. */
  static request(
    cache: DynamicCache | undefined,
    keepCache: boolean,
  ): { cache?: number; past?: number; keepCache: boolean } {
    const state = cache === undefined ? undefined : cache.#held?.state;
    return {
      ...(state && { cache: state.id, past: state.length }),
      keepCache: keepCache || cache !== undefined,
    };
  }

  /** For the library: what a call of that engine made of this cache. */
  static update(cache: DynamicCache, engine: Engine, state: CacheState): DynamicCache {
    const old = cache.#held?.state.id;
    // Of a call that could be aborted the engine keeps what was before it until its result has come here.
    if (old !== undefined && old !== state.id) engine.forget(old);
    // Disposed of while the call ran: what it left has no owner.
    if (cache.#disposed) engine.forget(state.id);
    else cache.#hold({ engine, state });
    return cache;
  }

  async #change(request: (cache: number) => CacheRequest): Promise<void> {
    const { engine, state } = this.#filled();
    const changed = await engine.call("cache", request(state.id));
    if (changed !== undefined && !this.#disposed) this.#hold({ engine, state: changed });
  }

  #hold(held: Held | undefined): void {
    lost.unregister(this);
    this.#held = held;
    if (held !== undefined) lost.register(this, held, this);
  }

  #filled(): Held {
    this.#checkAlive();
    if (this.#held !== undefined) return this.#held;
    throw new InputError(
      "past_key_values: the cache is empty; give it to forward or generate first",
    );
  }

  #checkAlive(): void {
    if (this.#disposed) throw new InputError("past_key_values: the cache has been disposed of");
  }
}
