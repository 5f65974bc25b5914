// Log-probabilities of one row of scores, in float32 as torch computes them. Knows no settings and no tokens but the one it is asked for.

import { exp, largest } from "../ops/softmax.ts";

/** log Σ exp(scores − max), with the max: log-probabilities are score − max − log. */
export function logSumExp(scores: Float32Array): { max: number; log: number } {
  const max = largest(scores);
  let sum = 0;
  for (let i = 0; i < scores.length; i++) sum += exp(Math.fround(scores[i] - max));
  return { max, log: Math.fround(Math.log(sum)) };
}

/** The natural logarithm of a token's probability under softmax(scores). */
export function logProbability(scores: Float32Array, token: number): number {
  const { max, log } = logSumExp(scores);
  return scores[token] - max - log;
}
