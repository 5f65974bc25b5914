// Which rows run next (continuous batching after Orca, Yu et al. 2022, and the chunked prefill of Sarathi, arXiv:2308.16369):
// one row of every sequence that decodes, then chunks of prompts, first come first served. A sequence is admitted when all pages up to
// its longest length can be promised, so that it never runs out midway.
// Runs nothing: the engine's loop takes `next`, runs the step, then `advance`s. Knows neither ids nor tokens' meaning.

import { EngineError, InputError, MemoryError } from "../errors.ts";
import { type PagePool, pagesFor, type SequencePages } from "./pages.ts";

/** A sequence to be run. */
export type Job = {
  readonly id: number;
  /** Its columns so far; the scheduler reserves, commits and, at the end, disposes of them */
  readonly pages: SequencePages;
  /** Prompt rows still to run: per row 1 for a key, 0 for a hole. At least one */
  readonly prompt: ArrayLike<number>;
  /** Columns that it may ever have, prompt included */
  readonly maxLength: number;
  /** Its pages are not disposed of when it has finished: someone goes on with them */
  readonly keep?: boolean;
};

/** Rows of one sequence in a step. */
export type ScheduledRows = {
  readonly id: number;
  readonly pages: SequencePages;
  readonly kind: "prefill" | "decode";
  /** Its first row: the column, and the number of prompt rows before it */
  readonly at: number;
  readonly from: number;
  readonly count: number;
  /** Where keys go, and page copies to be made before the step */
  readonly slots: Int32Array;
  readonly copies: readonly (readonly [from: number, to: number])[];
  /** Its last row's result is wanted: the next token follows from it */
  readonly wanted: boolean;
};

export type RowBatch = {
  readonly rows: number;
  readonly sequences: readonly ScheduledRows[];
};

type Running = { readonly job: Job; promptDone: number };

export class Scheduler {
  readonly #pool: PagePool;
  readonly #capacity: number;
  readonly #waiting: Job[] = [];
  /** In the order of admission. */
  readonly #prefill: Running[] = [];
  /** The one that has waited longest first. */
  #decode: Running[] = [];
  #inFlight: RowBatch | undefined;
  readonly #aborted = new Set<number>();

  /** @param capacity the most rows that a step may ever have */
  constructor(pool: PagePool, capacity: number) {
    this.#pool = pool;
    this.#capacity = capacity;
  }

  get waiting(): number {
    return this.#waiting.length;
  }

  get running(): number {
    return this.#prefill.length + this.#decode.length;
  }

  /**
   * Queues a sequence.
   * @throws InputError nothing to run, or an id that is known already
   * @throws MemoryError more pages than there are: it could never be admitted. Nothing has changed
   */
  add(job: Job): void {
    const { id, pages, prompt, maxLength } = job;
    if (prompt.length === 0 || pages.length + prompt.length > maxLength) {
      throw new InputError(
        `sequence ${id}: ${pages.length} columns and a prompt of ${prompt.length}: expected a prompt of at least one token, ` +
          `and no more than ${maxLength} together`,
      );
    }
    if (this.#waiting.some((other) => other.id === id) || this.#find(id) !== undefined) {
      throw new InputError(`sequence ${id} is scheduled already`);
    }
    const needed = this.#needed(job);
    if (needed > this.#pool.pages) {
      throw new MemoryError(
        `sequence ${id}: ${maxLength} columns need ${needed} pages, but the cache has ${this.#pool.pages}; lower max_length`,
      );
    }
    this.#waiting.push(job);
  }

  /**
   * The rows of the next step, their columns reserved; undefined when there is nothing to run.
   * @throws MemoryError nothing runs, and pages that others hold leave no room for the first in the queue: it has been taken out;
   *   the error's `cause` is its id
   */
  next(capacity: number = this.#capacity): RowBatch | undefined {
    if (this.#inFlight !== undefined) {
      throw new EngineError("scheduler: the step before has been neither advanced nor dropped");
    }
    if (!(capacity >= 1 && capacity <= this.#capacity)) {
      throw new InputError(`scheduler: ${capacity} rows: expected 1 to ${this.#capacity}`);
    }
    const decoding = this.#decode.slice(0, capacity);
    this.#decode = [...this.#decode.slice(capacity), ...decoding];
    const sequences = decoding.map((running) => reserve(running, 1));
    let room = capacity - sequences.length;
    for (let i = 0; room > 0; i++) {
      if (i === this.#prefill.length && !this.#admit(capacity)) break;
      const running = this.#prefill[i];
      const count = Math.min(room, running.job.prompt.length - running.promptDone);
      sequences.push(reserve(running, count));
      room -= count;
    }
    if (sequences.length === 0) return undefined;
    this.#inFlight = { rows: capacity - room, sequences };
    return this.#inFlight;
  }

  /** The step has run: its columns count. Sequences in `finished` are taken out. */
  advance(finished: Iterable<number> = []): void {
    for (const { id, pages, kind, count, wanted } of this.#inFlight?.sequences ?? []) {
      pages.commit(count);
      if (kind === "decode") continue;
      const running = this.#prefill.find(({ job }) => job.id === id) as Running;
      running.promptDone += count;
      if (!wanted) continue;
      this.#prefill.splice(this.#prefill.indexOf(running), 1);
      this.#decode.push(running);
    }
    this.#inFlight = undefined;
    for (const id of finished) this.finish(id);
    this.#takeOutAborted();
  }

  /** The step did not run, or failed: its rows are run again by a later one. */
  drop(): void {
    for (const { pages } of this.#inFlight?.sequences ?? []) pages.drop();
    this.#inFlight = undefined;
    this.#takeOutAborted();
  }

  /** Takes a sequence out, and gives its pages back. Not while a step with it runs: see `abort`. */
  finish(id: number): void {
    const running = this.#find(id);
    if (running === undefined) throw new InputError(`sequence ${id} is not running`);
    for (const list of [this.#prefill, this.#decode]) {
      const at = list.indexOf(running);
      if (at >= 0) list.splice(at, 1);
    }
    if (running.job.keep) running.job.pages.promise(0);
    else running.job.pages.dispose();
  }

  /** Takes a sequence out wherever it is; when a step with it runs, at its end. Unknown ids are ignored: it may just have finished. */
  abort(id: number): void {
    const queued = this.#waiting.findIndex((job) => job.id === id);
    if (queued >= 0) {
      const [job] = this.#waiting.splice(queued, 1);
      if (!job.keep) job.pages.dispose();
    } else if (this.#inFlight?.sequences.some((rows) => rows.id === id)) this.#aborted.add(id);
    else if (this.#find(id) !== undefined) this.finish(id);
  }

  #find(id: number): Running | undefined {
    return [...this.#prefill, ...this.#decode].find(({ job }) => job.id === id);
  }

  #takeOutAborted(): void {
    for (const id of this.#aborted) if (this.#find(id) !== undefined) this.finish(id);
    this.#aborted.clear();
  }

  #needed({ pages, maxLength }: Job): number {
    return pagesFor(maxLength, pages.window, this.#capacity) + pages.sharedPages;
  }

  /** Lets the first in the queue in. Nobody overtakes it: else a long one would wait for ever. */
  #admit(capacity: number): boolean {
    // Every running sequence has a row in every step, so that none of them starves.
    if (this.#waiting.length === 0 || this.running >= capacity) return false;
    const [job] = this.#waiting;
    try {
      job.pages.promise(this.#needed(job));
    } catch (error) {
      if (!(error instanceof MemoryError)) throw error;
      // Those that run give pages back.
      if (this.running > 0) return false;
      this.#waiting.shift();
      throw new MemoryError(`sequence ${job.id}: ${error.message}`, { cause: job.id });
    }
    this.#waiting.shift();
    this.#prefill.push({ job, promptDone: 0 });
    return true;
  }
}

/** Reserves the next columns of a sequence: of its prompt, or one that decodes. */
function reserve({ job, promptDone }: Running, count: number): ScheduledRows {
  const { id, pages, prompt, maxLength } = job;
  const kind = promptDone < prompt.length ? "prefill" : "decode";
  const at = pages.length;
  if (at + count > maxLength) {
    throw new EngineError(
      `scheduler: sequence ${id} has ${at} columns of at most ${maxLength}, and was not finished`,
    );
  }
  const present =
    kind === "prefill"
      ? Array.from({ length: count }, (_, i) => prompt[promptDone + i])
      : undefined;
  const wanted = kind === "decode" || promptDone + count === prompt.length;
  return { id, pages, kind, at, from: promptDone, count, wanted, ...pages.reserve(count, present) };
}
