// Sampling through generate: keyed by (seed, sequence, step), and every setting reaches the scores.

import { afterAll, beforeAll, describe, expect, test } from "vitest";
import {
  AutoModelForCausalLM,
  type MistralForCausalLM,
  type NestedInput,
  TextIteratorStreamer,
} from "../../src/index.ts";
import { goldenPath } from "../golden-files.ts";

const folder = goldenPath("models/base-f32");
const prompts = [
  [1, 20, 300, 7, 5, 44, 91],
  [9, 8, 77],
  [4, 4, 4, 600, 2],
];
const sampled = { do_sample: true, max_new_tokens: 24, eos_token_id: null };

let one: MistralForCausalLM;
let two: MistralForCausalLM;
beforeAll(async () => {
  [one, two] = await Promise.all(
    [1, 2].map((threads) => AutoModelForCausalLM.from_pretrained(folder, { threads })),
  );
});
afterAll(() => Promise.all([one.dispose(), two.dispose()]));

const tokens = async (
  inputs: NestedInput | { input_ids: NestedInput; attention_mask: NestedInput },
  options: object,
  model: MistralForCausalLM = one,
): Promise<number[][]> => (await model.generate(inputs, options)).tolist() as number[][];

/** A left-padded batch. */
const padded = {
  input_ids: prompts.map((ids) => [...Array.from({ length: 7 - ids.length }, () => 0), ...ids]),
  attention_mask: prompts.map((ids) =>
    Array.from({ length: 7 }, (_, i) => (i < 7 - ids.length ? 0 : 1)),
  ),
};

describe("a seed", () => {
  test("gives the same tokens alone and in a batch, padded or not, streamed or not, with 1 and 2 threads", async () => {
    const options = { ...sampled, seed: 42 };
    const alone: number[][] = [];
    for (const ids of prompts) alone.push((await tokens(ids, options))[0].slice(ids.length));
    const decode = { decode: (ids: number[]) => ids.join(" ") };
    const streamer = new TextIteratorStreamer<{ index: number; text: string }>(decode);
    const runs = [
      await tokens(padded, options),
      await tokens(padded, options, two),
      await tokens(padded, { ...options, streamer }),
      await tokens({ ...padded, ...options } as never, {}),
    ];
    for (const rows of runs) expect(rows.map((row) => row.slice(7))).toEqual(alone);
    const wider = {
      input_ids: padded.input_ids.map((row) => [0, 0, 0, ...row]),
      attention_mask: padded.attention_mask.map((row) => [0, 0, 0, ...row]),
    };
    expect((await tokens(wider, options)).map((row) => row.slice(10))).toEqual(alone);
    for (const [i, ids] of prompts.entries()) {
      expect((await tokens(ids, options, two))[0].slice(ids.length)).toEqual(alone[i]);
    }
  });

  test("another seed gives others, no seed another time others", async () => {
    const runs = await Promise.all(
      [1, 2, 3, 2 ** 32 + 1, undefined, undefined].map((seed) =>
        tokens(prompts[0], { ...sampled, seed }),
      ),
    );
    expect(new Set(runs.map((rows) => rows.join())).size).toBe(6);
  });

  test("num_return_sequences: each its own, the first as alone, the same again", async () => {
    const options = { ...sampled, seed: 7, num_return_sequences: 3 };
    const out = await tokens(padded, options);
    expect(out).toHaveLength(9);
    expect(new Set(out.map((row) => row.join())).size).toBe(9);
    out.forEach((row, i) => expect(row.slice(0, 7)).toEqual(padded.input_ids[Math.floor(i / 3)]));
    expect(await tokens(padded, options, two)).toEqual(out);
    const [first] = await tokens(prompts[0], { ...sampled, seed: 7 });
    expect(out[0]).toEqual(first);
    const equal = await tokens([prompts[0], prompts[0], prompts[0]], { ...sampled, seed: 7 });
    expect(equal).toEqual(out.slice(0, 3));
  });
});

describe("settings reach the processors", () => {
  test.each([
    ["temperature near 0", { temperature: 0.001 }],
    ["top_k 1", { top_k: 1 }],
    ["top_p near 0", { top_p: 1e-9 }],
    ["min_p 1", { min_p: 1 }],
  ])("%s is greedy", async (_, options) => {
    const greedy = await tokens(padded, { max_new_tokens: 24, eos_token_id: null });
    expect(await tokens(padded, { ...sampled, ...options, seed: 3 })).toEqual(greedy);
  });

  test.each([
    ["temperature", { temperature: 3 }],
    ["top_k", { top_k: 3 }],
    ["top_p", { top_p: 0.3 }],
    ["min_p", { min_p: 0.5 }],
    ["repetition_penalty", { repetition_penalty: 5 }],
  ])("%s changes what is drawn, and the scores", async (_, options) => {
    const base = { ...sampled, seed: 11, top_k: 0 };
    expect(await tokens(padded, { ...base, ...options })).not.toEqual(await tokens(padded, base));
    const { scores, logits, past_key_values } = await one.generate(prompts[0], {
      ...{ ...base, ...options, max_new_tokens: 1 },
      ...{ return_dict_in_generate: true, output_scores: true, output_logits: true },
    });
    expect(scores?.[0].data).not.toEqual(logits?.[0].data);
    await past_key_values?.dispose();
  });

  test("top_k keeps k tokens", async () => {
    const { scores, past_key_values } = await one.generate(prompts[0], {
      ...{ ...sampled, top_k: 5, max_new_tokens: 3, seed: 1 },
      ...{ return_dict_in_generate: true, output_scores: true },
    });
    for (const step of scores ?? []) {
      expect(step.data.filter((score) => score > -Infinity)).toHaveLength(5);
    }
    await past_key_values?.dispose();
  });

  test("draws follow the probabilities", async () => {
    const { logits } = await one({ input_ids: prompts[0], logits_to_keep: 1, use_cache: false });
    const max = Math.max(...logits.data);
    const weights = [...logits.data].map((x) => Math.exp(x - max));
    const sum = weights.reduce((a, b) => a + b, 0);
    const n = 2000;
    const draws = await tokens(prompts[0], {
      ...{ ...sampled, top_k: 0, max_new_tokens: 1, num_return_sequences: n, seed: 5 },
    });
    const counts = new Map<number, number>();
    for (const row of draws) {
      const id = row.at(-1) ?? -1;
      counts.set(id, (counts.get(id) ?? 0) + 1);
    }
    const likely = [...weights.keys()].toSorted((a, b) => weights[b] - weights[a]).slice(0, 5);
    for (const id of likely) {
      const p = weights[id] / sum;
      const deviation = Math.sqrt(n * p * (1 - p));
      expect(Math.abs((counts.get(id) ?? 0) - n * p)).toBeLessThan(5 * deviation);
    }
  });
});
