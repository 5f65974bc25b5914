// What an editor shows of the package, asked of TypeScript's language server: each option has a text, completion offers options and
// nothing else, and a wrong value does not compile.

import { rmSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { callNames, inputNames } from "../../src/api/model/generate.ts";
import { fields } from "../../src/generate/generation-fields.ts";
import { TOKENIZER_OPTIONS } from "../../src/api/tokenizer/tokenizer-options.ts";
import { BitsAndBytesConfig } from "../../src/index.ts";
import { type Document, LanguageServer } from "./language-server.ts";
import { makeProject } from "./project.ts";

const folder = makeProject({ lib: ["es2024", "dom"] });
let server: LanguageServer;
beforeAll(async () => {
  server = await LanguageServer.start(folder);
});
afterAll(async () => {
  await server.stop();
  rmSync(folder, { recursive: true });
});

const HEAD = `
import * as mistral from "@mistral-ts/mistral";
declare const model: mistral.MistralForCausalLM;
declare const tokenizer: mistral.PreTrainedTokenizer;
declare const inputs: mistral.BatchEncoding<mistral.Tensor>;
declare const { AutoModelForCausalLM, AutoTokenizer, BitsAndBytesConfig, torch }: typeof mistral;
`;
let count = 0;
const open = (code: string): Document =>
  server.open(join(folder, `program-${count++}.ts`), HEAD + code);

const notes = ["_from_model_config", "transformers_version"];
const settings = [...fields.keys()].filter((name) => !notes.includes(name));
const call = [...callNames];
const ids = [...inputNames];

/** A call with a place for options, and the options that belong there: all of them, or some. */
const places: Readonly<Record<string, readonly [string, { all: string[] } | { some: string[] }]>> =
  {
    "generate({ })": ["model.generate({ § })", { all: [...settings, ...call, ...ids] }],
    "generate(inputs, { })": [
      "model.generate(inputs, { § })",
      { all: [...settings, ...call, ...ids] },
    ],
    "generate({ …, more })": [
      "model.generate({ ...inputs, max_new_tokens: 5, § })",
      { some: ["do_sample", "top_k"] },
    ],
    "generate(ids, { })": ["model.generate([[1]], { § })", { all: [...settings, ...call, ...ids] }],
    GenerationConfig: ["new mistral.GenerationConfig({ § })", { all: settings }],
    from_pretrained: [
      'AutoModelForCausalLM.from_pretrained("a", { § })',
      { some: ["dtype", "device_map", "quantization_config", "revision", "threads", "onProgress"] },
    ],
    from_config: [
      "AutoModelForCausalLM.from_config(new mistral.MistralConfig(), { § })",
      { some: ["dtype", "seed"] },
    ],
    "AutoTokenizer.from_pretrained": [
      'AutoTokenizer.from_pretrained("a", { § })',
      { some: ["padding_side", "revision"] },
    ],
    BitsAndBytesConfig: [
      "new BitsAndBytesConfig({ § })",
      { all: Object.keys({ ...new BitsAndBytesConfig() }) },
    ],
    "tokenizer(text, { })": ['tokenizer("a", { § })', { all: [...TOKENIZER_OPTIONS] }],
    "tokenizer(texts, { })": ['tokenizer(["a"], { § })', { all: [...TOKENIZER_OPTIONS] }],
    apply_chat_template: [
      "tokenizer.apply_chat_template([], { § })",
      { some: ["tools", "add_generation_prompt", "return_tensors"] },
    ],
    decode: [
      "tokenizer.decode([1], { § })",
      { all: ["skip_special_tokens", "clean_up_tokenization_spaces"] },
    ],
    forward: ["model({ § })", { some: ["input_ids", "labels", "logits_to_keep"] }],
    MistralConfig: [
      "new mistral.MistralConfig({ § })",
      { some: ["hidden_size", "rope_parameters", "rope_theta", "sliding_window", "num_labels"] },
    ],
    save_pretrained: ['model.save_pretrained("a", { § })', { some: ["max_shard_size", "variant"] }],
    DynamicCache: ["new mistral.DynamicCache({ § })", { all: ["config"] }],
    quantize: [
      'mistral.quantize("a", "b", { § })',
      { all: ["method", "force", "max_shard_size", "signal", "onProgress"] },
    ],
    perplexity: ["mistral.perplexity(model, [1], { § })", { some: ["stride", "max_length"] }],
    TextStreamer: [
      "new mistral.TextStreamer(tokenizer, { § })",
      { some: ["skip_prompt", "skip_special_tokens"] },
    ],
    env: ["mistral.env.§", { some: ["wasm", "cacheDir", "fetch"] }],
    "env.wasm": ["mistral.env.wasm.§", { all: ["revectorize", "threads", "addressSpace"] }],
  };

/** What no list of options may hold: members of arrays, tensors and objects. */
const strangers = ["map", "length", "toString", "dims", "data", "BYTES_PER_ELEMENT", "#private"];

const offered = async (code: string): Promise<string[]> => {
  const [before, after] = code.split("§");
  const completions = await open(before + after).completions(before);
  return completions.map(({ label }) => label.replace(/\?$/, "")).toSorted();
};

describe.each(Object.entries(places))("%s", (_, [code, expected]) => {
  let names: string[];
  beforeAll(async () => {
    names = await offered(code);
  });

  test("completion offers its options, and nothing else", () => {
    if ("all" in expected) expect(names).toEqual(expected.all.toSorted());
    else expect(names).toEqual(expect.arrayContaining(expected.some));
    expect(names.filter((name) => strangers.includes(name))).toEqual([]);
  });

  test("every option has a text", async () => {
    const [before, after] = code.split("§");
    const use = code.includes("{ §") || code.includes(", §");
    const program = use
      ? `${before}\n${names.map((name) => `  ${name}: undefined!,\n`).join("")}${after}`
      : names.map((name) => `${before}${name};\n`).join("");
    const document = open(program);
    const bare: string[] = [];
    for (const name of names) {
      const piece = use ? ` ${name}: undefined!` : `.${name};\n`;
      if ((await document.textOf(piece, 1)).length < 12) bare.push(name);
    }
    expect(bare).toEqual([]);
  });
});

test("the text of a setting says when it has no effect, or is refused", async () => {
  const document = open(
    `model.generate({\n${settings.map((name) => `  ${name}: undefined!,\n`).join("")}});`,
  );
  for (const name of settings) {
    const { standing = "" } = fields.get(name) ?? {};
    const text = await document.textOf(` ${name}: undefined!`, 1);
    const said = /^No effect here(?!, but)/.test(text)
      ? "no effect"
      : /[Rr]efused/.test(text)
        ? "refused"
        : "honoured";
    const expected = standing === "note" ? "no effect" : standing.split(":")[0];
    expect([name, said]).toEqual([name, expected === "not returned" ? "refused" : expected]);
  }
});

test("fields of a config have the texts of its options", async () => {
  const document = open("model.config.hidden_size; model.config.sliding_window;");
  expect(await document.textOf("config.hidden_size", 7)).toMatch(/^H, width of the residual/);
  expect(await document.textOf("config.sliding_window", 7)).toMatch(/^W: a token sees/);
});

test.each([
  ['AutoModelForCausalLM.from_pretrained("a", { dtype: "§" })', "torch.float16"],
  ['AutoModelForCausalLM.from_pretrained("a", { attn_implementation: "§" })', "flash_attention_2"],
  ['AutoModelForCausalLM.from_pretrained("a", { device_map: "§" })', "cuda"],
  ['new BitsAndBytesConfig({ bnb_4bit_quant_type: "§" })', "nf4"],
  ['tokenizer("a", { truncation: "§" })', "longest_first"],
  ['tokenizer("a", { padding_side: "§" })', "left"],
  ['mistral.quantize("a", "b", { method: "§" })', "q4"],
  ["torch.§", "bfloat16"],
])("values are offered: %s", async (code, value) => {
  const [before, after] = code.split("§");
  const labels = (await open(before + after).completions(before)).map(({ label }) => label);
  expect(labels).toContain(value);
});

test.each([
  ['AutoModelForCausalLM.from_pretrained("a", { dtype: "flot16" })', "flot16"],
  ['AutoModelForCausalLM.from_pretrained("a", { device_map: "cudda" })', "cudda"],
  ['AutoModelForCausalLM.from_pretrained("a", { attn_implementation: "flash" })', "flash"],
  ['AutoModelForCausalLM.from_pretrained("a", { cacheDtype: "int4" })', "int4"],
  ['AutoModelForCausalLM.from_pretrained("a", { quantization_config: { method: "q5" } })', "q5"],
  ['AutoModelForCausalLM.from_pretrained("a", { divice: "cpu" })', "divice"],
  ['new BitsAndBytesConfig({ bnb_4bit_quant_type: "nf5" })', "nf5"],
  ['new BitsAndBytesConfig({ bnb_4bit_compute_dtype: "flot16" })', "flot16"],
  ["model.generate({ ...inputs, max_new_token: 5 })", "max_new_token"],
  ['model.generate(inputs, { cache_implementation: "sttic" })', "sttic"],
  ['model.generate("text")', '"text"'],
  ['tokenizer("a", { padding: "longst" })', "longst"],
  ['tokenizer("a", { truncation: "first" })', "first"],
  ['tokenizer("a", { return_tensors: "tf" })', "tf"],
  ['tokenizer.padding_side = "lft"', "lft"],
  ['inputs.to("cudda")', "cudda"],
  ['model.to("flot16")', "flot16"],
  ['mistral.quantize("a", "b", { method: "q5" })', "q5"],
])("does not compile: %s", async (code, named) => {
  const errors = await open(code).errors();
  expect(errors).not.toEqual([]);
  expect(errors.join("\n")).toContain(named);
});

test("the page's calls compile, and results have their types", async () => {
  const errors = await open(`
const loaded = await AutoModelForCausalLM.from_pretrained("a", {
  torch_dtype: torch.float16, attn_implementation: "flash_attention_2", device_map: { "": 0 },
});
const batch = tokenizer(["a"], { return_tensors: "pt" }).to("cuda").to(loaded.device);
const one: mistral.Tensor = await loaded.to("cuda").eval().generate({ ...batch, max_new_tokens: 5 });
const two: mistral.Tensor = await loaded.generate(batch, { max_new_tokens: 5 });
const three: mistral.Tensor = await loaded.generate(batch.input_ids, { max_length: 5 });
const four: mistral.Tensor = await loaded.generate([[1, 2]]);
const more = { ...batch, return_dict_in_generate: true } as const;
const five: mistral.Tensor = (await loaded.generate(more)).sequences;
const six: mistral.Tensor = (await loaded.generate(batch, { return_dict_in_generate: true })).sequences;
const seven: mistral.Tensor = (await loaded.generate([[1]], { return_dict_in_generate: true })).sequences;
const text: string = tokenizer.batch_decode(two)[0];
const chat = tokenizer.apply_chat_template([{ role: "user", content: "a" }], { return_tensors: "pt" });
const eight: mistral.Tensor = await loaded.generate(chat.to(loaded.device), { do_sample: true });
new BitsAndBytesConfig({ load_in_4bit: true, bnb_4bit_compute_dtype: torch.bfloat16 });
for (const row of one.at(0).to(torch.float32).softmax(-1)) row.item().toFixed(2);
`).errors();
  expect(errors).toEqual([]);
});
