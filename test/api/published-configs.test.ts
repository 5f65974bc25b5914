// config.json as people publish it: fine-tunes, older versions of Transformers, quantised uploads. They load and give the logits of
// the golden model with the same meaning; what Transformers 5.23 refuses too, or this package cannot read, is named.

import { cpSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, describe, expect, onTestFinished, test, vi } from "vitest";
import { AutoModel, AutoModelForCausalLM, CheckpointError } from "../../src/index.ts";
import { folder } from "../checkpoint/craft.ts";
import { type RawTensor, readRaw, safetensors } from "../checkpoint/packed-folder.ts";
import { temporaryFolder } from "../engine/written-model.ts";
import { goldenPath } from "../golden-files.ts";

const ids = [[1, 10, 20, 300, 7, 5, 411, 2, 9, 30, 31, 32]];
const golden = (name: string): string => goldenPath(`models/${name}`);
afterEach(() => {
  vi.restoreAllMocks();
});

async function logits(dir: string): Promise<Float32Array> {
  const model = await AutoModelForCausalLM.from_pretrained(dir);
  try {
    return (await model({ input_ids: ids })).logits.data as Float32Array;
  } finally {
    await model.dispose();
  }
}

/** A golden model with another config.json and without files beside it. */
function published(name: string, change: object, leaveOut: readonly string[] = []): string {
  const { dir, remove } = temporaryFolder();
  onTestFinished(remove);
  cpSync(golden(name), dir, { recursive: true });
  for (const file of ["quantize_config.json", "quant_config.json"])
    rmSync(join(dir, file), { force: true });
  const path = join(dir, "config.json");
  const values = JSON.parse(readFileSync(path, "utf8")) as Record<string, unknown>;
  for (const field of leaveOut) Reflect.deleteProperty(values, field);
  writeFileSync(path, JSON.stringify({ ...values, ...change }));
  return dir;
}

async function refusal(dir: string): Promise<string> {
  const error = await AutoModelForCausalLM.from_pretrained(dir).catch((cause: unknown) => cause);
  expect(error).toBeInstanceOf(CheckpointError);
  return (error as Error).message;
}

describe("plain checkpoints", () => {
  test.each<[string, object]>([
    [
      "Zephyr",
      {
        _name_or_path: "mistralai/Mistral-7B-v0.1",
        pad_token_id: 2,
        transformers_version: "4.35.0",
      },
    ],
    ["OpenHermes", { eos_token_id: [2, 32000], pad_token_id: -1, bos_token_id: null }],
    ["Nemo's head_dim", { head_dim: 16, attention_bias: false, mlp_bias: false }],
    ["code beside the model", { auto_map: { AutoModelForCausalLM: "modeling_yarn.Other" } }],
    ["unsloth", { unsloth_version: "2024.9", unsloth_fixed: true, torch_dtype: "torch.float32" }],
    ["old defaults", { top_k: 50, do_sample: false, torchscript: false, pruned_heads: {} }],
    ["rope_scaling: false", { rope_scaling: false, quantization_config: null, id2label: null }],
    ["MLX without quantisation", { quantization: null }],
  ])("%s", async (_, change) => {
    expect(await logits(published("base-f32", change))).toEqual(await logits(golden("base-f32")));
  });

  test("a config that asks for attentions and hidden states: the same logits, and one warning", async () => {
    const warn = vi.spyOn(console, "warn").mockImplementation(() => {});
    const dir = published("base-f32", { output_hidden_states: true, output_attentions: true });
    expect(await logits(dir)).toEqual(await logits(golden("base-f32")));
    expect(warn.mock.calls.flat()).toEqual([
      expect.stringContaining("config.json asks for output_attentions"),
    ]);
  });

  test("an embedding model: the decoder alone, its tensors without a prefix", async () => {
    const own = golden("base-f32");
    const bare = [...readRaw(join(own, "model.safetensors"))]
      .filter(([name]) => name.startsWith("model."))
      .map(([name, tensor]) => [name.slice("model.".length), tensor] as const);
    const config = JSON.parse(readFileSync(join(own, "config.json"), "utf8")) as object;
    const dir = folder({
      "config.json": JSON.stringify({ ...config, architectures: ["MistralModel"] }),
      "model.safetensors": safetensors(Object.fromEntries(bare)),
    });
    const last = async (from: string): Promise<unknown> => {
      const model = await AutoModel.from_pretrained(from);
      const { last_hidden_state } = await model({ input_ids: ids });
      await model.dispose();
      return last_hidden_state.data;
    };
    expect(await last(dir)).toEqual(await last(own));
    expect(await refusal(dir)).toMatch(/this is a MistralModel.*AutoModel.from_pretrained/);
  });
});

const gptq = {
  ...{ batch_size: 1, bits: 4, block_name_to_quantize: "model.layers", damp_percent: 0.1 },
  ...{ dataset: null, desc_act: false, exllama_config: { version: 1 }, group_size: 32 },
  ...{ modules_in_block_to_quantize: null, sym: true, tokenizer: null, true_sequential: true },
  ...{ use_cuda_fp16: true, disable_exllama: false, quant_method: "gptq" },
};
const gptqModel = {
  ...{ bits: 4, checkpoint_format: "gptq", desc_act: false, dynamic: null, group_size: 32 },
  ...{ lm_head: false, meta: { quantizer: ["gptqmodel:1.4"] }, pack_dtype: "int32", sym: true },
};
const bitsandbytes = {
  ...{ _load_in_4bit: true, _load_in_8bit: false, load_in_4bit: true, load_in_8bit: false },
  ...{ bnb_4bit_compute_dtype: "float32", bnb_4bit_quant_type: "nf4" },
  ...{ bnb_4bit_quant_storage: "uint8", bnb_4bit_use_double_quant: true },
  ...{ llm_int8_enable_fp32_cpu_offload: false, llm_int8_has_fp16_weight: false },
  ...{ llm_int8_skip_modules: ["lm_head", "multi_modal_projector", "merger"] },
  ...{ llm_int8_threshold: 6, quant_method: "bitsandbytes" },
};
const awq = { ...{ modules_to_not_convert: null, backend: "autoawq", do_fuse: false } };

describe("spellings of quantization_config", () => {
  test.each<[string, string, object]>([
    ["TheBloke's GPTQ", "base-gptq", gptq],
    ["GPTQModel", "base-gptq", { ...gptqModel, quant_method: "gptq" }],
    ["GPTQ without its name", "base-gptq", gptqModel],
    ["GPTQ in capitals", "base-gptq", { ...gptqModel, quant_method: "GPTQ" }],
    [
      "TheBloke's AWQ",
      "base-awq",
      { ...awq, bits: 4, group_size: 32, quant_method: "awq", version: "gemm", zero_point: true },
    ],
    ["AutoAWQ's own names", "base-awq", { w_bit: 4, q_group_size: 32, version: "GEMM" }],
    ["unsloth", "base-bnb-nf4-dq", bitsandbytes],
    ["no modules named", "base-bnb-nf4-dq", { ...bitsandbytes, llm_int8_skip_modules: null }],
    ["no method named", "base-bnb-nf4-dq", { ...bitsandbytes, quant_method: undefined }],
    [
      "a setting of 8 bits in 4 bits",
      "base-bnb-nf4-dq",
      { ...bitsandbytes, llm_int8_has_fp16_weight: true },
    ],
  ])("%s", async (_, name, quantization_config) => {
    const dir = published(name, { quantization_config });
    expect(await logits(dir)).toEqual(await logits(golden(name)));
  });

  test.each([
    ["base-gptq"],
    ["base-awq"],
    ["base-bnb-nf4-dq"],
    ["base-bnb-int8"],
    ["base-ct-w4a16"],
  ])("%s without any settings", async (name) => {
    expect(await refusal(published(name, {}, ["quantization_config"]))).toMatch(
      /is part of a quantised weight, but config.json has no quantization_config, which says how/,
    );
  });

  test("MLX's packing is named, whatever config.json says", async () => {
    const tensors = Object.fromEntries(readRaw(join(golden("base-f32"), "model.safetensors")));
    const layer = "model.layers.0.mlp.up_proj";
    const part = (dtype: string, columns: number): RawTensor => ({
      ...{ dtype, shape: [160, columns] },
      bytes: new Uint8Array(160 * columns * (dtype === "U32" ? 4 : 2)),
    });
    tensors[`${layer}.weight`] = part("U32", 8);
    tensors[`${layer}.scales`] = part("F16", 1);
    tensors[`${layer}.biases`] = part("F16", 1);
    const settings = { group_size: 64, bits: 4 };
    for (const change of [
      { quantization: settings },
      { quantization: settings, quantization_config: settings },
    ]) {
      const dir = published("base-f32", change);
      writeFileSync(join(dir, "model.safetensors"), safetensors(tensors));
      expect(await refusal(dir)).toMatch(
        /"model.layers.0.mlp.up_proj.weight" is packed as MLX does it.*fetch the original checkpoint/,
      );
    }
  });
});
