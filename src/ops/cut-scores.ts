// What temperature, top-k, top-p and min-p do to the scores [V] of one row: float32 as torch does it; cut scores are −∞.
// The op `sample` and the host's logits processors share it, so that both choose the same tokens.
// `minKeep` is HF's min_tokens_to_keep: that many of the best always stay. Knows no settings and checks none.

import { best, kthLargest, lastKept, softmax } from "./softmax.ts";

/** Temperature: scores / divisor. */
export function divide(scores: Float32Array, divisor: number): void {
  for (let i = 0; i < scores.length; i++) scores[i] = scores[i] / divisor;
}

/** Top-k: keeps the k best, and all that equal the k-th. k ≥ V keeps all. */
export function keepBest(scores: Float32Array, k: number): void {
  if (k >= scores.length) return;
  const lowest = kthLargest(scores, k);
  for (let i = 0; i < scores.length; i++) if (scores[i] < lowest) scores[i] = -Infinity;
}

/**
 * Top-p: removes the least likely scores whose probabilities together stay ≤ `cut` (1 − p). Among equal scores the later ids
 * are kept.
 */
export function keepMass(scores: Float32Array, cut: number, minKeep = 1): void {
  // After top-k few are left: all further work is on those.
  const { ids, values } = possible(scores);
  const probabilities = softmax(values);
  let total = 0;
  for (let i = 0; i < probabilities.length; i++) total += probabilities[i];
  const last = lastKept(
    values,
    probabilities,
    (sumAbove, above) => above < minKeep || Math.fround(total - sumAbove) > cut,
  );
  if (last < 0) return;
  const lowest = values[last];
  for (let i = 0; i < values.length; i++) {
    if (values[i] < lowest || (values[i] === lowest && i < last)) scores[ids[i]] = -Infinity;
  }
}

/** Min-p: keeps what is at least p (a float32) times as likely as the best score. */
export function keepLikely(scores: Float32Array, p: number, minKeep = 1): void {
  const probabilities = softmax(scores);
  const cut = Math.fround(p * kthLargest(probabilities, 1));
  // The best one always passes the cut; more than one are kept by rank, not by value.
  const kept =
    minKeep === 1 ? [] : Array.from(best(probabilities, minKeep), (id) => [id, scores[id]]);
  for (let i = 0; i < scores.length; i++) if (probabilities[i] < cut) scores[i] = -Infinity;
  for (const [id, score] of kept) scores[id] = score;
}

/** The scores above −∞ (or NaN), with their ids. */
function possible(scores: Float32Array): { ids: Int32Array; values: Float32Array } {
  const ids = new Int32Array(scores.length);
  let count = 0;
  for (let id = 0; id < scores.length; id++) if (scores[id] !== -Infinity) ids[count++] = id;
  const values = new Float32Array(count);
  for (let i = 0; i < count; i++) values[i] = scores[ids[i]];
  return { ids: ids.subarray(0, count), values };
}
