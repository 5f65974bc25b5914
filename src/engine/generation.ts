// The generation loop: sequences of all generate() calls share steps; each one's tokens depend on it alone.
// The scheduler says which rows run, this file runs them, chooses tokens, and tells when a call is done.

import { Aborted } from "../backends/backend.ts";
import { EngineError, MemoryError } from "../errors.ts";
import { pageTables, pagesFor } from "../generate/pages.ts";
import { type RowBatch, Scheduler } from "../generate/scheduler.ts";
import type { BatchCache } from "./batch-cache.ts";
import { CHUNK, type ForwardEnvironment } from "./forward.ts";
import { GenerateCall } from "./generate-call.ts";
import type { GenerateRequest, GenerateResult } from "./messages.ts";
import type { Sequence } from "./sequence.ts";
import type { Call } from "./steps.ts";

type Running = {
  readonly group: GenerateCall;
  readonly call: Call;
  readonly resolve: (result: { result: GenerateResult; cache: BatchCache }) => void;
  readonly reject: (error: unknown) => void;
};

/** As a forward call's, but each step says for which call it runs. */
export type LoopEnvironment = Omit<ForwardEnvironment, "step"> & {
  step<T>(call: Call, run: () => Promise<T>): Promise<T>;
};

export class GenerationLoop {
  readonly #env: LoopEnvironment;
  readonly #scheduler: Scheduler;
  readonly #running = new Set<Running>();
  readonly #sequences = new Map<number, { running: Running; sequence: Sequence }>();
  #nextId = 1;
  #active = false;

  constructor(env: LoopEnvironment) {
    this.#env = env;
    this.#scheduler = new Scheduler(env.pool, CHUNK);
  }

  /**
   * Continues the sequences of one call.
   * @param cache empty or of earlier calls, one row per sequence; this call's own, given back with the result
   * @throws MemoryError, EngineError; what `call` throws when it was aborted. The cache has been disposed of
   */
  async generate(
    request: GenerateRequest,
    cache: BatchCache,
    call: Call,
    onTokens: (tokens: Int32Array) => void,
  ): Promise<{ result: GenerateResult; cache: BatchCache }> {
    try {
      const group = new GenerateCall(request, cache, this.#env.runner.config, onTokens);
      await this.#makeRoom(group);
      const { promise, resolve, reject } = Promise.withResolvers<{
        result: GenerateResult;
        cache: BatchCache;
      }>();
      const running: Running = { group, call, resolve, reject };
      this.#running.add(running);
      try {
        for (const sequence of group.sequences) {
          const id = this.#nextId++;
          this.#sequences.set(id, { running, sequence });
          this.#scheduler.add({ id, ...sequence.job, keep: true });
        }
      } catch (error) {
        this.#fail(running, error);
      }
      if (!this.#active) void this.#loop();
      return await promise;
    } catch (error) {
      cache.dispose();
      throw error;
    }
  }

  /** Pages for all sequences of the call at once; when they do not fit, a pool that has room for the longest: they wait for their turn. */
  async #makeRoom(group: GenerateCall): Promise<void> {
    const window = this.#env.runner.config.sliding_window;
    const needs = group.sequences.map(({ job: { pages, maxLength } }) => {
      const all = pagesFor(maxLength, window, CHUNK) + pages.sharedPages;
      return { pages, all, missing: Math.max(0, all - pages.pages) };
    });
    const sum = needs.reduce((total, { missing }) => total + missing, 0);
    try {
      // Promised at once, so that calls that come before the first step do not take them.
      await this.#env.reservePages(sum, () => {
        for (const { pages, all } of needs) pages.promise(all);
      });
    } catch (error) {
      if (!(error instanceof MemoryError)) throw error;
      const { pages, available } = this.#env.pool;
      await this.#env.reservePages(available + Math.max(...needs.map(({ all }) => all)) - pages);
    }
  }

  async #loop(): Promise<void> {
    this.#active = true;
    // Aborted calls leave between two steps; the loop itself is never aborted.
    const loop: Call = { id: 0, throwIfAborted: () => this.#takeOutAborted() };
    while (this.#sequences.size > 0) {
      let batch: RowBatch | undefined;
      try {
        await this.#env.step(loop, async () => {
          batch = this.#scheduler.next();
          if (batch !== undefined) await this.#step(batch);
        });
      } catch (error) {
        this.#failed(error, batch);
      }
    }
    this.#active = false;
  }

  async #step(batch: RowBatch): Promise<void> {
    try {
      const { runner } = this.#env;
      await runner.copyPages(batch.sequences.flatMap(({ copies }) => copies));
      const logits = await this.#logits(batch);
      this.#takeTokens(batch, logits);
    } catch (error) {
      if (error instanceof Aborted) this.#scheduler.drop();
      throw error;
    }
  }

  async #logits({ rows: T, sequences }: RowBatch): Promise<Float32Array> {
    const [ids, positions, ropeLengths, seq, at, slots] = Array.from(
      { length: 6 },
      () => new Int32Array(T),
    );
    const want: number[] = [];
    let t = 0;
    sequences.forEach((rows, s) => {
      const { sequence } = this.#of(rows.id);
      for (let i = 0; i < rows.count; i++, t++) {
        [ids[t], positions[t]] = sequence.row(rows.from + i);
        ropeLengths[t] = sequence.ropeLength(rows.from + i);
        seq[t] = s;
        at[t] = rows.at + i;
        slots[t] = rows.slots[i];
      }
      if (rows.wanted) want.push(t - 1);
    });
    const { logits } = await this.#env.runner.step(
      {
        ...{ ids, positions, ropeLengths, seq, at, slots },
        ...pageTables(sequences.map(({ pages }) => pages)),
        want: Int32Array.from(want),
      },
      { logits: true },
      this.#env.eager,
    );
    return logits ?? new Float32Array();
  }

  #takeTokens({ sequences }: RowBatch, logits: Float32Array): void {
    const V = this.#env.runner.config.vocab_size;
    const finished: number[] = [];
    const failed = new Map<Running, unknown>();
    let n = 0;
    for (const { id, wanted } of sequences) {
      if (!wanted) continue;
      const { running, sequence } = this.#of(id);
      const row = logits.subarray(n * V, (n + 1) * V);
      n++;
      try {
        if (running.group.choose(sequence, row)) finished.push(id);
      } catch (error) {
        failed.set(running, error);
      }
    }
    this.#scheduler.advance(finished);
    for (const id of finished) this.#sequences.delete(id);
    for (const [running, error] of failed) this.#fail(running, error);
    for (const running of this.#running) {
      if (!running.group.done) running.group.report();
      else this.#finish(running);
    }
  }

  #finish(running: Running): void {
    this.#running.delete(running);
    try {
      running.resolve(running.group.finish());
    } catch (error) {
      running.reject(error);
    }
  }

  /** A step failed for good: the calls that had rows in it fail, the others go on. */
  #failed(error: unknown, batch: RowBatch | undefined): void {
    this.#scheduler.drop();
    const ids = batch?.sequences.map(({ id }) => id) ?? [];
    if (error instanceof MemoryError && typeof error.cause === "number") ids.push(error.cause);
    const involved = new Set(ids.map((id) => this.#sequences.get(id)?.running));
    // Not to turn in a circle, should the error belong to nobody.
    const all = involved.size === 0 ? new Set(this.#running) : involved;
    for (const running of all) if (running !== undefined) this.#fail(running, error);
  }

  #takeOutAborted(): void {
    for (const running of this.#running) {
      try {
        running.call.throwIfAborted();
      } catch (reason) {
        this.#fail(running, reason);
      }
    }
  }

  #fail(running: Running, error: unknown): void {
    for (const [id, { running: owner }] of this.#sequences) {
      if (owner !== running) continue;
      this.#scheduler.abort(id);
      this.#sequences.delete(id);
    }
    this.#running.delete(running);
    running.reject(error);
  }

  #of(id: number): { running: Running; sequence: Sequence } {
    const known = this.#sequences.get(id);
    if (known === undefined)
      throw new EngineError(`the scheduler runs sequence ${id}, which nobody asked for`);
    return known;
  }
}
