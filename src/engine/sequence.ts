// One sequence of a generate() call: its tokens, their positions, its pages of the cache, and which columns still have to run.
// A column is a place in the cache; column 0 is the first token behind the left padding. Knows no steps and no other sequence.

import { PageContent } from "../generate/page-content.ts";
import type { PagePool } from "../generate/page-pool.ts";
import { SequencePages } from "../generate/pages.ts";
import type { SequenceRows } from "../generate/rows.ts";
import type { Job } from "../generate/scheduler.ts";
import type { SequenceStop, StopReason } from "../generate/stopping.ts";

/** When a reader is more than this many tokens behind, the sequence has no rows in steps until the reader has caught up. */
export const MOST_UNREAD = 64;

export type SequenceOptions = {
  readonly id: number;
  /** See Job. */
  readonly order: number;
  /** Its row of the result. */
  readonly index: number;
  /** How many earlier rows of the call have the same prompt. Its random numbers depend on this, the seed and the step. */
  readonly occurrence: number;
  /** [S], left padding included */
  readonly prompt: Int32Array;
  /** The rows of the prompt that no cache holds. */
  readonly rows: SequenceRows;
  readonly pool: PagePool;
  readonly window: number | null;
  /** The first columns, computed by an earlier call. They do not change, and exist until this sequence's call is over. */
  readonly base?: SequencePages;
  /** Sequences of different domains never share pages. */
  readonly domain: string;
  /** A number for the length of a sequence; equal numbers mean equal rotary angles. See ropeKey of models/rope.ts. */
  readonly ropeKey: (length: number) => number;
  readonly stop: SequenceStop;
};

export class Sequence implements Job {
  readonly id: number;
  readonly order: number;
  readonly index: number;
  readonly occurrence: number;
  /** Left padding of its prompt. */
  readonly padding: number;
  /** Tokens of the prompt, left padding included. */
  readonly promptLength: number;
  /** Prompt tokens that it did not compute, since it found their pages in the cache. Undefined until its prompt has run, or it has lost its pages. */
  cachedTokens: number | undefined;
  /** New tokens that the reader has not taken yet. */
  unread = 0;
  /** A processor's promise for its next token is open: it has no rows in steps until then, even if it loses its pages meanwhile. */
  choosing = false;
  /** Why it has ended. */
  reason: StopReason | undefined;
  readonly #options: SequenceOptions;
  readonly #stop: SequenceStop;
  /** Columns of `base`. */
  readonly #past: number;
  #pages: SequencePages | undefined;
  /** Prompt, left padding included, and new tokens. */
  #ids: Int32Array;
  #length: number;
  #drafts: readonly number[] = [];

  constructor(options: SequenceOptions) {
    const { prompt, rows } = options;
    this.id = options.id;
    this.order = options.order;
    this.index = options.index;
    this.occurrence = options.occurrence;
    this.padding = rows.padding;
    this.promptLength = prompt.length;
    this.#options = options;
    this.#stop = options.stop;
    this.#past = options.base?.length ?? 0;
    this.#ids = new Int32Array(Math.max(64, prompt.length * 2));
    this.#ids.set(prompt);
    this.#length = prompt.length;
  }

  get pages(): SequencePages {
    return (this.#pages ??= this.#firstPages());
  }

  /** The last token of a sequence that has ended is not run. */
  get columns(): number {
    const tokens = this.#options.rows.positions.length + this.step + this.#drafts.length;
    return this.#past + tokens - (this.reason === undefined ? 0 : 1);
  }

  get drafts(): number {
    return this.#drafts.length;
  }

  get paused(): boolean {
    return this.choosing || this.unread > MOST_UNREAD;
  }

  /** Prompt, left padding included, and new tokens: a view, valid until the next token. */
  get ids(): Int32Array {
    return this.#ids.subarray(0, this.#length);
  }

  get length(): number {
    return this.#length;
  }

  /** How many tokens of its prompt have their keys and values. */
  get promptColumns(): number {
    const all = this.promptLength - this.padding;
    return this.step > 0 ? all : Math.min(all, this.#pages?.length ?? 0);
  }

  /** New tokens so far. */
  get step(): number {
    return this.#length - this.promptLength;
  }

  present(column: number): number {
    return this.#options.rows.present[column - this.#past] ?? 1;
  }

  /** The row that computes a column: its token, its position, and the length of sequence that its rotary angles are made for. */
  row(column: number): { id: number; position: number; ropeLength: number } {
    const { ids, positions } = this.#options.rows;
    const i = column - this.#past;
    const promptEnd = (positions.at(-1) ?? -1) + 1;
    if (i < positions.length) {
      return { id: ids?.[i] ?? 0, position: positions[i], ropeLength: promptEnd };
    }
    const n = i - positions.length;
    const id = n < this.step ? this.#ids[this.promptLength + n] : this.#drafts[n - this.step];
    return { id, position: promptEnd + n, ropeLength: promptEnd + n + 1 };
  }

  /** The guesses that run in one step with its last token. */
  get proposed(): readonly number[] {
    return this.#drafts;
  }

  /** Sets guesses of the tokens that follow: their rows run in one step with the row of its last token. */
  propose(drafts: readonly number[]): void {
    this.#drafts = drafts;
  }

  /** Appends its next token, clears its guesses, and notes whether it has ended. */
  push(token: number): void {
    if (this.#length === this.#ids.length) {
      const larger = new Int32Array(this.#length * 2);
      larger.set(this.#ids);
      this.#ids = larger;
    }
    this.#drafts = [];
    this.choosing = false;
    this.#ids[this.#length++] = token;
    // Without pages there is nothing to note: when they are made, they learn about all columns.
    if (this.#pages !== undefined) this.#note(this.#pages, this.columns - 1);
    this.reason = this.#stop.check(this.ids);
  }

  /** Its prompt has run for the first time. */
  promptDone(): void {
    this.cachedTokens ??= this.pages.adopted;
  }

  /** Gives its pages back: it is computed again later. The columns that it has computed do not count as cached when it finds them then. */
  restart(): void {
    const { adopted, length } = this.pages;
    if (length > this.#past + adopted) this.cachedTokens ??= adopted;
    this.#drafts = [];
    this.dispose();
  }

  /** Gives its pages back. They are made anew when it runs again. */
  dispose(): void {
    this.#pages?.dispose();
    this.#pages = undefined;
  }

  /** Takes over the pages of a sequence with the same prompt, which has run it. */
  forkFrom(leader: Sequence): void {
    this.dispose();
    this.#pages = leader.pages.fork();
    this.cachedTokens = leader.cachedTokens;
    this.#noteAll(this.#pages);
  }

  /** Adds columns without keys until there are `length`: in the cache of a batch, rows that ended early are as long as the others. */
  fillWithHoles(length: number): void {
    const { pages } = this;
    const count = length - pages.length;
    pages.content.cut(pages.length);
    if (count <= 0) return;
    pages.reserve(count, new Uint8Array(count));
    pages.commit(count);
  }

  #firstPages(): SequencePages {
    const { base, pool, window, domain } = this.#options;
    const pages =
      base?.fork() ?? new SequencePages(pool, window, new PageContent(pool.keys, domain));
    // It goes on from a cache of another domain: with unknown content, the pages that it adds are found in neither domain.
    if (pages.content.domain !== domain) pages.content.cut(0);
    this.#noteAll(pages);
    return pages;
  }

  #noteAll(pages: SequencePages): void {
    const known = Math.max(pages.content.length, this.#past);
    for (let column = known; column < this.columns; column++) this.#note(pages, column);
  }

  /** Tells the pages what a column holds, so that others can find them. Not behind a hole: positions and columns differ there. */
  #note({ content }: SequencePages, column: number): void {
    const { id, position, ropeLength } = this.row(column);
    if (this.present(column) === 0 || position !== column) return;
    content.note(column, id, this.#options.ropeKey(ropeLength));
  }
}
