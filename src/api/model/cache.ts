// `past_key_values`: the user's handle of a cache that the engine holds. Holds no keys and no values itself, and does not know pages.

import { checkOptions } from "../../did-you-mean.ts";
import { EngineError, InputError } from "../../errors.ts";
import type { CacheRequest, CacheState } from "../../engine/messages.ts";
import type { Engine } from "../../engine/supervisor.ts";
import { readIndices } from "./inputs.ts";
import type { NestedInput } from "../tensor/tensor.ts";

/** Options of a new cache. */
export type CacheOptions = {
  /** Accepted, and changes nothing: the model that fills the cache has its own config. */
  config?: unknown;
};

type Held = { readonly engine: Engine; readonly state: CacheState };

/** When a handle is garbage-collected, the engine releases the cache's pages, as in Python. `dispose()` releases them at once. */
const lost = new FinalizationRegistry<Held>(({ engine, state }) => engine.forget(state.id));

const OPTIONS: ReadonlySet<string> = new Set<keyof CacheOptions>(["config"]);

/**
 * The keys and values of a batch of sequences, as `forward` and `generate` leave them. With a sliding window its size is bounded;
 * without one it grows. It takes memory in the engine until `dispose()`, or until it is garbage-collected.
 *
 * `forward` and `generate` return a cache. A new one is empty; the first model that gets it fills it.
 */
export class DynamicCache {
  #held: Held | undefined;
  #disposed = false;

  /** @throws InputError an unknown option */
  constructor(options: CacheOptions = {}) {
    checkOptions("DynamicCache", options, OPTIONS);
  }

  /** How many columns it has, padding included. */
  get_seq_length(): number {
    return this.#held?.state.length ?? 0;
  }

  get batch_size(): number {
    return this.#held?.state.batch ?? 0;
  }

  /**
   * Forgets the columns from `length` on. As in Transformers, a negative number counts from the end, and one beyond the end changes
   * nothing.
   * @throws InputError with a sliding window, if columns that the next token sees have been released already
   */
  async crop(length: number): Promise<void> {
    const columns = this.get_seq_length();
    const to = length < 0 ? columns + length : Math.min(length, columns);
    await this.#change((cache) => ({ op: "crop", cache, length: to }));
  }

  /** Row `indices[i]` becomes row i. A row may come several times: the copies share pages until they differ. */
  async batch_select_indices(indices: NestedInput): Promise<void> {
    await this.#change((cache) => {
      const rows = readIndices("past_key_values", "indices", indices, this.batch_size);
      return { op: "select", cache, rows };
    });
  }

  /** The same as `batch_select_indices`, under the name that beam search uses. */
  async reorder_cache(beam_idx: NestedInput): Promise<void> {
    await this.batch_select_indices(beam_idx);
  }

  /** Repeats each row `repeats` times: rows 0, 0, 1, 1 … */
  async batch_repeat_interleave(repeats: number): Promise<void> {
    if (!Number.isInteger(repeats) || repeats < 1) {
      throw new InputError(`past_key_values: ${repeats} repeats: expected an integer of 1 or more`);
    }
    const rows = Array.from({ length: this.batch_size * repeats }, (_, i) =>
      Math.floor(i / repeats),
    );
    await this.batch_select_indices(rows);
  }

  /** A second cache with the same content. Both share memory until one of them changes. */
  async fork(): Promise<DynamicCache> {
    const { engine, state } = this.#filled();
    const forked = await engine.call("cache", { op: "fork", cache: state.id });
    if (forked === undefined) throw new EngineError("the engine gave no cache back");
    return DynamicCache.of(engine, forked);
  }

  /** Releases the memory. May be called twice, and after the model has been disposed of. */
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

  /** For the library: makes a handle of a cache that a call left in its engine. */
  static of(engine: Engine, state: CacheState): DynamicCache {
    const cache = new DynamicCache();
    cache.#hold({ engine, state });
    return cache;
  }

  /** For the library: reads the option `past_key_values`. @throws InputError no cache, or the cache of another engine */
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

  /** For the library: the fields by which a request names a cache. An empty cache has no name yet; the call must keep what it makes. */
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

  /** For the library: makes the handle point to what a call left of this cache. */
  static update(cache: DynamicCache, engine: Engine, state: CacheState): DynamicCache {
    const old = cache.#held?.state.id;
    // The engine keeps the cache as it was before a call that may be aborted; now that the result is here, it may forget that.
    if (old !== undefined && old !== state.id) engine.forget(old);
    // The handle was disposed of while the call ran, so nobody owns what the call left.
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
