// The cache of a batch, which the caller holds as `past_key_values`: one paged sequence for each row, and where its columns stand in the
// frame, the padded [B, T] that the caller sees. Column 0 of a sequence is its first real token, so that padding changes no result.

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

  /** One row for each sequence. Their columns enter the frame with `advance`. */
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

  /** The frame column of row `b`'s first real token, if it has one. */
  start(b: number): number | undefined {
    return this.#starts[b];
  }

  /** The mask [B, frame + S] of the columns so far and of `S` new tokens, all present; undefined while there are no columns. */
  mask(S: number): Uint8Array | undefined {
    if (this.frame === 0) return undefined;
    const T = this.frame + S;
    const mask = new Uint8Array(this.batch * T);
    this.sequences.forEach((_, b) => mask.set(this.#knownMask(b, S), b * T));
    return mask;
  }

  /** What row `b` of a mask means for its sequence: the frame column where it starts, and for each new column whether it holds a key. */
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

  /** Adds `S` columns with that mask to the frame, after their keys were committed to the sequences. */
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

  /** A new cache whose row i is row `rows[i]` of this one; both share pages. */
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
    // First on forks: if one row cannot be cropped, all rows stay as they are.
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

  /** Takes back the open reservations of all rows. */
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
