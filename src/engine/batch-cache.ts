// The cache of a batch, as one `past_key_values` stands for it: a paged sequence per row, and how its columns lie in the
// padded frame that the caller sees. Column 0 of a sequence is its first real token, so that padding changes no bits.

import { InputError } from "../errors.ts";
import type { PagePool } from "../generate/page-pool.ts";
import { SequencePages } from "../generate/pages.ts";

export class BatchCache {
  readonly sequences: SequencePages[];
  /** Columns of the caller's frame so far, padding included. */
  frame: number;
  /** Per row: frame columns before its first real token; undefined while there was none. */
  readonly #starts: (number | undefined)[];
  /** Per row: masked frame columns after its first real token. */
  readonly #holes: ReadonlySet<number>[];

  private constructor(
    sequences: SequencePages[],
    frame: number,
    starts: (number | undefined)[],
    holes: ReadonlySet<number>[],
  ) {
    this.sequences = sequences;
    this.frame = frame;
    this.#starts = starts;
    this.#holes = holes;
  }

  static empty(pool: PagePool, B: number, window: number | null): BatchCache {
    return BatchCache.of(Array.from({ length: B }, () => new SequencePages(pool, window)));
  }

  /** A row for each sequence. How their columns lie in the frame is told by `advance`. */
  static of(sequences: SequencePages[]): BatchCache {
    return new BatchCache(
      sequences,
      0,
      sequences.map(() => undefined),
      sequences.map(() => new Set<number>()),
    );
  }

  get batch(): number {
    return this.sequences.length;
  }

  /** The first real token's frame column of row `b`, if there was one. */
  start(b: number): number | undefined {
    return this.#starts[b];
  }

  /** The mask [B, frame + S] of what is known and `S` new tokens; undefined when nothing is known. */
  mask(S: number): Uint8Array | undefined {
    if (this.frame === 0) return undefined;
    const T = this.frame + S;
    const mask = new Uint8Array(this.batch * T);
    this.sequences.forEach((_, b) => mask.set(this.#knownMask(b, S), b * T));
    return mask;
  }

  /** Row `b` of a mask as a sequence's columns: where they start, and per new column whether it holds a key. */
  columns(
    b: number,
    mask: Uint8Array | undefined,
    S: number,
  ): { start: number; present: Uint8Array } {
    const T = this.frame + S;
    const row = mask?.subarray(b * T, (b + 1) * T) ?? this.#knownMask(b, S);
    this.#checkPast(b, row);
    const first = row.indexOf(1);
    const start = this.#starts[b] ?? (first < 0 ? T : first);
    return { start, present: row.subarray(Math.max(start, this.frame)) };
  }

  /** Notes that the frame has `S` more columns under that mask. The sequences have been committed. */
  advance(mask: Uint8Array | undefined, S: number): void {
    const T = this.frame + S;
    for (let b = 0; b < this.batch; b++) {
      const { start, present } = this.columns(b, mask, S);
      if (start >= T) continue;
      this.#starts[b] = start;
      const at = T - present.length;
      const holes = [...present.keys()].filter((i) => present[i] === 0).map((i) => at + i);
      if (holes.length > 0) this.#holes[b] = new Set([...this.#holes[b], ...holes]);
    }
    this.frame = T;
  }

  /** Rows `rows[i]` as row i; shares pages. */
  select(rows: readonly number[]): BatchCache {
    for (const row of rows) {
      if (!Number.isInteger(row) || row < 0 || row >= this.batch) {
        throw new InputError(`past_key_values: row ${row}: expected 0 to ${this.batch - 1}`);
      }
    }
    return new BatchCache(
      rows.map((row) => this.sequences[row].fork()),
      this.frame,
      rows.map((row) => this.#starts[row]),
      rows.map((row) => this.#holes[row]),
    );
  }

  fork(): BatchCache {
    return this.select(this.sequences.map((_, b) => b));
  }

  /** Forgets the frame's columns from `length` on. @throws InputError when a window has released what the next token sees */
  crop(length: number): void {
    if (!Number.isInteger(length) || length < 0 || length > this.frame) {
      throw new InputError(
        `past_key_values: crop to ${length}: expected an integer from 0 to ${this.frame}`,
      );
    }
    const lengths = this.sequences.map((_, b) => Math.max(0, length - (this.#starts[b] ?? length)));
    // A trial on forks, so that a row that cannot be cropped leaves the others as they were.
    const trial = this.sequences.map((sequence) => sequence.fork());
    try {
      trial.forEach((sequence, b) => sequence.crop(lengths[b]));
    } finally {
      for (const sequence of trial) sequence.dispose();
    }
    this.sequences.forEach((sequence, b) => {
      sequence.crop(lengths[b]);
      this.#holes[b] = new Set([...this.#holes[b]].filter((column) => column < length));
      if (lengths[b] === 0) this.#starts[b] = undefined;
    });
    this.frame = length;
  }

  /** Drops what the open reservations took. */
  drop(): void {
    for (const sequence of this.sequences) sequence.drop();
  }

  dispose(): void {
    for (const sequence of this.sequences) sequence.dispose();
  }

  #knownMask(b: number, S: number): Uint8Array {
    const mask = new Uint8Array(this.frame + S).fill(1);
    for (let column = 0; column < this.frame; column++) mask[column] = this.#known(b, column);
    return mask;
  }

  #known(b: number, column: number): number {
    const start = this.#starts[b] ?? this.frame;
    return column >= start && !this.#holes[b].has(column) ? 1 : 0;
  }

  #checkPast(b: number, row: Uint8Array): void {
    for (let column = 0; column < this.frame; column++) {
      if (row[column] === this.#known(b, column)) continue;
      throw new InputError(
        `attention_mask: row ${b}, column ${column} is ${row[column]}, but past_key_values were made with ${1 - row[column]}; ` +
          "pass the old mask with the new columns appended",
      );
    }
  }
}
