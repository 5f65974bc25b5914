// The cache's bookkeeping: pages of 16 columns, shared by reference counts, released behind the window. Numbers only:
// the keys and values lie in a backend's pools [pages, 16, Hkv·D], and a step finds them through tables and slots.
// Nothing counts until it is committed: a reservation that is dropped, or run twice, changes nothing.
// Paging after vLLM (Kwon et al. 2023, arXiv:2309.06180). Knows no backend, no model and no scheduler.

import { InputError, MemoryError } from "../errors.ts";
import { PAGE } from "../ops/kv-append.ts";

/** Columns a page: the ops decide. */
export const PAGE_COLUMNS: number = PAGE;

/** Which pages of the backend's pools are in use, how often, and how many are promised to sequences. */
export class PagePool {
  #references: number[] = [];
  #free: number[] = [];
  #promised = 0;

  constructor(pages: number) {
    this.grow(pages);
  }

  /** All pages, used or not. */
  get pages(): number {
    return this.#references.length;
  }

  get inUse(): number {
    return this.pages - this.#free.length;
  }

  /** Pages that are neither in use nor promised. */
  get available(): number {
    return this.#free.length - this.#promised;
  }

  /** Raises the number of pages; ids of old pages stay. The backend's pools must have been grown before. */
  grow(pages: number): void {
    if (!Number.isInteger(pages) || pages < this.pages) {
      throw new InputError(`cache: grow to ${pages} pages: expected an integer ≥ ${this.pages}`);
    }
    for (let page = pages - 1; page >= this.pages; page--) this.#free.push(page);
    while (this.pages < pages) this.#references.push(0);
  }

  references(page: number): number {
    return this.#references[page];
  }

  /** Sets pages aside for one sequence. @throws MemoryError with the arithmetic; nothing has been promised */
  promise(count: number): void {
    this.check(count, "promised");
    this.#promised += count;
  }

  unpromise(count: number): void {
    this.#promised -= count;
  }

  /** @throws MemoryError when `count` pages are not available beside the caller's own `promised` ones */
  check(count: number, what: string, promised = 0): void {
    if (count <= this.available + promised) return;
    throw new MemoryError(
      `cache: ${count} pages of ${PAGE_COLUMNS} columns are to be ${what}, but ${this.available + promised} can be: ` +
        `${this.pages} pages − ${this.inUse} in use − ${this.#promised - promised} promised to others; ` +
        `shorten max_length, or dispose of past_key_values that are no longer needed`,
    );
  }

  /** One free page with one reference. Call `check` first. */
  take(): number {
    const page = this.#free.pop();
    if (page === undefined) throw new MemoryError(`cache: all ${this.pages} pages are in use`);
    this.#references[page] = 1;
    return page;
  }

  share(page: number): void {
    this.#references[page]++;
  }

  /** Gives one reference back. @returns whether the page is free now */
  release(page: number): boolean {
    if (--this.#references[page] > 0) return false;
    this.#free.push(page);
    return true;
  }
}

/** Pages that a sequence of up to `length` columns can hold at once, when steps have up to `chunk` rows of it. */
export function pagesFor(length: number, window: number | null, chunk: number): number {
  const all = Math.ceil(length / PAGE_COLUMNS);
  // W − 1 old columns and the chunk, starting anywhere in a page.
  return window === null ? all : Math.min(all, Math.ceil((window + chunk) / PAGE_COLUMNS) + 1);
}

/** Entries P of a page table: a power of two that holds `pages` blocks in a row without a clash. */
export function tableSize(pages: number): number {
  return 2 ** Math.ceil(Math.log2(Math.max(1, pages)));
}

/** The page tables [S, P, 2] of sequences, side by side, as narrow as the one with most pages allows. */
export function pageTables(sequences: readonly SequencePages[]): {
  pages: Int32Array;
  tables: { S: number; P: number };
} {
  const S = sequences.length;
  const P = tableSize(Math.max(...sequences.map((sequence) => sequence.pages)));
  const pages = new Int32Array(S * P * 2);
  sequences.forEach((sequence, s) => sequence.writeTable(pages, s * P * 2, P));
  return { pages, tables: { S, P } };
}

/** What a reservation asks of the step. */
export type Reservation = {
  /** Per new column page · 16 + offset, or −1 for a hole: where its key and value go */
  readonly slots: Int32Array;
  /** [from, to]: pages that the backend must copy before the step runs */
  readonly copies: readonly (readonly [from: number, to: number])[];
};

type Block = { page: number; mask: number };

/** The columns of one sequence: committed ones, then those of the open reservation. */
export class SequencePages {
  readonly window: number | null;
  readonly #pool: PagePool;
  #blocks: Block[] = [];
  /** Blocks before this one were released behind the window. */
  #firstBlock = 0;
  #length = 0;
  #reserved = 0;
  #promise = 0;
  #promiseLeft = 0;
  /** The shared page that the open reservation replaces by a copy. */
  #replaced: number | undefined;

  /** @param window row i sees column j if and only if i − window < j ≤ i; null: all j ≤ i */
  constructor(pool: PagePool, window: number | null) {
    this.#pool = pool;
    this.window = window;
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

  /** Pages held now that others hold too. */
  get sharedPages(): number {
    return this.#blocks.filter(({ page }) => this.#pool.references(page) > 1).length;
  }

  /**
   * Sets pages aside so that this sequence can hold `pages` at once, those that it holds now among them; 0 gives them back.
   * With `pagesFor` its longest length + `sharedPages`, no later reservation fails, as long as nobody forks it.
   * @throws MemoryError with the arithmetic; the promise is as before
   */
  promise(pages: number): void {
    const left = Math.max(0, pages - this.#blocks.length);
    if (left > this.#promiseLeft) this.#pool.promise(left - this.#promiseLeft);
    else this.#pool.unpromise(this.#promiseLeft - left);
    this.#promise = pages;
    this.#promiseLeft = left;
  }

  /**
   * Opens a reservation of the columns length … length + count − 1, in place of one that was not committed.
   *
   * @param present per column 1 for a key, 0 for a hole; default all keys
   * @throws MemoryError with the arithmetic; nothing has been taken
   */
  reserve(count: number, present?: ArrayLike<number>): Reservation {
    this.drop();
    const end = this.#length + count;
    const missing = Math.ceil(end / PAGE_COLUMNS) - this.#firstBlock - this.#blocks.length;
    const last = this.#block(this.#length);
    const shared = count > 0 && last !== undefined && this.#pool.references(last.page) > 1;
    this.#pool.check(missing + (shared ? 1 : 0), "taken", this.#promiseLeft);

    const copies: [number, number][] = [];
    if (shared) {
      this.#replaced = last.page;
      last.page = this.#take();
      copies.push([this.#replaced, last.page]);
    }
    for (let i = 0; i < missing; i++) this.#blocks.push({ page: this.#take(), mask: 0 });

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
    if (this.#replaced !== undefined) this.#release(this.#replaced);
    this.#replaced = undefined;
    this.#reserved = 0;
    this.#length += count;
    this.#cutTo(this.#length);
    const firstSeen = this.#firstSeen(this.#length);
    while (this.firstColumn + PAGE_COLUMNS <= firstSeen && this.#blocks.length > 0) {
      this.#releaseBlocks(this.#blocks.splice(0, 1));
      this.#firstBlock++;
    }
  }

  /** Takes back what `reserve` did since the last commit. */
  drop(): void {
    if (this.#replaced !== undefined) {
      const last = this.#block(this.#length) as Block;
      this.#release(last.page);
      last.page = this.#replaced;
      this.#replaced = undefined;
    }
    this.#reserved = 0;
    this.#cutTo(this.#length);
  }

  /** A second sequence with the same committed columns, in the same pages; without a promise. */
  fork(): SequencePages {
    this.drop();
    const fork = new SequencePages(this.#pool, this.window);
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
    this.#cutTo(length);
    if (length === 0) this.#firstBlock = 0;
  }

  /** Writes the table [P, 2] into `target` from `at` on: block b's page and mask stand in entry b mod P, others are 0. */
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

  /** Gives all pages and the promise back. The sequence is empty afterwards. */
  dispose(): void {
    this.crop(0);
    this.promise(0);
  }

  #block(column: number): Block | undefined {
    return this.#blocks[Math.floor(column / PAGE_COLUMNS) - this.#firstBlock];
  }

  /** The first column that a row in column `at` sees. */
  #firstSeen(at: number): number {
    return this.window === null ? 0 : Math.max(0, at - this.window + 1);
  }

  /** Gives back the blocks behind `length` and clears the bits behind it. */
  #cutTo(length: number): void {
    const kept = Math.max(0, Math.ceil(length / PAGE_COLUMNS) - this.#firstBlock);
    this.#releaseBlocks(this.#blocks.splice(kept));
    const last = this.#block(length);
    if (last !== undefined) last.mask &= (1 << (length % PAGE_COLUMNS)) - 1;
  }

  #take(): number {
    if (this.#promiseLeft > 0) {
      this.#promiseLeft--;
      this.#pool.unpromise(1);
    }
    return this.#pool.take();
  }

  #releaseBlocks(blocks: readonly Block[]): void {
    for (const { page } of blocks) this.#release(page);
  }

  #release(page: number): void {
    // A freed page goes back into the promise, so that a rolling cache never needs more than it was promised.
    if (!this.#pool.release(page)) return;
    if (this.#blocks.length + this.#promiseLeft >= this.#promise) return;
    this.#promiseLeft++;
    this.#pool.promise(1);
  }
}
