// A promise in place of its value: every function that takes the value names itself and the missing `await`.

import { afterAll, expect, test } from "vitest";
import {
  AutoConfig,
  AutoModelForCausalLM,
  AutoTokenizer,
  GenerationConfig,
  InputError,
  MistralConfig,
  MistralForCausalLM,
  pipeline,
} from "../../src/index.ts";
import { goldenPath } from "../golden-files.ts";

const model = await AutoModelForCausalLM.from_pretrained(goldenPath("models/base-f32"));
afterAll(() => model.dispose());
const tokenizer = await AutoTokenizer.from_pretrained(goldenPath("tokenizers/tiny"));
const generate = await pipeline("text-generation", model, { tokenizer });
const promise = (): never => Promise.resolve("a") as never;

test.each<[string, () => unknown]>([
  ["AutoModelForCausalLM.from_pretrained", () => AutoModelForCausalLM.from_pretrained(promise())],
  ["MistralForCausalLM.from_pretrained", () => MistralForCausalLM.from_pretrained(promise())],
  ["AutoTokenizer.from_pretrained", () => AutoTokenizer.from_pretrained(promise())],
  ["AutoConfig.from_pretrained", () => AutoConfig.from_pretrained(promise())],
  ["MistralConfig.from_pretrained", () => MistralConfig.from_pretrained(promise())],
  ["GenerationConfig.from_pretrained", () => GenerationConfig.from_pretrained(promise())],
  ['pipeline("text-generation")', () => pipeline("text-generation", promise())],
  [
    'pipeline("text-generation"): tokenizer',
    () => pipeline("text-generation", model, { tokenizer: promise() }),
  ],
  ["text-generation", () => generate(promise())],
  ["tokenizer", () => tokenizer(promise())],
  ["tokenizer", () => tokenizer([promise()])],
  ["tokenizer.encode", () => tokenizer.encode(promise())],
  ["tokenizer.decode", () => tokenizer.decode(promise())],
  ["tokenizer.batch_decode", () => tokenizer.batch_decode(promise())],
  ["apply_chat_template", () => tokenizer.apply_chat_template(promise())],
  ["generate", () => model.generate(promise())],
  ["generate: input_ids", () => model.generate({ input_ids: promise() })],
  ["model", () => model(promise())],
])("%s", async (name, call) => {
  const error = await (async () => call())().catch((thrown: unknown) => thrown);
  expect(error).toBeInstanceOf(InputError);
  expect((error as Error).message).toBe(`${name}: got a Promise; write await before it`);
});
