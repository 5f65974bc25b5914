// Logits processors that forbid, force or favour tokens by what was generated so far. Forbidden scores are −∞.
// As in HF, lengths and n-grams count the left padding of the batch; only the repetition penalty skips it.
// Know one row of ids and scores; nothing of probabilities.

import { InputError } from "../errors.ts";
import type { LogitsProcessor } from "./logits-processor.ts";

/** Forbids `eos` until prompt and new tokens together (left padding included) are `length`. */
export function minLengthProcessor(length: number, eos: readonly number[]): LogitsProcessor {
  natural("min_length", length);
  return ({ ids }, scores) => {
    if (ids.length < length) forbid(scores, eos);
  };
}

/** Forbids `eos` until there are `count` new tokens. */
export function minNewTokensProcessor(count: number, eos: readonly number[]): LogitsProcessor {
  natural("min_new_tokens", count);
  return ({ ids, promptLength }, scores) => {
    if (ids.length - promptLength < count) forbid(scores, eos);
  };
}

/**
 * CTRL's penalty (Keskar et al. 2019, arXiv:1909.05858): the score of every token that occurred, in the prompt or since, is divided by
 * `penalty` when it is ≥ 0, else multiplied; once, however often it occurred. Left padding does not count as having occurred.
 */
export function repetitionPenaltyProcessor(penalty: number): LogitsProcessor {
  if (!(penalty > 0))
    throw new InputError(`repetition_penalty: expected a number > 0, got ${penalty}`);
  const penalise = penaliser(penalty);
  return ({ ids, padding }, scores) => penalise(ids.subarray(padding), scores);
}

/** The inverse penalty for the tokens of the prompt: above 1 they become likelier. The padding counts, as in HF. */
export function promptRepetitionProcessor(penalty: number): LogitsProcessor {
  if (!(penalty > 0))
    throw new InputError(`encoder_repetition_penalty: expected a number > 0, got ${penalty}`);
  const penalise = penaliser(1 / penalty);
  return ({ ids, promptLength }, scores) => penalise(ids.subarray(0, promptLength), scores);
}

function penaliser(penalty: number): (ids: Int32Array, scores: Float32Array) => void {
  const factor = Math.fround(penalty);
  return (ids, scores) => {
    for (const id of new Set(ids)) {
      if (id >= scores.length) continue;
      scores[id] = scores[id] < 0 ? scores[id] * factor : scores[id] / factor;
    }
  };
}

/** Forbids the token that would repeat any n tokens in a row. */
export function noRepeatNGramProcessor(n: number): LogitsProcessor {
  positive("no_repeat_ngram_size", n);
  return ({ ids }, scores) => forbidContinuations(ids, ids, n, scores);
}

/** Forbids the token that would repeat any n tokens in a row of the prompt. */
export function noRepeatPromptNGramProcessor(n: number): LogitsProcessor {
  positive("encoder_no_repeat_ngram_size", n);
  return ({ ids, promptLength }, scores) =>
    forbidContinuations(ids.subarray(0, promptLength), ids, n, scores);
}

/** Forbids what followed, anywhere in `text`, the last n − 1 tokens of `ids`. */
function forbidContinuations(
  text: Int32Array,
  ids: Int32Array,
  n: number,
  scores: Float32Array,
): void {
  if (ids.length < n) return;
  const tail = ids.subarray(ids.length + 1 - n);
  for (let start = 0; start + n <= text.length; start++) {
    const id = text[start + n - 1];
    if (id < scores.length && tail.every((token, i) => text[start + i] === token))
      scores[id] = -Infinity;
  }
}

/** A sequence of tokens and what is added to the score of its last one, when the others stand just before. */
export type SequenceBias = readonly [ids: readonly number[], bias: number];

/** Adds the bias of every sequence that the next token would complete. The same sequence twice: the later bias counts. */
export function sequenceBiasProcessor(
  biases: readonly SequenceBias[],
  vocabSize: number,
  option = "sequence_bias",
): LogitsProcessor {
  const distinct = new Map(biases.map(([ids, bias]) => [ids.join(), { ids, bias }]));
  if (distinct.size === 0)
    throw new InputError(`${option}: expected at least one sequence, got none`);
  for (const { ids, bias } of distinct.values()) {
    if (ids.length === 0)
      throw new InputError(`${option}: expected sequences of one id or more, got an empty one`);
    checkIds(option, ids, vocabSize);
    if (typeof bias !== "number" || Number.isNaN(bias)) {
      throw new InputError(
        `${option}: [${ids.join(", ")}]: expected a number as bias, got ${String(bias)}`,
      );
    }
  }
  return ({ ids }, scores) => {
    const added = new Map<number, number>();
    for (const { ids: sequence, bias } of distinct.values()) {
      const start = ids.length - sequence.length + 1;
      const last = sequence.length - 1;
      if (start < 0 && last > 0) continue;
      if (!sequence.every((id, i) => i === last || ids[start + i] === id)) continue;
      const id = sequence[last];
      added.set(id, Math.fround((added.get(id) ?? 0) + Math.fround(bias)));
    }
    for (const [id, bias] of added) scores[id] = scores[id] + bias;
  };
}

/**
 * Forbids every token that would complete one of the sequences. Those that are an end-of-sequence token alone do not count; undefined
 * if there are no others.
 */
export function badWordsProcessor(
  words: readonly (readonly number[])[],
  eos: readonly number[],
  vocabSize: number,
): LogitsProcessor | undefined {
  const forbidden = words.filter((ids) => !(ids.length === 1 && eos.includes(ids[0])));
  if (words.length > 0 && forbidden.length === 0) return undefined;
  const biases = forbidden.map((ids): SequenceBias => [ids, -Infinity]);
  return sequenceBiasProcessor(biases, vocabSize, "bad_words_ids");
}

export function suppressTokensProcessor(tokens: readonly number[]): LogitsProcessor {
  return (_, scores) => forbid(scores, tokens);
}

/** Forbids `tokens` when prompt and new tokens together are `length`: at the first new token. */
export function suppressAtBeginProcessor(
  tokens: readonly number[],
  length: number,
): LogitsProcessor {
  return ({ ids }, scores) => {
    if (ids.length === length) forbid(scores, tokens);
  };
}

/** Forces `id` as the token after a prompt of one token. */
export function forcedBosProcessor(id: number, vocabSize: number): LogitsProcessor {
  checkIds("forced_bos_token_id", [id], vocabSize);
  return ({ ids }, scores) => {
    if (ids.length === 1) force(scores, [id]);
  };
}

/** Forces one of `eos` as the last token that fits `maxLength`. */
export function forcedEosProcessor(
  maxLength: number,
  eos: readonly number[],
  vocabSize: number,
): LogitsProcessor {
  checkIds("forced_eos_token_id", eos, vocabSize);
  return ({ ids }, scores) => {
    if (ids.length === maxLength - 1) force(scores, eos);
  };
}

/** From `start` new tokens on, makes `eos` likelier by |score| · (factorⁿ − 1), n tokens after the start. */
export function exponentialDecayProcessor(
  [start, factor]: readonly [number, number],
  eos: readonly number[],
): LogitsProcessor {
  return ({ ids, promptLength }, scores) => {
    const past = ids.length - promptLength - start;
    if (past <= 0) return;
    const growth = Math.fround(factor ** past - 1);
    for (const id of new Set(eos)) {
      if (Number.isFinite(scores[id])) scores[id] += Math.fround(Math.abs(scores[id]) * growth);
    }
  };
}

/**
 * Allows only the tokens that `allowed` gives for a sequence so far. When all of them are forbidden already, they are equally likely.
 * @throws InputError when it gives none
 */
export function prefixConstrainedProcessor(
  allowed: (sequence: number, ids: Int32Array) => Iterable<number>,
): LogitsProcessor {
  return ({ ids, sequence }, scores) => {
    const tokens = [...new Set(allowed(sequence, ids))];
    if (tokens.length === 0) {
      throw new InputError(
        `prefix_allowed_tokens_fn: no token allowed for sequence ${sequence} at length ${ids.length}; return at least one`,
      );
    }
    checkIds("prefix_allowed_tokens_fn", tokens, scores.length);
    const kept = tokens.map((id) => scores[id]);
    const unsatisfiable = kept.every((score) => score === -Infinity);
    scores.fill(-Infinity);
    tokens.forEach((id, i) => {
      scores[id] = unsatisfiable ? 0 : kept[i];
    });
  };
}

function forbid(scores: Float32Array, ids: readonly number[]): void {
  for (const id of ids) if (id < scores.length) scores[id] = -Infinity;
}

function force(scores: Float32Array, ids: readonly number[]): void {
  scores.fill(-Infinity);
  for (const id of ids) scores[id] = 0;
}

function checkIds(option: string, ids: readonly number[], vocabSize: number): void {
  const wrong = ids.find((id) => !Number.isInteger(id) || id < 0 || id >= vocabSize);
  if (wrong === undefined) return;
  throw new InputError(`${option}: expected ids from 0 to ${vocabSize - 1}, got ${wrong}`);
}

function natural(option: string, value: number): void {
  if (!Number.isInteger(value) || value < 0) {
    throw new InputError(`${option}: expected an integer ≥ 0, got ${value}`);
  }
}

function positive(option: string, value: number): void {
  if (!Number.isInteger(value) || value <= 0) {
    throw new InputError(`${option}: expected an integer > 0, got ${value}`);
  }
}
