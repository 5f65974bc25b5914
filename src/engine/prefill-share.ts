// How many rows of prompts a step may have beside rows that decode, so that these get their next token in time (a limit of rows, after
// Sarathi-Serve, Agrawal et al. 2024, arXiv:2403.02310; here it follows from measured times). Knows no sequences and no backend.

/** Milliseconds between two tokens of a sequence that decodes, as far as prompts beside it decide. */
export const TOKEN_BUDGET = 100;
/** Where decoding alone takes long, a step with prompts may take so many times as long: prompts must go on too. */
const SLOWDOWN = 2.5;
/** Of the budget, what is planned for: steps vary. */
const PLANNED = 0.75;
/** The share of a first step, before anything was measured. */
const FIRST_ROWS = 8;
/** Measurements that are looked at: of the cost of a row the largest of them counts. */
const KEPT = 8;

export class PrefillShare {
  readonly #most: number;
  readonly #budget: number;
  /** Milliseconds of steps without prompts, and of a prompt's row in others: the newest ones. */
  readonly #decode: number[] = [];
  readonly #row: number[] = [];

  /** @param most rows of a step when nothing decodes */
  constructor(most: number, budget: number = TOKEN_BUDGET) {
    this.#most = most;
    this.#budget = budget;
  }

  /** Rows of prompts that the next step may have beside so many rows that decode. */
  rows(decoding: number): number {
    if (decoding === 0) return this.#most;
    if (this.#row.length === 0) return FIRST_ROWS;
    const decode = median(this.#decode);
    const time = Math.max(this.#budget * PLANNED, decode * SLOWDOWN) - decode;
    return Math.max(1, Math.min(this.#most, Math.floor(time / Math.max(...this.#row))));
  }

  /** Notes how long a step took. */
  measured(prompts: number, decoding: number, milliseconds: number): void {
    if (prompts === 0) return note(this.#decode, milliseconds);
    const rest = decoding === 0 ? milliseconds : milliseconds - median(this.#decode);
    note(this.#row, Math.max(0, rest) / prompts);
  }
}

function note(list: number[], value: number): void {
  list.push(value);
  if (list.length > KEPT) list.shift();
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[values.length >> 1] ?? 0;
}
