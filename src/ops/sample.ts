// Chooses a token for each row of logits: the best one, or one drawn after temperature, top-k, top-p and min-p, in HF's order.
// The bits are part of the contract: cuts in float32 as torch makes them, the draw in float64, every sum in the order that the
// loops here and in cut-scores.ts have. So a seed gives the same tokens on every backend, and on the host (generate/sampler.ts).

import { type Op, rowsOf, sameShape, type Tensor } from "../graph/graph.ts";
import { IGNORED_LABEL } from "./cross-entropy.ts";
import { divide, keepBest, keepLikely, keepMass } from "./cut-scores.ts";
import { f32, i32 } from "./dtypes.ts";
import { expect } from "./shapes.ts";
import { exp, largest } from "./softmax.ts";

/** What `settings` [N, 3] f32 holds of a row: temperature (1: off), what top-p may remove (1 − p; below 0: off), min-p (0: off). */
export const SETTINGS = 3;

/** What `draws` [N, 4] i32 holds of a row: flags, top-k (0: off), the upper 27 and the lower 26 bits of u, which is in [0, 1). */
export const DRAWS = 4;

/** Flag: draw with u; without it the row takes its best token, and temperature and cuts are ignored. */
export const DRAW = 1;

/** Flag: the caller wants the log-probability of the token: `label` is the token. */
export const LOG_PROB = 2;

/** Why a row has no token. */
export const SampleStatus = { chosen: 0, nan: 1, infinite: 2, nothing: 3 } as const;

/**
 * token [N] i32: chosen from logits [N, V]; 0 where there is none. status [N] i32: see SampleStatus.
 * label [N] i32: the token where its log-probability is wanted, else −100: for `cross_entropy` with the model's own logits.
 */
export function sample(
  logits: Tensor,
  settings: Tensor,
  draws: Tensor,
): { token: Tensor; label: Tensor; status: Tensor } {
  const [token, label, status] = logits.graph.emit(sampleOp, [logits, settings, draws], {});
  return { token, label, status };
}

export const sampleOp: Op<object> = {
  name: "sample",
  takes: [f32, f32, i32],
  gives: ["i32", "i32", "i32"],

  shapes(ins) {
    const [logits, settings, draws] = ins;
    const [N] = logits.shape;
    expect(
      logits.shape.length === 2 &&
        sameShape(settings.shape, [N, SETTINGS]) &&
        sameShape(draws.shape, [N, DRAWS]),
      "sample",
      ins,
      `logits must be [N, V], settings [N, ${SETTINGS}], draws [N, ${DRAWS}]`,
    );
    return [rowsOf(logits), rowsOf(logits), rowsOf(logits)];
  },

  run([token, label, status], [logits, settings, draws], [[N, V]]) {
    for (let n = 0; n < N; n++) {
      const scores = Float32Array.from(logits.subarray(n * V, (n + 1) * V));
      const [flags, k, high, low] = draws.subarray(n * DRAWS, (n + 1) * DRAWS);
      if (flags & DRAW) cutScores(scores, settings.subarray(n * SETTINGS, (n + 1) * SETTINGS), k);
      const max = largest(scores);
      status[n] = statusOf(max);
      const isChosen = status[n] === SampleStatus.chosen;
      if (!isChosen) token[n] = 0;
      else token[n] = flags & DRAW ? drawn(scores, max, fraction(high, low)) : scores.indexOf(max);
      label[n] = isChosen && flags & LOG_PROB ? token[n] : IGNORED_LABEL;
    }
  },
};

function cutScores(scores: Float32Array, settings: ArrayLike<number>, k: number): void {
  const [temperature, cut, minP] = Array.from(settings);
  if (temperature !== 1) divide(scores, temperature);
  if (k > 0) keepBest(scores, k);
  if (cut >= 0) keepMass(scores, cut);
  if (minP > 0) keepLikely(scores, minP);
}

/** u of its two words. */
export function fraction(high: number, low: number): number {
  return (high * 2 ** 26 + low) / 2 ** 53;
}

/** What the largest score says of a row: a token can be chosen when it is finite. */
export function statusOf(max: number): number {
  if (Number.isFinite(max)) return SampleStatus.chosen;
  if (Number.isNaN(max)) return SampleStatus.nan;
  return max > 0 ? SampleStatus.infinite : SampleStatus.nothing;
}

/** The id at which the running sum of exp(score − max), from id 0 on, passes u times the whole; `max` is finite. */
export function drawn(scores: Float32Array, max: number, u: number): number {
  const ids = new Int32Array(scores.length);
  const sums = new Float64Array(scores.length);
  let count = 0;
  let sum = 0;
  for (let id = 0; id < scores.length; id++) {
    if (scores[id] === -Infinity) continue;
    sum += exp(scores[id] - max);
    ids[count] = id;
    sums[count++] = sum;
  }
  const target = u * sum;
  let low = 0;
  let high = count - 1;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (sums[middle] > target) high = middle;
    else low = middle + 1;
  }
  return ids[low];
}
