// What people do wrong, and the sentence that helps: each error names what came and what to write instead.

import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import {
  AutoConfig,
  AutoModelForCausalLM,
  AutoTokenizer,
  CheckpointError,
  InputError,
  type LoadOptions,
  MistralForCausalLM,
  MemoryError,
} from "../../src/index.ts";
import { folder } from "../checkpoint/craft.ts";
import { goldenPath } from "../golden-files.ts";

const base = goldenPath("models/base-f32");

async function failure(attempt: () => unknown): Promise<Error> {
  try {
    await attempt();
  } catch (error) {
    return error as Error;
  }
  throw new Error("nothing failed");
}

describe("generate and forward", () => {
  let model: MistralForCausalLM;
  beforeAll(async () => {
    model = await AutoModelForCausalLM.from_pretrained(base);
  });
  afterAll(() => model.dispose());

  const tokenise = 'tokenise first: model.generate(tokenizer(text, { return_tensors: "pt" }))';
  test.each<[unknown, string]>([
    ["Hello", `generate: input_ids is a text, expected a number for each token; ${tokenise}`],
    [
      { input_ids: "Hello" },
      `generate: input_ids is a text, expected a number for each token; ${tokenise}`,
    ],
    [
      ["Hello", "you"],
      `generate: input_ids is a list of texts, expected a number for each token; ${tokenise}`,
    ],
    [{ text: "Hello" }, 'unknown option "text"; generate takes token ids'],
    [{ prompt: "Hello" }, 'unknown option "prompt"; generate takes token ids'],
    [[{ role: "user", content: "Hi" }], "tokenizer.apply_chat_template(messages, "],
    [Promise.resolve([[1]]), "generate: got a Promise; write await before it"],
    [
      undefined,
      "generate: give exactly one of input_ids and inputs_embeds; pass what tokenizer(text, ",
    ],
    [{}, "pass what tokenizer(text, "],
  ])("generate(%j)", async (input, message) => {
    const error = await failure(() => model.generate(input as never));
    expect(error).toBeInstanceOf(InputError);
    expect(error.message).toContain(message);
  });

  test("forward", async () => {
    const text = await failure(() => model("Hello" as never));
    expect(text.message).toContain('model(tokenizer(text, { return_tensors: "pt" }))');
    const list = await failure(() => model([[1, 2]] as never));
    expect(list.message).toContain("expected an object such as { input_ids, attention_mask }");
  });
});

test.each<[Record<string, unknown>, string]>([
  [{ dtype: "fp16" }, 'write "float16"'],
  [{ torch_dtype: "half" }, 'write "float16"'],
  [{ dtype: "q4" }, 'to quantise the weights, write quantization_config: { method: "q4" }'],
  [{ dtype: "int8" }, "to quantise the weights, write quantization_config"],
  [{ dtype: { name: "float16" } }, 'write its name, such as "float16" or torch.float16'],
])("from_pretrained with %j", async (options, message) => {
  const load = (): unknown => AutoModelForCausalLM.from_pretrained(base, options as LoadOptions);
  expect((await failure(load)).message).toContain(message);
});

test.each([
  ["https://huggingface.co/mistralai/Mistral-7B-v0.1/tree/main", '"mistralai/Mistral-7B-v0.1"'],
  ["~/models/mistral", "~ is known to shells only"],
  ["file:///models/mistral", "fileURLToPath(url)"],
])("from_pretrained(%j)", async (name, message) => {
  expect((await failure(() => AutoModelForCausalLM.from_pretrained(name))).message).toContain(
    message,
  );
});

test("a limit of memory: sizes in units that show them, and raising the limit is the first remedy", async () => {
  const load = (): unknown => AutoModelForCausalLM.from_pretrained(base, { memoryLimit: 500_000 });
  const error = await failure(load);
  expect(error).toBeInstanceOf(MemoryError);
  expect(error.message).toMatch(/needs 0.85 MB .* limit of 0.50 MB .*; raise memoryLimit, use a/);
  expect(error.message).toMatch(/with dtype: "bfloat16" the weights take 0.42 MB$/);
  expect(error.message).not.toMatch(/0\.00/);
});

test("a folder with a GGUF file alone has its tokenizer in it", async () => {
  const error = await failure(() => AutoTokenizer.from_pretrained(folder({ "m.gguf": "" })));
  expect(error.message).toContain(
    "but m.gguf, which holds a tokenizer; name it with the option gguf_file",
  );
});

test.each<[string, string | Uint8Array, string]>([
  ["config.json", "<!DOCTYPE html>", "is no JSON file: it is a web page"],
  ["config.json", "", "the file is empty; correct the file, or fetch the publisher's"],
  ["config.json", '{"a": 1,}', "this is no JSON"],
  ["config.json", Buffer.from("\ufeff{}", "utf16le"), "it is text in UTF-16: save it as UTF-8"],
  ["model.safetensors", `<html>${" ".repeat(99)}`, "is no safetensors file: it is a web page"],
  ["model.safetensors", `PK\u0003\u0004${"x".repeat(99)}`, "it is a zip archive"],
  ["model.safetensors", `GGUF\u0003${"\0".repeat(99)}`, "it is a GGUF file"],
])("%s that holds %j", async (name, content, message) => {
  const config = JSON.stringify({ model_type: "mistral" });
  const dir = folder({ "config.json": config, "model.safetensors": "" });
  writeFileSync(join(dir, name), content);
  const error = await failure(() => AutoModelForCausalLM.from_pretrained(dir));
  expect(error).toBeInstanceOf(CheckpointError);
  expect(error.message).toContain(message);
});

test("a wrong value: the file is blamed for its own, the caller for what was written over it", async () => {
  const of = (values: object): string =>
    folder({ "config.json": JSON.stringify({ model_type: "mistral", ...values }) });
  const given = await failure(() => AutoConfig.from_pretrained(of({}), { hidden_size: -1 }));
  expect(given).toBeInstanceOf(InputError);
  expect(given.message).toMatch(/^MistralConfig: hidden_size is -1/);
  const own = await failure(() =>
    AutoConfig.from_pretrained(of({ hidden_size: -4 }), { vocab_size: 5 }),
  );
  expect(own).toBeInstanceOf(CheckpointError);
  expect(own.message).toMatch(/config.json: hidden_size is -4, .*; correct it, or take the file/);
  const params = folder({
    "params.json": JSON.stringify({
      ...{ dim: 30, n_layers: 1, n_heads: 4, hidden_dim: 8, norm_eps: 1e-5, vocab_size: 9 },
    }),
  });
  expect((await failure(() => AutoConfig.from_pretrained(params))).message).toMatch(
    /params.json: hidden_size is 30, expected a multiple of num_attention_heads/,
  );
});
