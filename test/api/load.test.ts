// from_pretrained: which class, which numbers, which options; every wrong one with the nearest right one.

import { afterAll, afterEach, describe, expect, test } from "vitest";
import {
  AutoConfig,
  AutoModel,
  AutoModelForCausalLM,
  CheckpointError,
  GenerationConfig,
  InputError,
  type LoadOptions,
  MistralConfig,
  MistralForCausalLM,
  MistralModel,
} from "../../src/index.ts";
import { temporaryFolder, writeModel } from "../engine/written-model.ts";
import { readSafetensors } from "../safetensors-file.ts";
import { goldenPath, goldenJson } from "../golden-files.ts";

const base = goldenPath("models/base-f32");
const ids = [1, 20, 300, 7, 5];
const open: { dispose(): Promise<void> }[] = [];
afterEach(async () => {
  await Promise.all(open.splice(0).map((model) => model.dispose()));
});
const load = async (dir: string, options = {}): Promise<MistralForCausalLM> => {
  const model = await AutoModelForCausalLM.from_pretrained(dir, options);
  open.push(model);
  return model;
};
const logits = async (
  model: MistralForCausalLM,
  input_ids: number[] = ids,
): Promise<Float32Array> =>
  (await model({ input_ids, use_cache: false })).logits.data as Float32Array;
const distance = (a: Float32Array, b: ArrayLike<number>): number =>
  a.reduce((worst, x, i) => Math.max(worst, Math.abs(x - b[i])), 0);

const golden = (name: string): { input_ids: number[]; wanted: ArrayLike<number> } => {
  type Case = { id: string; input_ids: number[]; tensors: Record<string, string> };
  const { cases } = goldenJson<{ cases: Case[] }>(`forward/${name}.json`);
  const { input_ids, tensors } = cases[0];
  const key = tensors["logits.float32_compute"] ?? tensors.logits;
  const wanted = readSafetensors(goldenPath(`forward/${name}.safetensors`)).get(key)?.data;
  return { input_ids, wanted: wanted ?? [] };
};
describe("dtype", () => {
  test.each(["float32", "bfloat16", "float16"])("%s, and its older name", async (dtype) => {
    const older = { torch_dtype: `torch.${dtype}` };
    const [a, b] = await Promise.all([load(base, { dtype }), load(base, older)]);
    expect([a.dtype, b.dtype]).toEqual([dtype, dtype]);
    expect((await a.memory()).weights).toBe(dtype === "float32" ? 845_568 : 422_784);
    expect(await logits(a)).toEqual(await logits(b));
  });

  test("auto is what the file holds", async () => {
    for (const [file, dtype] of [
      ["base-f32", "float32"],
      ["base-bf16", "bfloat16"],
      ["base-f16", "float16"],
    ]) {
      const dir = goldenPath(`models/${file}`);
      expect((await load(dir)).dtype).toBe(dtype);
      expect((await load(dir, { dtype: "auto" })).dtype).toBe(dtype);
    }
  });

  test.each(["bf16", "f16"])(
    "a %s file: kept as it is and widened to float32 give the golden",
    async (name) => {
      const { input_ids, wanted } = golden(`base-${name}`);
      for (const dtype of ["auto", "float32"]) {
        const model = await load(goldenPath(`models/base-${name}`), { dtype });
        expect(distance(await logits(model, input_ids), wanted)).toBeLessThan(2e-4);
      }
    },
  );

  test.each(["bf16", "f16"])(
    "a float32 file kept as %s is the model of that file",
    async (name) => {
      const dtype = name === "bf16" ? "bfloat16" : "float16";
      const { input_ids, wanted } = golden(`base-${name}`);
      const model = await load(base, { dtype });
      expect(distance(await logits(model, input_ids), wanted)).toBeLessThan(2e-4);
    },
  );
});

describe("devices and attention", () => {
  test.each<[LoadOptions, string]>([
    [{}, "cpu"],
    [{ device: "cpu" }, "cpu"],
    [{ device_map: "auto" }, "cpu"],
    [{ device_map: "cpu" }, "cpu"],
    [{ device: "reference" }, "reference"],
    [{ device: "cuda:0" }, "cpu"],
    [{ device_map: { "": 0 } }, "cpu"],
    [{ threads: 1 }, "cpu"],
    [{ attn_implementation: "sdpa" }, "cpu"],
    [{ attn_implementation: "flash_attention_2" }, "cpu"],
    [{ attn_implementation: "flash_attention_3" }, "cpu"],
    [{ attn_implementation: "eager" }, "cpu"],
  ])("%o", async (options, device) => {
    const model = await load(base, options);
    expect(model.device).toBe(device);
    const { input_ids, wanted } = golden("base-f32");
    expect(distance(await logits(model, input_ids), wanted)).toBeLessThan(2e-4);
    const attentions = model({ input_ids: ids, output_attentions: true, use_cache: false });
    if (options.attn_implementation === "eager") {
      expect((await attentions).attentions).toHaveLength(3);
    } else await expect(attentions).rejects.toThrow(InputError);
  });
});

describe("classes", () => {
  test("AutoModelForCausalLM and AutoModel", async () => {
    const causal = await load(base);
    const decoder = await AutoModel.from_pretrained(base);
    open.push(decoder);
    expect(causal).toBeInstanceOf(MistralForCausalLM);
    expect(decoder).toBeInstanceOf(MistralModel);
    expect(causal.config).toBeInstanceOf(MistralConfig);
    expect(causal.generation_config).toBeInstanceOf(GenerationConfig);
    expect(typeof causal).toBe("function");
    expect("generate" in decoder).toBe(false);
    expect((await decoder.memory()).weights).toBeLessThan((await causal.memory()).weights);
    const { logits: own } = await causal({ input_ids: ids, use_cache: false });
    const { last_hidden_state } = await decoder({ input_ids: ids, use_cache: false });
    const { hidden_states } = await causal({
      ...{ input_ids: ids, use_cache: false, output_hidden_states: true },
    });
    expect(hidden_states?.at(-1)?.data).toEqual(last_hidden_state.data);
    expect(own.dims).toEqual([1, 5, 640]);
  });

  test("a checkpoint without lm_head is a decoder, and no language model", async () => {
    const { dir, remove } = temporaryFolder();
    await writeModel(dir, {}, { kind: "MistralModel" });
    const { model, loading_info } = await AutoModel.from_pretrained(dir, {
      output_loading_info: true,
    });
    open.push(model);
    expect(loading_info.missing_keys).toEqual([]);
    const out = await model({ input_ids: [1, 2, 3], use_cache: false });
    expect(out.last_hidden_state.dims).toEqual([1, 3, 32]);
    const error = await load(dir).catch((e: unknown) => e);
    expect(error).toBeInstanceOf(CheckpointError);
    expect((error as Error).message).toMatch(/lm_head\.weight/);
    remove();
  });

  test("output_loading_info", async () => {
    const { model, loading_info } = await AutoModel.from_pretrained(base, {
      output_loading_info: true,
    });
    open.push(model);
    expect(loading_info).toMatchObject({ missing_keys: [], mismatched_keys: [], error_msgs: [] });
    expect(loading_info.unexpected_keys).toContain("lm_head.weight");
  });
});

describe("config and generation_config", () => {
  test("go before the files", async () => {
    const config = await AutoConfig.from_pretrained(base, { sliding_window: 2 });
    const generation_config = new GenerationConfig({ max_new_tokens: 3, eos_token_id: 2 });
    const model = await load(base, { config, generation_config });
    expect(model.config.sliding_window).toBe(2);
    expect((await model.generate([1, 20, 30])).dims).toEqual([1, 6]);
    const plain = await load(base);
    expect(await logits(model)).not.toEqual(await logits(plain));
  });

  test("assigned later they count for the next call", async () => {
    const model = await load(base);
    model.generation_config.max_new_tokens = 2;
    expect((await model.generate([1, 20, 30])).dims).toEqual([1, 5]);
    model.generation_config.max_new_tokens = -1;
    await expect(model.generate([1, 20, 30])).rejects.toThrow(/max_new_tokens is -1/);
  });

  test("a config that does not fit the weights is refused before memory is taken", async () => {
    const config = await AutoConfig.from_pretrained(base, { num_hidden_layers: 4 });
    await expect(load(base, { config })).rejects.toThrow(CheckpointError);
    const wide = await AutoConfig.from_pretrained(base, { intermediate_size: 161 });
    await expect(load(base, { config: wide })).rejects.toThrow(CheckpointError);
  });
});

describe("refused", () => {
  test.each([
    [{ dytpe: "auto" }, /unknown option "dytpe"; did you mean "dtype"/],
    [{ device_mpa: "cpu" }, /did you mean "device_map"/],
    [{ dtype: "bfloat" }, /unknown dtype "bfloat".*(bfloat16|float16)/],
    [{ dtype: 16 }, /unknown dtype "?16/],
    [{ device: "gpu" }, /unknown device "gpu".*known: auto, cpu, cuda, mps, webgpu, reference/],
    [{ device_map: { "": "disk" } }, /unknown device/],
    [{ device: -1 }, /unknown device "?-1/],
    [{ attn_implementation: "flash_atention_2" }, /did you mean "flash_attention_2"/],
    [{ threads: 0 }, /threads: 0: expected an integer from 1 to 64/],
    [{ threads: 1.5 }, /threads: 1.5/],
    [{ memoryLimit: -1 }, /memoryLimit: -1/],
    [{ config: { hidden_size: 64 } }, /config: expected a MistralConfig/],
    [{ generation_config: { max_new_tokens: 3 } }, /expected a GenerationConfig/],
    [{ gguf_file: 7 }, /gguf_file .*7/],
    [{ quantization_config: {} }, /quantization_config: \{\} names no method/],
  ])("%o", async (options, message) => {
    for (const auto of [AutoModel, AutoModelForCausalLM]) {
      const error = await auto.from_pretrained(base, options as never).catch((e: unknown) => e);
      expect(error).toBeInstanceOf(InputError);
      expect((error as Error).message).toMatch(message);
    }
  });

  test("options that change nothing here are taken", async () => {
    const model = await load(base, {
      ...{ revision: "main", token: null, cache_dir: "/nowhere", local_files_only: true },
      ...{ use_safetensors: true, trust_remote_code: true, quantization_config: null },
    });
    expect(await logits(model)).toHaveLength(5 * 640);
  });

  test("a folder that is not there, or holds no model", async () => {
    await expect(load("/no/such/folder")).rejects.toThrow(CheckpointError);
    const { dir, remove } = temporaryFolder();
    await expect(load(dir)).rejects.toThrow(CheckpointError);
    await expect(load(undefined as never)).rejects.toThrow(InputError);
    remove();
  });
});

describe("progress", () => {
  test("bytes grow to the total", async () => {
    const seen: { loaded: number; total: number; tensor: string }[] = [];
    await load(base, { onProgress: (progress: (typeof seen)[0]) => seen.push(progress) });
    expect(seen.length).toBeGreaterThan(10);
    expect(seen.every(({ total }) => total === 845_568)).toBe(true);
    const bytes = seen.map(({ loaded }) => loaded);
    expect(bytes).toEqual(bytes.toSorted((a, b) => a - b));
    expect(bytes.at(-1)).toBe(845_568);
    expect(seen.map(({ tensor }) => tensor)).toContain("lm_head.weight");
  });
});

afterAll(() => expect(open).toEqual([]));
