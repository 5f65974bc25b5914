// The engine itself: one loaded model on one backend, its pages of the cache, and the calls on it. It runs in the engine worker, or in a
// test's own thread; knows no threads and no messages. Steps run one at a time, whichever calls they belong to.

import type { Backend } from "../backends/backend.ts";
import { InputError } from "../errors.ts";
import { PagePool } from "../generate/page-pool.ts";
import { CHUNK, type Runner } from "../generate/runner.ts";
import { BatchCache } from "./batch-cache.ts";
import { forward, type ForwardEnvironment, type ForwardStep } from "./forward.ts";
import type { CallFunctions } from "./generate-call.ts";
import { GenerationLoop } from "./generation.ts";
import { type LoadedModel, loadModel } from "./load-model.ts";
import type { LoadProgress } from "./load.ts";
import { PageRoom } from "./page-room.ts";
import { type Call, type StepHooks, Steps } from "./steps.ts";
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
  TokensReport,
  WeightResult,
} from "./messages.ts";

/** What the engine needs of the thread that it runs on. */
export type EngineHooks = StepHooks & {
  /** Called when leaves were placed or grown: what the backend hands over to other threads has changed. */
  placed(): void;
  /** The backend took over the memory of a worker that died, with all weights in it. */
  readonly weightsAreThere: boolean;
  /** How many workers this engine had before: numbers of caches are not used again. */
  readonly restarts?: number;
};

export class EngineCore {
  readonly runner: Runner;
  readonly pool: PagePool = new PagePool(0);
  readonly #backend: Backend;
  readonly #eager: boolean;
  readonly #rowsDependOnStep: boolean;
  readonly #room: PageRoom;
  readonly #generation: GenerationLoop;
  readonly #caches = new Map<number, BatchCache>();
  /** For each cache in use: resolves when all calls on it so far are over. */
  readonly #cacheTurns = new Map<number, Promise<void>>();
  readonly #steps: Steps;
  #nextCache: number;
  /** Forward calls that run steps. One that still waits for a call on its cache does not count: that call may itself wait for pages. */
  #forwards = 0;

  private constructor(
    { runner, rowsDependOnStep }: LoadedModel,
    backend: Backend,
    hooks: EngineHooks,
    eager: boolean,
  ) {
    this.runner = runner;
    this.#rowsDependOnStep = rowsDependOnStep;
    this.#backend = backend;
    this.#steps = new Steps(hooks);
    this.#nextCache = (hooks.restarts ?? 0) * 2 ** 32 + 1;
    this.#eager = eager;
    this.#room = new PageRoom(runner, this.pool, () => hooks.placed());
    this.#generation = new GenerationLoop({
      ...{ runner, pool: this.pool, eager, steps: this.#steps, room: this.#room },
      forwardRuns: () => this.#forwards > 0,
    });
  }

  /** Loads the model into the backend. @throws CheckpointError, MemoryError; nothing stays allocated */
  static async load(
    model: ModelSource,
    backend: Backend,
    hooks: EngineHooks,
    onProgress: (progress: LoadProgress) => void,
  ): Promise<{ core: EngineCore; report: LoadReport }> {
    const loaded = await loadModel(model, backend, hooks.weightsAreThere, {
      onProgress,
      placed: () => hooks.placed(),
    });
    hooks.placed();
    const core = new EngineCore(loaded, backend, hooks, model.attention === "eager");
    return { core, report: loaded.report };
  }

  async forward(request: ForwardRequest, call: Call): Promise<ForwardResult> {
    const env: ForwardEnvironment = {
      ...{ runner: this.runner, pool: this.pool, eager: this.#eager },
      mostRows: () => (this.#rowsDependOnStep ? CHUNK : this.#generation.promptRows),
      step: (pages, prepare) => this.#forwardStep(call, pages, prepare),
    };
    return this.#alone(request.cache, async () => {
      const old = request.cache === undefined ? undefined : this.cacheOf(request.cache);
      checkPast(old, request.past);
      this.#forwards++;
      try {
        const { result, cache } = await forward(env, request, old, call.abortable ?? false);
        return { ...result, ...this.#keepResult(request, cache, call) };
      } finally {
        this.#forwards--;
        this.#generation.wake();
      }
    });
  }

  async generate(
    request: GenerateRequest,
    call: Call,
    onTokens: (report: TokensReport) => void,
    functions?: CallFunctions,
  ): Promise<GenerateResult> {
    return this.#alone(request.cache, async () => {
      const past = request.cache === undefined ? undefined : this.cacheOf(request.cache);
      checkPast(past, request.past);
      const done = await this.#generation.generate(request, past, call, onTokens, functions);
      if (done.cache === undefined) return done.result;
      return { ...done.result, ...this.#keepResult(request, done.cache, call) };
    });
  }

  /** The reader of a generate call's tokens has taken `count` more. */
  taken(call: number, count: number): void {
    this.#generation.taken(call, count);
  }

  /** To be called when a call was aborted: without it, a loop that waits would not notice. */
  wake(): void {
    this.#generation.wake();
  }

  async cache(request: CacheRequest): Promise<CacheState | undefined> {
    return this.#alone(request.cache, async () => this.#change(request));
  }

  #change(request: CacheRequest): CacheState | undefined {
    // Disposing of a cache that was lost with its worker is no error: it is gone, as asked.
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

  /** A copy of a weight's bytes, part by part. */
  async weight(name: string): Promise<WeightResult> {
    return { parts: await this.#backend.read(name) };
  }

  memory(): MemoryReport {
    return { ...this.#backend.memory(), pages: this.pool.pages, pagesInUse: this.pool.inUse };
  }

  /** The cache with that number. @throws InputError it is gone */
  cacheOf(id: number): BatchCache {
    const cache = this.#caches.get(id);
    if (cache === undefined) {
      throw new InputError(
        "past_key_values: this cache is gone: it was disposed of, or lost when an engine worker died",
      );
    }
    return cache;
  }

  /** Keeps a cache under a new number. */
  keep(cache: BatchCache): CacheState {
    const id = this.#nextCache++;
    this.#caches.set(id, cache);
    return this.#state(id, cache);
  }

  /** Runs one step of a forward call. If pages are short, the pools grow; then sequences of generate calls give theirs back. */
  async #forwardStep<T>(
    call: Call,
    pages: () => number,
    prepare: () => ForwardStep<T>,
  ): Promise<T> {
    const step = await this.#steps.run(async () => {
      call.throwIfAborted();
      await this.#room.make(pages());
      this.#generation.giveBack(pages());
      const { rows, run, drop } = prepare();
      const timed = async (): Promise<{ result: T }> => {
        const begin = performance.now();
        const result = await run();
        this.#generation.measured(rows, performance.now() - begin);
        return { result };
      };
      return { calls: [call], run: timed, drop };
    });
    return (step as { result: T }).result;
  }

  /** Calls on one cache run one after the other, in the order in which they came. */
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

  /** After a call, its cache replaces the old one, gets a new number, or is given back when nobody wants it. */
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

/** Refuses a call when another one has changed its cache since it was made. */
function checkPast(cache: BatchCache | undefined, past: number | undefined): void {
  if (cache === undefined || past === undefined || cache.frame === past) return;
  throw new InputError(
    `past_key_values: the cache had ${past} columns when this call was made, and has ${cache.frame} now: ` +
      "another call used it meanwhile; await each call before the next, or give each its own fork()",
  );
}
