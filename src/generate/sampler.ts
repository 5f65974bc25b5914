// Chooses a token from processed scores: the best one, or one drawn with a random number. That number depends on seed, sequence and step
// alone, so that a sequence is the same alone and in a batch, streamed or not, on every machine.
// Random numbers: Philox 4x32-10 (Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3"). Sums in float64, in the order of the ids.
// Knows no settings: temperature and cuts are processors.

import { EngineError, InputError } from "../errors.ts";
import { drawn, fraction, SampleStatus, statusOf } from "../ops/sample.ts";
import { largest } from "../ops/softmax.ts";

/** The id of the best score; of equal ones the first. @throws EngineError when scores are NaN or ∞ */
export function greedy(scores: Float32Array): number {
  return scores.indexOf(checkedLargest(scores));
}

/**
 * Draws an id with the probabilities softmax(scores).
 *
 * @param u a number in [0, 1): the id at which the running sum of probabilities, from id 0 on, passes u
 * @throws EngineError when scores are NaN or ∞, or all −∞
 */
export function multinomial(scores: Float32Array, u: number): number {
  return drawn(scores, checkedLargest(scores), u);
}

/** A random number in [0, 1) with 53 bits, from a seed, a sequence (see Sequence.occurrence) and a step (new tokens so far). */
export function uniform(seed: number, sequence: number, step: number): number {
  return fraction(...uniformWords(seed, sequence, step));
}

/** The upper 27 and the lower 26 bits of that number, as the op `sample` takes them. */
export function uniformWords(
  seed: number,
  sequence: number,
  step: number,
): readonly [high: number, low: number] {
  const [a, b] = philox([step, sequence, 0, 0], [seed % 2 ** 32, Math.floor(seed / 2 ** 32)]);
  return [a >>> 5, b >>> 6];
}

/** The seed as given, or a fresh one. @throws InputError when it is not an integer from 0 to 2⁵³ − 1 */
export function seedOf(seed: number | null | undefined): number {
  if (seed === null || seed === undefined) {
    const [low, high] = crypto.getRandomValues(new Uint32Array(2));
    return low + (high >>> 11) * 2 ** 32;
  }
  if (!Number.isSafeInteger(seed) || seed < 0) {
    throw new InputError(`seed: expected an integer from 0 to 2^53 − 1, got ${seed}`);
  }
  return seed;
}

type Words4 = readonly [number, number, number, number];

/** Philox 4x32 with ten rounds: four 32-bit words from a counter and a key. */
export function philox(counter: Words4, key: readonly [number, number]): Words4 {
  let [c0, c1, c2, c3] = counter;
  let [k0, k1] = key;
  for (let round = 0; round < 10; round++) {
    const a = multiply(0xd2511f53, c0);
    const b = multiply(0xcd9e8d57, c2);
    [c0, c1, c2, c3] = [(b.high ^ c1 ^ k0) >>> 0, b.low, (a.high ^ c3 ^ k1) >>> 0, a.low];
    // The golden ratio and √3 − 1 as fractions of 2³².
    k0 = (k0 + 0x9e3779b9) >>> 0;
    k1 = (k1 + 0xbb67ae85) >>> 0;
  }
  return [c0, c1, c2, c3];
}

/** The 64-bit product of two 32-bit words, in halves. */
function multiply(a: number, b: number): { high: number; low: number } {
  // 16 bits of b at a time: every product and sum stays below 2^53.
  const lower = (a >>> 0) * (b & 0xffff);
  const upper = (a >>> 0) * (b >>> 16) + Math.floor(lower / 2 ** 16);
  return {
    high: Math.floor(upper / 2 ** 16) >>> 0,
    low: (((upper % 2 ** 16) << 16) | (lower & 0xffff)) >>> 0,
  };
}

function checkedLargest(scores: Float32Array): number {
  const max = largest(scores);
  const status = statusOf(max);
  if (status !== SampleStatus.chosen) throw noTokenError(status);
  return max;
}

/** What to throw for a row of which the op `sample`, or the host, says that it has no token. */
export function noTokenError(status: number): EngineError {
  const isNothing = status === SampleStatus.nothing;
  const what =
    status === SampleStatus.nan ? "NaN" : isNothing ? "−Infinity for every token" : "Infinity";
  return new EngineError(
    `choosing a token: the scores are ${what}; ` +
      (isNothing
        ? "the logits processors left no token to choose: loosen bad_words_ids, suppress_tokens or the like"
        : "the weights or inputs_embeds hold NaN or Infinity (loading warns which tensors do), or a logits processor made them; " +
          "remove_invalid_values: true goes on with finite scores"),
  );
}
