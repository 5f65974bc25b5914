// A27 and the merging of generation settings.

import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { CheckpointError, InputError } from "../../src/errors.ts";
import { GenerationConfig, type GenerationOptions } from "../../src/generate/generation-config.ts";
import {
  type ResolvedGeneration,
  resolveGeneration,
} from "../../src/generate/resolve-generation.ts";
import { fieldNames } from "../../src/generate/generation-fields.ts";
import { goldenJson } from "../golden-files.ts";

const resolve = (
  options: GenerationOptions,
  model: Record<string, unknown> = {},
  more: { generation_config?: GenerationConfig; promptLength?: number } = {},
): ResolvedGeneration =>
  resolveGeneration(options, {
    model: GenerationConfig.fromFile("generation_config.json", model),
    promptLength: 10,
    max_position_embeddings: 512,
    ...more,
  });

const malformed: [Record<string, unknown>, RegExp][] = [
  [
    { max_new_tokens: 1e12 },
    /max_new_tokens is 1000000000000, expected a whole number from 1 to 2147483647/,
  ],
  [{ max_new_tokens: 0 }, /max_new_tokens is 0/],
  [{ max_new_tokens: "10" }, /max_new_tokens is "10"/],
  [{ max_length: -1 }, /max_length is -1/],
  [{ min_length: 1.5 }, /min_length is 1.5/],
  [
    { eos_token_id: Array.from({ length: 1e6 }, () => 2) },
    /eos_token_id is a list of 1000000, expected/,
  ],
  [{ eos_token_id: [2, "3"] }, /eos_token_id is \[2,"3"\]/],
  [{ temperature: "hot" }, /temperature is "hot", expected a number of at least 0/],
  [{ temperature: -1 }, /temperature is -1/],
  [{ temperature: Infinity }, /temperature is Infinity/],
  [{ top_p: 2 }, /top_p is 2, expected a number from 0 to 1/],
  [{ top_k: -5 }, /top_k is -5/],
  [{ min_p: 2 }, /min_p is 2/],
  [{ repetition_penalty: 0 }, /repetition_penalty is 0, expected a number above 0/],
  [{ stop_strings: [""] }, /stop_strings is \[""\]/],
  [{ stop_strings: Array.from({ length: 500_000 }, () => "x") }, /a list of 500000, expected/],
  [{ stop_strings: "x".repeat(1_000_000) }, /characters\), expected a text/],
  [{ do_sample: "yes" }, /do_sample is "yes", expected true or false/],
  [{ num_return_sequences: 0 }, /num_return_sequences is 0/],
  [{ early_stopping: "soon" }, /early_stopping is "soon", expected one of true, false, "never"/],
  [{ cache_implementation: "magic" }, /cache_implementation is "magic", expected one of/],
];

/** Of these, ranges that only sampling minds: a model's file may hold them, as long as a call does not sample. */
const sampledOnly = new Set(['{"temperature":-1}', '{"top_p":2}', '{"top_k":-5}', '{"min_p":2}']);

describe("A27 values that a field cannot have", () => {
  test.each(malformed)("%j", (values, message) => {
    const file = (): GenerationConfig =>
      GenerationConfig.fromFile("m/generation_config.json", values);
    if (sampledOnly.has(JSON.stringify(values))) {
      expect(file().to_diff_dict()).toEqual(values);
    } else {
      expect(file).toThrow(CheckpointError);
      expect(file).toThrow(message);
      expect(file).toThrow(/^m\/generation_config.json: /);
    }
    expect(() => new GenerationConfig(values)).toThrow(InputError);
    expect(() => resolve(values)).toThrow(InputError);
    expect(() => resolve(values)).toThrow(message);
    const assigned = Object.assign(new GenerationConfig(), values);
    expect(() => resolve({}, {}, { generation_config: assigned })).toThrow(message);
  });

  test("unknown options: did you mean", () => {
    const typo = JSON.parse('{"max_new_token":5}') as GenerationOptions;
    expect(() => resolve(typo)).toThrow(
      'generate: unknown option "max_new_token"; did you mean "max_new_tokens"?',
    );
    expect(() => new GenerationConfig(typo)).toThrow('did you mean "max_new_tokens"?');
    expect(() => resolve(JSON.parse('{"__proto__":{}}') as GenerationOptions)).toThrow(InputError);
  });

  test("keys that a file has and no field are kept", () => {
    const config = GenerationConfig.fromFile(
      "f",
      JSON.parse('{"note":[1],"__proto__":{"a":1},"top_k":5}') as Record<string, unknown>,
    );
    expect([...config.extra.keys()]).toEqual(["note", "__proto__"]);
    expect(config.to_diff_dict()).toMatchObject({ note: [1], top_k: 5 });
  });
});

test("whatever a file or a call holds: an error of ours, or settings that are all in range", () => {
  const values = fc.oneof(
    fc.constantFrom<unknown>(
      0,
      -1,
      1,
      0.5,
      1e12,
      2 ** 53,
      Infinity,
      null,
      "",
      "x",
      true,
      [],
      [[]],
      {},
      [2, 3],
      ["x"],
    ),
    fc.double(),
    fc.jsonValue({ maxDepth: 2 }),
  );
  const some = fc.dictionary(fc.constantFrom(...fieldNames), values, { minKeys: 1, maxKeys: 4 });
  let passed = 0;
  fc.assert(
    fc.property(some, some, (options, model) => {
      try {
        const s = resolve(options as GenerationOptions, model);
        passed++;
        const inRange =
          s.max_length > 10 &&
          s.min_length >= 0 &&
          s.top_p >= 0 &&
          s.top_p <= 1 &&
          s.repetition_penalty > 0;
        return (
          inRange &&
          s.eos_token_ids.every((id) => Number.isInteger(id) && id >= 0) &&
          s.num_return_sequences >= 1
        );
      } catch (error) {
        return error instanceof InputError || error instanceof CheckpointError;
      }
    }),
    { numRuns: 3000 },
  );
  expect(passed).toBeGreaterThan(0);
});

test("all 73 fields of Transformers, and our seed", () => {
  expect(fieldNames.size).toBe(74);
  expect(Object.keys(new GenerationConfig()).toSorted()).toEqual([...fieldNames].toSorted());
});

describe("merging", () => {
  test("the call before its generation_config before the model's before the defaults", () => {
    const model = { temperature: 0.1, top_k: 1, top_p: 0.1, do_sample: true };
    const generation_config = new GenerationConfig({ temperature: 0.2, top_k: 2 });
    const resolved = resolve({ temperature: 0.3 }, model, { generation_config });
    expect(resolved).toMatchObject({
      temperature: 0.3,
      top_k: 2,
      top_p: 0.1,
      do_sample: true,
      min_p: 0,
      repetition_penalty: 1,
    });
    expect(resolve({}, {})).toEqual({
      max_time: null,
      top_h: null,
      typical_p: 1,
      epsilon_cutoff: 0,
      eta_cutoff: 0,
      no_repeat_ngram_size: 0,
      bad_words_ids: null,
      renormalize_logits: null,
      forced_bos_token_id: null,
      forced_eos_token_id: null,
      remove_invalid_values: false,
      exponential_decay_length_penalty: null,
      suppress_tokens: null,
      begin_suppress_tokens: null,
      sequence_bias: null,
      encoder_repetition_penalty: 1,
      encoder_no_repeat_ngram_size: 0,
      do_sample: false,
      temperature: 1,
      top_k: 50,
      top_p: 1,
      min_p: 0,
      repetition_penalty: 1,
      max_length: 30,
      min_length: 0,
      eos_token_ids: [],
      pad_token_id: null,
      bos_token_id: null,
      stop_strings: [],
      use_cache: true,
      num_return_sequences: 1,
      output_scores: false,
      output_logits: false,
      return_dict_in_generate: false,
      seed: null,
    });
  });

  test("null in the call switches a setting off", () => {
    expect(
      resolve({ eos_token_id: null, top_k: null }, { eos_token_id: 2, top_k: 7 }),
    ).toMatchObject({ eos_token_ids: [], top_k: 0 });
    expect(resolve({ eos_token_id: undefined }, { eos_token_id: [2, 5] }).eos_token_ids).toEqual([
      2, 5,
    ]);
  });

  test("lengths", () => {
    expect(resolve({ max_new_tokens: 5 }).max_length).toBe(15);
    expect(resolve({ max_new_tokens: 5, max_length: 12 }).max_length).toBe(15);
    expect(resolve({ max_length: 12 }).max_length).toBe(12);
    expect(resolve({}, { max_length: 25 }).max_length).toBe(25);
    expect(resolve({}, {}, { promptLength: 500 }).max_length).toBe(512);
    expect(resolve({ max_new_tokens: 500 }).max_length).toBe(510);
    expect(resolve({ min_length: 14 }).min_length).toBe(14);
    expect(resolve({ min_new_tokens: 3, min_length: 14 }).min_length).toBe(13);
    expect(() => resolve({ max_length: 10 })).toThrow(
      /the prompt has 10 tokens, and max_length is 10/,
    );
  });

  test("pad and stop", () => {
    expect(resolve({ eos_token_id: [7, 8] }).pad_token_id).toBe(7);
    expect(resolve({ eos_token_id: 7, pad_token_id: 0 }).pad_token_id).toBe(0);
    expect(resolve({ eos_token_id: 7, pad_token_id: -1 }).pad_token_id).toBe(7);
    expect(resolve({ stop_strings: "x" }).stop_strings).toEqual(["x"]);
  });

  test("combinations that mean nothing", () => {
    expect(() => resolve({ num_return_sequences: 2 })).toThrow("greedy decoding has one answer");
    expect(resolve({ num_return_sequences: 2, do_sample: true }).num_return_sequences).toBe(2);
    expect(() => resolve({ do_sample: true, temperature: 0 })).toThrow(
      "temperature is 0 with do_sample",
    );
    expect(resolve({ temperature: 0 }).temperature).toBe(0);
  });

  test("the options of the golden cases: errors where the reference gives one", () => {
    const { cases } = goldenJson<{
      cases: { id: string; input_ids: number[][]; kwargs: GenerationOptions; error?: string }[];
    }>("generation/base-f32.json");
    const chosen = cases.filter(({ id }) =>
      /^(greedy|eos|min_|max_|repetition_penalty|stop_string|error_return|error_unknown)/.test(id),
    );
    const outcome = chosen.map(({ id, input_ids, kwargs, error }) => {
      let thrown = false;
      try {
        resolve(
          kwargs,
          { eos_token_id: 2, pad_token_id: 0 },
          { promptLength: input_ids[0].length },
        );
      } catch (cause) {
        thrown = cause instanceof InputError;
      }
      return { id, agrees: thrown === (error !== undefined) };
    });
    expect(outcome.length).toBeGreaterThan(20);
    expect(outcome.filter(({ agrees }) => !agrees)).toEqual([]);
  });
});
