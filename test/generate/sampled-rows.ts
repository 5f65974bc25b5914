// For tests: rows of scores with the settings they are sampled with, made from small seeds. Some lie exactly on a border, where
// one rounding more or less gives another token: they are found with the host's own arithmetic.

import * as fc from "fast-check";
import { distributionProcessors, type ProcessorFields } from "../../src/generate/processors.ts";
import { uniformWords } from "../../src/generate/sampler.ts";
import { exp, largest, softmax } from "../../src/ops/softmax.ts";
import { type Random, seeded } from "../random.ts";

export type Row = {
  readonly scores: Float32Array;
  readonly config: ProcessorFields;
  readonly words: readonly [high: number, low: number];
};

const kinds = [
  "normal",
  "coarse",
  "equal",
  "peaked",
  "wide",
  "huge",
  "tiny",
  "adjacent",
  "zeros",
] as const;

export type RowSeed = {
  readonly seed: number;
  readonly kind: (typeof kinds)[number];
  readonly spread: number;
  /** The share of −∞ among the scores. */
  readonly holes: number;
  /** A number put somewhere. */
  readonly odd: number | undefined;
  readonly draw: boolean;
  readonly temperature: number;
  /** 0: off; −1: V − 1 */
  readonly topK: number;
  readonly topP: number | "border";
  readonly minP: number | "border";
  readonly u: number | "random" | "border";
};

const ratio = fc.double({ min: 0, max: 1, noNaN: true });

export const rowArbitrary: fc.Arbitrary<RowSeed> = fc.record({
  seed: fc.nat(),
  kind: fc.constantFrom(...kinds, "normal" as const),
  spread: fc.constantFrom(0.01, 0.5, 2, 4, 12, 100),
  holes: fc.constantFrom(0, 0, 0, 0, 0.01, 0.5, 0.99, 1),
  odd: fc.option(fc.constantFrom(NaN, Infinity, 3.4e38, -3.4e38), { nil: undefined, freq: 19 }),
  draw: fc.constantFrom(true, true, true, true, false),
  temperature: fc.oneof(
    { weight: 6, arbitrary: fc.constantFrom(1, 0.7, 1.3) },
    { weight: 1, arbitrary: fc.constantFrom(0.01, 100, 1e-30, 1e-38, 1e30, 1e-50, 1e50) },
  ),
  topK: fc.constantFrom(0, 0, 0, 1, 2, 5, 50, 1000, 3000, -1, 200_000),
  topP: fc.oneof(
    fc.constantFrom(1, 0, 1e-7, 0.5, 0.9, 0.95, 0.9999999, 1 - 1e-9, 1 - 1e-16),
    ratio,
    fc.constant("border" as const),
  ),
  minP: fc.oneof(fc.constantFrom(0, 0, 0, 1, 0.05, 1e-9), ratio, fc.constant("border" as const)),
  u: fc.oneof(
    fc.constantFrom("random" as const, "border" as const),
    fc.constantFrom(0, 2 ** -53, 1 - 2 ** -53),
  ),
});

export function rowOf(seed: RowSeed, V: number): Row {
  const random = seeded(seed.seed * 2 + 1);
  const scores = Float32Array.from({ length: V }, (_, id) => score(seed, random, V, id));
  if (seed.odd !== undefined) scores[random.below(V)] = seed.odd;
  const rank = random.uniform();
  const topK = seed.topK < 0 ? V - 1 : seed.topK;
  let config: ProcessorFields = {
    ...{ eos_token_id: null, do_sample: seed.draw, temperature: seed.temperature, top_k: topK },
  };
  const topP = seed.topP === "border" ? topPBorder(processed(scores, config), rank) : seed.topP;
  config = { ...config, top_p: topP };
  const minP = seed.minP === "border" ? minPBorder(processed(scores, config), rank) : seed.minP;
  config = { ...config, min_p: minP };
  return { scores, config, words: wordsOf(seed, processed(scores, config), rank, random) };
}

function score({ kind, spread, holes }: RowSeed, random: Random, V: number, id: number): number {
  const normal = random.uniform(-1, 1) + random.uniform(-1, 1) + random.uniform(-1, 1);
  if (holes > 0 && random.uniform() < holes) return -Infinity;
  switch (kind) {
    case "normal":
      return normal * spread;
    case "coarse":
      return Math.round(normal * spread);
    case "equal":
      return spread;
    case "peaked":
      return normal + (random.uniform() < 3 / V ? 20 : 0);
    case "wide":
      return normal * 3000;
    case "huge":
      return normal * 1e38;
    case "tiny":
      return normal * 1e-39;
    case "zeros": // of both signs
      return id % 64 < 32 ? -0 : 0;
    case "adjacent": // the numbers around 0, which has two signs
      return Math.sign(normal) * random.below(40) * 2 ** -149;
  }
}

function processed(scores: Float32Array, config: ProcessorFields): Float32Array {
  const changed = scores.slice();
  const context = { ids: new Int32Array(1), padding: 0, promptLength: 1, step: 0, sequence: 0 };
  for (const change of distributionProcessors(config)) void change(context, changed);
  return changed;
}

/** A p of which 1 − p is exactly what the scores below some rank have in sum. */
function topPBorder(scores: Float32Array, rank: number): number {
  const values = scores.filter((x) => x > -Infinity);
  const probabilities = softmax(values);
  const order = [...values.keys()].toSorted((a, b) => values[b] - values[a] || b - a);
  const above = order.slice(0, Math.floor(rank * Math.min(order.length, 300)) + 1);
  const total = probabilities.reduce((sum, p) => sum + p, 0);
  const rest = Math.fround(total - above.reduce((sum, i) => sum + probabilities[i], 0));
  return rest > 0 && rest <= 1 ? 1 - rest : 0.5;
}

/** A p that is exactly the ratio of some score's probability to the largest. */
function minPBorder(scores: Float32Array, rank: number): number {
  const probabilities = softmax(scores).filter((p) => p > 0);
  const sorted = probabilities.toSorted().toReversed();
  const some = sorted[Math.floor(rank * Math.min(sorted.length, 300))];
  const p = Math.fround(some / sorted[0]);
  return p >= 0 && p <= 1 ? p : 0.5;
}

/** u as two words; at a border u times the whole is, but for a rounding, the running sum at some id. */
function wordsOf(
  { u, seed }: RowSeed,
  scores: Float32Array,
  rank: number,
  random: Random,
): readonly [number, number] {
  if (u === "random") return uniformWords(seed, 0, 0);
  if (u !== "border") return split(u * 2 ** 53);
  const max = largest(scores);
  if (!Number.isFinite(max)) return [0, 0];
  let sum = 0;
  const sums = Array.from(scores, (x) => (sum += x === -Infinity ? 0 : exp(x - max)));
  const target = sums[Math.floor(rank * sums.length)] / sum;
  const whole = Math.round(target * 2 ** 53) + random.below(3) - 1;
  return split(Math.max(0, Math.min(2 ** 53 - 1, whole)));
}

function split(whole: number): readonly [number, number] {
  return [Math.floor(whole / 2 ** 26), whole % 2 ** 26];
}
