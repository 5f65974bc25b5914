// Rope types whose angles depend on the length of the sequence, through the public calls: a prompt read in chunks is the prompt in
// one piece, and neither the rows of a batch nor other calls change a sequence's angles.

import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { AutoConfig, AutoModelForCausalLM, type MistralForCausalLM } from "../../src/index.ts";
import { goldenPath } from "../golden-files.ts";

const dir = goldenPath("models/base-f32");
const MAX_POSITION = 64;
/** Of head_dim / 2 frequencies. */
const factors = (step: number): number[] => Array.from({ length: 8 }, (_, i) => 1 + step * i);

const types: Readonly<Record<string, { rope_type: string; [parameter: string]: unknown }>> = {
  dynamic: { rope_type: "dynamic", factor: 4 },
  longrope: {
    rope_type: "longrope",
    short_factor: factors(0.1),
    long_factor: factors(0.7),
    original_max_position_embeddings: MAX_POSITION,
  },
};

const prompt = (length: number, seed: number): number[] =>
  Array.from({ length }, (_, i) => 3 + ((i * 7919 + seed * 131) % 630));

/** Pads on the left with 0. */
function batch(...prompts: number[][]): { input_ids: number[][]; attention_mask: number[][] } {
  const S = Math.max(...prompts.map(({ length }) => length));
  const row = (ids: number[], fill: (id: number) => number): number[] => [
    ...Array.from({ length: S - ids.length }, () => 0),
    ...ids.map(fill),
  ];
  return {
    input_ids: prompts.map((ids) => row(ids, (id) => id)),
    attention_mask: prompts.map((ids) => row(ids, () => 1)),
  };
}

/** Equal bits of all numbers; says no more when they differ, since the numbers tell nothing. */
function expectSameBits(
  actual: readonly ArrayBufferView[],
  wanted: readonly ArrayBufferView[],
): void {
  expect(actual.length).toBe(wanted.length);
  actual.forEach((numbers, i) => {
    const [a, b] = [numbers, wanted[i]].map((x) =>
      Buffer.from(x.buffer, x.byteOffset, x.byteLength),
    );
    expect(a.equals(b)).toBe(true);
  });
}

describe.each(Object.keys(types))("%s", (type) => {
  let model: MistralForCausalLM;
  let V = 0;

  beforeAll(async () => {
    const config = await AutoConfig.from_pretrained(dir);
    config.max_position_embeddings = MAX_POSITION;
    config.rope_parameters = { rope_theta: 10_000, ...types[type] };
    model = await AutoModelForCausalLM.from_pretrained(dir, { config });
    V = config.vocab_size;
  });
  afterAll(() => model.dispose());

  /** Per prompt the logits of each new token. */
  async function logitsOf(prompts: number[][], tokens: number): Promise<Float32Array[][]> {
    const { logits } = await model.generate({
      ...batch(...prompts),
      ...{ max_new_tokens: tokens, eos_token_id: null, do_sample: false, pad_token_id: 0 },
      ...{ output_logits: true, return_dict_in_generate: true },
    });
    return prompts.map((_, b) =>
      (logits ?? []).map(({ data }) => Float32Array.from(data.subarray(b * V, (b + 1) * V))),
    );
  }

  test("a prompt of 560 tokens, read in chunks, gives the logits of one forward call", async () => {
    const ids = prompt(560, 1);
    const { logits } = await model({ input_ids: [ids], use_cache: false, logits_to_keep: 1 });
    const [[first]] = await logitsOf([ids], 1);
    expectSameBits([first], [logits.data]);
  });

  test("the type matters here: without it the logits are others", async () => {
    const ids = prompt(560, 1);
    await using plain = await AutoModelForCausalLM.from_pretrained(dir);
    const input = { input_ids: [ids], use_cache: false, logits_to_keep: 1 };
    const [own, others] = [(await model(input)).logits.data, (await plain(input)).logits.data];
    expect(Math.max(...own.map((x, i) => Math.abs(x - others[i])))).toBeGreaterThan(1);
  });

  test("12 tokens beside 200, in one batch and in two calls: each has the bits that it has alone", async () => {
    const [short, long] = [prompt(12, 2), prompt(200, 3)];
    // 12 + 60 tokens pass the 64 of the model's own positions.
    const alone = [...(await logitsOf([short], 60)), ...(await logitsOf([long], 60))];
    expect(alone.map(({ length }) => length)).toEqual([60, 60]);
    expectSameBits((await logitsOf([short, long], 60)).flat(), alone.flat());
    const calls = await Promise.all([logitsOf([short], 60), logitsOf([long], 60)]);
    expectSameBits(calls.flat(2), alone.flat());
  });

  test("forward: a row's logits do not depend on the length of the other row", async () => {
    const [short, long] = [prompt(70, 4), prompt(100, 5)];
    const position_ids = [short, long].map((ids) => [
      ...Array.from({ length: 100 - ids.length }, () => 0),
      ...ids.keys(),
    ]);
    const both = await model({ ...batch(short, long), position_ids, use_cache: false });
    const alone = await model({ input_ids: [short], use_cache: false });
    expectSameBits([both.logits.data.subarray(30 * V, 100 * V)], [alone.logits.data]);
  });
});
