// The pages of one sequence: 16 columns each, shared by reference counts, given back when they have left the window. Pages are numbers:
// their keys and values lie in a backend's pools [pages, 16, Hkv·D], where a step finds them through tables and slots. A step's columns
// are reserved, then committed: until then a reservation can be dropped or run again, and nothing has changed.
// Paging after vLLM (Kwon et al. 2023, arXiv:2309.06180). Knows no backend, no model and no scheduler.

import { InputError } from "../errors.ts";
import { PageContent } from "./page-content.ts";
import { PAGE_COLUMNS, type PagePool } from "./page-pool.ts";

/**
 * The most pages that a sequence which has `from` columns must take to reach `to` columns: those that it holds at one time and shares with
 * nobody. A partly filled page counts, since it is copied when another sequence holds it too.
 * @param chunk the most rows that the sequence has in one step
 */
export function pagesToTake(
  from: number,
  to: number,
  window: number | null,
  chunk: number,
): number {
  const all = Math.ceil(to / PAGE_COLUMNS) - Math.floor(from / PAGE_COLUMNS);
  if (window === null) return all;
  // The W − 1 columns before the last full page; behind that page up to 15 columns, and the chunk.
  const before = Math.ceil((window - 1) / PAGE_COLUMNS);
  return Math.min(all, before + Math.ceil((PAGE_COLUMNS - 1 + chunk) / PAGE_COLUMNS));
}

/** Entries P of a page table, a power of two: so many that `pages` pages in a row, each at its number modulo P, do not clash. */
export function tableSize(pages: number): number {
  return 2 ** Math.ceil(Math.log2(Math.max(1, pages)));
}

/**
 * The page tables [S, P, 2] of sequences, one after the other, as wide as the sequence with most pages needs. S and P are powers of two,
 * so that few plans serve all steps; tables beyond those of the sequences are empty.
 */
export function pageTables(sequences: readonly SequencePages[]): {
  pages: Int32Array;
  tables: { S: number; P: number };
} {
  const S = tableSize(sequences.length);
  const P = tableSize(Math.max(...sequences.map((sequence) => sequence.pages)));
  const pages = new Int32Array(S * P * 2);
  sequences.forEach((sequence, s) => sequence.writeTable(pages, s * P * 2, P));
  return { pages, tables: { S, P } };
}

/** What a reservation asks of the step. */
export type Reservation = {
  /** Where the key and value of each new column go: page · 16 + offset, or −1 for a hole */
  readonly slots: Int32Array;
  /** [from, to]: pages that the backend must copy before the step runs */
  readonly copies: readonly (readonly [from: number, to: number])[];
};

/** A page, and a bit for each of its columns: whether it holds a key. */
type Block = { page: number; mask: number };

/** All columns of a page hold a key. */
const FULL = 2 ** PAGE_COLUMNS - 1;

/** The columns of one sequence: committed ones, then those of the open reservation. */
export class SequencePages {
  readonly window: number | null;
  /** What its columns hold, as far as that is known: other sequences find its full pages by it. */
  readonly content: PageContent;
  readonly #pool: PagePool;
  #blocks: Block[] = [];
  /** The number of the first block that is still held: those before it have left the window. */
  #firstBlock = 0;
  #length = 0;
  #reserved = 0;
  /** Columns that it took over from other sequences. */
  adopted = 0;
  /** The shared page that the open reservation replaces by a copy. */
  #replaced: number | undefined;

  /** @param window row i sees column j if and only if i − window < j ≤ i; null: all j ≤ i */
  constructor(pool: PagePool, window: number | null, content?: PageContent) {
    this.#pool = pool;
    this.window = window;
    this.content = content ?? new PageContent(pool.keys);
  }

  /** Committed columns, holes and released ones included. */
  get length(): number {
    return this.#length;
  }

  /** Pages held now, shared ones included. */
  get pages(): number {
    return this.#blocks.length;
  }

  /** The first column that is still held. */
  get firstColumn(): number {
    return this.#firstBlock * PAGE_COLUMNS;
  }

  /** Pages that `reserve(count)` takes. */
  missingFor(count: number): number {
    const last = this.#block(this.#length);
    const copy = count > 0 && last !== undefined && this.#pool.references(last.page) > 1 ? 1 : 0;
    return this.#missingBlocks(count) + copy;
  }

  /**
   * Takes over pages that other sequences have computed: those that hold its columns from `length` on, up to `end`. They are committed.
   * @returns how many columns it got
   */
  adopt(end: number): number {
    const from = this.#length;
    const best = this.reachable(end);
    if (best === from) return 0;
    this.drop();
    const first = from / PAGE_COLUMNS;
    const firstSeen = this.#firstSeenBlock(best);
    this.#releaseBefore(firstSeen);
    if (firstSeen > first) this.#firstBlock = firstSeen;
    for (let page = Math.max(first, firstSeen); page < best / PAGE_COLUMNS; page++) {
      const key = this.content.key(page) as string;
      this.#blocks.push({ page: this.#pool.find(key) as number, mask: FULL });
    }
    this.#length = best;
    this.adopted += best - from;
    return best - from;
  }

  /** The length that it would have after `adopt(end)`. */
  reachable(end: number): number {
    if (this.#length % PAGE_COLUMNS !== 0) return this.#length;
    const last = Math.floor(end / PAGE_COLUMNS);
    let best = this.#length;
    // How many pages in a row, up to this one, it holds or can find. It needs those that the window of the next row sees.
    let found = this.#blocks.length;
    for (let page = this.#length / PAGE_COLUMNS; page < last; page++) {
      const key = this.content.key(page);
      found = key !== undefined && this.#pool.has(key) ? found + 1 : 0;
      if (key === undefined || (found === 0 && this.window === null)) break;
      const columns = (page + 1) * PAGE_COLUMNS;
      if (found >= page + 1 - this.#firstSeenBlock(columns)) best = columns;
    }
    return best;
  }

  /**
   * Reserves the columns length … length + count − 1 for a step. A reservation that is still open is dropped first.
   *
   * @param present for each column 1 if it gets a key, 0 for a hole; default all keys
   * @throws MemoryError with the arithmetic; nothing has been taken
   */
  reserve(count: number, present?: ArrayLike<number>): Reservation {
    this.drop();
    this.#pool.check(this.missingFor(count), `for ${count} more columns of a sequence`);
    const missing = this.#missingBlocks(count);
    const last = this.#block(this.#length);
    const copies: [number, number][] = [];
    if (count > 0 && last !== undefined) {
      if (this.#pool.references(last.page) > 1) {
        this.#replaced = last.page;
        last.page = this.#pool.take();
        copies.push([this.#replaced, last.page]);
      } else this.#pool.forget(last.page); // it may have been full before a crop: its columns are written anew
    }
    for (let i = 0; i < missing; i++) this.#blocks.push({ page: this.#pool.take(), mask: 0 });

    const slots = new Int32Array(count).fill(-1);
    for (let i = 0; i < count; i++) {
      const column = this.#length + i;
      const block = this.#block(column);
      if (block === undefined || present?.[i] === 0) continue;
      block.mask |= 1 << (column % PAGE_COLUMNS);
      slots[i] = block.page * PAGE_COLUMNS + (column % PAGE_COLUMNS);
    }
    this.#reserved = count;
    return { slots, copies };
  }

  /** Makes the first `count` reserved columns part of the sequence, drops the rest, and releases what no later row can see. */
  commit(count: number): void {
    if (!Number.isInteger(count) || count < 0 || count > this.#reserved) {
      throw new InputError(
        `cache: commit of ${count} columns: expected 0 to ${this.#reserved}, as reserved`,
      );
    }
    if (count === 0) return this.drop();
    if (this.#replaced !== undefined) this.#pool.release(this.#replaced);
    this.#replaced = undefined;
    this.#reserved = 0;
    const before = this.#length;
    this.#length += count;
    this.#cutTo(this.#length);
    this.#publish(before);
    // Another sequence may go on behind the last full page: the columns that its first row sees stay too.
    this.#releaseBefore(this.#firstSeenBlock(this.#length - (this.#length % PAGE_COLUMNS)));
  }

  /** Takes back what `reserve` did since the last commit. */
  drop(): void {
    if (this.#replaced !== undefined) {
      const last = this.#block(this.#length) as Block;
      this.#pool.release(last.page);
      last.page = this.#replaced;
      this.#replaced = undefined;
    }
    this.#reserved = 0;
    this.#cutTo(this.#length);
  }

  /** A second sequence with the same committed columns, in the same pages. */
  fork(): SequencePages {
    this.drop();
    const fork = new SequencePages(this.#pool, this.window, this.content.fork(this.#length));
    fork.#blocks = this.#blocks.map(({ page, mask }) => ({ page, mask }));
    fork.#firstBlock = this.#firstBlock;
    fork.#length = this.#length;
    for (const { page } of this.#blocks) this.#pool.share(page);
    return fork;
  }

  /**
   * Forgets the columns from `length` on.
   * @throws InputError when the next row would see columns that were released behind the window; nothing has changed
   */
  crop(length: number): void {
    if (!Number.isInteger(length) || length < 0 || length > this.#length) {
      throw new InputError(
        `cache: crop to ${length}: expected an integer from 0 to ${this.#length}`,
      );
    }
    if (length > 0 && this.#firstSeen(length) < this.firstColumn) {
      throw new InputError(
        `cache: crop from ${this.#length} to ${length}: with a window of ${this.window} the next token sees columns ` +
          `from ${this.#firstSeen(length)} on, and those before ${this.firstColumn} were released; run the prompt again`,
      );
    }
    this.drop();
    this.#length = length;
    this.content.cut(length);
    this.#cutTo(length);
    if (length === 0) this.#firstBlock = 0;
  }

  /** Writes its page table [P, 2] into `target` from `at` on: entry b mod P is the page and the bits of block b; all others are 0. */
  writeTable(target: Int32Array, at: number, P: number): void {
    if (this.#blocks.length > P) {
      throw new InputError(`cache: ${this.#blocks.length} pages do not fit a table of ${P}`);
    }
    target.fill(0, at, at + 2 * P);
    this.#blocks.forEach(({ page, mask }, i) => {
      const entry = at + 2 * ((this.#firstBlock + i) % P);
      target[entry] = page;
      target[entry + 1] = mask;
    });
  }

  /** Gives all pages back. The sequence is empty afterwards. */
  dispose(): void {
    this.crop(0);
  }

  #block(column: number): Block | undefined {
    return this.#blocks[Math.floor(column / PAGE_COLUMNS) - this.#firstBlock];
  }

  #missingBlocks(count: number): number {
    const end = Math.ceil((this.#length + count) / PAGE_COLUMNS);
    return Math.max(0, end - this.#firstBlock - this.#blocks.length);
  }

  /** The first column that a row in column `at` sees. */
  #firstSeen(at: number): number {
    return this.window === null ? 0 : Math.max(0, at - this.window + 1);
  }

  #firstSeenBlock(at: number): number {
    return Math.floor(this.#firstSeen(at) / PAGE_COLUMNS);
  }

  /** Lets others find the pages that the columns from `before` on have filled. */
  #publish(before: number): void {
    const end = Math.floor(this.#length / PAGE_COLUMNS);
    for (let page = Math.floor(before / PAGE_COLUMNS); page < end; page++) {
      const block = this.#block(page * PAGE_COLUMNS);
      const key = block?.mask === FULL ? this.content.key(page) : undefined;
      if (block !== undefined && key !== undefined) this.#pool.publish(block.page, key);
    }
  }

  /** Gives back the blocks before `block`: no later row sees them. */
  #releaseBefore(block: number): void {
    while (this.#firstBlock < block && this.#blocks.length > 0) {
      this.#pool.release((this.#blocks.shift() as Block).page, true);
      this.#firstBlock++;
    }
  }

  /** Gives back the blocks behind `length`, the last one first, and clears the bits behind it. */
  #cutTo(length: number): void {
    const kept = Math.max(0, Math.ceil(length / PAGE_COLUMNS) - this.#firstBlock);
    for (const { page } of this.#blocks.splice(kept).toReversed()) this.#pool.release(page);
    const last = this.#block(length);
    if (last !== undefined) last.mask &= (1 << (length % PAGE_COLUMNS)) - 1;
  }
}
