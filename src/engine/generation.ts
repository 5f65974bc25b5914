// The generation loop: sequences of all generate() calls share steps, but no call's tokens depend on the others. The scheduler says which
// rows run next; this file runs them, gives their logits to the calls, and ends the calls that are done.

import { EngineError, MemoryError } from "../errors.ts";
import type { PagePool } from "../generate/page-pool.ts";
import { pagesToTake, pageTables } from "../generate/pages.ts";
import { CHUNK, type Runner, type StepRows } from "../generate/runner.ts";
import { type RowBatch, Scheduler } from "../generate/scheduler.ts";
import type { BatchCache } from "./batch-cache.ts";
import { type CallFunctions, GenerateCall } from "./generate-call.ts";
import type { GenerateRequest, GenerateResult, TokensReport } from "./messages.ts";
import type { PageRoom } from "./page-room.ts";
import { PrefillShare } from "./prefill-share.ts";
import type { Sequence } from "./sequence.ts";
import { choiceWants, StepChoice, type WantedRow } from "./step-choice.ts";
import { type Call, type Step, type Steps } from "./steps.ts";

export type LoopEnvironment = {
  readonly runner: Runner;
  readonly pool: PagePool;
  readonly eager: boolean;
  readonly steps: Steps;
  readonly room: PageRoom;
  /** Whether forward calls run: they will give back pages, so that a sequence which lacks some can wait. */
  readonly forwardRuns: () => boolean;
};

type Done = { readonly result: GenerateResult; readonly cache: BatchCache | undefined };

type Running = {
  readonly call: GenerateCall;
  /** Tells who the caller is, and whether it has aborted. */
  readonly handle: Call;
  readonly resolve: (done: Done) => void;
  readonly reject: (error: unknown) => void;
};

type Wanted = WantedRow & { readonly running: Running };

export class GenerationLoop {
  readonly #env: LoopEnvironment;
  readonly #scheduler: Scheduler;
  readonly #share: PrefillShare = new PrefillShare(CHUNK);
  readonly #running = new Set<Running>();
  readonly #sequences = new Map<number, { running: Running; sequence: Sequence }>();
  /** Sequences whose next token was chosen, and which #goOn has not treated yet. */
  readonly #chosen = new Map<Sequence, Running>();
  #nextId = 1;
  #active = false;
  #batch: RowBatch | undefined;
  /** Rows of a step at most: half as many whenever memory had no room for one, until all calls are over. */
  #mostRows = CHUNK;
  /** Resolves when something has happened after which a sequence may be able to run. */
  #woken = Promise.withResolvers<void>();

  constructor(env: LoopEnvironment) {
    this.#env = env;
    this.#scheduler = new Scheduler(env.pool, CHUNK);
  }

  /**
   * Continues the sequences of one call.
   * @param past the cache of an earlier call, with a row for each prompt. It does not change, and must exist until this call is over
   * @returns the result, and the cache after it when the request keeps one
   * @throws MemoryError, EngineError; what `handle` throws when the call was aborted. All pages have been given back
   */
  async generate(
    request: GenerateRequest,
    past: BatchCache | undefined,
    handle: Call,
    onTokens: (report: TokensReport) => void,
    functions?: CallFunctions,
  ): Promise<Done> {
    const { runner, pool, room } = this.#env;
    const { config } = runner;
    const firstId = this.#nextId;
    const call = new GenerateCall({
      ...{ request, config, pool, past, firstId, onTokens, functions },
    });
    this.#nextId += call.sequences.length;
    for (const { padding } of call.sequences) {
      const columns = request.options.max_length - padding;
      const from = Math.max(0, (past?.frame ?? 0) - padding);
      room.checkFits(pagesToTake(from, columns, config.sliding_window, CHUNK), columns);
    }
    const { promise, resolve, reject } = Promise.withResolvers<Done>();
    const running: Running = { call, handle, resolve, reject };
    this.#running.add(running);
    for (const sequence of call.sequences) {
      this.#sequences.set(sequence.id, { running, sequence });
      if (call.isLeader(sequence)) this.#scheduler.add(sequence);
    }
    this.wake();
    if (!this.#active) void this.#loop();
    return promise;
  }

  /** The reader of a call's tokens has taken `count` more. */
  taken(call: number, count: number): void {
    for (const running of this.#running) if (running.handle.id === call) running.call.taken(count);
    this.wake();
  }

  /** To be called when a call was aborted, or pages came back: the loop looks again whether something can run. */
  wake(): void {
    this.#woken.resolve();
  }

  /** See Scheduler.giveBack. */
  giveBack(pages: number): void {
    this.#scheduler.giveBack(pages);
  }

  /** How many rows a step of a forward call may have now, so that sequences which decode get their tokens in time. */
  get promptRows(): number {
    return this.#share.rowsApart(this.#scheduler.decoding);
  }

  /** Notes how long a step of a forward call took. */
  measured(rows: number, milliseconds: number): void {
    if (rows > 0) this.#share.measured(rows, 0, milliseconds);
  }

  async #loop(): Promise<void> {
    this.#active = true;
    while (this.#running.size > 0) {
      this.#woken = Promise.withResolvers<void>();
      const woken = this.#woken.promise;
      try {
        if ((await this.#env.steps.run(() => this.#prepare())) === undefined) {
          for (const running of this.#running) this.#report(running, true);
          if (this.#running.size > 0) await woken; // for a reader, a choice, or pages
        }
      } catch (error) {
        this.#failed(error);
      }
    }
    this.#mostRows = CHUNK;
    this.#active = false;
  }

  async #prepare(): Promise<Step<true> | undefined> {
    this.#batch = undefined;
    this.#takeOutAborted();
    this.#goOn();
    await this.#finishDone();
    await this.#env.room.make(this.#scheduler.demand);
    const batch = this.#scheduler.next({
      share: (decoding) => this.#share.rows(decoding),
      rows: this.#mostRows,
      othersGivePages: this.#env.forwardRuns(),
    });
    if (batch === undefined) return undefined;
    this.#batch = batch;
    return {
      calls: batch.sequences.map(({ id }) => this.#of(id).running.handle),
      run: () => this.#step(batch),
      drop: () => this.#scheduler.drop(),
    };
  }

  async #step(batch: RowBatch): Promise<true> {
    const begin = performance.now();
    const { runner, eager } = this.#env;
    await runner.copyPages(batch.sequences.flatMap(({ copies }) => copies));
    const { rows, wanted } = this.#rowsOf(batch);
    const { wants, sampling } = choiceWants(wanted);
    const result = await runner.step({ ...rows, sampling }, wants, eager);
    const choice = await StepChoice.of(wanted, result, runner, ({ running }, error) =>
      this.#fail(running, error),
    );
    this.#takeTokens(batch, wanted, choice);
    await this.#finishDone();
    for (const running of this.#running) this.#report(running);
    const prompts = batch.sequences
      .slice(batch.decoding)
      .reduce((sum, { count }) => sum + count, 0);
    this.#share.measured(prompts, batch.decoding, performance.now() - begin);
    return true;
  }

  /** What runs, and the rows after which tokens are chosen: a prompt's last row once for each sequence that goes on from it. */
  #rowsOf({ rows: T, sequences }: RowBatch): { rows: StepRows; wanted: Wanted[] } {
    const [ids, positions, ropeLengths, seq, at, slots] = Array.from(
      { length: 6 },
      () => new Int32Array(T),
    );
    const want: number[] = [];
    const wanted: Wanted[] = [];
    let t = 0;
    sequences.forEach((rows, s) => {
      const { running, sequence } = this.#of(rows.id);
      const call = running.call;
      for (let i = 0; i < rows.count; i++, t++) {
        const row = sequence.row(rows.at + i);
        ids[t] = row.id;
        positions[t] = row.position;
        ropeLengths[t] = row.ropeLength;
        seq[t] = s;
        at[t] = rows.at + i;
        slots[t] = rows.slots[i];
        const later = i - (rows.count - rows.wanted);
        if (later < 0 || sequence.reason !== undefined) continue;
        for (const one of begins(call, sequence) ? call.siblingsOf(sequence) : [sequence]) {
          want.push(t);
          wanted.push({ running, call, sequence: one, later });
        }
      }
    });
    const rows = {
      ...{ ids, positions, ropeLengths, seq, at, slots },
      ...pageTables(sequences.map(({ pages }) => pages)),
      want: Int32Array.from(want),
    };
    return { rows, wanted };
  }

  /** Has calls take the tokens that follow the wanted rows, commits the rows that count, and lets the sequences go on. */
  #takeTokens({ sequences }: RowBatch, wanted: readonly Wanted[], choice: StepChoice): void {
    const accepted = new Map<number, number>();
    const begun: { running: Running; sequence: Sequence }[] = [];
    for (const { id, wanted: rows } of sequences) {
      const known = this.#sequences.get(id);
      // It had ended and lost its pages: it ran again to complete its cache only, and no token follows.
      if (rows > 0 && known?.sequence.reason !== undefined)
        this.#chosen.set(known.sequence, known.running);
    }
    for (let n = 0; n < wanted.length;) {
      const { running, call, sequence } = wanted[n];
      if (begins(call, sequence)) {
        const group = call.siblingsOf(sequence);
        sequence.promptDone();
        for (const one of group) this.#choose(running, one, choice, n++);
        begun.push({ running, sequence });
      } else {
        let rows = 1;
        while (wanted[n + rows]?.sequence === sequence) rows++;
        accepted.set(sequence.id, this.#verify(running, sequence, choice, [n, rows]));
        n += rows;
      }
    }
    this.#scheduler.advance(({ id, count, wanted: rows }) =>
      accepted.has(id) ? count - rows + (accepted.get(id) as number) : count,
    );
    for (const { running, sequence: leader } of begun) {
      const [, ...others] = this.#running.has(running) ? running.call.siblingsOf(leader) : [];
      for (const one of others) {
        one.forkFrom(leader);
        this.#scheduler.add(one, true);
      }
    }
    this.#goOn();
  }

  /**
   * Takes a token after each row of guesses, until one differs from the guess that the next row was computed for.
   * @returns how many rows count
   */
  #verify(
    running: Running,
    sequence: Sequence,
    choice: StepChoice,
    [first, rows]: readonly [first: number, rows: number],
  ): number {
    const drafts = sequence.proposed;
    for (let k = 0; k < rows; k++) {
      const before = sequence.step;
      this.#choose(running, sequence, choice, first + k);
      const isRight = sequence.step > before && sequence.ids.at(-1) === drafts[k];
      if (!isRight || sequence.reason !== undefined) return k + 1;
    }
    return rows;
  }

  /** Has a call take a token. When choosing takes time, other sequences run on, and this one goes on before a later step. */
  #choose(running: Running, sequence: Sequence, choice: StepChoice, n: number): void {
    if (!this.#running.has(running)) return; // it has failed with another row of this step
    const chosen = (): void => {
      this.#chosen.set(sequence, running);
    };
    try {
      const wait = choice.take(n);
      if (wait === undefined) return chosen();
      sequence.choosing = true;
      void wait
        .then(chosen, (error: unknown) => this.#fail(running, error))
        .then(() => this.wake());
    } catch (error) {
      this.#fail(running, error);
    }
  }

  /** Lets the sequences go on whose next tokens were chosen. */
  #goOn(): void {
    const chosen = [...this.#chosen];
    this.#chosen.clear();
    for (const [sequence, running] of chosen) {
      if (!this.#running.has(running)) continue;
      if (sequence.reason === undefined) this.#draft(running, sequence);
      else if (running.call.ended(sequence)) {
        this.#scheduler.remove(sequence.id);
        this.#sequences.delete(sequence.id);
      }
    }
  }

  #draft(running: Running, sequence: Sequence): void {
    try {
      running.call.draft(sequence);
    } catch (error) {
      this.#fail(running, error);
    }
  }

  /** Tells a call's reader what has come; a reader that throws ends its call. */
  #report(running: Running, now?: boolean): void {
    try {
      running.call.report(now);
    } catch (error) {
      this.#fail(running, error);
    }
  }

  async #finishDone(): Promise<void> {
    for (const running of this.#running) {
      if (running.call.sequences.some(({ id }) => this.#sequences.has(id))) continue;
      try {
        await this.#env.room.make(running.call.pagesToFinish);
        if (!this.#running.delete(running)) continue;
        this.#scheduler.giveBack(running.call.pagesToFinish);
        running.resolve(running.call.finish());
      } catch (error) {
        this.#running.delete(running);
        running.call.dispose();
        running.reject(error);
      }
    }
  }

  /**
   * After a step that failed: the calls that had rows in it fail, the others go on. If memory had no room for the step, no call fails, but
   * steps have half as many rows at most until all calls are over.
   */
  #failed(error: unknown): void {
    const rows = this.#batch?.rows ?? 0;
    if (error instanceof MemoryError && rows > 1) {
      this.#mostRows = Math.floor(rows / 2);
      return;
    }
    const ids = this.#batch?.sequences.map(({ id }) => id) ?? [];
    if (error instanceof MemoryError && typeof error.cause === "number") ids.push(error.cause);
    const involved = new Set(ids.map((id) => this.#sequences.get(id)?.running));
    // An error that belongs to no sequence ends all calls: else it would come again with every step.
    const all = involved.size === 0 ? new Set(this.#running) : involved;
    for (const running of all) if (running !== undefined) this.#fail(running, error);
  }

  #takeOutAborted(): void {
    for (const running of this.#running) {
      try {
        running.handle.throwIfAborted();
      } catch (reason) {
        running.call.abort();
        this.#fail(running, reason);
      }
    }
  }

  #fail(running: Running, error: unknown): void {
    if (!this.#running.delete(running)) return;
    for (const { id } of running.call.sequences) {
      this.#scheduler.remove(id);
      this.#sequences.delete(id);
    }
    running.call.dispose();
    running.reject(error);
  }

  #of(id: number): { running: Running; sequence: Sequence } {
    const known = this.#sequences.get(id);
    if (known === undefined)
      throw new EngineError(`the scheduler runs sequence ${id}, which nobody asked for`);
    return known;
  }
}

/** Whether the token after a sequence's prompt is the next one, from which other sequences may go on, too. */
function begins(call: GenerateCall, sequence: Sequence): boolean {
  return sequence.step === 0 && call.isLeader(sequence);
}
