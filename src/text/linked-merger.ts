// Merging a long run of symbols: a heap of (rank, position) over a linked list, n log n for n symbols. The order is that
// of Rust `tokenizers`: lowest rank first, then leftmost. Knows nothing of text.

import type { PairTable } from "./pair-table.ts";
import type { TokenBuffer } from "./token-buffer.ts";

/** An entry of the heap is rank · POSITION + position: the smallest has the lowest rank, and among these is leftmost. */
const POSITION = 2 ** 31;

export class LinkedMerger {
  readonly #pairs: PairTable;
  #heap = new Float64Array(0);
  #size = 0;

  constructor(pairs: PairTable) {
    this.#pairs = pairs;
  }

  /** Merges the symbols of `run` in place; a merged token has the span of both its parts. */
  merge(run: TokenBuffer): void {
    const count = run.length;
    const ids = run.ids;
    const next = new Int32Array(count);
    const previous = new Int32Array(count);
    // fewer than n pairs at first, and at most two more for each of fewer than n merges
    this.#heap = new Float64Array(3 * count);
    this.#size = 0;
    for (let i = 0; i < count; i++) {
      next[i] = i + 1;
      previous[i] = i - 1;
      if (i + 1 < count) this.#offer(i, ids[i], ids[i + 1]);
    }
    while (this.#size > 0) {
      const top = this.#pop();
      const at = top % POSITION;
      const right = next[at];
      if (ids[at] < 0 || right >= count) continue;
      const handle = this.#pairs.find(ids[at], ids[right]);
      // This entry is of a pair that has been merged with a neighbour since. Pairs of the same rank make the same token, and each has
      // its own entry at its place, so that either entry may stand for the pair that is there now.
      if (handle < 0 || this.#pairs.rankAt(handle) !== (top - at) / POSITION) continue;
      ids[at] = this.#pairs.mergedAt(handle);
      ids[right] = -1;
      const after = next[right];
      next[at] = after;
      if (after < count) {
        previous[after] = at;
        this.#offer(at, ids[at], ids[after]);
      }
      const before = previous[at];
      if (before >= 0) this.#offer(before, ids[before], ids[at]);
    }
    this.#heap = new Float64Array(0);
    compact(run, next);
  }

  #offer(at: number, left: number, right: number): void {
    const handle = this.#pairs.find(left, right);
    if (handle < 0) return;
    const entry = this.#pairs.rankAt(handle) * POSITION + at;
    const heap = this.#heap;
    let slot = this.#size++;
    while (slot > 0) {
      const parent = (slot - 1) >> 1;
      if (heap[parent] <= entry) break;
      heap[slot] = heap[parent];
      slot = parent;
    }
    heap[slot] = entry;
  }

  #pop(): number {
    const heap = this.#heap;
    const top = heap[0];
    const entry = heap[--this.#size];
    const size = this.#size;
    let slot = 0;
    for (;;) {
      let child = slot * 2 + 1;
      if (child >= size) break;
      if (child + 1 < size && heap[child + 1] < heap[child]) child++;
      if (heap[child] >= entry) break;
      heap[slot] = heap[child];
      slot = child;
    }
    heap[slot] = entry;
    return top;
  }
}

function compact(run: TokenBuffer, next: Int32Array): void {
  const { ids, starts, ends, length } = run;
  let write = 0;
  for (let at = 0; at < length; write++) {
    const after = next[at];
    ids[write] = ids[at];
    if (starts !== undefined && ends !== undefined) {
      starts[write] = starts[at];
      ends[write] = ends[after - 1];
    }
    at = after;
  }
  run.length = write;
}
