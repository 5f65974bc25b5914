// Cuts a long text into windows for a model that sees a limited number of tokens. Windows move by a stride, and each judges only the
// tokens that the one before has not judged, as in Transformers' guide on perplexity. Knows no model.

import { checkOptions } from "../../did-you-mean.ts";
import { InputError } from "../../errors.ts";
import type { MistralConfig } from "../../models/config.ts";
import type { NestedInput } from "../tensor/tensor.ts";
import { readBatch } from "../model/inputs.ts";

/** Options of `perplexity` and `klDivergence`. */
export type EvaluationOptions = {
  /** By how many tokens a window moves on. Default: 512, or max_length if that is less. */
  stride?: number;
  /** How many tokens a window has. Default: the config's max_position_embeddings, at most 2048. */
  max_length?: number;
  /** Stops within one op; the promise rejects with the signal's reason. */
  signal?: AbortSignal;
  /** Called after each window. `done`: tokens judged so far; `total`: all tokens. */
  onProgress?: (progress: { readonly done: number; readonly total: number }) => void;
};

/** Tokens [begin, end) of the text, of which the last `targets` are judged. (The text's first token never is: nothing predicts it.) */
export type Window = { readonly begin: number; readonly end: number; readonly targets: number };

export type Windows = {
  readonly ids: Int32Array;
  readonly windows: readonly Window[];
  readonly max_length: number;
  readonly stride: number;
};

const DEFAULT_LENGTH = 2048;
const DEFAULT_STRIDE = 512;

const OPTIONS: ReadonlySet<string> = new Set<keyof EvaluationOptions>([
  "stride",
  "max_length",
  "signal",
  "onProgress",
]);

/**
 * The windows over a text.
 * @param input_ids [S] or [1, S], at least two tokens
 * @throws InputError an unknown option, a length or stride that is no whole number in its range, too few tokens
 */
export function slidingWindows(
  where: string,
  input_ids: NestedInput,
  config: MistralConfig,
  options: EvaluationOptions,
): Windows {
  checkOptions(where, options, OPTIONS);
  const { B, S, ids = new Int32Array(0) } = readBatch(where, input_ids, undefined, config);
  if (B !== 1) throw new InputError(`${where}: ${B} texts came; give one at a time`);
  if (S < 2) throw new InputError(`${where}: one token came; a text of two or more is judged`);
  const most = config.max_position_embeddings;
  const max_length = options.max_length ?? Math.min(most, DEFAULT_LENGTH);
  const stride = options.stride ?? Math.min(max_length, DEFAULT_STRIDE);
  checkRange(where, "max_length", max_length, [2, most], "max_position_embeddings");
  checkRange(where, "stride", stride, [2, max_length], "max_length, so that no token is left out");
  return { ids, windows: [...windowsOf(S, max_length, stride)], max_length, stride };
}

function* windowsOf(S: number, max_length: number, stride: number): Generator<Window> {
  let judged = 0;
  for (let begin = 0; judged < S; begin += stride) {
    const end = Math.min(begin + max_length, S);
    yield { begin, end, targets: end - judged };
    judged = end;
  }
}

function checkRange(
  where: string,
  name: string,
  value: number,
  [from, to]: readonly [number, number],
  limit: string,
): void {
  if (Number.isInteger(value) && value >= from && value <= to) return;
  throw new InputError(
    `${where}: ${name}: ${value}: expected a whole number from ${from} to ${to} (${limit})`,
  );
}
