// Says how many rows of prompts a step may have beside rows that decode, so that those sequences get their next token in time. Such a limit
// is Sarathi-Serve's (Agrawal et al. 2024, arXiv:2403.02310); here it follows from measured times. Knows no sequences and no backend.

/** Milliseconds that may pass between two tokens of a sequence that decodes while prompts are read beside it. */
export const TOKEN_BUDGET = 100;
/** The share of the budget that is planned for: the times of equal steps vary. */
const PLANNED = 0.75;
/** Where decoding alone takes longer than half the budget, a step with prompts may take this many times as long: prompts must go on too. */
const SLOWDOWN = 2;
/** The rows of prompts beside sequences that decode, while no prompt was measured yet. */
const FIRST_ROWS = 8;
/** How many of the newest measurements of a prompt's row are kept. The largest counts, so that one fast step does not mislead. */
const ROWS_KEPT = 8;
/** How many of the newest measurements of decoding are kept. Their median counts: the first run of a plan takes longer. */
const DECODES_KEPT = 3;
/** After this many steps that mix prompts and decoding, one decodes alone: only so is it known what decoding takes by itself. */
const MIXED_STEPS = 16;

export class PrefillShare {
  readonly #most: number;
  readonly #budget: number;
  /** Milliseconds of steps that only decode. */
  readonly #decode: number[] = [];
  /** Milliseconds of one row of a prompt. */
  readonly #row: number[] = [];
  /** Steps that mixed prompts and decoding since the last one that only decoded. */
  #mixed = MIXED_STEPS;

  /**
   * @param most rows of a step when nothing decodes
   * @param budget milliseconds from one token of a sequence that decodes to the next
   */
  constructor(most: number, budget: number = TOKEN_BUDGET) {
    this.#most = most;
    this.#budget = budget;
  }

  /** Rows of prompts that the next step may have beside so many rows that decode; 0 when the step is to measure decoding alone. */
  rows(decoding: number): number {
    return decoding > 0 && this.#mixed >= MIXED_STEPS ? 0 : this.rowsApart(decoding);
  }

  /** Rows that a step of prompts alone may have while so many sequences wait for a row that decodes: at least 1. */
  rowsApart(decoding: number): number {
    if (decoding === 0) return this.#most;
    if (this.#row.length === 0) return FIRST_ROWS;
    const decode = median(this.#decode);
    const time = Math.max(this.#budget * PLANNED, decode * SLOWDOWN) - decode;
    return Math.max(1, Math.min(this.#most, Math.floor(time / Math.max(...this.#row))));
  }

  /** Notes how long a step with so many rows of prompts and rows that decode took. */
  measured(prompts: number, decoding: number, milliseconds: number): void {
    if (prompts === 0) {
      this.#mixed = 0;
      return note(this.#decode, milliseconds, DECODES_KEPT);
    }
    if (decoding > 0) this.#mixed++;
    // A short prompt alone spends most of its step on reading the weights: beside others its rows cost less.
    else if (prompts < FIRST_ROWS) return;
    const rest = decoding === 0 ? milliseconds : milliseconds - median(this.#decode);
    note(this.#row, Math.max(0, rest) / prompts, ROWS_KEPT);
  }
}

function note(list: number[], value: number, kept: number): void {
  list.push(value);
  if (list.length > kept) list.shift();
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[values.length >> 1] ?? 0;
}
