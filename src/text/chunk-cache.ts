// A cache from short chunks of text to their tokens, ids with spans: a hash table in flat arrays of fixed size, which is emptied when
// it is full. Knows nothing of BPE.

import type { TokenBuffer } from "./token-buffer.ts";

const SLOTS = 2 ** 16;
const KEY_UNITS = 2 ** 19;
const TOKENS = 2 ** 18;
/** UTF-16 units of the longest chunk that is kept. Longer ones seldom come again, and each end of a span must fit in a byte. */
export const LONGEST_CHUNK = 64;
// slots that are looked at before a chunk counts as not cached: texts made to collide cannot make this slow
const LONGEST_PROBE = 8;

export class ChunkCache {
  // | word | an entry of five |
  // |    0 | hash |
  // |    1 | where its text begins in #keys |
  // |    2 | UTF-16 units of its text; 0: the slot is empty |
  // |    3 | where its tokens begin in #ids, #starts and #ends |
  // |    4 | how many tokens |
  readonly #entries = new Int32Array(SLOTS * 5);
  readonly #keys = new Uint16Array(KEY_UNITS);
  readonly #ids = new Int32Array(TOKENS);
  readonly #starts = new Uint8Array(TOKENS);
  readonly #ends = new Uint8Array(TOKENS);
  #used = 0;
  #keyEnd = 0;
  #tokenEnd = 0;

  /** Appends the tokens of text[from, to) to `out` when they are cached, with spans in `text`. @returns whether they are */
  copy(text: string, from: number, to: number, hash: number, out: TokenBuffer): boolean {
    const entries = this.#entries;
    const keys = this.#keys;
    const width = to - from;
    let slot = mix(hash);
    for (let probe = 0; probe < LONGEST_PROBE; probe++) {
      const at = slot * 5;
      const length = entries[at + 2];
      if (length === 0) return false;
      if (length === width && entries[at] === hash) {
        const begin = entries[at + 1];
        let i = 0;
        while (i < width && keys[begin + i] === text.charCodeAt(from + i)) i++;
        if (i === width) {
          this.#append(entries[at + 3], entries[at + 4], from, out);
          return true;
        }
      }
      slot = (slot + 1) & (SLOTS - 1);
    }
    return false;
  }

  /** Keeps `tokens`, with spans relative to `from`, as those of text[from, to). */
  keep(text: string, from: number, to: number, hash: number, tokens: TokenBuffer): void {
    const width = to - from;
    const { length: count, ids, starts, ends } = tokens;
    if (width > LONGEST_CHUNK || starts === undefined || ends === undefined) return;
    if (
      this.#used > SLOTS / 2 ||
      this.#keyEnd + width > KEY_UNITS ||
      this.#tokenEnd + count > TOKENS
    ) {
      this.clear();
    }
    let slot = mix(hash);
    for (let probe = 0; this.#entries[slot * 5 + 2] !== 0; probe++) {
      if (probe === LONGEST_PROBE) return;
      slot = (slot + 1) & (SLOTS - 1);
    }
    this.#entries.set([hash, this.#keyEnd, width, this.#tokenEnd, count], slot * 5);
    this.#used++;
    for (let i = 0; i < width; i++) this.#keys[this.#keyEnd++] = text.charCodeAt(from + i);
    for (let i = 0; i < count; i++, this.#tokenEnd++) {
      this.#ids[this.#tokenEnd] = ids[i];
      this.#starts[this.#tokenEnd] = starts[i];
      this.#ends[this.#tokenEnd] = ends[i];
    }
  }

  clear(): void {
    this.#entries.fill(0);
    this.#used = 0;
    this.#keyEnd = 0;
    this.#tokenEnd = 0;
  }

  #append(begin: number, count: number, base: number, out: TokenBuffer): void {
    out.reserve(count);
    const { ids, starts, ends } = out;
    let at = out.length;
    for (let i = begin; i < begin + count; i++, at++) {
      ids[at] = this.#ids[i];
      if (starts !== undefined && ends !== undefined) {
        starts[at] = this.#starts[i] + base;
        ends[at] = this.#ends[i] + base;
      }
    }
    out.length = at;
  }
}

function mix(hash: number): number {
  return (hash ^ (hash >>> 16)) & (SLOTS - 1);
}
