// A scheduler on a simulated cache: sequences whose tokens depend on all of their text, and a check that every row sees what it would
// see alone. Used by scheduler.test.ts.

import assert from "node:assert/strict";
import { PageContent } from "../../src/generate/page-content.ts";
import { PAGE_COLUMNS, PagePool } from "../../src/generate/page-pool.ts";
import { SequencePages, tableSize } from "../../src/generate/pages.ts";
import {
  type Job,
  type RowBatch,
  type ScheduledRows,
  Scheduler,
  type StepLimits,
} from "../../src/generate/scheduler.ts";

export const CAPACITY = 12;
export const all: StepLimits = { share: () => CAPACITY };

/** A model for tests: the token that follows a text depends on all of it. */
export const nextToken = (ids: readonly number[]): number =>
  ids.reduce((sum, id, i) => (sum * 31 + id * (i + 7)) % 1009, 1) % 3;

/** A sequence that makes `length` tokens, with guesses of which some are wrong. */
export class Story implements Job {
  readonly id: number;
  readonly order: number;
  readonly ids: number[];
  readonly holes: ReadonlySet<number>;
  readonly promptLength: number;
  readonly length: number;
  readonly guesses: number;
  paused = false;
  restarts = 0;
  lastStep = 0;
  #drafts: number[] = [];
  readonly #pool: PagePool;
  readonly #window: number | null;
  #pages: SequencePages | undefined;

  constructor(
    pool: PagePool,
    given: {
      id: number;
      prompt: number[];
      length: number;
      guesses?: number;
      window?: number | null;
      holes?: readonly number[];
    },
  ) {
    this.#pool = pool;
    this.#window = given.window ?? null;
    this.id = given.id;
    this.order = given.id;
    this.ids = [...given.prompt];
    this.holes = new Set(given.holes);
    this.promptLength = given.prompt.length;
    this.length = given.length;
    this.guesses = given.guesses ?? 0;
  }

  get pages(): SequencePages {
    if (this.#pages === undefined) {
      const pages = new SequencePages(this.#pool, this.#window, new PageContent(this.#pool.keys));
      this.#pages = pages;
      this.ids.forEach((_, column) => this.#note(column));
    }
    return this.#pages;
  }

  get columns(): number {
    return this.ids.length + this.#drafts.length;
  }

  get drafts(): number {
    return this.#drafts.length;
  }

  get done(): boolean {
    return this.ids.length - this.promptLength >= this.length;
  }

  present(column: number): number {
    return this.holes.has(column) ? 0 : 1;
  }

  restart(): void {
    this.restarts++;
    this.#drafts = [];
    this.dispose();
  }

  dispose(): void {
    this.#pages?.dispose();
    this.#pages = undefined;
  }

  /** The text up to a column, as keys and values depend on it. */
  upTo(column: number): string {
    return [...this.ids, ...this.#drafts]
      .slice(0, column + 1)
      .map((id, i) => (this.holes.has(i) ? "-" : id))
      .join("");
  }

  /** Takes tokens after the wanted rows, as long as guesses were right. @returns how many rows were right */
  take({ count, wanted }: ScheduledRows): number {
    const drafts = this.#drafts;
    this.#drafts = [];
    for (let k = 0; k < wanted; k++) {
      const token = nextToken(this.ids);
      this.ids.push(token);
      this.#note(this.ids.length - 1);
      if (token !== drafts[k] || this.done) return count - wanted + k + 1;
    }
    return count;
  }

  /** Guesses: right ones, and one wrong one at some place. */
  guess(wrongAt: number): void {
    const ids = [...this.ids];
    const most = Math.min(this.guesses, this.length - (ids.length - this.promptLength) - 1);
    this.#drafts = Array.from({ length: Math.max(0, most) }, (_, k) => {
      const token = k === wrongAt ? 2 - nextToken(ids) : nextToken(ids);
      ids.push(token);
      return token;
    });
  }

  #note(column: number): void {
    if (!this.holes.has(column)) this.pages.content.note(column, this.ids[column]);
  }
}

/** Runs steps on a simulated cache and checks what every row sees. */
export class World {
  readonly pool: PagePool;
  readonly scheduler: Scheduler;
  readonly stories: Map<number, Story> = new Map();
  readonly #memory: string[] = [];
  step = 0;
  rowsRun = 0;

  constructor(pages: number) {
    this.pool = new PagePool(pages);
    this.scheduler = new Scheduler(this.pool, CAPACITY);
  }

  add(story: Story): void {
    this.stories.set(story.id, story);
    this.scheduler.add(story);
  }

  remove(story: Story): void {
    this.scheduler.remove(story.id);
    this.stories.delete(story.id);
    story.dispose();
  }

  check(batch: RowBatch): void {
    this.step++;
    assert.equal(
      batch.rows,
      batch.sequences.reduce((sum, { count }) => sum + count, 0),
    );
    assert.ok(batch.rows >= 1 && batch.rows <= CAPACITY);
    assert.equal(new Set(batch.sequences.map(({ id }) => id)).size, batch.sequences.length);
    const taken = batch.sequences.flatMap(({ slots }) => [...slots]).filter((slot) => slot >= 0);
    assert.equal(new Set(taken).size, taken.length);
    this.rowsRun += batch.rows;
    for (const rows of batch.sequences) this.#run(rows);
  }

  advance(batch: RowBatch, wrongAt = 0): void {
    const accepted = new Map<number, number>();
    for (const rows of batch.sequences) {
      const story = this.stories.get(rows.id);
      if (story !== undefined && rows.wanted > 0) accepted.set(rows.id, story.take(rows));
    }
    this.scheduler.advance((rows) => accepted.get(rows.id) ?? rows.count);
    for (const id of accepted.keys()) {
      const story = this.stories.get(id) as Story;
      if (story.done) this.remove(story);
      else story.guess(wrongAt);
    }
  }

  #run({ id, pages, at, count, slots, copies, wanted }: ScheduledRows): void {
    const story = this.stories.get(id) as Story;
    story.lastStep = this.step;
    assert.ok(!story.paused);
    assert.equal(at, pages.length);
    const last = story.columns - story.drafts - 1;
    assert.equal(wanted, Math.max(0, at + count - Math.max(at, last)));
    for (const [from, to] of copies) {
      for (let i = 0; i < PAGE_COLUMNS; i++) {
        this.#memory[to * PAGE_COLUMNS + i] = this.#memory[from * PAGE_COLUMNS + i];
      }
    }
    slots.forEach((slot, i) => {
      assert.equal(slot < 0, story.holes.has(at + i));
      if (slot >= 0) this.#memory[slot] = story.upTo(at + i);
    });
    const P = tableSize(pages.pages);
    const table = new Int32Array(2 * P);
    pages.writeTable(table, 0, P);
    const first = pages.window === null ? 0 : Math.max(0, at - pages.window + 1);
    for (let column = first; column < at + count; column++) {
      const entry = 2 * (Math.floor(column / PAGE_COLUMNS) % P);
      const seen = (table[entry + 1] >> (column % PAGE_COLUMNS)) & 1;
      assert.equal(seen, story.present(column));
      const slot = table[entry] * PAGE_COLUMNS + (column % PAGE_COLUMNS);
      if (seen) assert.equal(this.#memory[slot], story.upTo(column), `column ${column} of ${id}`);
    }
  }
}
