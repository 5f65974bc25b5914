// `past_key_values`: the user's handle of a cache that lives in the engine. Holds no keys and no values.

import { EngineError, InputError } from "../errors.ts";
import type { CacheState } from "../engine/messages.ts";
import type { Engine } from "../engine/supervisor.ts";
import { readIndices } from "./inputs.ts";
import type { NestedInput } from "./tensor.ts";

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
   * Forgets the columns from `length` on; as in Transformers a negative number counts from the end, and one beyond the end
   * changes nothing.
   * @throws InputError with a window, when what the next token sees was already released
   */
  async crop(length: number): Promise<void> {
    const cache = this.#id();
    const columns = this.get_seq_length();
    const to = length < 0 ? columns + length : Math.min(length, columns);
    this.#state = await this.#engine.call("cache", { op: "crop", cache, length: to });
  }

  /** Keeps row `indices[i]` as row i; a row may come several times (they share pages until they part). */
  async batch_select_indices(indices: NestedInput): Promise<void> {
    const cache = this.#id();
    const rows = readIndices("past_key_values", "indices", indices, this.batch_size);
    this.#state = await this.#engine.call("cache", { op: "select", cache, rows });
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
    const state = await this.#engine.call("cache", { op: "fork", cache: this.#id() });
    if (state === undefined) throw new EngineError("the engine gave no cache back");
    return new DynamicCache(this.#engine, state);
  }

  /** Gives the memory back. Twice is harmless, and so is a cache whose model has been disposed of. */
  async dispose(): Promise<void> {
    const id = this.#state?.id;
    this.#state = undefined;
    if (id === undefined || !this.#engine.alive) return;
    await this.#engine.call("cache", { op: "dispose", cache: id });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.dispose();
  }

  /** For the library: what an option holds, if it is a cache of that engine. @throws InputError it is something else */
  static read(value: unknown, engine: Engine): DynamicCache | undefined {
    if (value === undefined || value === null) return undefined;
    if (!(value instanceof DynamicCache)) {
      throw new InputError(
        "past_key_values: expected the DynamicCache that forward or generate returned",
      );
    }
    if (value.#engine !== engine) {
      throw new InputError(
        "past_key_values: the cache belongs to another model; pass one that this model returned",
      );
    }
    value.#id();
    return value;
  }

  /** For the library: how a request names a cache. */
  static request(cache: DynamicCache | undefined): { cache?: number; past?: number } {
    return cache === undefined ? {} : { cache: cache.#id(), past: cache.get_seq_length() };
  }

  /** For the library: what a call made of this cache. */
  static update(cache: DynamicCache, state: CacheState): DynamicCache {
    const old = cache.#state?.id;
    // Disposed of while the call ran: what it left has no owner.
    if (old === undefined) cache.#engine.forget(state.id);
    else cache.#state = state;
    // Of a call that could be aborted the engine keeps what was before it until its result has come here.
    if (old !== undefined && old !== state.id) cache.#engine.forget(old);
    return cache;
  }

  #id(): number {
    if (this.#state === undefined)
      throw new InputError("past_key_values: the cache has been disposed of");
    return this.#state.id;
  }
}
