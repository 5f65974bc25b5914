// Knows what a sequence's columns hold (token ids, and numbers for their rotary angles) and makes a name for each full page of them. Equal
// names mean equal keys and values. A page's name depends on all columns before it too, since deeper layers mix them in. Knows no pools.

import { PAGE } from "../ops/kv-append.ts";
import { philox } from "./sampler.ts";

/** 128 bits, as four words. */
type Key = readonly [number, number, number, number];

/**
 * Hashes of pages: CBC-MAC over the columns (each block of words is mixed into the hash by a keyed function, here Philox 4x32-10). Each
 * engine draws its own secret key, so that nobody can choose texts whose hashes collide.
 */
export class PageKeys {
  readonly #secret: readonly [number, number];

  constructor() {
    const [a, b] = crypto.getRandomValues(new Uint32Array(2));
    this.#secret = [a, b];
  }

  /** The hash before the first page. @param domain an adapter's name or a salt: sequences of different domains never share pages */
  root(domain: string): Key {
    const units = Array.from({ length: domain.length }, (_, i) => domain.charCodeAt(i));
    let key: Key = [domain.length, 0, 0, 0];
    for (let i = 0; i <= units.length; i += 4) {
      key = this.#mix(key, [0, 1, 2, 3].map((n) => units[i + n] ?? 0) as unknown as Key);
    }
    return key;
  }

  /** The hash of a page, from the hash of the page before it and the page's 16 ids and rope keys. */
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

/** The known columns of one sequence, whether they were computed already or not. */
export class PageContent {
  /** Sequences of different domains never share pages. */
  readonly domain: string;
  readonly #keys: PageKeys;
  #ids: Int32Array = new Int32Array(64);
  #ropeKeys: Int32Array = new Int32Array(64);
  #length = 0;
  /** [i] is the hash before page i; [0] that of the domain. Then the name of each full page: its hash as text. */
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
   * Notes what the next column holds. Any other column is ignored, since an unknown one stands before it.
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

  /** The name of page `page` of the sequence; undefined when not all of its columns are known. */
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
