// GGUF files through the public functions: the file of the goldens, and a model in which every matrix has another type.

import { readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, onTestFinished, test, vi } from "vitest";
import { AutoConfig, generationConfigOf } from "../../src/api/auto-config.ts";
import { AutoModelForCausalLM } from "../../src/api/model/auto.ts";
import { AutoTokenizer } from "../../src/api/tokenizer/auto-tokenizer.ts";
import type { MistralForCausalLM } from "../../src/api/model/causal-lm.ts";
import { locateModel } from "../../src/api/model-files.ts";
import { saveSafetensors } from "../../src/checkpoint/save-safetensors.ts";
import { CheckpointError, InputError } from "../../src/errors.ts";
import { ggmlTypes, ggufFormats, readableTypes } from "../../src/formats/gguf-types.ts";
import { storeHalf } from "../../src/formats/gguf-block.ts";
import { findFormat } from "../../src/formats/format.ts";
import { findWeightFormat } from "../../src/formats/registry.ts";
import { folder } from "../checkpoint/craft.ts";
import {
  craftGguf,
  type CraftedGguf,
  type CraftedGgufTensor,
  f32,
  text,
  u32,
} from "../checkpoint/craft-gguf.ts";
import { seeded } from "../random.ts";
import { readSafetensors } from "../safetensors-file.ts";
import { goldenPath, goldenJson } from "../golden-files.ts";

const dir = goldenPath("models/base-gguf");
const gguf_file = "model-q8_0.gguf";
const devices = ["reference", "cpu"] as const;
type LoadOptions = NonNullable<Parameters<typeof AutoModelForCausalLM.from_pretrained>[1]>;

async function load(from: string, options: LoadOptions): Promise<MistralForCausalLM> {
  const model = await AutoModelForCausalLM.from_pretrained(from, { threads: 1, ...options });
  onTestFinished(() => model.dispose());
  return model;
}

async function logitsOf(model: MistralForCausalLM, ids: number[]): Promise<Float32Array> {
  const { logits } = await model({ input_ids: [ids] });
  return Float32Array.from(logits.data as Float32Array);
}

const farthest = (a: ArrayLike<number>, b: ArrayLike<number>): number =>
  Array.from(a).reduce((most, x, i) => Math.max(most, Math.abs(x - b[i])), 0);

describe("the file of the goldens", () => {
  const { files } = goldenJson<{ files: { input_ids: number[]; logits: string }[] }>(
    "quant/gguf.json",
  );
  const tensors = readSafetensors(goldenPath("quant/gguf.safetensors"));

  test.each(devices)("%s: logits and the ids that they choose", async (device) => {
    const model = await load(dir, { gguf_file, device });
    expect(files).toHaveLength(2);
    for (const { input_ids, logits } of files) {
      const expected = tensors.get(logits)?.data ?? [];
      const got = await logitsOf(model, input_ids);
      expect(got).toHaveLength(expected.length);
      expect(farthest(got, expected)).toBeLessThan(2e-4);
      const { vocab_size: V } = model.config;
      const last = Array.from(expected).slice(-V);
      const out = await model.generate({ input_ids: [input_ids] }, { max_new_tokens: 1 });
      expect(out.tolist()).toEqual([[...input_ids, last.indexOf(Math.max(...last))]]);
    }
  });

  test("matrices stay Q8_0 in memory", async () => {
    const model = await load(dir, { gguf_file, device: "cpu" });
    const { weights } = await model.memory();
    expect(weights / statSync(join(dir, gguf_file)).size).toBeLessThan(1.05);
  });

  test("config, generation config and tokenizer; the path of the file does for all", async () => {
    const path = join(dir, gguf_file);
    for (const [from, options] of [
      [dir, { gguf_file }],
      [goldenPath("models"), { subfolder: "base-gguf", gguf_file }],
      [path, {}],
    ] as const) {
      const config = await AutoConfig.from_pretrained(from, options);
      expect(config).toMatchObject({
        ...{ vocab_size: 640, hidden_size: 64, num_hidden_layers: 3, head_dim: 16 },
        ...{ sliding_window: null, rms_norm_eps: Math.fround(1e-5), name_or_path: from },
      });
      const generation = await generationConfigOf(
        await locateModel("test", from, options, ["generation"]),
      );
      expect([generation.bos_token_id, generation.eos_token_id]).toEqual([1, 2]);
      const tokenizer = await AutoTokenizer.from_pretrained(from, options);
      expect([tokenizer.bos_token, tokenizer.length]).toEqual(["<s>", 640]);
    }
    const model = await load(path, { device: "reference" });
    expect(model.generation_config.eos_token_id).toBe(2);
  });

  test("without ids of bos and eos: those of Transformers 5.23, which the tokenizer has too", async () => {
    const bytes = readFileSync(join(dir, gguf_file));
    for (const role of ["bos", "eos"]) {
      const name = `tokenizer.ggml.${role}_token_id`;
      bytes.write(name.replace(/id$/, "ix"), bytes.indexOf(name), "latin1");
    }
    const path = join(folder(), "x.gguf");
    writeFileSync(path, bytes);
    const { config, generation_config } = await load(path, { device: "reference" });
    for (const of of [config, generation_config, await AutoTokenizer.from_pretrained(path)])
      expect([of.bos_token_id, of.eos_token_id, of.pad_token_id]).toEqual([1, 2, null]);
  });

  test("what is not a file or not a name", async () => {
    const refused = async (from: string, options: object, kind: unknown, message: RegExp) => {
      for (const Auto of [AutoModelForCausalLM, AutoConfig, AutoTokenizer]) {
        const call = Auto.from_pretrained(from, options as LoadOptions);
        await expect(call).rejects.toThrow(kind as typeof Error);
        await expect(call).rejects.toThrow(message);
      }
    };
    await refused(dir, { gguf_file: 7 }, InputError, /gguf_file is 7, expected the name of a file/);
    await refused(dir, { gguf_file: "" }, InputError, /gguf_file is ""/);
    await refused(dir, { gguf_file: "x.gguf" }, CheckpointError, /x.gguf: no such file/);
    await refused(join(dir, "no"), { gguf_file }, CheckpointError, /no: no such folder/);
    await refused(join(dir, gguf_file), { gguf_file }, CheckpointError, /q8_0.gguf is no folder/);
    await refused("/nowhere/x.gguf", {}, CheckpointError, /x.gguf: no such file/);
    const other = goldenPath("models/base-f32");
    await refused(other, { gguf_file: "model.safetensors" }, CheckpointError, /begins with/);
  });
});

const shape = { H: 256, F: 512, heads: 4, kv: 2, layers: 2, V: 48 };

type Matrix = { name: string; gguf: string; rows: number; columns: number; heads?: number };

function matrices(): Matrix[] {
  const { H, F, heads, kv, layers, V } = shape;
  const D = H / heads;
  const out: Matrix[] = [
    { name: "model.embed_tokens", gguf: "token_embd", rows: V, columns: H },
    { name: "lm_head", gguf: "output", rows: V, columns: H },
  ];
  for (let i = 0; i < layers; i++) {
    const add = (name: string, gguf: string, rows: number, columns: number, of?: number): unknown =>
      out.push({
        name: `model.layers.${i}.${name}`,
        gguf: `blk.${i}.${gguf}`,
        rows,
        columns,
        heads: of,
      });
    add("self_attn.q_proj", "attn_q", H, H, heads);
    add("self_attn.k_proj", "attn_k", kv * D, H, kv);
    add("self_attn.v_proj", "attn_v", kv * D, H);
    add("self_attn.o_proj", "attn_output", H, H);
    add("mlp.gate_proj", "ffn_gate", F, H);
    add("mlp.up_proj", "ffn_up", F, H);
    add("mlp.down_proj", "ffn_down", H, F);
  }
  return out;
}

/** A matrix of random numbers of about 1/√columns in that type: its bytes, and what they mean. */
function randomMatrix(
  type: string,
  { rows, columns }: Matrix,
  seed: number,
): { bytes: Uint8Array<ArrayBuffer>; values: Float32Array<ArrayBuffer> } {
  const random = seeded(seed);
  const format = findWeightFormat(findFormat(type)?.name ?? type);
  if (format === undefined) throw new Error(`no format ${type}`);
  const bytes = new Uint8Array(format.parts(rows, columns)[0]);
  const values = new Float32Array(rows * columns);
  const block = ggufFormats.get(type)?.block;
  if (block === undefined) {
    const packer = format.packer?.([bytes], { rows, columns });
    packer?.rows(
      Float32Array.from(random.numbers(rows * columns), (x) => x / 10),
      0,
      rows,
    );
  } else {
    bytes.forEach((_, i) => (bytes[i] = random.below(256)));
    const one = new Float32Array(block.numbers);
    for (let at = 0; at < bytes.length; at += block.bytes) {
      for (const scale of block.scales) storeHalf(1, bytes, at + scale);
      block.unpack(bytes, at, one, 0);
      const largest = one.reduce((most, x) => Math.max(most, Math.abs(x)), 1);
      const size = random.uniform(0.1, 0.2) / largest;
      for (const scale of block.scales) storeHalf(size, bytes, at + scale);
    }
  }
  format.unpack([bytes], { rows, columns }, 0, rows, values);
  return { bytes, values };
}

/** Rows as the architecture llama has them: in each head, row j of the first half, then row j of the second. */
function interleaved(
  bytes: Uint8Array<ArrayBuffer>,
  rows: number,
  heads: number,
): Uint8Array<ArrayBuffer> {
  const [size, D] = [bytes.length / rows, rows / heads];
  const out = new Uint8Array(bytes.length);
  let to = 0;
  for (let head = 0; head < heads; head++) {
    for (let j = 0; j < D / 2; j++) {
      for (const half of [0, D / 2]) {
        const row = head * D + half + j;
        out.set(bytes.subarray(row * size, (row + 1) * size), to++ * size);
      }
    }
  }
  return out;
}

const numberOf = (type: string): number =>
  [...ggmlTypes].find(([, name]) => name === type)?.[0] ?? -1;

/** The same model twice: as a GGUF file of these types, in turn, and as safetensors of the numbers that they mean. */
async function twins(
  types: readonly string[],
  tied = false,
): Promise<{ file: CraftedGguf; plain: string }> {
  const { H, F, heads, kv, layers, V } = shape;
  const tensors: CraftedGgufTensor[] = [];
  const plain: { name: string; values: Float32Array<ArrayBuffer>; shape: number[] }[] = [];
  const used = matrices().filter(({ name }) => !(tied && name === "lm_head"));
  for (const [i, matrix] of used.entries()) {
    const { name, gguf, rows, columns } = matrix;
    const type = types[i % types.length];
    const { bytes, values } = randomMatrix(type, matrix, i + 1);
    const data = matrix.heads === undefined ? bytes : interleaved(bytes, rows, matrix.heads);
    tensors.push({
      name: `${gguf}.weight`,
      dimensions: [columns, rows],
      type: numberOf(type),
      data,
    });
    plain.push({ name: `${name}.weight`, values, shape: [rows, columns] });
  }
  const layerNorms = Array.from({ length: layers }, (_, i) => [
    [`blk.${i}.attn_norm`, `model.layers.${i}.input_layernorm`],
    [`blk.${i}.ffn_norm`, `model.layers.${i}.post_attention_layernorm`],
  ]).flat();
  for (const [gguf, name] of [...layerNorms, ["output_norm", "model.norm"]]) {
    const values = Float32Array.from(seeded(99).numbers(H), (x) => 1 + x / 4);
    tensors.push({
      name: `${gguf}.weight`,
      dimensions: [H],
      type: 0,
      data: new Uint8Array(values.buffer),
    });
    plain.push({ name: `${name}.weight`, values, shape: [H] });
  }
  const counts = {
    embedding_length: H,
    block_count: layers,
    feed_forward_length: F,
    context_length: 128,
  };
  const file: CraftedGguf = {
    metadata: [
      ["general.architecture", text("llama")],
      ...Object.entries(counts).map(([key, value]) => [`llama.${key}`, u32(value)] as const),
      ["llama.attention.head_count", u32(heads)],
      ["llama.attention.head_count_kv", u32(kv)],
      ["llama.attention.layer_norm_rms_epsilon", f32(1e-5)],
    ],
    tensors,
  };
  const to = folder({
    "config.json": JSON.stringify({
      ...{ model_type: "mistral", architectures: ["MistralForCausalLM"], vocab_size: V },
      ...{ hidden_size: H, intermediate_size: F, num_hidden_layers: layers },
      ...{ num_attention_heads: heads, num_key_value_heads: kv, max_position_embeddings: 128 },
      ...{ rms_norm_eps: Math.fround(1e-5), sliding_window: null, tie_word_embeddings: tied },
    }),
  });
  await saveSafetensors(
    join(to, "model.safetensors"),
    plain.map(({ name, values, shape: dims }) => ({
      ...{ name, dtype: "F32", shape: dims },
      data: () => [new Uint8Array(values.buffer)],
    })),
  );
  return { file, plain: to };
}

const prompt = [1, 7, 30, 4, 4, 21, 47, 0, 9, 16, 2];

describe("random models", () => {
  test.each(devices)("%s: every type in one file, as the numbers that it means", async (device) => {
    const types = readableTypes.toReversed();
    const { file, plain } = await twins(types);
    expect(new Set(file.tensors?.map(({ type }) => type)).size).toBe(types.length);
    writeFileSync(join(plain, "all.gguf"), craftGguf(file));
    const expected = await logitsOf(await load(plain, { device }), prompt);
    const model = await load(plain, { device, gguf_file: "all.gguf" });
    expect(await logitsOf(model, prompt)).toEqual(expected);
    expect(Math.max(...expected)).toBeGreaterThan(0.5);
  });

  test.each(["Q4_0", "Q8_0", "Q4_K", "Q6_K"])("%s alone, tied, on two threads", async (type) => {
    const { file, plain } = await twins([type], true);
    writeFileSync(join(plain, "one.gguf"), craftGguf(file));
    const expected = await logitsOf(await load(plain, {}), prompt);
    const model = await load(plain, { gguf_file: "one.gguf", threads: 2 });
    expect(model.config.tie_word_embeddings).toBe(true);
    expect(await logitsOf(model, prompt)).toEqual(expected);
  });

  test.each(["Q4_0", "Q8_0", "Q4_K", "Q6_K"])("%s with activations of 8 bits", async (type) => {
    const { file, plain } = await twins([type]);
    writeFileSync(join(plain, "one.gguf"), craftGguf(file));
    const exact = await logitsOf(await load(plain, {}), prompt);
    const options = { gguf_file: "one.gguf", compute_dtype: "int8" } as const;
    const fast = await logitsOf(await load(plain, options), prompt);
    const size = Math.max(...exact.map(Math.abs));
    expect(farthest(fast, exact) / size).toBeGreaterThan(1e-5);
    expect(farthest(fast, exact) / size).toBeLessThan(0.05);
  });

  test.each(["Q8_0", "Q6_K"])(
    "a scale of %s that is NaN is refused on every compute path",
    async (type) => {
      const { file, plain } = await twins([type]);
      const broken = file.tensors?.find(({ name }) => name === "blk.1.attn_k.weight");
      const scale = ggufFormats.get(type)?.block.scales[0];
      broken?.data.set([0x01, 0x7e], scale);
      writeFileSync(join(plain, "nan.gguf"), craftGguf(file));
      for (const compute_dtype of ["float32", "int8"] as const) {
        const failed = load(plain, { gguf_file: "nan.gguf", compute_dtype });
        await expect(failed).rejects.toThrow(CheckpointError);
        await expect(failed).rejects.toThrow(
          `model.layers.1.self_attn.k_proj.weight (${type}): a scale is NaN or infinite`,
        );
      }
    },
  );

  test("a plain number that is NaN is warned of, and generating refuses to go on", async () => {
    const { file, plain } = await twins(["Q4_0"]);
    const broken = file.tensors?.find(({ name }) => name === "blk.1.attn_norm.weight");
    broken?.data.set([0, 0, 0xc0, 0x7f]);
    writeFileSync(join(plain, "nan.gguf"), craftGguf(file));
    const warn = vi.spyOn(console, "warn").mockImplementation(() => {});
    onTestFinished(() => warn.mockRestore());
    const model = await load(plain, { gguf_file: "nan.gguf" });
    expect(warn.mock.calls.flat().join("\n")).toContain("model.layers.1.input_layernorm.weight");
    await expect(model.generate({ input_ids: [prompt] }, { max_new_tokens: 2 })).rejects.toThrow(
      /NaN|finite|number/,
    );
  });

  test("a file whose shapes do not fit its own config is refused with both", async () => {
    const { file, plain } = await twins(["F32"]);
    const metadata = file.metadata?.map(([key, value]) =>
      key === "llama.feed_forward_length" ? ([key, u32(500)] as const) : ([key, value] as const),
    );
    writeFileSync(join(plain, "bad.gguf"), craftGguf({ ...file, metadata }));
    await expect(load(plain, { gguf_file: "bad.gguf" })).rejects.toThrow(
      /mlp.gate_proj.weight has shape \[512, 256\], but .* asks for \[500, 256\]/,
    );
    const fewer = file.tensors?.filter(({ name }) => name !== "blk.1.ffn_up.weight");
    writeFileSync(join(plain, "few.gguf"), craftGguf({ ...file, tensors: fewer }));
    await expect(load(plain, { gguf_file: "few.gguf" })).rejects.toThrow(
      /hold no model.layers.1.mlp.up_proj.weight/,
    );
  });
});
