// MistralConfig: defaults, both spellings of files, unknown keys, and files of Transformers written again.

import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, onTestFinished, test } from "vitest";
import {
  AutoConfig,
  GenerationConfig,
  generationConfigOf,
  MistralConfig,
} from "../../src/api/auto-config.ts";
import { CheckpointError, InputError } from "../../src/errors.ts";
import type { MistralConfigOptions } from "../../src/models/config.ts";
import { goldenPath, goldenJson } from "../golden-files.ts";

function folder(files: Record<string, unknown>): string {
  const dir = mkdtempSync(join(tmpdir(), "mistral-test-"));
  onTestFinished(() => rmSync(dir, { recursive: true, force: true }));
  for (const [name, content] of Object.entries(files)) {
    writeFileSync(join(dir, name), typeof content === "string" ? content : JSON.stringify(content));
  }
  return dir;
}

const tiny = {
  hidden_size: 64,
  intermediate_size: 160,
  num_hidden_layers: 3,
  num_attention_heads: 4,
  num_key_value_heads: 2,
  vocab_size: 640,
};

describe("new MistralConfig", () => {
  test("defaults are those of Transformers 5.23", () => {
    expect(new MistralConfig().to_dict()).toEqual({
      vocab_size: 32000,
      hidden_size: 4096,
      intermediate_size: 14336,
      num_hidden_layers: 32,
      num_attention_heads: 32,
      num_key_value_heads: 8,
      head_dim: 128,
      hidden_act: "silu",
      max_position_embeddings: 131072,
      initializer_range: 0.02,
      rms_norm_eps: 1e-6,
      use_cache: true,
      pad_token_id: null,
      bos_token_id: 1,
      eos_token_id: 2,
      tie_word_embeddings: false,
      rope_parameters: { rope_theta: 10000, rope_type: "default" },
      sliding_window: 4096,
      attention_dropout: 0,
      architectures: null,
      dtype: null,
      output_hidden_states: false,
      output_attentions: false,
      return_dict: true,
      chunk_size_feed_forward: 0,
      is_encoder_decoder: false,
      id2label: { 0: "LABEL_0", 1: "LABEL_1" },
      label2id: { LABEL_0: 0, LABEL_1: 1 },
      problem_type: null,
      transformers_version: "5.23.0",
      _name_or_path: "",
      model_type: "mistral",
    });
  });

  test("head_dim and num_key_value_heads follow when null", () => {
    const config = new MistralConfig({
      hidden_size: 96,
      num_attention_heads: 6,
      num_key_value_heads: null,
      head_dim: null,
    });
    expect([config.head_dim, config.num_key_value_heads]).toEqual([16, 6]);
    expect(new MistralConfig({ ...tiny, head_dim: 24 }).head_dim).toBe(24);
    expect(new MistralConfig({ ...tiny, sliding_window: null }).sliding_window).toBe(null);
  });

  test("older spellings: rope_theta, rope_scaling with type, torch_dtype", () => {
    const config = new MistralConfig({
      rope_theta: 1e6,
      rope_scaling: { type: "linear", factor: 4 },
      torch_dtype: "torch.bfloat16",
    });
    expect(config.rope_parameters).toEqual({
      type: "linear",
      rope_type: "linear",
      factor: 4,
      rope_theta: 1e6,
    });
    expect(config.dtype).toBe("bfloat16");
    expect(new MistralConfig({ dtype: "float16", torch_dtype: "float32" }).dtype).toBe("float16");
    expect(
      new MistralConfig({ rope_theta: 5, rope_parameters: { rope_theta: 7 } }).rope_parameters
        .rope_theta,
    ).toBe(7);
    expect(
      new MistralConfig({
        max_position_embeddings: 512,
        rope_parameters: { rope_type: "yarn", factor: 2 },
      }).rope_parameters,
    ).toEqual({
      rope_type: "yarn",
      factor: 2,
      rope_theta: 10000,
      original_max_position_embeddings: 512,
    });
  });

  test("unknown keys are kept and written back; those that would hide a method too", () => {
    const text =
      '{"my_key":{"a":[1]},"__proto__":{"x":1},"to_dict":1,"constructor":2,"hidden_size":128}';
    const config = new MistralConfig(JSON.parse(text) as MistralConfigOptions);
    expect(config).toMatchObject({ my_key: { a: [1] }, hidden_size: 128 });
    const written = JSON.parse(config.to_json_string()) as object;
    expect(Object.entries(written)).toEqual(
      expect.arrayContaining([
        ["my_key", { a: [1] }],
        ["__proto__", { x: 1 }],
        ["to_dict", 1],
        ["constructor", 2],
      ]),
    );
    expect(Object.getPrototypeOf(config)).toBe(MistralConfig.prototype);
    expect({}).not.toHaveProperty("x");
  });

  test("what is given is copied", () => {
    const rope_parameters = { rope_type: "default", rope_theta: 5 };
    const config = new MistralConfig({ rope_parameters });
    rope_parameters.rope_theta = 6;
    expect(config.rope_parameters.rope_theta).toBe(5);
  });

  test("labels: by number, by name, and their number", () => {
    const config = new MistralConfig({ num_labels: 3 });
    expect(config.id2label).toEqual({ 0: "LABEL_0", 1: "LABEL_1", 2: "LABEL_2" });
    config.num_labels = 1;
    expect([config.num_labels, config.label2id]).toEqual([1, { LABEL_0: 0 }]);
    const named = new MistralConfig({ id2label: { 0: "no", 1: "yes", 2: "maybe" }, num_labels: 5 });
    expect([named.num_labels, named.id2label[2]]).toEqual([3, "maybe"]);
  });

  test("settings of generation in an older config.json do not stay in it", () => {
    const config = new MistralConfig({ max_length: 50, temperature: 0.5, use_cache: false });
    expect(config.to_dict()).not.toHaveProperty("max_length");
    expect(config.use_cache).toBe(false);
  });
});

describe("from_pretrained", () => {
  const written =
    "v03-f32 sw8-f32 sw5-mqa-f32 mha-gelu-f32 draft-f32 seqcls-f32 tokcls-f32 qa-f32 base-bnb-int8".split(
      " ",
    );

  test.each(written)(
    "%s: config.json of Transformers 5 written again is the same",
    async (name) => {
      const config = await AutoConfig.from_pretrained(goldenPath(`models/${name}`));
      expect(JSON.parse(config.to_json_string())).toEqual(goldenJson(`models/${name}/config.json`));
      const dir = folder({});
      await config.save_pretrained(dir);
      expect((await MistralConfig.from_pretrained(dir)).to_diff_dict()).toEqual(
        config.to_diff_dict(),
      );
    },
  );

  test("a file in the published style, and a field that the caller sets", async () => {
    const dir = goldenPath("models/base-bf16");
    const config = await AutoConfig.from_pretrained(dir, {
      sliding_window: 8,
      attn_implementation: "eager",
      trust_remote_code: true,
    });
    expect(config).toBeInstanceOf(MistralConfig);
    expect(config).toMatchObject({
      dtype: "bfloat16",
      head_dim: 16,
      sliding_window: 8,
      rms_norm_eps: 1e-5,
      name_or_path: dir,
      attn_implementation: "eager",
    });
    expect(config.rope_parameters).toEqual({ rope_type: "default", rope_theta: 10000 });
    expect(JSON.parse(config.to_json_string())).not.toHaveProperty("rope_theta");
  });

  test("floats are written as floats, and numbers that JSON lacks as Transformers writes them", () => {
    const config = new MistralConfig({ ...tiny, extra: { a: Infinity, b: Number.NaN } });
    expect(config.to_json_string()).toMatch('"rope_theta": 10000.0,\n');
    expect(config.to_json_string()).toMatch('"attention_dropout": 0.0,');
    expect(JSON.parse(config.to_json_string())).toMatchObject({
      extra: { a: { __float__: "Infinity" }, b: { __float__: "NaN" } },
    });
  });

  test("a folder that is not there, another model, an unknown option", async () => {
    const cases: [() => Promise<unknown>, typeof CheckpointError | typeof InputError, string][] = [
      [
        () => AutoConfig.from_pretrained("./mistralai/Mistral-7B-v0.1"),
        CheckpointError,
        "no such folder; a model is a folder with config.json and model.safetensors, a GGUF file, or the id of one on the hub",
      ],
      [() => AutoConfig.from_pretrained(folder({})), CheckpointError, "config.json: no such file"],
      [
        () => AutoConfig.from_pretrained(folder({ "config.json": "[1]" })),
        CheckpointError,
        "expected a JSON object",
      ],
      [
        () => AutoConfig.from_pretrained(folder({ "config.json": "{" })),
        CheckpointError,
        "this is no JSON",
      ],
      [
        () =>
          AutoConfig.from_pretrained(
            folder({ "config.json": `{"a":${"[".repeat(200)}${"]".repeat(200)}}` }),
          ),
        CheckpointError,
        "nested deeper",
      ],
      [
        () =>
          AutoConfig.from_pretrained(
            folder({ "config.json": { model_type: "llama", architectures: ["LlamaForCausalLM"] } }),
          ),
        CheckpointError,
        'model_type is "llama" (LlamaForCausalLM), expected "mistral"',
      ],
      [
        () => AutoConfig.from_pretrained(folder({ "config.json": tiny })),
        CheckpointError,
        "model_type is null",
      ],
      [
        () => AutoConfig.from_pretrained(goldenPath("models/base-f32"), { hiden_size: 5 }),
        InputError,
        'did you mean "hidden_size"?',
      ],
    ];
    for (const [attempt, kind, message] of cases) {
      const error: unknown = await attempt().catch((thrown: unknown) => thrown);
      expect(error).toBeInstanceOf(kind);
      expect((error as Error).message).toMatch(message);
    }
  });

  test("layers of several kinds are another architecture", async () => {
    const dir = folder({
      "config.json": {
        ...tiny,
        model_type: "mistral",
        layer_types: ["full_attention", "sliding_attention", "full_attention"],
      },
    });
    await expect(AutoConfig.from_pretrained(dir)).rejects.toThrow(
      /layer_types is given, expected no such field.*Ministral/,
    );
  });

  const ofFolder = (dir: string): Promise<GenerationConfig> =>
    generationConfigOf({ dir, folder: dir, gguf: undefined });

  test("a model's generation settings: its own file, or what config.json carries", async () => {
    const own = await ofFolder(goldenPath("models/base-f32"));
    expect(own).toMatchObject({
      eos_token_id: 2,
      pad_token_id: 0,
      _from_model_config: true,
      max_length: null,
    });
    const from = await ofFolder(
      folder({ "config.json": { ...tiny, eos_token_id: [3, 4], max_length: 77, note: 1 } }),
    );
    expect(from).toMatchObject({ eos_token_id: [3, 4], max_length: 77, _from_model_config: true });
    expect(from.extra.size).toBe(0);
    const dir = folder({ "generation_config.json": { temperature: 0.5, note: "kept" } });
    const read = await GenerationConfig.from_pretrained(dir, { top_k: 3 });
    await read.save_pretrained(dir);
    expect(JSON.parse(readFileSync(join(dir, "generation_config.json"), "utf8"))).toEqual({
      note: "kept",
      temperature: 0.5,
      top_k: 3,
    });
  });

  test("options of GenerationConfig.from_pretrained replace the file's settings, null too", async () => {
    const dir = folder({ "generation_config.json": { temperature: 0.5, do_sample: true } });
    const read = await GenerationConfig.from_pretrained(dir, { temperature: null, top_p: 0.3 });
    expect(read).toMatchObject({ temperature: null, top_p: 0.3, do_sample: true });
  });

  test.each([
    [{ temprature: 1 }, 'unknown option "temprature"; did you mean "temperature"?'],
    [{ subfoldr: "a" }, 'unknown option "subfoldr"; did you mean "subfolder"?'],
    [{ top_k: -1 }, "top_k is -1, expected a whole number from 0 to 2147483647"],
  ])("%j is refused before a file is looked for", async (options, message) => {
    const read = GenerationConfig.from_pretrained("/no/such/folder", options as object);
    await expect(read).rejects.toThrow(InputError);
    await expect(read).rejects.toThrow(`GenerationConfig.from_pretrained: ${message}`);
  });
});
