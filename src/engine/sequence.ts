// One sequence of a generate() call: its tokens, where they rotate, and what it still has to run.

import type { SequencePages } from "../generate/pages.ts";
import type { SequenceRows } from "../generate/rows.ts";
import type { Job } from "../generate/scheduler.ts";
import type { SequenceStop } from "../generate/stopping.ts";

export class Sequence {
  /** Its row of the result. */
  readonly index: number;
  /** How many earlier rows of the call have the same prompt: what its random numbers depend on, beside seed and step. */
  readonly occurrence: number;
  readonly job: Pick<Job, "pages" | "prompt" | "maxLength">;
  /** Left padding of its prompt. */
  readonly padding: number;
  readonly promptLength: number;
  readonly stop: SequenceStop;
  finished = false;
  readonly #rows: SequenceRows;
  /** Prompt, left padding included, and new tokens. */
  #ids: Int32Array;
  #length: number;
  #position: number;

  constructor(options: {
    index: number;
    occurrence: number;
    /** [S], left padding included */
    prompt: Int32Array;
    rows: SequenceRows;
    pages: SequencePages;
    /** Length that it may reach, left padding included. */
    maxLength: number;
    stop: SequenceStop;
  }) {
    const { prompt, rows, pages, maxLength } = options;
    this.index = options.index;
    this.occurrence = options.occurrence;
    this.stop = options.stop;
    this.padding = rows.padding;
    this.promptLength = prompt.length;
    this.job = { pages, prompt: rows.present, maxLength: maxLength - rows.padding };
    this.#rows = rows;
    this.#ids = new Int32Array(Math.max(64, prompt.length * 2));
    this.#ids.set(prompt);
    this.#length = prompt.length;
    this.#position = (rows.positions.at(-1) ?? -1) + 1;
  }

  /** Prompt, left padding included, and new tokens: a view, valid until the next token. */
  get ids(): Int32Array {
    return this.#ids.subarray(0, this.#length);
  }

  get length(): number {
    return this.#length;
  }

  /** New tokens so far. */
  get step(): number {
    return this.#length - this.promptLength;
  }

  /** Id and position of prompt row `i`, or of the last token when the prompt is done. */
  row(i: number): [id: number, position: number] {
    const { ids, positions } = this.#rows;
    if (i < positions.length) return [ids?.[i] ?? 0, positions[i]];
    return [this.#ids[this.#length - 1], this.#position - 1 + this.step];
  }

  /** The length that the angles of `row(i)` are made for: a prompt's rows share the prompt's, a new token has its own. */
  ropeLength(i: number): number {
    return i < this.#rows.positions.length ? this.#position : this.#position + this.step;
  }

  push(token: number): void {
    if (this.#length === this.#ids.length) {
      const larger = new Int32Array(this.#length * 2);
      larger.set(this.#ids);
      this.#ids = larger;
    }
    this.#ids[this.#length++] = token;
  }
}
