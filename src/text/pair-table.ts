// (left id, right id) → (rank, merged id): the merges of a BPE model in one open-addressing table of integers.
// Knows nothing of text.

/** Ids and ranks stay below 2^22, so that LinkedMerger can hold rank · 2^31 + position exactly in a double. */
export const MAX_ID: number = 2 ** 22;

export class PairTable {
  // | word | an entry of four, which lies in one cache line |
  // |    0 | left id + 1; 0: the slot is empty |
  // |    1 | right id |
  // |    2 | rank |
  // |    3 | merged id |
  readonly #words: Int32Array;
  readonly #mask: number;

  constructor(capacity: number) {
    let slots = 16;
    while (slots < capacity * 2) slots *= 2;
    this.#words = new Int32Array(slots * 4);
    this.#mask = slots - 1;
  }

  /** A pair set twice keeps the later entry. */
  set(left: number, right: number, rank: number, merged: number): void {
    const at = this.#slot(left, right);
    this.#words[at] = left + 1;
    this.#words[at + 1] = right;
    this.#words[at + 2] = rank;
    this.#words[at + 3] = merged;
  }

  /** A handle for rankAt and mergedAt, or −1 when the pair does not merge. */
  find(left: number, right: number): number {
    const at = this.#slot(left, right);
    return this.#words[at] === 0 ? -1 : at;
  }

  rankAt(handle: number): number {
    return this.#words[handle + 2];
  }

  mergedAt(handle: number): number {
    return this.#words[handle + 3];
  }

  #slot(left: number, right: number): number {
    const words = this.#words;
    let hash = Math.imul(left, 0x9e3779b1) ^ Math.imul(right, 0x85ebca6b);
    hash ^= hash >>> 15;
    let slot = hash & this.#mask;
    for (;;) {
      const at = slot * 4;
      const key = words[at];
      if (key === 0 || (key === left + 1 && words[at + 1] === right)) return at;
      slot = (slot + 1) & this.#mask;
    }
  }
}
