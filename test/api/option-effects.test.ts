// Options that no other test would miss: each does what its text says.

import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { platform, tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, onTestFinished, test } from "vitest";
import {
  AutoModelForCausalLM,
  AutoTokenizer,
  MistralConfig,
  MistralForCausalLM,
  type PreTrainedTokenizer,
  pipeline,
  quantize,
  type TextGenerationPipeline,
} from "../../src/index.ts";
import { writeRandomModel } from "../../src/api/measurement/random-model.ts";
import { goldenPath } from "../golden-files.ts";

const tokenizerOf = (options = {}): Promise<PreTrainedTokenizer> =>
  AutoTokenizer.from_pretrained(goldenPath("tokenizers/tiny"), options);

test.runIf(platform() === "linux")("disable_mmap: files are read, not mapped", async () => {
  const folder = mkdtempSync(join(tmpdir(), "mistral-mapped-model-"));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  // Pieces of files below 16 MiB are always read: the embedding takes 18 MB, and stays as it is when the model is quantised.
  const config = new MistralConfig({
    ...{ vocab_size: 9000, hidden_size: 1024, intermediate_size: 64, num_hidden_layers: 1 },
    ...{ num_attention_heads: 2, num_key_value_heads: 1, head_dim: 32 },
  });
  const [plain, quantised] = [join(folder, "plain"), join(folder, "q4")];
  await writeRandomModel(plain, config);
  await quantize(plain, quantised, { method: "q4" });
  const isMapped = (): boolean => readFileSync("/proc/self/maps", "utf8").includes(quantised);
  // The memory of a disposed model stays mapped until it is collected, so that this order matters.
  for (const disable_mmap of [true, false]) {
    const model = await AutoModelForCausalLM.from_pretrained(quantised, { disable_mmap });
    expect([disable_mmap, isMapped()]).toEqual([disable_mmap, !disable_mmap]);
    await model.dispose();
  }
});

test.runIf(platform() === "linux")("threads: how many compute", async () => {
  const tasks = (): number => readdirSync("/proc/self/task").length;
  const counts: number[] = [];
  // The first model starts threads of the runtime too, which stay.
  for (const threads of [1, 1, 4]) {
    const before = tasks();
    const model = await AutoModelForCausalLM.from_pretrained(goldenPath("models/base-f32"), {
      threads,
    });
    await model.generate([[1, 2]], { max_new_tokens: 1 });
    counts.push(tasks() - before);
    await model.dispose();
  }
  expect(counts[2] - counts[1]).toBe(3);
});

test("initializer_range: the standard deviation of new weights", async () => {
  const sizes = {
    ...{ vocab_size: 64, hidden_size: 32, intermediate_size: 64, num_hidden_layers: 1 },
    ...{ num_attention_heads: 4, num_key_value_heads: 2 },
  };
  const spread = async (initializer_range: number): Promise<number> => {
    const config = new MistralConfig({ ...sizes, initializer_range });
    const model = await MistralForCausalLM.from_config(config);
    onTestFinished(() => model.dispose());
    const ids = Array.from({ length: 64 }, (_, id) => [id]);
    const out = await model({ input_ids: ids, output_hidden_states: true });
    // The first hidden states are the embeddings themselves.
    const values = Array.from(out.hidden_states?.[0].data ?? [], Number);
    return Math.sqrt(values.reduce((sum, x) => sum + x * x, 0) / values.length);
  };
  expect((await spread(0.02)) / 0.02).toBeCloseTo(1, 1);
  expect((await spread(0.5)) / 0.5).toBeCloseTo(1, 1);
});

test("return_length: the number of tokens of each row", async () => {
  const tokenizer = await tokenizerOf();
  expect(tokenizer(["a", "a b c"], { return_length: true }).length).toEqual(
    tokenizer(["a", "a b c"]).input_ids.map((row) => row.length),
  );
});

test("get_chat_template: the tokenizer's own, or one of several by its name", async () => {
  const tokenizer = await tokenizerOf({ chat_template: { default: "A", tool_use: "B" } });
  expect(tokenizer.get_chat_template()).toBe("A");
  expect(tokenizer.get_chat_template(null, [{}])).toBe("B");
  expect(tokenizer.get_chat_template("tool_use")).toBe("B");
});

describe("the text-generation pipeline", () => {
  const template =
    "{{ tools }}{{ documents }}{% for m in messages %}{{ m.content }}{% endfor %}{% if add_generation_prompt %}!{% endif %}";
  const greedy = { max_new_tokens: 2, do_sample: false } as const;
  const make = async (chat_template = template): Promise<TextGenerationPipeline> => {
    const made = await pipeline("text-generation", goldenPath("models/base-f32"), {
      tokenizer: await tokenizerOf({ chat_template }),
      ...greedy,
    });
    onTestFinished(() => made.dispose());
    return made;
  };
  const idsOf = async (made: TextGenerationPipeline, options: object): Promise<number[]> => {
    const chat = [
      { role: "user", content: "a" },
      { role: "assistant", content: "b" },
    ];
    const out = await made(chat, { return_tensors: true, ...options });
    return [out].flat(2)[0].generated_token_ids ?? [];
  };

  test("tools, documents and continue_final_message reach the template", async () => {
    const made = await make();
    const text = async (options: object): Promise<string> =>
      made.tokenizer.decode((await idsOf(made, options)).slice(0, -2)) as string;
    const plain = await text({});
    expect(await text({ continue_final_message: false })).toBe(`${plain}!`);
    expect(await text({ tools: [{ name: "see" }] })).toContain("see");
    expect(await text({ documents: [{ title: "t", text: "read" }] })).toContain("read");
  });

  test("return_text: the default, and not together with ids", async () => {
    const made = await make();
    const text = async (options: object): Promise<string> =>
      ([await made("a , b", options)].flat(2)[0] as { generated_text: string }).generated_text;
    expect(await text({ return_text: true })).toBe(await text({}));
    await expect(made("a", { return_text: true, return_tensors: true })).rejects.toThrow(
      /return_text/,
    );
  });
});

test("apply_chat_template: max_length cuts, tokenizer_kwargs reach the tokenizer", async () => {
  const tokenizer = await tokenizerOf({ chat_template: "{{ messages[0].content }}" });
  const chat = [{ role: "user", content: "a b c d" }];
  const whole = tokenizer("a b c d", { add_special_tokens: false }).input_ids;
  const cut = tokenizer.apply_chat_template(chat, { truncation: true, max_length: 2 });
  expect(cut.input_ids).toEqual(whole.slice(0, 2));
  const options = { tokenizer_kwargs: { return_length: true, add_special_tokens: true } };
  const more = tokenizer.apply_chat_template(chat, options);
  expect(more.input_ids).toEqual(tokenizer("a b c d").input_ids);
  expect(more.length).toEqual(tokenizer("a b c d", { return_length: true }).length);
});
