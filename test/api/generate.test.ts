// generate(): all ways to call it, what it refuses, what it returns, and that several calls do not know of each other.

import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import {
  AutoModelForCausalLM,
  AutoTokenizer,
  GenerationConfig,
  InputError,
  type MistralForCausalLM,
  type PreTrainedTokenizer,
  Tensor,
} from "../../src/index.ts";
import { goldenPath, goldenJson } from "../golden-files.ts";

type Case = { id: string; input_ids: number[][]; sequences: number[][] };

const V = 640;
const golden = (model: string, id: string): Case => {
  const { cases } = goldenJson<{ cases: Case[] }>(`generation/${model}.json`);
  const found = cases.find((c) => c.id === id);
  if (found === undefined) throw new Error(`no golden ${id}`);
  return found;
};

let model: MistralForCausalLM;
let window: MistralForCausalLM;
let tokenizer: PreTrainedTokenizer;
beforeAll(async () => {
  [model, window, tokenizer] = await Promise.all([
    AutoModelForCausalLM.from_pretrained(goldenPath("models/base-f32")),
    AutoModelForCausalLM.from_pretrained(goldenPath("models/sw8-f32"), { threads: 1 }),
    AutoTokenizer.from_pretrained(goldenPath("tokenizers/tiny")),
  ]);
});
afterEach(async () => {
  expect((await model.memory()).pagesInUse).toBe(0);
  expect((await window.memory()).pagesInUse).toBe(0);
});
afterAll(() => Promise.all([model.dispose(), window.dispose()]));

const { input_ids, sequences } = golden("base-f32", "greedy_short");
const max_new_tokens = 64;

describe("ways to call it", () => {
  const prompt = input_ids[0];
  const attention_mask = [prompt.map(() => 1)];
  const ways: Record<string, () => Promise<unknown>> = {
    "one object": () => model.generate({ input_ids, max_new_tokens }),
    "one object with Transformers' name `inputs`": () =>
      model.generate({ inputs: input_ids, max_new_tokens }),
    "inputs and options": () => model.generate({ input_ids, attention_mask }, { max_new_tokens }),
    "ids and options": () => model.generate(input_ids, { max_new_tokens }),
    "one row": () => model.generate(prompt, { max_new_tokens }),
    "a typed array": () => model.generate(Int32Array.from(prompt), { max_new_tokens }),
    "bigints, as int64 tensors of others hold them": () =>
      model.generate([BigInt64Array.from(prompt.map(BigInt)) as never], { max_new_tokens }),
    "a Tensor": () => model.generate(Tensor.from(input_ids), { max_new_tokens }),
    "Tensors in an object": () =>
      model.generate({
        input_ids: Tensor.from(input_ids),
        attention_mask: Tensor.from(attention_mask),
        max_new_tokens,
      }),
    "a generation_config": () =>
      model.generate(input_ids, { generation_config: new GenerationConfig({ max_new_tokens }) }),
    "nulls for what is not given": () =>
      model.generate({
        ...{ input_ids, max_new_tokens, attention_mask: null, past_key_values: null },
        ...{ streamer: null, signal: null, tokenizer: null, generation_config: null },
        ...{ inputs_embeds: null, assistant_model: null },
      } as never),
  };
  test.each(Object.keys(ways))("%s", async (way) => {
    const out = (await ways[way]()) as Tensor;
    expect(out).toBeInstanceOf(Tensor);
    expect([out.dtype, out.dims]).toEqual(["int32", [1, prompt.length + 64]]);
    expect(out.tolist()).toEqual(sequences);
  });

  test("what a tokenizer gives, whole or spread, with lists and tensors", async () => {
    tokenizer.padding_side = "left";
    const texts = ["Hello there", "Once upon a time there was"];
    const lists = tokenizer(texts, { padding: true });
    const tensors = tokenizer(texts, {
      ...{ padding: true, return_tensors: "pt", return_length: true },
      return_special_tokens_mask: true,
    });
    const all = await Promise.all([
      model.generate(lists, { max_new_tokens: 9 }),
      model.generate({ ...lists, max_new_tokens: 9 }),
      model.generate(tensors, { max_new_tokens: 9 }),
      model.generate({ ...tensors, max_new_tokens: 9 }),
    ]);
    for (const out of all) expect(out.tolist()).toEqual(all[0].tolist());
    const one = await model.generate(tokenizer(texts[0]), { max_new_tokens: 9 });
    const padding = lists.attention_mask[0].indexOf(1);
    const row = (all[0].tolist() as number[][])[0];
    expect(one.tolist()).toEqual([row.slice(padding)]);
  });
});

describe("refused before anything runs", () => {
  test.each([
    [undefined, {}, /exactly one of input_ids/],
    ["Hello", {}, /expected a number/],
    [[], {}, /at least one token/],
    [[[]], {}, /at least one token/],
    [[[1, 2], [3]], {}, /pad them/],
    [[640], {}, /outside \[0, 640\).*tokenizer belong/],
    [{ input_ids: [[1, 2, 0]], attention_mask: [[1, 1, 0]] }, {}, /padding_side = "left"/],
    [{ input_ids: [[1, 2]], attention_mask: [[0, 0]] }, {}, /ends in padding/],
    [{ input_ids: [[1, 2]], attention_mask: [[1]] }, {}, /expected \[1, 2\]/],
    [{ input_ids: [[1]], inputs: [[1]] }, {}, /two names of one thing/],
    [[1], { max_new_token: 3 }, /unknown option "max_new_token"; did you mean "max_new_tokens"/],
    [[1], { streamr: 3 }, /did you mean "streamer"/],
    [[1], { max_new_tokens: 0 }, /max_new_tokens is 0/],
    [[1], { max_new_tokens: 1.5 }, /max_new_tokens is 1.5/],
    [[1], { temperature: -1, do_sample: true }, /temperature is -1/],
    [[1], { temperature: 0, do_sample: true }, /temperature is 0 with do_sample/],
    [[1], { top_p: 2, do_sample: true }, /top_p is 2/],
    [[1], { top_k: -1 }, /top_k is -1/],
    [[1], { seed: -1 }, /seed is -1/],
    [[1], { seed: 0.5 }, /seed is 0.5/],
    [[1], { num_return_sequences: 2 }, /greedy decoding has one answer/],
    [[1], { do_sample: "yes" }, /do_sample is "yes", expected true or false/],
    [[1], { stop_strings: ["a"] }, /stop_strings need the model's tokenizer/],
    [
      [[1], [2]],
      {
        stop_strings: ["a"],
        tokenizer: { get_vocab: () => new Map() },
        eos_token_id: null,
        pad_token_id: null,
      },
      /set pad_token_id/,
    ],
    [[1], { streamer: {} }, /put\(value\) and end\(\)/],
    [[1], { generation_config: { max_new_tokens: 3 } }, /expected a GenerationConfig/],
    [[1], { past_key_values: {} }, /DynamicCache/],
    [Array.from({ length: 512 }, () => 5), {}, /512 tokens, and max_length is 512/],
  ])("%o %o", async (inputs, options, message) => {
    const error = await model.generate(inputs as never, options as never).catch((e: unknown) => e);
    expect(error).toBeInstanceOf(InputError);
    expect((error as Error).message).toMatch(message);
  });
});

describe("results", () => {
  test("without a length: twenty new tokens, but no more than max_position_embeddings in all", async () => {
    const ids = (n: number): number[] => Array.from({ length: n }, (_, i) => (i % 600) + 5);
    const length = async (n: number): Promise<number> =>
      (await model.generate(ids(n), { eos_token_id: null })).dims[1];
    expect(await length(3)).toBe(23);
    expect(await length(500)).toBe(512);
    // What is asked for goes before the rule.
    const out = await model.generate(ids(500), { max_new_tokens: 30, eos_token_id: null });
    expect(out.dims).toEqual([1, 530]);
  });

  test("return_dict_in_generate", async () => {
    const out = await model.generate(input_ids, {
      ...{ max_new_tokens: 5, repetition_penalty: 1.5 },
      ...{ return_dict_in_generate: true, output_scores: true, output_logits: true },
    });
    expect(out.sequences.dims).toEqual([1, input_ids[0].length + 5]);
    expect(out.scores?.map(({ dims }) => dims)).toEqual(Array.from({ length: 5 }, () => [1, V]));
    expect(out.logits).toHaveLength(5);
    expect(out.scores?.[0].data).not.toEqual(out.logits?.[0].data);
    const plain = await model({ input_ids, logits_to_keep: 1, use_cache: false });
    expect(out.logits?.[0].data).toEqual(plain.logits.data);
    expect(out.past_key_values?.get_seq_length()).toBe(input_ids[0].length + 4);
    await out.past_key_values?.dispose();

    const bare = await model.generate(input_ids, {
      ...{ max_new_tokens: 2, return_dict_in_generate: true, use_cache: false },
    });
    expect(Object.keys(bare)).toEqual(["sequences"]);
  });

  test("past the sliding window, as Transformers", async () => {
    for (const id of ["greedy_short", "greedy_long", "greedy_batch_left"]) {
      const c = golden("sw8-f32", id) as Case & { attention_mask?: number[][] };
      const prompt = c.input_ids[0].length;
      const out = await window.generate(
        { input_ids: c.input_ids, attention_mask: c.attention_mask },
        { max_new_tokens: c.sequences[0].length - prompt },
      );
      expect(out.tolist()).toEqual(c.sequences);
    }
  });

  test("a prompt longer than one chunk, whole or in pieces", async () => {
    for (const m of [model, window]) {
      const long = Array.from({ length: 1100 }, (_, i) => ((i * 37) % 600) + 3);
      const options = { max_new_tokens: 8, eos_token_id: null };
      const whole = await m.generate(long, options);
      const { past_key_values } = await m({ input_ids: long.slice(0, 700), use_cache: true });
      const pieces = await m.generate(long, { ...options, past_key_values });
      expect(pieces.tolist()).toEqual(whole.tolist());
      await past_key_values?.dispose();
    }
  });
});

describe("a cache with left padding", () => {
  const ids = [
    [1, 20, 300, 7, 5],
    [0, 0, 77, 66, 55],
  ];
  const attention_mask = [
    [1, 1, 1, 1, 1],
    [0, 0, 1, 1, 1],
  ];
  const longer = ids.map((row) => [...row, 8, 9]);
  const mask = attention_mask.map((row) => [...row, 1, 1]);
  const options = { max_new_tokens: 12, eos_token_id: null };

  // pad_token_id null: nothing can be guessed from the ids.
  test.each([{}, { pad_token_id: null }])(
    "is gone on with, with and without a mask: %o",
    async (pad) => {
      const positions = [
        [0, 1, 2, 3, 4],
        [1, 1, 0, 1, 2],
      ];
      const plain = await model.generate({ input_ids: longer, attention_mask: mask }, options);
      for (const attention of [{ attention_mask: mask }, {}]) {
        const { past_key_values } = await model({
          ...{ input_ids: ids, attention_mask, position_ids: positions, use_cache: true },
        });
        const out = await model.generate(longer, {
          ...options,
          ...pad,
          ...attention,
          past_key_values,
        });
        expect(out.tolist()).toEqual(plain.tolist());
        await past_key_values?.dispose();
      }
    },
  );

  test("a mask that contradicts it is refused at once, and changes nothing", async () => {
    const { past_key_values } = await model({ input_ids: ids, attention_mask, use_cache: true });
    const wrong = mask.map((row) => row.map(() => 1));
    let tokens = 0;
    const streamer = { put: () => void tokens++, end: () => {} };
    await expect(
      model.generate(longer, { ...options, streamer, past_key_values, attention_mask: wrong }),
    ).rejects.toThrow(/row 1, column 0 is 1, but past_key_values were made with 0/);
    expect(tokens).toBe(1); // the prompt
    expect(past_key_values?.get_seq_length()).toBe(5);
    await past_key_values?.dispose();
  });
});

describe("several calls at the same time", () => {
  test("give what each gives alone, greedy and sampled, short and long", async () => {
    const prompts = [3, 20, 600, 41, 90].map((n) =>
      Array.from({ length: n }, (_, i) => ((i * 7) % 600) + 3),
    );
    for (const m of [model, window]) {
      const run = (ids: number[], i: number): Promise<Tensor> =>
        m.generate(ids, {
          ...{ max_new_tokens: 6 + 5 * i, eos_token_id: null },
          ...(i % 2 === 1 && { do_sample: true, seed: i }),
        });
      const alone: unknown[] = [];
      for (const [i, ids] of prompts.entries()) alone.push((await run(ids, i)).tolist());
      const together = await Promise.all(prompts.map(run));
      expect(together.map((out) => out.tolist())).toEqual(alone);
    }
  });

  test("one that fails leaves the others alone", async () => {
    const good = model.generate(input_ids, { max_new_tokens });
    const bad = model.generate([1, 2], {
      max_new_tokens: 30,
      streamer: {
        put: () => {
          throw new Error("mine");
        },
        end: () => {},
      },
    });
    await expect(bad).rejects.toThrow("mine");
    expect((await good).tolist()).toEqual(sequences);
  });
});
