// Settings that have no effect, and settings that are not honoured: what is accepted, told of and refused. What has no effect was found
// by giving Transformers 5.23 a generation_config.json with the value: its greedy tokens are those without it.

import { describe, expect, test } from "vitest";
import { InputError } from "../../src/errors.ts";
import { GenerationConfig, type GenerationOptions } from "../../src/generate/generation-config.ts";
import { fields } from "../../src/generate/generation-fields.ts";
import {
  type ResolvedGeneration,
  resolveGeneration,
} from "../../src/generate/resolve-generation.ts";

const resolve = (
  options: GenerationOptions,
  model: Record<string, unknown> = {},
  onNote?: (text: string) => void,
): ResolvedGeneration =>
  resolveGeneration(options, {
    model: GenerationConfig.fromFile("generation_config.json", model),
    ...{ promptLength: 10, max_position_embeddings: 512, onNote },
  });

/** What a call with a model's file of these values and with these options is told of. */
function notes(model: Record<string, unknown>, options: GenerationOptions = {}): string[] {
  const told: string[] = [];
  resolve(options, model, (text) => told.push(text));
  return told;
}

describe("values in a model's file that have no effect: accepted as by Transformers 5.23, which gives the same greedy tokens", () => {
  const FILE = "(from generation_config.json)";

  test.each<[Record<string, unknown>, string]>([
    [{ top_k: -1 }, `top_k is -1 ${FILE}, expected a whole number from 0`],
    [{ top_k: -5 }, `top_k is -5 ${FILE}`],
    [{ top_p: 2 }, `top_p is 2 ${FILE}`],
    [{ min_p: 2 }, "min_p is 2"],
    [{ top_h: 2 }, "top_h is 2"],
    [{ temperature: -1 }, "temperature is -1"],
    [{ no_repeat_ngram_size: -1 }, "no_repeat_ngram_size is -1"],
    [{ min_length: -1 }, "min_length is -1"],
    [{ min_new_tokens: -1 }, "min_new_tokens is -1"],
    [{ cache_implementation: "sliding_window" }, "which has no effect: it says where"],
    [{ cache_implementation: "hybrid_chunked" }, "which has no effect: it says where"],
    [{ output_hidden_states: true }, "only calls with return_dict_in_generate: true return it"],
    [{ output_attentions: true }, "only calls with return_dict_in_generate: true return it"],
    [{ num_beam_groups: 2 }, "it belongs to beam search"],
    [{ diversity_penalty: 0.5 }, "it belongs to beam search"],
    [{ early_stopping: true }, "it belongs to beam search"],
    [{ length_penalty: 2 }, "it belongs to beam search"],
    [{ penalty_alpha: 0.6, top_k: 1 }, "contrastive search needs it above 0"],
    [{ prompt_lookup_num_tokens: 3 }, "changes the speed, never the tokens"],
    [{ assistant_early_exit: 1 }, "changes the speed, never the tokens"],
    [{ num_assistant_tokens: 0 }, "it belongs to assistant models"],
    [{ num_assistant_tokens_schedule: "magic" }, "it belongs to assistant models"],
    [{ assistant_confidence_threshold: 2 }, "it belongs to assistant models"],
    [{ disable_compile: true }, "nothing is compiled"],
    [{ compile_config: {} }, "nothing is compiled"],
    [{ continuous_batching_config: {} }, "calls on one model always share steps"],
    [{ max_cache_len: -1 }, "the cache takes what it needs"],
    [{ cache_config: { a: 1 } }, "cache_config is"],
    [{ low_memory: true }, "low_memory is true"],
  ])("%j", (values, told) => {
    const kept = values.top_k === 1 ? { top_k: 1 } : {};
    expect(resolve({}, values)).toEqual({ ...resolve({}), ...kept });
    expect(notes(values)).toEqual([expect.stringContaining(told)]);
  });

  test.each<Record<string, unknown>>([
    { temperature: 0.6, top_p: 0.9, top_k: 40 },
    { forced_bos_token_id: -1 },
    { pad_token_id: -1, eos_token_id: -1 },
    { decoder_start_token_id: -5 },
    { guidance_scale: 1 },
    { transformers_version: null, _from_model_config: true, trust_remote_code: true },
    { cache_implementation: null, num_beams: 1, num_beam_groups: 1, constraints: [] },
  ])("nothing is told of %j", (values) => {
    expect(notes(values)).toEqual([]);
    expect(resolve({}, values).forced_bos_token_id).toBe(null);
  });

  test("a call that samples reads what only sampling reads", () => {
    const sampled = { do_sample: true };
    const wrong = (model: Record<string, unknown>) => () => resolve(sampled, model);
    expect(wrong({ top_k: -1 })).toThrow(
      `top_k is -1 ${FILE}, expected a whole number from 0 to 2147483647; 0 keeps all tokens; give this call another top_k`,
    );
    expect(wrong({ min_p: 2 })).toThrow("min_p is 2");
    expect(wrong({ temperature: -1 })).toThrow("temperature is -1");
    expect(wrong({ top_p: -1 })).toThrow("top_p is -1");
    expect(resolve({ ...sampled, top_k: 0 }, { top_k: -1 }).top_k).toBe(0);
    // Transformers leaves such cuts out.
    expect(resolve(sampled, { top_p: 2 }).top_p).toBe(1);
    expect(resolve(sampled, { typical_p: 2 }).typical_p).toBe(1);
    expect(resolve(sampled, { epsilon_cutoff: 2, eta_cutoff: -1 })).toMatchObject({
      epsilon_cutoff: 0,
      eta_cutoff: 0,
    });
  });

  test("in code every value must be one that the field can have; settings of sampling need do_sample", () => {
    expect(() => resolve({ top_k: -1 })).toThrow("0 keeps all tokens");
    expect(() => new GenerationConfig({ top_k: -1 })).toThrow("0 keeps all tokens");
    expect(notes({}, { temperature: 0.7 })).toEqual([
      "temperature is 0.7, which has no effect: only calls with do_sample: true read it",
    ]);
    expect(notes({}, { temperature: 0.7, do_sample: true })).toEqual([]);
  });
});

describe("settings that would change the result, and are not honoured", () => {
  const refused: [GenerationOptions, string][] = [
    [{ num_beams: 2 }, "beam search is not built yet"],
    [{ use_mtp: true }, "no heads for several tokens at once"],
    [{ cache_implementation: "quantized" }, "load the model with cacheDtype instead"],
    [{ token_healing: true }, "token healing is not built yet"],
    [{ guidance_scale: 2 }, "guidance needs a second forward"],
    [{ watermarking_config: {} }, "watermarks are not built yet"],
    [{ penalty_alpha: 0.5 }, "code on the Hub"],
    [{ dola_layers: "high" }, "code on the Hub"],
    [{ constraints: [{}] }, "code on the Hub"],
    [{ force_words_ids: [[1]] }, "code on the Hub"],
  ];

  test("the table of fields has no other", () => {
    const names = [...fields].filter(([, { standing }]) => standing.startsWith("refused: "));
    expect(names.map(([name]) => name).toSorted()).toEqual(
      refused.flatMap(([values]) => Object.keys(values)).toSorted(),
    );
  });

  test.each(refused)("%j is refused, with a remedy for where it comes from", (values, why) => {
    const [name] = Object.keys(values) as (keyof GenerationOptions)[];
    expect(() => resolve(values)).toThrow(InputError);
    expect(() => resolve(values)).toThrow(why);
    expect(() => resolve(values)).toThrow(/; leave it out$/);
    const file = (): unknown => resolve({}, values);
    expect(file).toThrow(`${name} is `);
    expect(file).toThrow(" (from generation_config.json): ");
    const off = name === "num_beams" ? 1 : null;
    expect(file).toThrow(`; give this call ${name}: ${off}`);
    expect(resolve({ [name]: off }, values)).toEqual(resolve({}));
  });

  test("more in the result: refused when the caller asks for it, told of when a file does", () => {
    const asked = { return_dict_in_generate: true, output_hidden_states: true };
    expect(() => resolve(asked)).toThrow("generate() keeps none; call the model on the sequence");
    expect(notes(asked)).toEqual([expect.stringContaining("generate() keeps none")]);
  });

  test("config.json asks for a result with fields, as in Transformers", () => {
    const of = (values: Record<string, unknown>): boolean | null =>
      GenerationConfig.fromFile("config.json", values, "config").return_dict_in_generate;
    expect(of({ output_hidden_states: true })).toBe(true);
    expect(of({ output_hidden_states: false })).toBe(null);
    expect(
      GenerationConfig.fromFile("g", { output_hidden_states: true }).return_dict_in_generate,
    ).toBe(null);
  });
});

describe("max_length beside max_new_tokens, which counts, as in Transformers 5.23", () => {
  test.each<[GenerationOptions, number, string[]]>([
    [
      { max_length: 20 },
      310,
      [
        "max_length is 20, but the model's own max_new_tokens (300) takes precedence; pass max_new_tokens",
      ],
    ],
    [
      { max_length: 20, max_new_tokens: 4 },
      14,
      ["max_length is 20, but max_new_tokens (4) takes precedence; leave one of them out"],
    ],
    [{ max_length: 20, max_new_tokens: null }, 20, []],
    [{ max_new_tokens: 4 }, 14, []],
    [{}, 310, []],
  ])("%j", (options, max_length, told) => {
    const model = { max_new_tokens: 300 };
    expect(resolve(options, model).max_length).toBe(max_length);
    expect(notes(model, options)).toEqual(told);
  });

  test("both in the model's file: nobody who calls can help it", () => {
    expect(notes({ max_length: 50, max_new_tokens: 30 })).toEqual([]);
  });
});
