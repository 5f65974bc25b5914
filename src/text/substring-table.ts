// Which parts of a text are tokens: a hash table of all tokens, and hashes of a text's beginnings, from which the hash of any part
// follows in one step (Karp and Rabin 1987). What is found is compared unit by unit. Knows nothing of ids and merges.

// Chosen anew each time, so that a file cannot be written whose tokens have one hash. (Thue and Morse's words of over a thousand units
// have one for every base; readers of files allow a few tokens of such a length.)
const BASE = Math.floor(Math.random() * 2 ** 31) | 1;

export class SubstringTable {
  readonly #tokens: readonly string[];
  // place in #tokens + 1; 0 is an empty slot
  readonly #slots: Int32Array;
  readonly #powers: Int32Array;
  // of the text: at i the hash of its first i units
  readonly #hashes: Int32Array;
  #text = "";

  /** @param tokens all different */
  constructor(tokens: readonly string[]) {
    let size = 16;
    while (size < tokens.length * 2) size *= 2;
    const longest = tokens.reduce((most, { length }) => Math.max(most, length), 0);
    this.#tokens = tokens;
    this.#slots = new Int32Array(size);
    this.#hashes = new Int32Array(longest + 1);
    this.#powers = new Int32Array(longest + 1).fill(1);
    for (let i = 1; i <= longest; i++) this.#powers[i] = Math.imul(this.#powers[i - 1], BASE);
    tokens.forEach((token, place) => {
      this.take(token);
      this.#slots[this.#slot(0, token.length)] = place + 1;
    });
  }

  /** The text whose parts are looked for: one of the tokens, or another one that is not longer than the longest of them. */
  take(text: string): void {
    this.#text = text;
    for (let i = 0; i < text.length; i++) {
      this.#hashes[i + 1] = (Math.imul(this.#hashes[i], BASE) + text.charCodeAt(i) + 1) | 0;
    }
  }

  /** The place among the tokens of the part [from, to) of the text; −1: it is none. */
  find(from: number, to: number): number {
    return this.#slots[this.#slot(from, to)] - 1;
  }

  #slot(from: number, to: number): number {
    const length = to - from;
    const mask = this.#slots.length - 1;
    const before = Math.imul(this.#hashes[from], this.#powers[length]);
    let hash = (this.#hashes[to] - before) | 0;
    hash ^= hash >>> 15;
    for (let slot = hash & mask; ; slot = (slot + 1) & mask) {
      const place = this.#slots[slot] - 1;
      if (place < 0) return slot;
      const token = this.#tokens[place];
      if (token.length === length && this.#text.startsWith(token, from)) return slot;
    }
  }
}
