// Makes room in the cache: lets the page pools grow when pages are short, and refuses what can never fit. Knows no calls and no steps.
// A kept page is one that no sequence holds, but that a later call with the same text can use (see page-pool.ts).

import { MemoryError } from "../errors.ts";
import { PAGE_COLUMNS, type PagePool } from "../generate/page-pool.ts";
import type { Runner } from "../generate/runner.ts";
import { showBytes } from "../show-bytes.ts";

/** Pools grow at least by this factor, so that they grow rarely and fill the operating system's large pages. */
const GROWTH = 1.5;
/** For this many milliseconds the largest possible number of pages is not asked for again: asking takes up to a millisecond. */
const MOST_VALID = 1000;
/** While the pools are smaller than this share of what memory allows, they grow instead of giving up kept pages. */
const KEPT_SHARE = 1 / 8;

export class PageRoom {
  readonly #runner: Runner;
  readonly #pool: PagePool;
  readonly #grown: () => void;
  #most = { pages: 0, at: -Infinity };

  /** @param grown called when the pools have grown */
  constructor(runner: Runner, pool: PagePool, grown: () => void) {
    this.#runner = runner;
    this.#pool = pool;
    this.#grown = grown;
  }

  /**
   * Lets the pools grow until `count` pages can be taken, as far as memory allows. To be called between two steps.
   * Kept pages are given up only when the pools take KEPT_SHARE already.
   */
  async make(count: number): Promise<void> {
    const { inUse, kept, pages } = this.#pool;
    if (inUse + kept + count <= pages) return;
    const mustGrow = inUse + count > pages;
    const most = mustGrow ? this.#runner.maxPages : this.#recentMost();
    const keepingAll = Math.min(inUse + kept + count, Math.floor(most * KEPT_SHARE));
    const wanted = Math.min(most, Math.max(inUse + count, keepingAll));
    if (wanted <= pages) return;
    await this.#growTo(wanted, Math.min(most, Math.max(wanted, Math.ceil(pages * GROWTH))));
  }

  /** @param pages what a sequence of that many columns needs @throws MemoryError the pools can never have so many */
  checkFits(pages: number, columns: number): void {
    const most = this.#runner.maxPages;
    if (pages <= most) return;
    const show = (count: number): string => showBytes(count * this.#runner.bytesPerPage);
    throw new MemoryError(
      `cache: a sequence of up to ${columns} columns needs ${show(pages)} (${pages} pages of ${PAGE_COLUMNS} columns), ` +
        `but ${show(most)} (${most} pages) is the most that fits; lower max_new_tokens or max_length, choose a smaller cacheDtype, or raise memoryLimit`,
    );
  }

  /** The largest possible number of pages, at most MOST_VALID old. */
  #recentMost(): number {
    const now = performance.now();
    if (now - this.#most.at > MOST_VALID) this.#most = { pages: this.#runner.maxPages, at: now };
    return this.#most.pages;
  }

  async #growTo(wanted: number, generous: number): Promise<void> {
    try {
      await this.#runner.growPool(generous);
    } catch (error) {
      if (!(error instanceof MemoryError)) throw error;
      if (wanted === generous) return;
      return this.#growTo(wanted, wanted);
    }
    this.#pool.grow(this.#runner.pages);
    this.#grown();
  }
}
