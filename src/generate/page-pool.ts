// Counts for each page of the cache how many sequences hold it, and remembers which pages that nobody holds still have keys and values that
// a later sequence can use. Pages are numbers here. Knows no backend, no model, no sequence and no scheduler.

import { InputError, MemoryError } from "../errors.ts";
import { PAGE } from "../ops/kv-append.ts";
import { PageKeys } from "./page-content.ts";

/** Columns of a page, as the attention and cache ops define it. */
export const PAGE_COLUMNS: number = PAGE;

/**
 * A page is either held (by one or more sequences), or kept (nobody holds it, but it can be found by its content), or free.
 * `take` gives a free page; when there is none, the kept page that has not been used for longest.
 */
export class PagePool {
  /** Makes the text that stands for a page's content: see PageContent. */
  readonly keys: PageKeys = new PageKeys();
  #references: number[] = [];
  #free: number[] = [];
  /** Kept pages; the one that has not been used for longest first. */
  readonly #kept = new Set<number>();
  readonly #pageOf = new Map<string, number>();
  readonly #contentOf = new Map<number, string>();

  constructor(pages: number) {
    this.grow(pages);
  }

  /** All pages, in use or not. */
  get pages(): number {
    return this.#references.length;
  }

  /** Pages that sequences hold. */
  get inUse(): number {
    return this.pages - this.available;
  }

  /** Pages that nobody holds and that can be found by their content. */
  get kept(): number {
    return this.#kept.size;
  }

  /** Pages that can be taken: free and kept ones. */
  get available(): number {
    return this.#free.length + this.#kept.size;
  }

  /** Raises the number of pages; the numbers of old pages stay. The backend's pools must have been grown before. */
  grow(pages: number): void {
    if (!Number.isInteger(pages) || pages < this.pages) {
      throw new InputError(`cache: grow to ${pages} pages: expected an integer ≥ ${this.pages}`);
    }
    // The lowest numbers are taken first: memory beyond them stays untouched.
    const added = Array.from({ length: pages - this.pages }, (_, i) => pages - 1 - i);
    this.#free = [...added, ...this.#free];
    while (this.pages < pages) this.#references.push(0);
  }

  references(page: number): number {
    return this.#references[page];
  }

  /** @throws MemoryError when `count` pages cannot be taken; `what` says what for */
  check(count: number, what: string): void {
    if (count <= this.available) return;
    throw new MemoryError(
      `cache: ${count} pages of ${PAGE_COLUMNS} columns are needed ${what}, but ${this.available} can be taken: ` +
        `${this.pages} pages − ${this.inUse} in use; shorten the input or max_length, or dispose of past_key_values that are no longer needed`,
    );
  }

  /** One page with one reference, without its old content. To be called after `check`. */
  take(): number {
    const page = this.#free.pop() ?? this.#oldestKept();
    this.#references[page] = 1;
    return page;
  }

  /** Adds a reference to a page that is held. */
  share(page: number): void {
    this.#references[page]++;
  }

  /**
   * Gives one reference back. A page that nobody holds any more is kept if it can be found by its content.
   * @param forget do not keep it, since no later sequence could use it
   */
  release(page: number, forget = false): void {
    if (--this.#references[page] > 0) return;
    if (forget) this.forget(page);
    if (this.#contentOf.has(page)) this.#kept.add(page);
    else this.#free.push(page);
  }

  /** From now on a page that is held can be found by its content. If another page with the same content can be found already, nothing changes. */
  publish(page: number, content: string): void {
    if (this.#pageOf.has(content)) return;
    this.#pageOf.set(content, page);
    this.#contentOf.set(page, content);
  }

  /** Whether a page with that content can be found. */
  has(content: string): boolean {
    return this.#pageOf.has(content);
  }

  /** The page with that content, with one more reference, which the caller gives back; undefined when there is none. */
  find(content: string): number | undefined {
    const page = this.#pageOf.get(content);
    if (page === undefined) return undefined;
    this.#kept.delete(page);
    this.#references[page]++;
    return page;
  }

  /** From now on the page cannot be found: its content will change, or is of no use. */
  forget(page: number): void {
    const content = this.#contentOf.get(page);
    if (content === undefined) return;
    this.#contentOf.delete(page);
    this.#pageOf.delete(content);
    if (this.#kept.delete(page)) this.#free.push(page);
  }

  #oldestKept(): number {
    const [page] = this.#kept;
    if (page === undefined) throw new MemoryError(`cache: all ${this.pages} pages are in use`);
    this.forget(page);
    return this.#free.pop() as number;
  }
}
