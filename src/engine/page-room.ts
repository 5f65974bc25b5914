// Room in the cache: lets the pools grow when pages are short, and says what can never fit. Knows no calls and no steps.

import { MemoryError } from "../errors.ts";
import { PAGE_COLUMNS, type PagePool } from "../generate/page-pool.ts";
import type { Runner } from "../generate/runner.ts";

/** Pools grow by this factor at least: growth is rare then, and fills whole large pages of the system's. */
const GROWTH = 1.5;
/** Milliseconds for which the most pages that could be had are taken to stay what they were: asking costs up to a millisecond. */
const MOST_KEPT = 1000;
/** Pools grow rather than give up kept pages up to this share of what they could take. */
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
   * Lets the pools grow, as far as memory allows, until `count` pages can be taken. Between two steps. Pages that nobody holds, but
   * that later calls could use, are given up only when the pools take their share of memory already.
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

  /** @throws MemoryError a sequence of that many columns could never have the `pages` that it needs */
  checkFits(pages: number, columns: number): void {
    const most = this.#runner.maxPages;
    if (pages <= most) return;
    const show = (count: number): string => {
      const bytes = count * this.#runner.bytesPerPage;
      return bytes >= 1e8 ? `${(bytes / 1e9).toFixed(2)} GB` : `${(bytes / 1e6).toFixed(2)} MB`;
    };
    throw new MemoryError(
      `cache: a sequence of up to ${columns} columns needs ${show(pages)} (${pages} pages of ${PAGE_COLUMNS} columns), ` +
        `but ${show(most)} (${most} pages) is the most that fits; lower max_new_tokens or max_length, choose a smaller cacheDtype, or raise memoryLimit`,
    );
  }

  /** The most pages that could be had, as far as it was known a moment ago. */
  #recentMost(): number {
    const now = performance.now();
    if (now - this.#most.at > MOST_KEPT) this.#most = { pages: this.#runner.maxPages, at: now };
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
