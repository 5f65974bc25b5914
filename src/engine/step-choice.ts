// How the tokens that follow the wanted rows of one step are chosen: by the op `sample` within the step, by `sample` from scores that
// the host has changed, or by the host. Knows no scheduler, and not what becomes of the tokens.

import { sampleInputs, type SampleInputs } from "../generate/device-sampling.ts";
import type { Wants } from "../generate/record.ts";
import type { Chosen, Runner, StepResult } from "../generate/runner.ts";
import type { GenerateCall } from "./generate-call.ts";
import type { Sequence } from "./sequence.ts";

/** A wanted row of a step, and whose token follows it. */
export type WantedRow = {
  readonly call: GenerateCall;
  readonly sequence: Sequence;
  /** Tokens between its sequence's last token and this row: guesses. */
  readonly later: number;
};

/** What a step is to give so that tokens can be chosen, and what `sample` is told. */
export function choiceWants(rows: readonly WantedRow[]): {
  wants: Wants;
  sampling?: SampleInputs;
} {
  const needsLogits = rows.some(({ call }) => call.chooser !== "device");
  const sampled = rows.map(({ call, sequence, later }) =>
    call.chooser === "device" ? call.sampledRow(sequence, later) : undefined,
  );
  if (sampled.every((row) => row === undefined)) return { wants: { logits: needsLogits } };
  const logProbs = sampled.some((row) => row?.logProb);
  const wants = { logits: needsLogits, choice: { logProbs } };
  return { wants, sampling: sampleInputs(sampled) };
}

/** The results of a step, as far as tokens are chosen from them. */
export class StepChoice {
  readonly #rows: readonly WantedRow[];
  readonly #result: StepResult;
  readonly #V: number;
  /** Tokens that `sample` has chosen from changed scores, and each row's place among them. */
  #changed: { chosen: Chosen; at: ReadonlyMap<number, number> } | undefined;

  private constructor(rows: readonly WantedRow[], result: StepResult, V: number) {
    this.#rows = rows;
    this.#result = result;
    this.#V = V;
  }

  /**
   * Takes a step's results; rows whose scores the host changes go to `sample` now.
   * @param onError a call's processor has failed: its rows are left out
   */
  static async of<Row extends WantedRow>(
    rows: readonly Row[],
    result: StepResult,
    runner: Runner,
    onError: (row: Row, error: unknown) => void,
  ): Promise<StepChoice> {
    const choice = new StepChoice(rows, result, runner.config.vocab_size);
    const changed = rows.flatMap((row, n) => {
      if (row.call.chooser !== "scores") return [];
      const scores = choice.#logits(n).slice();
      try {
        row.call.change(row.sequence, scores);
        return [{ row, n, scores }];
      } catch (error) {
        onError(row, error);
        return [];
      }
    });
    if (changed.length === 0) return choice;
    const sampled = changed.map(({ row }) => row.call.sampledRow(row.sequence));
    const logProbs = sampled.some((row) => row?.logProb);
    const chosen = await runner.choose(
      choice.#sideBySide(changed.map(({ scores }) => scores)),
      sampleInputs(sampled),
      logProbs ? choice.#sideBySide(changed.map(({ n }) => choice.#logits(n))) : undefined,
    );
    choice.#changed = { chosen, at: new Map(changed.map(({ n }, i) => [n, i])) };
    return choice;
  }

  /**
   * Lets the call of wanted row `n` have its token.
   * @returns a promise when the call takes its time to choose
   * @throws what a processor throws; EngineError there is no token to choose
   */
  take(n: number): void | Promise<void> {
    const { call, sequence } = this.#rows[n];
    if (call.chooser === "host") return call.choose(sequence, this.#logits(n));
    const chosen = call.chooser === "device" ? this.#result.choice : this.#changed?.chosen;
    const at = call.chooser === "device" ? n : this.#changed?.at.get(n);
    if (chosen === undefined || at === undefined) return undefined; // left out: its call has failed
    const nll = chosen.nll?.[at] ?? 0;
    call.accept(sequence, chosen.tokens[at], chosen.statuses[at], 0 - nll); // not −0
    return undefined;
  }

  #logits(n: number): Float32Array {
    return (this.#result.logits ?? new Float32Array()).subarray(n * this.#V, (n + 1) * this.#V);
  }

  #sideBySide(rows: readonly Float32Array[]): Float32Array {
    const all = new Float32Array(rows.length * this.#V);
    rows.forEach((row, i) => all.set(row, i * this.#V));
    return all;
  }
}
