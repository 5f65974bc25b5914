// Logits processors that reshape or cut the distribution by its own values: temperature, top-k, top-p and their relatives.
// Float32 as torch does it; cut scores are −∞. `minKeep` is HF's min_tokens_to_keep: that many of the best always stay.
// Know one row of scores and nothing of the ids so far.

import { InputError } from "../errors.ts";
import { divide, keepBest, keepLikely, keepMass } from "../ops/cut-scores.ts";
import { argsort, best, exp, kthLargest, softmax } from "../ops/softmax.ts";
import { logSumExp } from "./log-probability.ts";
import type { LogitsProcessor } from "./logits-processor.ts";

/** scores / temperature. @throws InputError when it is not > 0 */
export function temperatureProcessor(temperature: number): LogitsProcessor {
  if (!(temperature > 0)) {
    const greedy = temperature === 0 ? "; for the most likely token, set do_sample: false" : "";
    throw new InputError(`temperature: expected a number > 0, got ${temperature}${greedy}`);
  }
  const divisor = Math.fround(temperature);
  return (_, scores) => divide(scores, divisor);
}

/** Keeps the k best (Fan et al. 2018, arXiv:1805.04833), and all that equal the k-th. k beyond V keeps all. */
export function topKProcessor(k: number, minKeep = 1): LogitsProcessor {
  if (!Number.isInteger(k) || k <= 0) {
    throw new InputError(`top_k: expected an integer > 0 (0 in the options: off), got ${k}`);
  }
  return (_, scores) => keepBest(scores, Math.max(k, minKeep));
}

/**
 * Keeps the smallest set of best tokens whose probabilities reach p (Holtzman et al. 2019, arXiv:1904.09751):
 * removes what, summed from the least likely upwards, stays ≤ 1 − p. Among equal scores the later ids are kept.
 */
export function topPProcessor(p: number, minKeep = 1): LogitsProcessor {
  fraction("top_p", p, p >= 0 && p <= 1, "[0, 1]");
  const cut = Math.fround(1 - p);
  // p = 1 removes only tokens whose probability is 0. A sum would not find them: rounding makes it miss or pass 1.
  if (p === 1) {
    return (_, scores) => removeBelow(scores, softmax(scores), Number.MIN_VALUE, minKeep);
  }
  return (_, scores) => keepMass(scores, cut, minKeep);
}

/** Keeps what is at least p times as likely as the best token (Nguyen et al. 2024, arXiv:2407.01082). */
export function minPProcessor(p: number, minKeep = 1): LogitsProcessor {
  fraction("min_p", p, p >= 0 && p <= 1, "[0, 1]");
  return (_, scores) => keepLikely(scores, Math.fround(p), minKeep);
}

/** Locally typical sampling (Meister et al. 2022, arXiv:2202.00666): keeps what is nearest to the entropy, up to a mass of p. */
export function typicalPProcessor(p: number, minKeep = 1): LogitsProcessor {
  fraction("typical_p", p, p > 0 && p < 1, "(0, 1)");
  const mass = Math.fround(p);
  return (_, scores) => {
    const { max, log } = logSumExp(scores);
    const surprise = Float32Array.from(scores, (s) => log - Math.fround(s - max));
    let entropy = 0;
    for (const s of surprise) if (s < Infinity) entropy += Math.fround(s * Math.fround(exp(-s)));
    entropy = Math.fround(entropy);
    const distance = surprise.map((s) => Math.abs(s - entropy));
    const order = argsort(distance);
    const probabilities = softmax(scores);
    let sum = 0;
    let last = 0;
    for (; last < order.length - 1; last++) {
      sum += probabilities[order[last]];
      if (!(Math.fround(sum) < mass)) break;
    }
    const farthest = distance[order[last]];
    for (let i = minKeep; i < order.length; i++) {
      if (distance[order[i]] > farthest) scores[order[i]] = -Infinity;
    }
  };
}

/** Top-H (arXiv:2509.02510): of the 100 best, keeps those whose summed entropy terms stay ≤ h times the entropy; at least the best. */
export function topHProcessor(h: number): LogitsProcessor {
  fraction("top_h", h, h > 0 && h <= 1, "(0, 1]");
  return (_, scores) => {
    const top = best(scores, 100);
    const probabilities = softmax(Float32Array.from(top, (id) => scores[id]));
    const terms = probabilities.map((p) => (p > 0 ? -p * Math.log(p) : 0));
    const limit = Math.fround(sumOf(terms) * h);
    const kept = new Map<number, number>();
    let sum = 0;
    top.forEach((id, rank) => {
      sum += terms[rank];
      if (rank === 0 || (probabilities[rank] > 0 && Math.fround(sum) <= limit)) {
        kept.set(id, scores[id]);
      }
    });
    scores.fill(-Infinity);
    for (const [id, score] of kept) scores[id] = score;
  };
}

/** Keeps probabilities ≥ epsilon (Hewitt et al. 2022, arXiv:2210.15191). */
export function epsilonProcessor(epsilon: number, minKeep = 1): LogitsProcessor {
  fraction("epsilon_cutoff", epsilon, epsilon > 0 && epsilon < 1, "(0, 1)");
  return (_, scores) => {
    removeBelow(scores, softmax(scores), Math.fround(epsilon), minKeep);
  };
}

/** Eta sampling (Hewitt et al. 2022, arXiv:2210.15191): epsilon, or less where the entropy is high: √epsilon · exp(−entropy). */
export function etaProcessor(epsilon: number, minKeep = 1): LogitsProcessor {
  fraction("eta_cutoff", epsilon, epsilon > 0 && epsilon < 1, "(0, 1)");
  return (_, scores) => {
    const probabilities = softmax(scores);
    const entropy = sumOf(probabilities.map((p) => (p > 0 ? -p * Math.log(p) : 0)));
    const cut = Math.min(
      Math.fround(epsilon),
      Math.fround(Math.sqrt(epsilon) * exp(-Math.max(0, entropy))),
    );
    removeBelow(scores, probabilities, cut, minKeep);
  };
}

/** NaN → 0, ∞ → the largest float32, −∞ → the lowest. */
export function removeInvalidProcessor(): LogitsProcessor {
  const FINITE = 3.4028234663852886e38;
  return (_, scores) => {
    for (let i = 0; i < scores.length; i++) {
      const score = scores[i];
      scores[i] = score !== score ? 0 : Math.max(-FINITE, Math.min(FINITE, score));
    }
  };
}

/** Scores as log-probabilities. */
export function renormalizeProcessor(): LogitsProcessor {
  return (_, scores) => {
    const { max, log } = logSumExp(scores);
    for (let i = 0; i < scores.length; i++) scores[i] = Math.fround(scores[i] - max) - log;
  };
}

/** Removes what is less likely than `cut` and not among the `minKeep` best, nor equal to the last of them. */
function removeBelow(
  scores: Float32Array,
  probabilities: Float32Array,
  cut: number,
  minKeep: number,
): void {
  const lowest = kthLargest(scores, Math.min(minKeep, scores.length));
  for (let i = 0; i < scores.length; i++) {
    if (probabilities[i] < cut && scores[i] < lowest) scores[i] = -Infinity;
  }
}

function sumOf(values: Float32Array): number {
  let sum = 0;
  for (const value of values) sum += value;
  return Math.fround(sum);
}

function fraction(name: string, value: number, ok: boolean, range: string): void {
  if (!ok) throw new InputError(`${name}: expected a number in ${range}, got ${value}`);
}
