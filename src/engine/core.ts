// The engine proper: one loaded model on one backend, its cache pages, and the calls on it. Runs in the worker (or in a test);
// knows no threads and no messages. Steps run one at a time, whatever calls they belong to.

import type { Backend } from "../backends/backend.ts";
import { InputError, MemoryError } from "../errors.ts";
import { PagePool } from "../generate/pages.ts";
import type { Runner } from "../generate/runner.ts";
import { BatchCache } from "./batch-cache.ts";
import { forward, type ForwardEnvironment } from "./forward.ts";
import { GenerationLoop } from "./generation.ts";
import { loadModel } from "./load-model.ts";
import type { LoadProgress } from "./load.ts";
import { type Call, type Step, type StepHooks, Steps } from "./steps.ts";
import type {
  CacheRequest,
  CacheState,
  ForwardRequest,
  ForwardResult,
  GenerateRequest,
  GenerateResult,
  LoadReport,
  MemoryReport,
  ModelSource,
} from "./messages.ts";

/** What the engine needs of the thread that it runs on. */
export type EngineHooks = StepHooks & {
  /** Leaves were placed: what the backend shares has changed. */
  placed(): void;
  /** The backend was adopted with all weights in it. */
  readonly weightsAreThere: boolean;
  /** How many engine workers these callers had before. */
  readonly restarts?: number;
};

export class EngineCore {
  readonly runner: Runner;
  readonly pool: PagePool = new PagePool(0);
  readonly #backend: Backend;
  readonly #hooks: EngineHooks;
  readonly #env: Omit<ForwardEnvironment, "step">;
  readonly #generation: GenerationLoop;
  readonly #caches = new Map<number, BatchCache>();
  /** Per cache in use: resolves when the calls on it so far are over. */
  readonly #cacheTurns = new Map<number, Promise<void>>();
  readonly #steps: Steps;
  #nextCache: number;

  private constructor(runner: Runner, backend: Backend, hooks: EngineHooks, eager: boolean) {
    this.runner = runner;
    this.#backend = backend;
    this.#hooks = hooks;
    this.#steps = new Steps(hooks);
    this.#nextCache = (hooks.restarts ?? 0) * 2 ** 32 + 1;
    this.#env = {
      ...{ runner, pool: this.pool, eager },
      reservePages: (count, take) => this.reservePages(count, take),
    };
    this.#generation = new GenerationLoop({
      ...this.#env,
      step: (call, run) => this.step(call, run),
    });
  }

  /** Loads the model into the backend. @throws CheckpointError, MemoryError; nothing stays allocated */
  static async load(
    model: ModelSource,
    backend: Backend,
    hooks: EngineHooks,
    onProgress: (progress: LoadProgress) => void,
  ): Promise<{ core: EngineCore; report: LoadReport }> {
    const { runner, report } = await loadModel(model, backend, hooks.weightsAreThere, onProgress);
    hooks.placed();
    return { core: new EngineCore(runner, backend, hooks, model.attention === "eager"), report };
  }

  async forward(request: ForwardRequest, call: Call): Promise<ForwardResult> {
    const env = { ...this.#env, step: <T>(run: () => Promise<T>) => this.step(call, run) };
    return this.#alone(request.cache, async () => {
      const old = request.cache === undefined ? undefined : this.cacheOf(request.cache);
      checkPast(old, request.past);
      const { result, cache } = await forward(env, request, old, call.abortable ?? false);
      return { ...result, ...this.#keepResult(request, cache, call) };
    });
  }

  async generate(
    request: GenerateRequest,
    call: Call,
    onTokens: (tokens: Int32Array) => void,
  ): Promise<GenerateResult> {
    const { B } = request;
    const n = request.options.num_return_sequences;
    return this.#alone(request.cache, async () => {
      // A copy of the old cache (its pages are shared), so that a call that fails leaves it as it was.
      const old = request.cache === undefined ? undefined : this.cacheOf(request.cache);
      checkPast(old, request.past);
      const work =
        old?.select(Array.from({ length: B * n }, (_, row) => Math.floor(row / n))) ??
        BatchCache.empty(this.pool, B * n, this.runner.config.sliding_window);
      const { result, cache } = await this.#generation.generate(request, work, call, onTokens);
      return { ...result, ...this.#keepResult(request, cache, call) };
    });
  }

  async cache(request: CacheRequest): Promise<CacheState | undefined> {
    return this.#alone(request.cache, async () => this.#change(request));
  }

  #change(request: CacheRequest): CacheState | undefined {
    // Whoever gives back a cache that is lost has what they want.
    if (request.op === "dispose" && !this.#caches.has(request.cache)) return undefined;
    const cache = this.cacheOf(request.cache);
    switch (request.op) {
      case "crop":
        cache.crop(request.length);
        return this.#state(request.cache, cache);
      case "select": {
        const selected = cache.select([...request.rows]);
        cache.dispose();
        this.#caches.set(request.cache, selected);
        return this.#state(request.cache, selected);
      }
      case "fork":
        return this.keep(cache.fork());
      case "dispose":
        cache.dispose();
        this.#caches.delete(request.cache);
        return undefined;
    }
  }

  memory(): MemoryReport {
    return { ...this.#backend.memory(), pages: this.pool.pages, pagesInUse: this.pool.inUse };
  }

  /** The cache of that number. @throws InputError it is gone */
  cacheOf(id: number): BatchCache {
    const cache = this.#caches.get(id);
    if (cache === undefined) {
      throw new InputError(
        "past_key_values: this cache is gone: it was disposed of, or lost when an engine worker died",
      );
    }
    return cache;
  }

  /** Keeps a cache under a number of its own. */
  keep(cache: BatchCache): CacheState {
    const id = this.#nextCache++;
    this.#caches.set(id, cache);
    return this.#state(id, cache);
  }

  /** Runs one step of one call when no other runs. @throws when `call` was aborted */
  async step<T>(call: Call, run: () => Promise<T>): Promise<T> {
    const prepare = (): Step<T> => {
      call.throwIfAborted();
      return { calls: [call], run };
    };
    return (await this.#steps.run(prepare)) as T;
  }

  /**
   * Grows the pools until so many pages are free, between two steps.
   * @param take takes them, before anybody else can
   * @throws MemoryError
   */
  async reservePages(count: number, take: () => void = () => {}): Promise<void> {
    if (count > this.pool.available) await this.#steps.inTurn(() => this.#growTo(count).then(take));
    else take();
  }

  /** Grows by half at least, so that growth is rare, unless memory is short. */
  async #growTo(count: number): Promise<void> {
    const missing = count - this.pool.available;
    if (missing <= 0) return;
    const needed = this.pool.pages + missing;
    try {
      await this.runner.growPool(Math.max(needed, Math.ceil(this.pool.pages * 1.5)));
    } catch (error) {
      if (!(error instanceof MemoryError)) throw error;
      await this.runner.growPool(needed);
    }
    this.pool.grow(this.runner.pages);
    this.#hooks.placed();
  }

  /** Runs calls on one cache one after the other, in the order in which they came. */
  async #alone<T>(cache: number | undefined, run: () => Promise<T>): Promise<T> {
    if (cache === undefined) return run();
    const before = this.#cacheTurns.get(cache);
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#cacheTurns.set(cache, promise);
    if (before !== undefined) await before;
    try {
      return await run();
    } finally {
      resolve();
      if (this.#cacheTurns.get(cache) === promise) this.#cacheTurns.delete(cache);
    }
  }

  /** What becomes of a call's cache: it takes the old one's place, or a number of its own, or is given back. */
  #keepResult(
    { cache: id, keepCache }: Pick<ForwardRequest, "cache" | "keepCache">,
    cache: BatchCache,
    { abortable }: Call,
  ): { cache?: CacheState } {
    if (id !== undefined && !abortable) {
      const old = this.#caches.get(id);
      if (old !== cache) old?.dispose();
      this.#caches.set(id, cache);
      return { cache: this.#state(id, cache) };
    }
    if (id !== undefined || keepCache) return { cache: this.keep(cache) };
    cache.dispose();
    return {};
  }

  #state(id: number, cache: BatchCache): CacheState {
    return { id, length: cache.frame, batch: cache.batch };
  }
}

/** Two calls on one cache at the same time: the second meant its state before the first. */
function checkPast(cache: BatchCache | undefined, past: number | undefined): void {
  if (cache === undefined || past === undefined || cache.frame === past) return;
  throw new InputError(
    `past_key_values: the cache had ${past} columns when this call was made, and has ${cache.frame} now: ` +
      "another call used it meanwhile; await each call before the next, or give each its own fork()",
  );
}
