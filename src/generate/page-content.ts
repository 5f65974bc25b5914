// What stands in the columns of a sequence, as far as it decides keys and values, and a key for each full page of it: equal keys mean
// equal pages. The key of a page covers all columns before it, since deeper layers mix them in. Knows no pages and no pools.

import { PAGE } from "../ops/kv-append.ts";
import { philox } from "./sampler.ts";

/** 128 bits. */
type Key = readonly [number, number, number, number];

/**
 * Keys of pages, for one engine: CBC-MAC (a chain of a keyed function, here Philox 4x32-10) over the columns. The secret is drawn for
 * each engine, so that nobody can choose texts whose keys collide.
 */
export class PageKeys {
  readonly #secret: readonly [number, number];

  constructor() {
    const [a, b] = crypto.getRandomValues(new Uint32Array(2));
    this.#secret = [a, b];
  }

  /** What stands before the first page. @param domain sequences of different domains never share pages (an adapter's name, a salt) */
  root(domain: string): Key {
    const units = Array.from({ length: domain.length }, (_, i) => domain.charCodeAt(i));
    let key: Key = [domain.length, 0, 0, 0];
    for (let i = 0; i <= units.length; i += 4) {
      key = this.#mix(key, [0, 1, 2, 3].map((n) => units[i + n] ?? 0) as unknown as Key);
    }
    return key;
  }

  /** The key of a page, from that of the page before it and the page's 16 ids and rope keys. */
  next(key: Key, ids: Int32Array, ropeKeys: Int32Array): Key {
    for (const words of [ids, ropeKeys]) {
      for (let i = 0; i < PAGE; i += 4) {
        key = this.#mix(key, [words[i], words[i + 1], words[i + 2], words[i + 3]]);
      }
    }
    return key;
  }

  #mix(key: Key, words: Key): Key {
    const mixed = key.map((word, i) => (word ^ words[i]) >>> 0) as unknown as Key;
    return philox(mixed, this.#secret);
  }
}

/** The known columns of one sequence: those that were computed, and those that are still to be. */
export class PageContent {
  /** Sequences of different domains never share pages. */
  readonly domain: string;
  readonly #keys: PageKeys;
  #ids: Int32Array = new Int32Array(64);
  #ropeKeys: Int32Array = new Int32Array(64);
  #length = 0;
  /** The key before each page ([0] is the root), and as text what each full page is called in the pool. */
  #chain: Key[];
  #names: string[] = [];

  constructor(keys: PageKeys, domain = "") {
    this.domain = domain;
    this.#keys = keys;
    this.#chain = [keys.root(domain)];
  }

  /** Columns whose content is known. */
  get length(): number {
    return this.#length;
  }

  /**
   * Notes what stands in a column. One that does not follow the known ones is left out: something unknown stands before it.
   * @param ropeKey equal for two columns when their angles at equal positions are equal; 0 for most rope types
   */
  note(column: number, id: number, ropeKey = 0): void {
    if (column !== this.#length) return;
    if (this.#length === this.#ids.length) {
      [this.#ids, this.#ropeKeys] = [this.#ids, this.#ropeKeys].map((words) => {
        const larger = new Int32Array(words.length * 2);
        larger.set(words);
        return larger;
      });
    }
    this.#ids[this.#length] = id;
    this.#ropeKeys[this.#length++] = ropeKey;
  }

  /** Forgets the columns from `length` on. */
  cut(length: number): void {
    this.#length = Math.min(this.#length, length);
    const pages = Math.floor(this.#length / PAGE);
    this.#chain.length = Math.min(this.#chain.length, pages + 1);
    this.#names.length = Math.min(this.#names.length, pages);
  }

  /** The key of page `page` of the sequence; undefined when not all of its columns are known. */
  key(page: number): string | undefined {
    if ((page + 1) * PAGE > this.#length) return undefined;
    for (let next = this.#names.length; next <= page; next++) {
      const [ids, ropeKeys] = [this.#ids, this.#ropeKeys].map((words) =>
        words.subarray(next * PAGE, (next + 1) * PAGE),
      );
      const key = this.#keys.next(this.#chain[next], ids, ropeKeys);
      this.#chain.push(key);
      this.#names.push(key.join());
    }
    return this.#names[page];
  }

  /** A copy of the first `length` columns, for a sequence that goes on in its own way. */
  fork(length: number): PageContent {
    const fork = new PageContent(this.#keys, this.domain);
    fork.#ids = this.#ids.slice();
    fork.#ropeKeys = this.#ropeKeys.slice();
    fork.#length = this.#length;
    fork.#chain = [...this.#chain];
    fork.#names = [...this.#names];
    fork.cut(length);
    return fork;
  }
}
