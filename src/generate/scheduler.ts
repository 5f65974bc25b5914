// Chooses the rows of the next step (continuous batching after Orca, Yu et al. 2022, and chunked prefill after Sarathi, arXiv:2308.16369):
// first a row of every sequence that decodes, then chunks of prompts, first come first served. A sequence is admitted when there are pages
// for its known columns. When pages run out later, the youngest sequence gives its own back (it is preempted) and is computed again.
// Runs nothing itself: the engine's loop calls `next`, runs the step, then calls `advance`. Knows no token.

import { EngineError, InputError, MemoryError } from "../errors.ts";
import { PAGE_COLUMNS, type PagePool } from "./page-pool.ts";
import { pagesToTake, type SequencePages } from "./pages.ts";

/** A sequence to be run. The columns that are known but not in its pages still have to run; when there are none, it waits for a token. */
export type Job = {
  readonly id: number;
  /** A number that no other job has. Jobs with smaller ones came earlier: they go first, and are preempted last. */
  readonly order: number;
  /** Its columns so far. The scheduler reserves and commits columns; the owner of the job disposes of the pages. */
  readonly pages: SequencePages;
  /** Columns whose token is known, computed or not, drafts included. */
  readonly columns: number;
  /** How many of the last known columns are guesses. Their rows run in one step with the row before them; a token is chosen after each. */
  readonly drafts: number;
  /** It has no rows in steps: its reader has fallen behind, or its next token is still being chosen. */
  readonly paused: boolean;
  /** Whether a column has a key (1), or is a hole (0). */
  present(column: number): number;
  /** Gives its pages back, but for those of an earlier call that it came with: it is computed again from there. */
  restart(): void;
};

/** Rows of one sequence in a step: the columns at … at + count − 1. */
export type ScheduledRows = {
  readonly id: number;
  readonly pages: SequencePages;
  readonly at: number;
  readonly count: number;
  /** Where keys go, and which pages to copy before the step: see Reservation. */
  readonly slots: Int32Array;
  readonly copies: readonly (readonly [from: number, to: number])[];
  /** How many of its last rows need logits: a token is chosen after each. */
  readonly wanted: number;
};

export type RowBatch = {
  readonly rows: number;
  readonly sequences: readonly ScheduledRows[];
  /** How many of the sequences decode: only their last token, and guesses behind it, are to run. They come first in `sequences`. */
  readonly decoding: number;
};

/** What a step may take. */
export type StepLimits = {
  /** How many rows of prompts may run beside so many rows that decode. */
  readonly share: (decoding: number) => number;
  /** Rows in all. Default: as many as a step may ever have. */
  readonly rows?: number;
  /** Whether others will give back pages soon: then a job that lacks pages waits instead of failing. Default false. */
  readonly othersGivePages?: boolean;
};

/** A job, whether it is admitted, and the number of the last step that it had rows in. */
type Entry = { readonly job: Job; running: boolean; lastStep: number };

export class Scheduler {
  readonly #pool: PagePool;
  readonly #capacity: number;
  /** In the order of the jobs. */
  readonly #entries: Entry[] = [];
  #batch: { entry: Entry; rows: ScheduledRows; decodes: boolean }[] = [];
  #inFlight = false;
  /** The names of pages that this step computes: no other job computes the same page in it. */
  readonly #underWay = new Set<string>();
  #step = 0;

  /** @param capacity the most rows that a step may ever have */
  constructor(pool: PagePool, capacity: number) {
    this.#pool = pool;
    this.#capacity = capacity;
  }

  get waiting(): number {
    return this.#entries.filter(({ running }) => !running).length;
  }

  get running(): number {
    return this.#entries.length - this.waiting;
  }

  /** Jobs that would have a decode row in the next step. */
  get decoding(): number {
    return this.#entries.filter(({ job, running }) => running && isReady(job) && isDecoding(job))
      .length;
  }

  /** How many pages all jobs need for their known columns, beyond those that they hold or can take over from others. */
  get demand(): number {
    return this.#entries.reduce((sum, { job, running }) => {
      const all = this.#toTake(job);
      if (running) return sum + all;
      const { pages, columns } = job;
      const from = pages.reachable(firstWanted(job));
      return sum + Math.min(all, pagesToTake(from, columns, pages.window, this.#capacity));
    }, 0);
  }

  /**
   * Queues a sequence.
   * @param running it goes on with pages that it holds already (a fork of one that runs): it need not be let in, and may wait for a token
   * @throws InputError an id or an order that is known already, or nothing to run
   */
  add(job: Job, running: boolean = false): void {
    if (this.#entries.some((other) => other.job.id === job.id || other.job.order === job.order)) {
      throw new InputError(`sequence ${job.id} is scheduled already`);
    }
    if (!running && pending(job) === 0) {
      throw new InputError(`sequence ${job.id}: expected at least one row to run`);
    }
    const at = this.#entries.findIndex((other) => other.job.order > job.order);
    const entry = { job, running, lastStep: -1 };
    this.#entries.splice(at < 0 ? this.#entries.length : at, 0, entry);
  }

  /**
   * The rows of the next step, their columns reserved; undefined when nothing can run now.
   * @throws MemoryError nothing can run, since others hold the pages that the first job needs: it was removed; `cause` is its id
   */
  next(limits: StepLimits): RowBatch | undefined {
    if (this.#inFlight) {
      throw new EngineError("scheduler: the step before has been neither advanced nor dropped");
    }
    const most = Math.min(limits.rows ?? this.#capacity, this.#capacity);
    const starved = [...this.#decode(most), ...this.#prefill(most, limits.share)];
    if (this.#batch.length === 0) {
      this.#underWay.clear();
      const [first] = starved.toSorted((a, b) => a.job.order - b.job.order);
      if (first === undefined || limits.othersGivePages) return undefined;
      this.remove(first.job.id);
      const needed = this.#toTake(first.job);
      first.job.restart();
      const { pages, inUse, available } = this.#pool;
      throw new MemoryError(
        `sequence ${first.job.id} needs ${needed} more pages of the cache, but ${available} can be taken: ${pages} pages − ${inUse} ` +
          "held by past_key_values; dispose of those that are no longer needed, or lower max_length",
        { cause: first.job.id },
      );
    }
    this.#inFlight = true;
    this.#step++;
    for (const { entry } of this.#batch) entry.lastStep = this.#step;
    const sequences = this.#batch.map(({ rows }) => rows);
    return {
      rows: this.#rows,
      sequences,
      decoding: this.#batch.filter(({ decodes }) => decodes).length,
    };
  }

  /** To be called when the step has run: commits its columns. @param accepted how many of a sequence's rows count, from the first; default all */
  advance(accepted: (rows: ScheduledRows) => number = ({ count }) => count): void {
    for (const { entry, rows } of this.#batch) {
      if (this.#entries.includes(entry)) rows.pages.commit(accepted(rows));
    }
    this.#end();
  }

  /** To be called when the step did not run or failed: a later step runs its rows. */
  drop(): void {
    for (const { entry, rows } of this.#batch) {
      if (this.#entries.includes(entry)) rows.pages.drop();
    }
    this.#end();
  }

  /** Removes a job, at any time; its owner disposes of its pages. Unknown ids are ignored. */
  remove(id: number): void {
    const at = this.#entries.findIndex(({ job }) => job.id === id);
    if (at >= 0) this.#entries.splice(at, 1);
  }

  /** Preempts jobs, the youngest first, until `count` pages can be taken or no job is left. To be called between two steps. */
  giveBack(count: number): void {
    while (this.#pool.available < count) {
      const victim = this.#entries.findLast(({ running }) => running);
      if (victim === undefined) return;
      this.#preempt(victim);
    }
  }

  get #rows(): number {
    return this.#batch.reduce((sum, { rows }) => sum + rows.count, 0);
  }

  /** Adds a row of each job that decodes. @returns the jobs for which there are no pages */
  #decode(most: number): Entry[] {
    const ready = this.#entries.filter(({ job, running }) => running && isReady(job));
    const decoding = ready.filter(({ job }) => isDecoding(job));
    // When there are more than a step takes: those that have waited longest.
    const chosen = new Set(decoding.toSorted((a, b) => a.lastStep - b.lastStep).slice(0, most));
    const starved: Entry[] = [];
    let others = chosen.size;
    for (const entry of decoding) {
      if (!chosen.has(entry)) continue;
      others--;
      if (!entry.running) continue;
      // Guesses take what is left when each of the others has a row.
      const count = Math.min(pending(entry.job), most - this.#rows - others);
      if (this.#secure(entry, entry.job.pages.missingFor(count))) this.#reserve(entry, count, true);
      else starved.push(entry);
    }
    return starved;
  }

  /** Adds chunks of prompts: first of jobs that run, then of jobs that can be admitted. @returns the jobs for which there are no pages */
  #prefill(most: number, share: StepLimits["share"]): Entry[] {
    const starved: Entry[] = [];
    let room = Math.min(most - this.#rows, share(this.#batch.length));
    const chunk = (entry: Entry): void => {
      this.#adopt(entry.job);
      if (this.#isUnderWay(entry.job)) return;
      const count = this.#fitting(entry, Math.min(room, pending(entry.job)));
      if (count === 0) starved.push(entry);
      else room -= this.#reserve(entry, count, false);
    };
    const ready = this.#entries.filter(({ job }) => isReady(job));
    for (const entry of ready) {
      if (room > 0 && entry.running && !isDecoding(entry.job)) chunk(entry);
    }
    for (const entry of ready) {
      if (room <= 0 || this.running >= this.#capacity) break;
      if (entry.running) continue;
      // No later job overtakes one that waits for pages: else one that needs many would wait for ever.
      if (!this.#admit(entry)) {
        starved.push(entry);
        break;
      }
      chunk(entry);
    }
    return starved;
  }

  /** Admits a waiting job if there are pages for its known columns, beside those that the running jobs still need. */
  #admit(entry: Entry): boolean {
    const { job } = entry;
    const before = job.pages.length;
    this.#adopt(job);
    const room = (): boolean => {
      const running = this.#entries.filter((other) => other.running);
      const promised = running.reduce((sum, other) => sum + this.#toTake(other.job), 0);
      return this.#toTake(job) <= this.#pool.available - promised;
    };
    while (!room()) {
      // A job that waits for its reader or for a token can do so without pages.
      const idle = this.#entries.findLast((other) => other.running && !isReady(other.job));
      if (idle === undefined) {
        if (job.pages.length > before) job.restart();
        return false;
      }
      this.#preempt(idle);
    }
    entry.running = true;
    return true;
  }

  /** Takes over pages that others have computed. The row from which a token is chosen always runs, since its logits are needed. */
  #adopt(job: Job): void {
    job.pages.adopt(firstWanted(job));
  }

  /** Whether another job computes its next page in this step: then it waits, and takes the page over afterwards. */
  #isUnderWay({ pages }: Job): boolean {
    if (pages.length % PAGE_COLUMNS !== 0) return false;
    const key = pages.content.key(pages.length / PAGE_COLUMNS);
    return key !== undefined && this.#underWay.has(key);
  }

  /** How many more pages a job needs to run all its known columns. */
  #toTake(job: Job): number {
    const { pages, columns } = job;
    const most = pagesToTake(pages.length, columns, pages.window, this.#capacity);
    return Math.min(most, pages.missingFor(pending(job)));
  }

  /** For how many of `count` rows there are pages, after younger jobs have given back theirs. */
  #fitting(entry: Entry, count: number): number {
    const { pages } = entry.job;
    if (this.#secure(entry, pages.missingFor(count))) return count;
    while (count > 0 && pages.missingFor(count) > this.#pool.available) {
      count = Math.max(0, count - PAGE_COLUMNS);
    }
    return count;
  }

  /** Preempts others until so many pages can be taken: first those that cannot run now, then younger ones. @returns false when that is not enough */
  #secure(entry: Entry, pages: number): boolean {
    while (this.#pool.available < pages) {
      const others = this.#entries.filter((other) => other.running && other !== entry);
      const victim =
        others.findLast(({ job }) => !isReady(job)) ??
        others.findLast(({ job }) => job.order > entry.job.order);
      if (victim === undefined) return false;
      this.#preempt(victim);
    }
    return true;
  }

  #preempt(entry: Entry): void {
    this.#batch = this.#batch.filter((other) => other.entry !== entry);
    entry.running = false;
    entry.job.restart();
  }

  /** Reserves a job's next columns for this step. @returns how many */
  #reserve(entry: Entry, count: number, decodes: boolean): number {
    const { id, pages } = entry.job;
    const at = pages.length;
    const present = new Uint8Array(count);
    for (let i = 0; i < count; i++) present[i] = entry.job.present(at + i);
    const wanted = Math.max(0, at + count - Math.max(at, firstWanted(entry.job)));
    const rows = { id, pages, at, count, wanted, ...pages.reserve(count, present) };
    this.#batch.push({ entry, rows, decodes });
    for (let page = Math.ceil(at / PAGE_COLUMNS); (page + 1) * PAGE_COLUMNS <= at + count; page++) {
      const key = pages.content.key(page);
      if (key !== undefined) this.#underWay.add(key);
    }
    return count;
  }

  #end(): void {
    this.#batch = [];
    this.#underWay.clear();
    this.#inFlight = false;
  }
}

/** Known columns that are still to run. */
function pending({ columns, pages }: Job): number {
  return columns - pages.length;
}

/** The first column whose logits are needed: the last token's, which chooses the next one. Those of the drafts follow it. */
function firstWanted({ columns, drafts }: Job): number {
  return columns - drafts - 1;
}

/** Whether it could have rows in the next step. */
function isReady(job: Job): boolean {
  return !job.paused && pending(job) > 0;
}

/** Whether only its last token, and drafts after it, are to run. */
function isDecoding(job: Job): boolean {
  return pending(job) - job.drafts === 1;
}
