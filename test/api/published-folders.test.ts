// Folders as people have them: they load and give the logits of the golden model, or the error says what to do. The layout of Mistral AI
// is made here from golden models, by the inverse of Transformers' conversion.

import { cpSync, mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { AutoConfig, AutoModelForCausalLM, CheckpointError, quantize } from "../../src/index.ts";
import { MistralConfig, type MistralConfigOptions } from "../../src/models/config.ts";
import { folder } from "../checkpoint/craft.ts";
import { type RawTensor, readRaw, safetensors } from "../checkpoint/packed-folder.ts";
import { temporaryFolder } from "../engine/written-model.ts";
import { goldenPath } from "../golden-files.ts";

const ids = [[1, 10, 20, 300, 7, 5, 411, 2, 9, 30, 31, 32]];

async function logits(dir: string): Promise<Float32Array> {
  const model = await AutoModelForCausalLM.from_pretrained(dir);
  try {
    return (await model({ input_ids: ids })).logits.data as Float32Array;
  } finally {
    await model.dispose();
  }
}

const golden = (name: string): string => goldenPath(`models/${name}`);

function copyOf(name: string): string {
  const { dir, remove } = temporaryFolder();
  onTestFinished(remove);
  cpSync(golden(name), dir, { recursive: true });
  return dir;
}

async function refusal(attempt: Promise<unknown>): Promise<string> {
  const error = await attempt.catch((cause: unknown) => cause);
  expect(error).toBeInstanceOf(CheckpointError);
  return (error as Error).message;
}

/** A golden model in Mistral AI's layout. */
function inMistralLayout(name: string): Record<string, string | Uint8Array> {
  const file = JSON.parse(readFileSync(join(golden(name), "config.json"), "utf8")) as object;
  const config = new MistralConfig(file as MistralConfigOptions);
  const names: [RegExp, string][] = [
    [/^model\.embed_tokens/, "tok_embeddings"],
    [/^lm_head/, "output"],
    [/^model\.norm/, "norm"],
    [/^model\.layers/, "layers"],
    [/input_layernorm/, "attention_norm"],
    [/post_attention_layernorm/, "ffn_norm"],
    [/self_attn\.(.)_proj/, "attention.w$1"],
    [/mlp\.gate_proj/, "feed_forward.w1"],
    [/mlp\.down_proj/, "feed_forward.w2"],
    [/mlp\.up_proj/, "feed_forward.w3"],
  ];
  const D = config.head_dim;
  const tensors: Record<string, RawTensor> = {};
  for (const [theirs, tensor] of readRaw(join(golden(name), "model.safetensors"))) {
    const own = names.reduce((text, [from, to]) => text.replace(from, to), theirs);
    const bytes = new Uint8Array(tensor.bytes);
    if (/[qk]_proj/.test(theirs)) {
      const rowBytes = bytes.length / tensor.shape[0];
      for (let row = 0; row < tensor.shape[0]; row++) {
        const [head, at] = [Math.floor(row / D), row % D];
        // Row r · D/2 + j of Transformers is row 2j + r of the original.
        const original = head * D + 2 * (at % (D / 2)) + Math.floor(at / (D / 2));
        bytes.set(tensor.bytes.subarray(row * rowBytes, (row + 1) * rowBytes), original * rowBytes);
      }
    }
    tensors[own] = { ...tensor, bytes };
  }
  const params = {
    ...{ dim: config.hidden_size, n_layers: config.num_hidden_layers, head_dim: D },
    ...{ hidden_dim: config.intermediate_size, n_heads: config.num_attention_heads },
    ...{ n_kv_heads: config.num_key_value_heads, norm_eps: config.rms_norm_eps },
    ...{ vocab_size: config.vocab_size, rope_theta: config.rope_parameters.rope_theta },
    ...(config.tie_word_embeddings && { tied_embeddings: true }),
    ...(config.sliding_window !== null && { sliding_window: String(config.sliding_window) }),
  };
  return {
    "params.json": JSON.stringify(params),
    "consolidated.safetensors": safetensors(tensors),
  };
}

test.each(["base-f32", "sw8-f32", "v03-f32", "base-bf16"])(
  "%s in Mistral AI's own layout: the same logits",
  async (name) => {
    const dir = folder(inMistralLayout(name));
    expect(await logits(dir)).toEqual(await logits(golden(name)));
  },
);

test("Mistral AI's layout: shards with their index; Transformers' files win", async () => {
  const { "params.json": params, "consolidated.safetensors": file } = inMistralLayout("base-f32");
  const at = folder({ "x.safetensors": file });
  const parts: Record<string, RawTensor>[] = [{}, {}];
  const weight_map: Record<string, string> = {};
  [...readRaw(join(at, "x.safetensors"))].forEach(([name, tensor], i) => {
    parts[i % 2][name] = tensor;
    weight_map[name] = `consolidated-0000${(i % 2) + 1}-of-00002.safetensors`;
  });
  const dir = folder({
    "params.json": params,
    "consolidated-00001-of-00002.safetensors": safetensors(parts[0]),
    "consolidated-00002-of-00002.safetensors": safetensors(parts[1]),
    "consolidated.safetensors.index.json": JSON.stringify({ weight_map }),
  });
  expect(await logits(dir)).toEqual(await logits(golden("base-f32")));

  const both = copyOf("sw8-f32");
  writeFileSync(join(both, "params.json"), params);
  writeFileSync(join(both, "consolidated.safetensors"), file);
  expect(await logits(both)).toEqual(await logits(golden("sw8-f32")));
});

test("Mistral AI's layout is quantised to a folder of Transformers' layout", async () => {
  const [own, theirs] = [temporaryFolder(), temporaryFolder()];
  onTestFinished(own.remove);
  onTestFinished(theirs.remove);
  const files = inMistralLayout("base-f32");
  const beside = ["tekken.json", "mistral_instruct_tokenizer_240323.model.v3"];
  const from = folder({ ...files, ...Object.fromEntries(beside.map((file) => [file, file])) });
  mkdirSync(join(from, "additional_chat_templates"));
  writeFileSync(join(from, "additional_chat_templates/tool_use.jinja"), "tools");
  await quantize(from, join(own.dir, "q8"), { method: "q8" });
  const template = join(own.dir, "q8/additional_chat_templates/tool_use.jinja");
  expect(readFileSync(template, "utf8")).toBe("tools");
  for (const file of beside) expect(readFileSync(join(own.dir, "q8", file), "utf8")).toBe(file);
  await quantize(golden("base-f32"), join(theirs.dir, "q8"), { method: "q8" });
  expect(await logits(join(own.dir, "q8"))).toEqual(await logits(join(theirs.dir, "q8")));
});

test("params.json becomes the config that Transformers' conversion makes", async () => {
  const params = {
    ...{ dim: 4096, n_layers: 32, head_dim: 128, hidden_dim: 14336, n_heads: 32 },
    ...{ n_kv_heads: 8, norm_eps: 1e-5, vocab_size: 32000 },
  };
  const config = (more: object): ReturnType<typeof AutoConfig.from_pretrained> =>
    AutoConfig.from_pretrained(folder({ "params.json": JSON.stringify({ ...params, ...more }) }));
  expect(await config({ sliding_window: 4096 })).toMatchObject({
    ...{ hidden_size: 4096, num_hidden_layers: 32, intermediate_size: 14336, head_dim: 128 },
    ...{ num_attention_heads: 32, num_key_value_heads: 8, rms_norm_eps: 1e-5, vocab_size: 32000 },
    ...{ sliding_window: 4096, max_position_embeddings: 32768, tie_word_embeddings: false },
    rope_parameters: { rope_type: "default", rope_theta: 10000 },
  });
  const nemo = { rope_theta: 1e6, max_seq_len: 128000, tied_embeddings: true, n_kv_heads: null };
  expect(await config(nemo)).toMatchObject({
    ...{ sliding_window: null, max_position_embeddings: 128000, tie_word_embeddings: true },
    ...{ num_key_value_heads: 32, rope_parameters: { rope_theta: 1e6 } },
  });
  expect(await refusal(config({ moe: { num_experts: 8 } }))).toMatch(
    /params.json: moe is .*a mixture of experts \(Mixtral\)/,
  );
  expect(await refusal(config({ vision_encoder: {} }))).toMatch("Pixtral");
  expect(await refusal(config({ model_type: "mamba" }))).toMatch("another architecture");
  expect(await refusal(config({ quantization: { qformat_weight: "fp8_e4m3" } }))).toMatch(
    "quantised by Mistral AI's own method",
  );
  expect(await refusal(config({ n_layers: null }))).toMatch("there is no n_layers");
});

const INV_FREQ = "model.layers.0.self_attn.rotary_emb.inv_freq";

test.each(["in a shard alone", "in the index alone"])(
  "rotary frequencies, which the model does not need, %s",
  async (where) => {
    const dir = copyOf("base-sharded");
    if (where === "in the index alone") {
      const path = join(dir, "model.safetensors.index.json");
      const index = JSON.parse(readFileSync(path, "utf8")) as {
        weight_map: Record<string, string>;
      };
      index.weight_map[INV_FREQ] = "model-00002-of-00003.safetensors";
      writeFileSync(path, JSON.stringify(index));
    } else {
      const path = join(dir, "model-00002-of-00003.safetensors");
      const inv_freq = { dtype: "F32", shape: [4], bytes: new Uint8Array(16) };
      const tensors = Object.fromEntries(readRaw(path));
      writeFileSync(path, safetensors({ ...tensors, [INV_FREQ]: inv_freq }));
    }
    expect(await logits(dir)).toEqual(await logits(golden("base-sharded")));
  },
);

test("an index that does not name a weight of the model is refused", async () => {
  const dir = copyOf("base-sharded");
  const path = join(dir, "model.safetensors.index.json");
  const index = JSON.parse(readFileSync(path, "utf8")) as { weight_map: Record<string, string> };
  delete index.weight_map["model.layers.0.mlp.up_proj.weight"];
  writeFileSync(path, JSON.stringify(index));
  expect(await refusal(AutoModelForCausalLM.from_pretrained(dir))).toMatch(
    /holds tensor "model.layers.0.mlp.up_proj.weight", which .* does not name/,
  );
});

test("weights that are a link to another place; a header that begins with white space", async () => {
  const dir = copyOf("base-f32");
  const file = join(dir, "model.safetensors");
  rmSync(file);
  symlinkSync(join(golden("base-f32"), "model.safetensors"), file);
  const wanted = await logits(golden("base-f32"));
  expect(await logits(dir)).toEqual(wanted);

  const plain = readFileSync(file);
  const length = Number(plain.readBigUInt64LE(0));
  const padded = Buffer.concat([Buffer.alloc(8), Buffer.from(" \n\t "), plain.subarray(8)]);
  padded.writeBigUInt64LE(BigInt(length + 4), 0);
  rmSync(file);
  writeFileSync(file, padded);
  expect(await logits(dir)).toEqual(wanted);
});

test.each(["model.safetensors", "config.json", "generation_config.json"])(
  "%s is a Git LFS pointer",
  async (name) => {
    const dir = copyOf("base-f32");
    writeFileSync(
      join(dir, name),
      "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 845568\n",
    );
    expect(await refusal(AutoModelForCausalLM.from_pretrained(dir))).toMatch(
      `${name} is a Git LFS pointer to a file of 845568 bytes, not the file itself: the repository was cloned without its large files; run \`git lfs pull\``,
    );
  },
);

test("folders without config.json: what is there is named, with what to do", async () => {
  const of = (files: Record<string, string>): Promise<string> =>
    refusal(AutoModelForCausalLM.from_pretrained(folder(files)));
  expect(await of({ "mistral.Q4_K_M.gguf": "", "mistral.Q8_0.gguf": "" })).toMatch(
    /config.json: no such file, but mistral.Q4_K_M.gguf \(and 1 more\); name it with the option gguf_file \(in the command: --gguf-file mistral.Q4_K_M.gguf\)/,
  );
  expect(await of({ "model.safetensors": "" })).toMatch(
    "config.json: no such file beside model.safetensors; fetch it",
  );
  expect(await of({ "adapter_config.json": "{}", "adapter_model.safetensors": "" })).toMatch(
    "adapter_config.json: the folder holds an adapter, and adapters are not applied yet",
  );
  expect(await of({})).toMatch("a model is a folder with config.json and model.safetensors");
});
