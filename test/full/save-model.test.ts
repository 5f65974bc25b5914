// Folders that save_pretrained wrote, loaded by Transformers itself with the same results; and quantised classifiers that Transformers
// wrote, loaded here. bench/.venv holds Transformers (bash bench/setup.sh).

import { execFileSync } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import {
  AutoModel,
  AutoModelForCausalLM,
  AutoModelForQuestionAnswering,
  AutoModelForSequenceClassification,
  AutoModelForTokenClassification,
  type BitsAndBytesOptions,
  type ForwardInputs,
  MistralConfig,
  type PreTrainedModel,
  Tensor,
} from "../../src/index.ts";
import { goldenPath } from "../golden-files.ts";

const python = join(import.meta.dirname, "../../bench/.venv/bin/python");
const folder = mkdtempSync(join(tmpdir(), "mistral-saved-"));
afterAll(() => rmSync(folder, { recursive: true }));

const model = (name: string): string => goldenPath(`models/${name}`);
const input_ids = [Array.from({ length: 40 }, (_, i) => 1 + ((i * 37) % 600))];
/** goldens/README.md. LLM.int8 is a sanity check: rounding flips grow through the layers. */
const TOLERANCE = 2e-4;
const INT8_TOLERANCE = 0.6;

type Model = PreTrainedModel<ForwardInputs, object>;
type Results = Record<string, Record<string, unknown>>;

const nf4 = { load_in_4bit: true, bnb_4bit_quant_type: "nf4" } as const;
const nf4dq = { ...nf4, bnb_4bit_use_double_quant: true } as const;
const int8 = { load_in_8bit: true } as const;
// bitsandbytes 0.50.2 dequantises 4-bit rows that 64 does not divide wrongly on CPUs with AVX-512: the goldens' models have such rows.
const shape = new MistralConfig({
  ...{ vocab_size: 640, hidden_size: 64, intermediate_size: 128, num_hidden_layers: 2 },
  ...{ num_attention_heads: 4, num_key_value_heads: 2, num_labels: 4, pad_token_id: 0 },
  ...{ initializer_range: 0.2 },
});
const Auto = {
  base: AutoModelForCausalLM,
  texts: AutoModelForSequenceClassification,
  tokens: AutoModelForTokenClassification,
  answers: AutoModelForQuestionAnswering,
};
type Kind = keyof typeof Auto;
const plainFolder = (kind: Kind): string => join(folder, `plain-${kind}`);
const quantised = (kind: Kind, quantization_config: BitsAndBytesOptions) => (): Promise<Model> =>
  Auto[kind].from_pretrained(plainFolder(kind), { quantization_config });
const saves: Readonly<Record<string, () => Promise<Model>>> = {
  ...Object.fromEntries(
    Object.entries(Auto).map(([kind, A]) => [
      `plain-${kind}`,
      (): Promise<Model> => A.from_config(shape, { seed: 3 }),
    ]),
  ),
  sharded: () => AutoModelForCausalLM.from_pretrained(model("base-f32")),
  tied: () => AutoModelForCausalLM.from_pretrained(model("v03-f32")),
  decoder: () => AutoModel.from_pretrained(model("base-f32")),
  bf16: () => AutoModelForCausalLM.from_pretrained(model("base-bf16")),
  texts: () => AutoModelForSequenceClassification.from_pretrained(model("seqcls-f32")),
  tokens: () => AutoModelForTokenClassification.from_pretrained(model("tokcls-f32")),
  answers: () => AutoModelForQuestionAnswering.from_pretrained(model("qa-f32")),
  gguf: () =>
    AutoModelForCausalLM.from_pretrained(model("base-gguf"), { gguf_file: "model-q8_0.gguf" }),
  nf4: quantised("base", nf4),
  "nf4-dq": quantised("base", nf4dq),
  fp4: quantised("base", { load_in_4bit: true }),
  "nf4-texts": quantised("texts", nf4),
  "nf4-dq-tokens": quantised("tokens", nf4dq),
  "nf4-answers": quantised("answers", nf4),
  int8: quantised("base", int8),
  "int8-file": () => AutoModelForCausalLM.from_pretrained(model("base-bnb-int8")),
  "int8-tokens": quantised("tokens", int8),
};
const jobs = [
  { from: plainFolder("texts"), to: "theirs-nf4-texts", bits: 4 },
  { from: plainFolder("tokens"), to: "theirs-nf4-tokens", bits: 4 },
  { from: plainFolder("answers"), to: "theirs-nf4-answers", bits: 4 },
  { from: plainFolder("texts"), to: "theirs-int8-texts", bits: 8 },
] as const;
const ours = new Map<string, object>();
let theirs: Results;

beforeAll(async () => {
  expect(existsSync(python), `${python} is missing: bash bench/setup.sh`).toBe(true);
  for (const [name, load] of Object.entries(saves)) {
    await using loaded = await load();
    ours.set(name, await loaded.forward({ input_ids, use_cache: false }));
    await loaded.save_pretrained(join(folder, name), {
      max_shard_size: name === "sharded" ? "200KB" : "5GB",
    });
  }
  const plan = { load: Object.keys(saves), quantise: jobs, input_ids };
  writeFileSync(join(folder, "plan.json"), JSON.stringify(plan));
  execFileSync(python, [join(import.meta.dirname, "save_model.py"), folder], {
    stdio: ["ignore", "ignore", "inherit"],
  });
  theirs = JSON.parse(readFileSync(join(folder, "results.json"), "utf8")) as Results;
}, 600_000);

function expectSame(name: string, got: object): void {
  const outputs = Object.entries(got).filter(([, value]) => value instanceof Tensor);
  expect(outputs.length).toBeGreaterThan(0);
  for (const [key, value] of outputs) {
    const want = Tensor.from(theirs[name][key] as number[][], "float32");
    expect(value.dims).toEqual(want.dims);
    const worst = Math.max(...want.data.map((x, i) => Math.abs(x - value.data[i])));
    expect(worst, key).toBeLessThanOrEqual(name.includes("int8") ? INT8_TOLERANCE : TOLERANCE);
  }
}

describe("saved here, loaded by Transformers", () => {
  test.each(Object.keys(saves))("%s", (name) => expectSame(name, ours.get(name) ?? {}));
});

describe("quantised by Transformers, loaded here", () => {
  test.each(jobs)("$to", async ({ to }) => {
    await using loaded = await Auto[to.split("-")[2] as Kind].from_pretrained(join(folder, to));
    expectSame(to, await loaded.forward({ input_ids, use_cache: false }));
  });
});
