// What does not fit, and what are no numbers: typed errors before anything is taken, and nothing lost.

import { afterEach, describe, expect, test, vi } from "vitest";
import {
  AutoModelForCausalLM,
  EngineError,
  MemoryError,
  type MistralForCausalLM,
} from "../../src/index.ts";
import { goldenPath } from "../golden-files.ts";
import { temporaryFolder, writeModel } from "./written-model.ts";

const base = goldenPath("models/base-f32");
const prompt = [1, 17, 30, 45];

describe("weights that are no numbers", () => {
  afterEach(() => vi.restoreAllMocks());

  test.each([
    ["NaN", NaN, "lm_head.weight"],
    ["Infinity", Infinity, "model.layers.1.mlp.down_proj.weight"],
    ["−Infinity", -Infinity, "model.embed_tokens.weight"],
  ])("%s: loading warns, generating refuses at once, others go on", async (_, value, tensor) => {
    const { dir, remove } = temporaryFolder();
    await writeModel(
      dir,
      {},
      { change: (name, numbers) => name === tensor && numbers.fill(value, 3, 400) },
    );
    const warn = vi.spyOn(console, "warn").mockImplementation(() => {});
    const model = await AutoModelForCausalLM.from_pretrained(dir);
    expect(warn).toHaveBeenCalledOnce();
    expect(warn.mock.calls[0][0]).toContain(tensor);

    const healthy = await AutoModelForCausalLM.from_pretrained(base);
    const beside = healthy.generate(prompt, { max_new_tokens: 8 });
    for (const options of [{}, { do_sample: true }, { repetition_penalty: 1.2 }]) {
      const error = await model
        .generate([0, 1, 2, 3], { max_new_tokens: 1_000, eos_token_id: null, ...options })
        .catch((e: unknown) => e);
      expect(error).toBeInstanceOf(EngineError);
      expect((error as Error).message).toMatch(/the scores are (NaN|−?Infinity)/);
    }
    expect((await model.memory()).pagesInUse).toBe(0);
    expect((await beside).dims).toEqual([1, 12]);
    expect(warn).toHaveBeenCalledOnce();
    await Promise.all([model.dispose(), healthy.dispose()]);
    remove();
  });
});

describe("memory", () => {
  const load = (memoryLimit: number): Promise<MistralForCausalLM> =>
    AutoModelForCausalLM.from_pretrained(goldenPath("models/v03-f32"), { memoryLimit });

  test("weights that do not fit", async () => {
    const error = await load(1e5).catch((e: unknown) => e);
    expect(error).toBeInstanceOf(MemoryError);
    expect((error as Error).message).toMatch(/needs [\d.]+ MB .*limit of 0\.10 MB/);
  });

  test("on the reference backend", async () => {
    const options = { device: "reference", memoryLimit: 4e6 } as const;
    const dir = goldenPath("models/v03-f32");
    const small = AutoModelForCausalLM.from_pretrained(dir, { ...options, memoryLimit: 1e6 });
    await expect(small).rejects.toThrow(MemoryError);
    const model = await AutoModelForCausalLM.from_pretrained(dir, options);
    const error = await model
      .generate(prompt, { max_new_tokens: 10_000_000 })
      .catch((e: unknown) => e);
    expect(error).toBeInstanceOf(MemoryError);
    expect((await model.generate(prompt, { max_new_tokens: 2 })).dims).toEqual([1, 6]);
    await model.dispose();
  });

  test("a cache that does not fit: the arithmetic, and nothing is lost", async () => {
    const model = await load(6e6);
    const before = await model.generate(prompt, { max_new_tokens: 8 });
    const memory = await model.memory();
    const error = await model
      .generate(prompt, { max_new_tokens: 10_000_000 })
      .catch((e: unknown) => e);
    expect(error).toBeInstanceOf(MemoryError);
    expect((error as Error).message).toMatch(
      /a sequence of up to 10000004 columns needs [\d.]+ GB .* but [\d.]+ MB \(\d+ pages\) is the most that fits; .*raise memoryLimit/,
    );
    expect(await model.memory()).toEqual(memory);

    const { past_key_values: cache } = await model({ input_ids: prompt, use_cache: true });
    const tooLong = model({
      input_ids: Int32Array.from({ length: 30_000 }, (_, i) => i % 640),
      past_key_values: cache,
      logits_to_keep: 1,
    });
    expect(await tooLong.catch((e: unknown) => e)).toBeInstanceOf(MemoryError);
    expect(cache?.get_seq_length()).toBe(4);
    const next = await model({ input_ids: [9], past_key_values: cache });
    const whole = await model({ input_ids: [...prompt, 9], use_cache: false });
    expect(next.logits.data).toEqual(whole.logits.data.subarray(4 * 640));
    await cache?.dispose();

    expect((await model.generate(prompt, { max_new_tokens: 8 })).tolist()).toEqual(before.tolist());
    expect((await model.memory()).pagesInUse).toBe(0);
    await model.dispose();
  });

  test("calls that do not fit together wait for each other", async () => {
    const model = await load(1.8e6);
    const options = { max_new_tokens: 200, eos_token_id: null };
    const alone = await model.generate(prompt, options);
    const all = await Promise.all(
      Array.from({ length: 12 }, () => model.generate(prompt, options)),
    );
    for (const out of all) expect(out.tolist()).toEqual(alone.tolist());
    expect((await model.memory()).pagesInUse).toBe(0);
    await model.dispose();
  });

  test("forward calls that keep caches do not take the pages of a generate call", async () => {
    const model = await AutoModelForCausalLM.from_pretrained(base);
    const options = { max_new_tokens: 60, eos_token_id: null };
    const alone = await model.generate(prompt, options);
    const calls = Array.from({ length: 8 }, (_, i) => [
      model({ input_ids: [...Array(40 + i).keys()], use_cache: true }),
      model.generate(prompt, options),
    ]).flat();
    for (const out of await Promise.all(calls)) {
      if ("past_key_values" in out) await out.past_key_values?.dispose();
      else expect((out as typeof alone).tolist()).toEqual(alone.tolist());
    }
    expect((await model.memory()).pagesInUse).toBe(0);
    await model.dispose();
  });

  test("scores are kept only for a result that can hold them", async () => {
    const model = await AutoModelForCausalLM.from_pretrained(base);
    const options = { max_new_tokens: 50_000_000, eos_token_id: null, output_scores: true };
    const kept = model.generate(prompt, { ...options, return_dict_in_generate: true });
    await expect(kept).rejects.toThrow(
      "output_scores 1 × [50000000, 1, 640] in float32 take 128.00 GB",
    );
    const signal = AbortSignal.timeout(200);
    await expect(model.generate(prompt, { ...options, signal })).rejects.toThrow(
      /timeout|is the most that fits/,
    );
    await model.dispose();
  });

  test("results that no machine can hold", async () => {
    const { dir, remove } = temporaryFolder();
    await writeModel(dir, { vocab_size: 60_000, max_position_embeddings: 1_000_000 });
    const model = await AutoModelForCausalLM.from_pretrained(dir);
    const input_ids = new Int32Array(1_000_000);
    const error = await model({ input_ids }).catch((e: unknown) => e);
    expect(error).toBeInstanceOf(MemoryError);
    expect((error as Error).message).toContain(
      "logits 1 × [1, 1000000, 60000] in float32 take 240.00 GB",
    );
    expect((await model.memory()).pagesInUse).toBe(0);
    await model.dispose();
    remove();
  });
});
