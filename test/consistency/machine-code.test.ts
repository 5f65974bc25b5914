// A model's logits and tokens are the same bit for bit with machine code and without, with one thread and two: formats of weights and of the
// cache, prefill, decode, and batches with padding. Where the processor has no instructions for machine code, a line says so.

import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { env } from "../../src/api/env.ts";
import type { LoadOptions } from "../../src/api/model/load-options.ts";
import { AutoModelForCausalLM, BitsAndBytesConfig, type TensorData } from "../../src/index.ts";
import type { NativeChoice } from "../../src/backends/wasm/native-choice.ts";
import { findingsOf } from "../../src/engine/backends.ts";
import { goldenPath } from "../golden-files.ts";
import { forceMachineCode } from "../native/forced.ts";
import { onlyWith, processor } from "../native/has.ts";

afterAll(() => void (env.native = "auto"));

type Case = readonly [model: string, options?: LoadOptions];

const fourBit = (kind: "nf4" | "fp4", compute: "float16" | "float32" | "int8"): LoadOptions => ({
  quantization_config: new BitsAndBytesConfig({
    ...{ load_in_4bit: true, bnb_4bit_quant_type: kind, bnb_4bit_compute_dtype: compute },
  }),
});

const cases: Readonly<Record<string, Case>> = {
  float32: ["base-f32"],
  bfloat16: ["base-bf16"],
  float16: ["base-f16"],
  q4: ["base-f32", { quantization_config: { method: "q4" } }],
  q8: ["base-f32", { quantization_config: { method: "q8" } }],
  "nf4, int8": ["base-f32", fourBit("nf4", "int8")],
  "nf4, float16": ["base-f32", fourBit("nf4", "float16")],
  "nf4, float32": ["base-f32", fourBit("nf4", "float32")],
  "fp4, int8": ["base-f32", fourBit("fp4", "int8")],
  "nf4, double quantisation": ["base-bnb-nf4-dq"],
  "LLM.int8": ["base-bnb-int8"],
  GPTQ: ["base-gptq"],
  AWQ: ["base-awq"],
  "compressed-tensors": ["base-ct-w4a16"],
  "GGUF, Q8_0": ["base-gguf", { gguf_file: "model-q8_0.gguf", compute_dtype: "int8" }],
  "a cache in float16": [
    "base-f32",
    { quantization_config: { method: "q4" }, cacheDtype: "float16" },
  ],
  "a cache in int8": ["base-f32", { quantization_config: { method: "q4" }, cacheDtype: "int8" }],
  "a window": ["sw5-mqa-f32", { quantization_config: { method: "q4" } }],
};

/** One token, some, a prompt of many tiles. */
const prompts = [1, 3, 11, 40].map((length) =>
  Array.from({ length }, (_, i) => 3 + ((i * 37 + length) % 90)),
);
/** Rows of unequal length, with padding on the left. */
const batch = {
  input_ids: [prompts[1], prompts[2]].map((ids) => [
    ...Array<number>(11 - ids.length).fill(0),
    ...ids,
  ]),
  attention_mask: [3, 11].map((real) => [
    ...Array<number>(11 - real).fill(0),
    ...Array<number>(real).fill(1),
  ]),
};

const words = (numbers: TensorData): Uint32Array =>
  new Uint32Array(Float32Array.from(numbers).buffer);

/** Logits of the prompts, and the tokens and logits that follow the batch. */
async function outcome([model, options]: Case, threads: number): Promise<unknown> {
  const loaded = await AutoModelForCausalLM.from_pretrained(goldenPath(`models/${model}`), {
    ...options,
    threads,
  });
  const logits: Uint32Array[] = [];
  for (const ids of prompts) logits.push(words((await loaded({ input_ids: [ids] })).logits.data));
  const text = await loaded.generate({
    ...batch,
    ...{ max_new_tokens: 6, do_sample: false, eos_token_id: null },
    ...{ return_dict_in_generate: true, output_logits: true },
  });
  await loaded.dispose();
  return {
    prompts: logits,
    ids: text.sequences.tolist(),
    steps: text.logits?.map(({ data }) => words(data)),
  };
}

describe("the same bits with machine code and without", () => {
  let forced: NativeChoice;
  beforeAll(async () => {
    if (processor !== undefined) forced = await forceMachineCode();
  });

  for (const [name, model] of Object.entries(cases)) {
    test(
      name,
      onlyWith("avx512Vnni", async () => {
        env.native = false;
        const expected = await outcome(model, 2);
        env.native = "auto";
        expect(await outcome(model, 2)).toEqual(expected);
        // What the engine says that it used: all that was forced.
        expect(findingsOf("wasm")).toMatchObject({ wide: false, choice: forced });
        expect(await outcome(model, 1)).toEqual(expected);
      }),
    );
  }
});
