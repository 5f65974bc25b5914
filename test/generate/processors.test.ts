// What the goldens of processors do not show: left padding, neutral settings, prompt processors, values out of range.

import { describe, expect, test } from "vitest";
import { InputError } from "../../src/errors.ts";
import {
  buildProcessors,
  type ProcessorFields,
  type ProcessorSetting,
} from "../../src/generate/processors.ts";

const V = 8;

/** Scores after the processors of `config`: 0, 1, 2 … before. */
function scoresAfter(
  config: Partial<ProcessorFields>,
  ids: number[],
  {
    padding = 0,
    promptLength = ids.length,
    ...setting
  }: Partial<ProcessorSetting> & { padding?: number } = {},
): number[] {
  const scores = Float32Array.from({ length: V }, (_, id) => id);
  const fields = { eos_token_id: null, ...config };
  for (const run of buildProcessors(fields, { vocabSize: V, promptLength, ...setting })) {
    void run(
      {
        ids: Int32Array.from(ids),
        padding,
        promptLength,
        step: ids.length - promptLength,
        sequence: 0,
      },
      scores,
    );
  }
  return [...scores];
}

const untouched = [0, 1, 2, 3, 4, 5, 6, 7];
const OFF = -Infinity;

test("neutral settings make no processor", () => {
  const config = {
    eos_token_id: 2,
    do_sample: true,
    temperature: 1,
    top_k: 0,
    top_p: 1,
    min_p: 0,
    typical_p: 1,
    epsilon_cutoff: 0,
    eta_cutoff: 0,
    repetition_penalty: 1,
    encoder_repetition_penalty: 1,
    no_repeat_ngram_size: 0,
    min_length: 0,
    min_new_tokens: null,
    suppress_tokens: null,
    remove_invalid_values: false,
    renormalize_logits: false,
  };
  expect(buildProcessors(config, { vocabSize: V, promptLength: 3 })).toEqual([]);
  expect(
    buildProcessors(
      { ...config, do_sample: false, top_k: 5, temperature: 0.5 },
      { vocabSize: V, promptLength: 3 },
    ),
  ).toEqual([]);
});

test("the repetition penalty skips the left padding; lengths and n-grams count it", () => {
  const penalised = scoresAfter({ repetition_penalty: 2 }, [6, 6, 4], { padding: 2 });
  expect(penalised).toEqual([0, 1, 2, 3, 2, 5, 6, 7]);
  const tooShort = { eos_token_id: [3, 99], min_length: 4 };
  expect(scoresAfter(tooShort, [0, 0, 1], { padding: 2 })[3]).toBe(OFF);
  expect(scoresAfter(tooShort, [0, 0, 1, 1], { padding: 2 })[3]).toBe(3);
  expect(scoresAfter({ no_repeat_ngram_size: 2 }, [0, 5, 0], { padding: 1 })[5]).toBe(OFF);
});

test("bad words that are an end-of-sequence token alone are no bad words: no processor, scores unchanged", () => {
  const setting = { vocabSize: V, promptLength: 1 };
  expect(buildProcessors({ bad_words_ids: [[2]], eos_token_id: 2 }, setting)).toEqual([]);
  expect(buildProcessors({ bad_words_ids: [[2], [3]], eos_token_id: [2, 3] }, setting)).toEqual([]);
  const some = scoresAfter({ bad_words_ids: [[2], [4]], eos_token_id: 2 }, [1]);
  expect([some[2], some[4]]).toEqual([2, OFF]);
});

test("processors of the prompt look at the prompt alone", () => {
  expect(scoresAfter({ encoder_repetition_penalty: 2 }, [3, 5], { promptLength: 1 })).toEqual([
    0, 1, 2, 6, 4, 5, 6, 7,
  ]);
  const ngrams = { encoder_no_repeat_ngram_size: 2 };
  expect(scoresAfter(ngrams, [3, 5, 3], { promptLength: 2 })[5]).toBe(OFF);
  expect(scoresAfter(ngrams, [1, 3, 5, 3], { promptLength: 2 })).toEqual(untouched);
});

describe("begin_suppress_tokens", () => {
  test("acts on the first new token", () => {
    const config = { begin_suppress_tokens: [7] };
    expect(scoresAfter(config, [1, 2], { promptLength: 2 })[7]).toBe(OFF);
    expect(scoresAfter(config, [1, 2, 3], { promptLength: 2 })).toEqual(untouched);
  });

  test("acts after a forced first token", () => {
    const config = { begin_suppress_tokens: [7], forced_bos_token_id: 4 };
    expect(scoresAfter(config, [1], { promptLength: 1 }).indexOf(0)).toBe(4);
    expect(scoresAfter(config, [1, 4], { promptLength: 1 })[7]).toBe(OFF);
  });
});

test("the caller's own come before temperature and the cuts", () => {
  const config = { do_sample: true, top_k: 1, repetition_penalty: 4 };
  const logits_processor = [
    (_: unknown, scores: Float32Array) => {
      scores[0] = scores[7] + 10;
    },
  ];
  expect(scoresAfter(config, [7], { logits_processor })).toEqual([
    11.75,
    ...Array.from({ length: 7 }, () => OFF),
  ]);
});

function prefix_allowed_tokens_fn(): number[] {
  return [2, 5];
}

test("only what is allowed; equally likely when all of that is forbidden", () => {
  const only = scoresAfter({}, [1], { prefix_allowed_tokens_fn });
  expect(only).toEqual([OFF, OFF, 2, OFF, OFF, 5, OFF, OFF]);
  const forbidden = { eos_token_id: [2, 5], min_length: 9 };
  const both = scoresAfter(forbidden, [1], { prefix_allowed_tokens_fn });
  expect(both).toEqual([OFF, OFF, 0, OFF, OFF, 0, OFF, OFF]);
  const nothing = { prefix_allowed_tokens_fn: () => [] };
  expect(() => scoresAfter({}, [1], nothing)).toThrow(InputError);
});

test.each<[Partial<ProcessorFields>, string]>([
  [{ do_sample: true, temperature: 0 }, "set do_sample: false"],
  [{ do_sample: true, top_p: 1.5 }, "top_p: expected a number in [0, 1], got 1.5"],
  [{ do_sample: true, top_k: -1 }, "top_k: expected an integer > 0"],
  [{ do_sample: true, min_p: 2 }, "min_p"],
  [{ repetition_penalty: 0 }, "repetition_penalty: expected a number > 0, got 0"],
  [{ no_repeat_ngram_size: 1.5 }, "no_repeat_ngram_size"],
  [{ bad_words_ids: [[8]] }, "bad_words_ids: expected ids from 0 to 7, got 8"],
  [{ bad_words_ids: [] }, "bad_words_ids: expected at least one sequence"],
  [
    { sequence_bias: [[[1], Number.NaN]] },
    "sequence_bias: [1]: expected a number as bias, got NaN",
  ],
  [{ forced_eos_token_id: 9 }, "forced_eos_token_id: expected ids from 0 to 7, got 9"],
])("%j is refused", (config, message) => {
  expect(() => scoresAfter(config, [1])).toThrow(InputError);
  expect(() => scoresAfter(config, [1])).toThrow(message);
});
