// Logits processors against Transformers: single ones (scores in → scores out) and the pipelines that settings build.

import assert from "node:assert/strict";
import { describe, expect, test } from "vitest";
import { InputError } from "../../src/errors.ts";
import type { LogitsProcessor } from "../../src/generate/logits-processor.ts";
import {
  epsilonProcessor,
  etaProcessor,
  minPProcessor,
  removeInvalidProcessor,
  renormalizeProcessor,
  temperatureProcessor,
  topHProcessor,
  topKProcessor,
  topPProcessor,
  typicalPProcessor,
} from "../../src/generate/processors-distribution.ts";
import {
  badWordsProcessor,
  exponentialDecayProcessor,
  forcedBosProcessor,
  forcedEosProcessor,
  minLengthProcessor,
  minNewTokensProcessor,
  noRepeatNGramProcessor,
  prefixConstrainedProcessor,
  repetitionPenaltyProcessor,
  type SequenceBias,
  sequenceBiasProcessor,
  suppressAtBeginProcessor,
  suppressTokensProcessor,
} from "../../src/generate/processors-tokens.ts";
import { buildProcessors } from "../../src/generate/processors.ts";
import { softmax } from "../../src/ops/softmax.ts";
import { readSafetensors } from "../safetensors-file.ts";
import { goldenPath, goldenJson } from "../golden-files.ts";

type Params = Record<string, number & number[]>;
type Case = {
  processor: string;
  params: Params;
  input: string;
  output?: string;
  error?: string;
  input_ids?: number[][];
};
type Pipeline = {
  settings: Record<string, unknown>;
  input: string;
  prompt_length: number;
  attention_mask: number[][];
  order: string[];
  scores: string;
  probs: string;
};
type Goldens = { vocab: number; eos_token_id: number; cases: Case[]; pipelines: Pipeline[] };

const goldens = goldenJson<Goldens>("processors/processors.json");
const tensors = readSafetensors(goldenPath("processors/processors.safetensors"));
const V = goldens.vocab;

const factories: Record<string, (p: Params) => LogitsProcessor> = {
  Temperature: (p) => temperatureProcessor(p.temperature),
  TopK: (p) => topKProcessor(p.top_k, p.min_tokens_to_keep),
  TopP: (p) => topPProcessor(p.top_p, p.min_tokens_to_keep),
  MinP: (p) => minPProcessor(p.min_p, p.min_tokens_to_keep),
  Typical: (p) => typicalPProcessor(p.typical_p),
  Epsilon: (p) => epsilonProcessor(p.epsilon_cutoff),
  Eta: (p) => etaProcessor(p.eta_cutoff),
  TopH: (p) => topHProcessor(p.top_h),
  RepetitionPenalty: (p) => repetitionPenaltyProcessor(p.penalty),
  NoRepeatNGram: (p) => noRepeatNGramProcessor(p.ngram_size),
  SequenceBias: (p) =>
    sequenceBiasProcessor(
      (p.sequence_bias as unknown as [number[], number | string][]).map(
        ([ids, bias]): SequenceBias => [ids, bias === "-inf" ? -Infinity : Number(bias)],
      ),
      V,
    ),
  NoBadWords: (p) =>
    badWordsProcessor(p.bad_words_ids as unknown as number[][], p.eos_token_id, V) ?? (() => {}),
  MinLength: (p) => minLengthProcessor(p.min_length, p.eos_token_id),
  MinNewTokens: (p) => minNewTokensProcessor(p.min_new_tokens, p.eos_token_id),
  ForcedBOS: (p) => forcedBosProcessor(p.bos_token_id, V),
  ForcedEOS: (p) => forcedEosProcessor(p.max_length, p.eos_token_id, V),
  InfNanRemove: () => removeInvalidProcessor(),
  ExponentialDecayLengthPenalty: (p) => {
    const [start, factor] = p.exponential_decay_length_penalty;
    return exponentialDecayProcessor([start, factor], p.eos_token_id);
  },
  LogitNormalization: () => renormalizeProcessor(),
  SuppressTokens: (p) => suppressTokensProcessor(p.suppress_tokens),
  SuppressTokensAtBegin: (p) => suppressAtBeginProcessor(p.begin_suppress_tokens, p.begin_index),
  PrefixConstrained: () =>
    prefixConstrainedProcessor((row, ids) => [row + 1, ids[ids.length - 1], 40 % V]),
};

/** Those that choose among equal scores in the order of torch's sort, or (MinP that keeps several) of its nth_element. */
const chooseAmongTies = new Set(["TopP", "Typical", "TopH", "MinP"]);

function rowsOf(name: string): Float32Array[] {
  const tensor = tensors.get(name);
  assert.ok(tensor, `${name} is in processors.safetensors`);
  const [rows, columns] = tensor.shape;
  const { data } = tensor;
  return Array.from({ length: rows }, (_, r) =>
    Float32Array.from(data.subarray(r * columns, (r + 1) * columns)),
  );
}

const allIds = rowsOf("input_ids").map((row) => [...row]);

function compare(got: ArrayLike<number>, expected: ArrayLike<number>): void {
  assert.equal(got.length, expected.length);
  for (let i = 0; i < got.length; i++) {
    const [a, b] = [got[i], expected[i]];
    if (Number.isFinite(b)) {
      assert.ok(Math.abs(a - b) <= 1e-5 * Math.max(1, Math.abs(b)), `id ${i}: ${a}, not ${b}`);
    } else assert.equal(a, b, `id ${i}`);
  }
}

/** -inf exact and the rest within 1e-5; where ties were chosen among, how many of each value were kept. */
function compareScores(golden: Case, got: Float32Array, expected: Float32Array): void {
  const chosen = chooseAmongTies.has(golden.processor) && ["ties", "equal"].includes(golden.input);
  if (chosen) compare(got.toSorted(), expected.toSorted());
  else compare(got, expected);
}

describe("single processors", () => {
  test("every processor of the goldens is here, but the watermark, which needs torch's random numbers", () => {
    const names = new Set(goldens.cases.map(({ processor }) => processor));
    names.delete("Watermark");
    expect([...names].filter((name) => !(name in factories))).toEqual([]);
  });

  const cases = goldens.cases.filter(({ processor }) => processor in factories);
  test.each(cases)("$processor $params on $input $output", (golden) => {
    const ids = golden.input_ids ?? allIds;
    const make = (): LogitsProcessor => factories[golden.processor](golden.params);
    if (golden.error !== undefined) {
      assert.throws(make, InputError);
      return;
    }
    const run = make();
    const p = golden.params;
    const expected = rowsOf(golden.output as string);
    rowsOf(`input.${golden.input}`).forEach((scores, sequence) => {
      const row = Int32Array.from(ids[sequence]);
      const ignored = p.prompt_ignore_length ?? 0;
      const promptLength =
        p.prompt_length_to_skip ?? p.input_ids_seq_length ?? (row.length as number);
      const padding = typeof ignored === "number" ? ignored : ignored[sequence];
      void run(
        { ids: row, padding, promptLength, step: row.length - promptLength, sequence },
        scores,
      );
      compareScores(golden, scores, expected[sequence]);
    });
    expect(expected.length).toBeGreaterThan(0);
  });
});

describe("pipelines", () => {
  test.each(goldens.pipelines)("$settings", (golden) => {
    // generate() fills in top_k 50 where it is not given.
    const config = { top_k: 50, eos_token_id: goldens.eos_token_id, ...golden.settings };
    const promptLength = golden.prompt_length;
    const processors = buildProcessors(config, { vocabSize: V, promptLength });
    expect(processors).toHaveLength(golden.order.length);
    const expected = rowsOf(golden.scores);
    const probabilities = rowsOf(golden.probs);
    rowsOf(`input.${golden.input}`).forEach((scores, sequence) => {
      const ids = Int32Array.from(allIds[sequence]);
      const padding = golden.attention_mask[sequence].indexOf(1);
      const step = ids.length - promptLength;
      for (const run of processors)
        void run({ ids, padding, promptLength, step, sequence }, scores);
      compare(scores, expected[sequence]);
      compare(softmax(scores), probabilities[sequence]);
    });
  });
});
