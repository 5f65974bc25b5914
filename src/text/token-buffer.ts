// A growing list of token ids, with their spans if wanted, in arrays of integers: no object for each token.
// Knows nothing of how they were found.

export class TokenBuffer {
  ids: Int32Array = new Int32Array(64);
  /** Spans in UTF-16 units of the text being encoded; undefined when no spans are wanted. */
  starts: Int32Array | undefined;
  ends: Int32Array | undefined;
  length = 0;

  constructor(spans: boolean) {
    this.starts = spans ? new Int32Array(64) : undefined;
    this.ends = spans ? new Int32Array(64) : undefined;
  }

  /** Room for `more` tokens. */
  reserve(more: number): void {
    const needed = this.length + more;
    if (needed <= this.ids.length) return;
    const size = Math.max(needed, this.ids.length * 2);
    this.ids = grown(this.ids, size);
    this.starts = this.starts && grown(this.starts, size);
    this.ends = this.ends && grown(this.ends, size);
  }

  push(id: number, start: number, end: number): void {
    if (this.length === this.ids.length) this.reserve(1);
    const at = this.length++;
    this.ids[at] = id;
    if (this.starts !== undefined && this.ends !== undefined) {
      this.starts[at] = start;
      this.ends[at] = end;
    }
  }

  /** All tokens of `other`, which has spans, with `base` added to them. */
  append(other: TokenBuffer, base: number): void {
    this.reserve(other.length);
    const at = this.length;
    this.ids.set(other.ids.subarray(0, other.length), at);
    if (this.starts !== undefined && this.ends !== undefined) {
      for (let i = 0; i < other.length; i++) {
        this.starts[at + i] = (other.starts?.[i] ?? 0) + base;
        this.ends[at + i] = (other.ends?.[i] ?? 0) + base;
      }
    }
    this.length += other.length;
  }

  /** Removes the right neighbour of token `at`, whose span then ends where the neighbour's did. There are `count` tokens. */
  closeGap(at: number, count: number): void {
    const { ids, starts, ends } = this;
    for (let i = at + 1; i + 1 < count; i++) ids[i] = ids[i + 1];
    if (starts === undefined || ends === undefined) return;
    for (let i = at + 1; i + 1 < count; i++) starts[i] = starts[i + 1];
    for (let i = at; i + 1 < count; i++) ends[i] = ends[i + 1];
  }
}

function grown(values: Int32Array, size: number): Int32Array {
  const out = new Int32Array(size);
  out.set(values);
  return out;
}
