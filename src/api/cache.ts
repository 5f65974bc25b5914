// `past_key_values`: the user's handle of a cache that lives in the engine. Holds no keys and no values.

import { EngineError, InputError } from "../errors.ts";
import type { CacheState } from "../engine/messages.ts";
import type { Engine } from "../engine/supervisor.ts";

/**
 * The keys and values of a batch of sequences, as `forward` and `generate` leave them. With a sliding window it is a rolling
 * cache of fixed size; without one it grows. It holds memory in the engine until `dispose()`.
 */
export class DynamicCache {
  readonly #engine: Engine;
  #state: CacheState | undefined;

  /** For the library: caches come from `forward` and `generate`. */
  constructor(engine: Engine, state: CacheState) {
    this.#engine = engine;
    this.#state = state;
  }

  /** Columns so far, padding included. */
  get_seq_length(): number {
    return this.#state?.length ?? 0;
  }

  get batch_size(): number {
    return this.#state?.batch ?? 0;
  }

  /**
   * Forgets the columns from `length` on.
   * @throws InputError with a window, when what the next token sees was already released
   */
  async crop(length: number): Promise<void> {
    this.#state = await this.#engine.call("cache", { op: "crop", cache: this.#id(), length });
  }

  /** Keeps row `indices[i]` as row i; a row may come several times (they share pages until they part). */
  async batch_select_indices(indices: readonly number[]): Promise<void> {
    const rows = Int32Array.from(indices);
    this.#state = await this.#engine.call("cache", { op: "select", cache: this.#id(), rows });
  }

  /** As `batch_select_indices`: beam search's name for it. */
  async reorder_cache(beam_idx: readonly number[]): Promise<void> {
    await this.batch_select_indices(beam_idx);
  }

  /** Each row `repeats` times, one after the other. */
  async batch_repeat_interleave(repeats: number): Promise<void> {
    const rows = Array.from({ length: this.batch_size * repeats }, (_, i) =>
      Math.floor(i / repeats),
    );
    await this.batch_select_indices(rows);
  }

  /** A second cache with the same content, in the same memory until one of them changes. */
  async fork(): Promise<DynamicCache> {
    const state = await this.#engine.call("cache", { op: "fork", cache: this.#id() });
    if (state === undefined) throw new EngineError("the engine gave no cache back");
    return new DynamicCache(this.#engine, state);
  }

  /** Gives the memory back. Twice is harmless. */
  async dispose(): Promise<void> {
    const id = this.#state?.id;
    this.#state = undefined;
    if (id !== undefined) await this.#engine.call("cache", { op: "dispose", cache: id });
  }

  /** For the library: the engine's number of this cache, if it belongs to that engine. */
  static idOf(cache: DynamicCache, engine: Engine): number {
    if (cache.#engine !== engine) {
      throw new InputError(
        "past_key_values: the cache belongs to another model; pass one that this model returned",
      );
    }
    return cache.#id();
  }

  /** For the library: what a call made of this cache. */
  static update(cache: DynamicCache, state: CacheState): DynamicCache {
    cache.#state = state;
    return cache;
  }

  #id(): number {
    if (this.#state === undefined)
      throw new InputError("past_key_values: the cache has been disposed of");
    return this.#state.id;
  }
}
