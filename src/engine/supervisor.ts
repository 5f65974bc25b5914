// The caller's side of the engine: starts its workers, passes calls to them, stops steps, and replaces a worker that has died. Nothing is
// computed on this thread. Where memory can be shared, this thread holds the weights too, and the next worker goes on with them;
// elsewhere it loads them again.

import { InputError, EngineError } from "../errors.ts";
import { startWorker, type WorkerHandle } from "#platform";
import type { Handover } from "../backends/backend.ts";
import { findingsOf, keepFindings } from "./backends.ts";
import { callerControl } from "./control.ts";
import { errorFrom } from "./errors.ts";
import type { LoadProgress } from "./load.ts";
import type {
  BackendChoice,
  CacheState,
  CallName,
  Calls,
  EngineStart,
  FromEngine,
  LoadReport,
  ModelSource,
  ToEngine,
  TokensReport,
} from "./messages.ts";
import { HelperTeam } from "./team.ts";

export type StartOptions = {
  readonly signal?: AbortSignal;
  readonly onProgress?: (progress: LoadProgress) => void;
  /** How workers are started. Default: the platform's way; tests wrap it. */
  readonly start?: typeof startWorker;
};

export type CallOptions = {
  /**
   * Ends the call: the promise rejects at once, with the signal's reason. A step in progress stops within one op if it has this
   * call's rows alone and memory can be shared; otherwise it runs to its end.
   */
  readonly signal?: AbortSignal;
  /** Gets the tokens of a generate call as they come. Its reader calls `taken` with the number of tokens that it has used. */
  readonly onTokens?: (report: TokensReport, taken: (count: number) => void) => void;
  readonly transfer?: readonly ArrayBuffer[];
};

type Pending = {
  readonly resolve: (result: never) => void;
  readonly reject: (error: unknown) => void;
  readonly onTokens?: CallOptions["onTokens"];
};

/** One loaded model: an engine worker, its helper threads and their memories. */
export class Engine {
  readonly #model: ModelSource;
  readonly #backend: BackendChoice;
  readonly #startWorker: typeof startWorker;
  readonly #pending = new Map<number, Pending>();
  readonly #team: HelperTeam;
  /** A new one for each worker, since messages are counted from its start. */
  #control = callerControl();
  #worker: WorkerHandle | undefined;
  /** Workers so far: numbers of caches depend on it, so that a cache of a dead worker is not taken for one of its successor. */
  #workers = 0;
  #starting: Promise<LoadReport> | undefined;
  /** What the backend has handed over: once all weights are loaded, a new worker goes on with it. */
  #handover: Handover | undefined;
  #loaded = false;
  #nextId = 1;
  #disposed = false;

  private constructor(model: ModelSource, backend: BackendChoice, start: typeof startWorker) {
    this.#model = model;
    this.#backend = backend;
    this.#startWorker = start;
    this.#team = new HelperTeam(start);
  }

  /**
   * Starts an engine and loads the model.
   * @returns the engine, and what loading found
   * @throws CheckpointError, MemoryError, EngineError; the reason of `signal`. Nothing is left behind
   */
  static async start(
    model: ModelSource,
    backend: BackendChoice,
    { signal, onProgress, start = startWorker }: StartOptions = {},
  ): Promise<{ engine: Engine; report: LoadReport }> {
    signal?.throwIfAborted();
    const engine = new Engine(model, backend, start);
    const aborted = Promise.withResolvers<never>();
    const abort = (): void => aborted.reject(signal?.reason);
    signal?.addEventListener("abort", abort, { once: true });
    try {
      const report = await Promise.race([engine.#start(onProgress), aborted.promise]);
      return { engine, report };
    } catch (error) {
      await engine.dispose();
      throw error;
    } finally {
      signal?.removeEventListener("abort", abort);
    }
  }

  /** Whether it has not been disposed of. */
  get alive(): boolean {
    return !this.#disposed;
  }

  /** Makes one call. @throws the typed errors of the call; EngineError when a worker died: the next call works */
  async call<N extends CallName>(
    type: N,
    request: Calls[N]["request"],
    { signal, onTokens, transfer }: CallOptions = {},
  ): Promise<Calls[N]["result"]> {
    signal?.throwIfAborted();
    if (this.#disposed) throw disposed();
    await (this.#starting ??= this.#start());
    signal?.throwIfAborted();
    if (this.#disposed) throw disposed();
    const id = this.#nextId++;
    const { promise, resolve, reject } = Promise.withResolvers<Calls[N]["result"]>();
    this.#pending.set(id, { resolve: resolve as (result: never) => void, reject, onTokens });
    const abort = (): void => {
      this.#pending.delete(id);
      // The message goes first: when the step stops, the worker reads it before it prepares the next step.
      this.#post({ type: "abort", id });
      if (this.#control.stopStepOf(id)) this.#team.askToStop();
      reject(signal?.reason);
    };
    signal?.addEventListener("abort", abort, { once: true });
    this.#worker?.keepAlive(true);
    this.#post({ type, id, request, abortable: signal !== undefined } as ToEngine, transfer);
    try {
      return await promise;
    } finally {
      signal?.removeEventListener("abort", abort);
      this.#pending.delete(id);
      if (this.#pending.size === 0) this.#worker?.keepAlive(false);
    }
  }

  /** Gives the memory of a cache back, without waiting; one that is gone already is no error. */
  forget(cache: number): void {
    this.#post({ type: "cache", id: this.#nextId++, request: { op: "dispose", cache } });
  }

  /** Ends all workers and gives the memory back. Calls in progress reject. Twice is harmless. */
  async dispose(): Promise<void> {
    this.#disposed = true;
    this.#failAll(new EngineError("the model was disposed of while the call ran"));
    await Promise.all([this.#worker?.terminate(), this.#team.dispose()]);
    this.#worker = undefined;
    this.#handover = undefined;
  }

  #start(onProgress?: (progress: LoadProgress) => void): Promise<LoadReport> {
    const { promise, resolve, reject } = Promise.withResolvers<LoadReport>();
    this.#starting = promise;
    this.#control = callerControl();
    const start: EngineStart = {
      control: this.#control.words,
      restarts: this.#workers++,
      model: this.#model,
      backend: {
        ...this.#backend,
        adopted: this.#loaded ? this.#handover?.state : undefined,
        findings: findingsOf(this.#backend.name),
      },
    };
    const worker = this.#startWorker("worker", start);
    this.#worker = worker;
    const giveUp = (error: unknown): void => {
      reject(error);
      void worker.terminate();
    };
    worker.onMessage((message) => {
      const m = message as FromEngine;
      if (m.type === "progress") {
        try {
          onProgress?.(m);
        } catch (error) {
          giveUp(error);
        }
      } else if (m.type === "handover") {
        this.#handover = m.handover;
        keepFindings(m.handover);
        this.#team.update(m.handover);
      } else if (m.type === "ready") {
        this.#loaded = true;
        if (this.#pending.size === 0) worker.keepAlive(false);
        resolve(m);
      } else if (m.type === "broken") {
        giveUp(errorFrom(m.error));
      } else this.#receive(m);
    });
    worker.onEnd((why) => {
      const error = this.#disposed
        ? new EngineError("the model was disposed of while the call ran")
        : new EngineError(`the engine's worker died (${why}); the next call starts a new one`);
      reject(error);
      if (this.#worker !== worker) return;
      this.#worker = undefined;
      this.#starting = undefined;
      this.#failAll(error);
    });
    return promise;
  }

  #receive(m: Exclude<FromEngine, { type: "progress" | "handover" | "ready" | "broken" }>): void {
    const call = this.#pending.get(m.id);
    if (call === undefined) {
      // The caller aborted it when the engine was done already: nobody will ever use the cache that it left.
      if (m.type === "done" && isCache(m.result)) this.forget(m.result.cache.id);
      return;
    }
    if (m.type === "tokens") {
      call.onTokens?.(m.report, (count) => this.#post({ type: "taken", id: m.id, count }));
    }
    if (m.type === "done") call.resolve(m.result as never);
    else if (m.type === "failed") call.reject(errorFrom(m.error));
  }

  #failAll(error: Error): void {
    for (const { reject } of this.#pending.values()) reject(error);
    this.#pending.clear();
  }

  #post(message: ToEngine, transfer?: readonly ArrayBuffer[]): void {
    this.#worker?.post(message, transfer);
    this.#control.countPosted();
  }
}

function disposed(): InputError {
  return new InputError("the model has been disposed of; load it again with from_pretrained");
}

function isCache(result: unknown): result is { cache: CacheState } {
  return (result as { cache?: CacheState } | undefined)?.cache !== undefined;
}
