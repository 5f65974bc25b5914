import { describe, expect, test } from "vitest";
import { ggufConfig } from "../../src/checkpoint/gguf-config.ts";
import { readGgufHeader, type GgufHeader } from "../../src/checkpoint/gguf-header.ts";
import { ggufWeights } from "../../src/checkpoint/gguf-weights.ts";
import { CheckpointError } from "../../src/errors.ts";
import { seeded } from "../random.ts";
import { source } from "./craft.ts";
import {
  craftGguf,
  type CraftedGguf,
  type CraftedGgufTensor,
  f32,
  i32,
  list,
  numbers,
  text,
  tinyModel,
  type Typed,
  u32,
} from "./craft-gguf.ts";

const read = (file: CraftedGguf): Promise<GgufHeader> =>
  readGgufHeader("x.gguf", source(craftGguf(file)));

describe("config", () => {
  const configOf = async (
    change: readonly (readonly [string, Typed])[] = [],
    drop: readonly string[] = [],
    architecture = "llama",
  ): Promise<Record<string, unknown>> => {
    const { metadata, tensors } = tinyModel(architecture);
    const changed = new Map(metadata);
    for (const [key, value] of change) changed.set(key, value);
    const kept = tensors.filter(({ name }) => !drop.includes(name));
    for (const key of drop) changed.delete(key);
    return ggufConfig(await read({ metadata: [...changed], tensors: kept }));
  };

  test("fields from the keys of the architecture", async () => {
    expect(await configOf()).toEqual({
      ...{ model_type: "mistral", architectures: ["MistralForCausalLM"] },
      ...{ vocab_size: 3, hidden_size: 8, intermediate_size: 12, num_hidden_layers: 2 },
      ...{ num_attention_heads: 2, num_key_value_heads: 1, head_dim: 4 },
      ...{ max_position_embeddings: 64, rms_norm_eps: Math.fround(1e-5), sliding_window: null },
      rope_parameters: { rope_type: "default", rope_theta: 10000 },
      ...{ tie_word_embeddings: false, bos_token_id: 1, eos_token_id: 2, pad_token_id: null },
    });
  });

  test("window, head size, base, scaling, tied head, ids", async () => {
    const llama = (key: string, value: Typed): [string, Typed] => [`llama.${key}`, value];
    const more = await configOf(
      [
        llama("attention.sliding_window", u32(16)),
        llama("attention.key_length", u32(6)),
        llama("attention.value_length", u32(6)),
        llama("rope.dimension_count", u32(6)),
        llama("rope.freq_base", f32(1e6)),
        llama("rope.scaling.type", text("yarn")),
        llama("rope.scaling.factor", f32(4)),
        llama("rope.scaling.original_context_length", u32(32)),
        llama("attention.head_count_kv", list(4, [1, 1])),
        ["tokenizer.ggml.bos_token_id", u32(1)],
        ["tokenizer.ggml.eos_token_id", u32(2)],
        ["tokenizer.ggml.padding_token_id", u32(0)],
      ],
      ["output.weight"],
    );
    expect(more).toMatchObject({
      ...{ sliding_window: 16, head_dim: 6, num_key_value_heads: 1, tie_word_embeddings: true },
      ...{ bos_token_id: 1, eos_token_id: 2, pad_token_id: 0 },
      rope_parameters: {
        ...{ rope_type: "yarn", rope_theta: 1e6, factor: 4, original_max_position_embeddings: 32 },
      },
    });
    const linear = await configOf([llama("rope.scale_linear", f32(2))]);
    expect(linear.rope_parameters).toEqual({ rope_type: "linear", rope_theta: 10000, factor: 2 });
    expect((await configOf([], [], "mistral")).hidden_size).toBe(8);
  });

  test.each<[string, readonly [string, Typed], RegExp]>([
    [
      "another architecture",
      ["general.architecture", text("qwen2")],
      /is "qwen2", expected "llama" or "mistral"/,
    ],
    [
      "-1 layers",
      ["llama.block_count", i32(-1)],
      /llama.block_count is -1, expected a whole number/,
    ],
    ["half a layer", ["llama.block_count", f32(0.5)], /block_count is 0.5/],
    [
      "2^60 layers",
      ["llama.block_count", { type: 10, value: 2n ** 60n }],
      /block_count is 1152921504606846976/,
    ],
    ["layers as text", ["llama.block_count", text("2")], /block_count is "2"/],
    [
      "layers of two widths",
      ["llama.feed_forward_length", list(4, [12, 8])],
      /a list of 2, expected the same in every layer/,
    ],
    [
      "an eps that is no number",
      ["llama.attention.layer_norm_rms_epsilon", f32(NaN)],
      /epsilon is NaN/,
    ],
    [
      "a part of a file",
      ["split.count", { type: 2, value: 3 }],
      /one of 3 parts of a model \(split.count\); put them together/,
    ],
    ["experts", ["llama.expert_count", u32(8)], /expert_count is 8: a mixture of experts/],
    ["values of another size", ["llama.attention.value_length", u32(2)], /value_length is 2/],
    [
      "an unknown scaling",
      ["llama.rope.scaling.type", text("dynamic")],
      /rope.scaling.type is "dynamic"/,
    ],
    [
      "a vocabulary that is not the embedding's",
      ["llama.vocab_size", u32(4)],
      /vocab_size is 4, but token_embd.weight has shape \[3, 8\]/,
    ],
    [
      "a bos of -1",
      ["tokenizer.ggml.bos_token_id", i32(-1)],
      /bos_token_id is -1, expected a token id/,
    ],
  ])("%s", async (_, change, message) => {
    const failed = configOf([change]);
    await expect(failed).rejects.toThrow(CheckpointError);
    await expect(failed).rejects.toThrow(message);
  });

  test("half a head rotated", async () => {
    const half = configOf([
      ["llama.attention.key_length", u32(4)],
      ["llama.rope.dimension_count", u32(2)],
    ]);
    await expect(half).rejects.toThrow(/rope.dimension_count is 2, expected 4, a head's size/);
  });

  test.each(["general.architecture", "llama.block_count", "llama.embedding_length"])(
    "no %s",
    async (key) => {
      await expect(configOf([], [key])).rejects.toThrow(`${key} is missing`);
    },
  );
});

describe("weights", () => {
  const weightsOf = async (
    model: CraftedGguf,
  ): Promise<{ weights: ReturnType<typeof ggufWeights>; from: ReturnType<typeof source> }> => {
    const from = source(craftGguf(model));
    return { weights: ggufWeights(await readGgufHeader("x.gguf", from), from), from };
  };
  const filled = async (
    weights: ReturnType<typeof ggufWeights>,
    name: string,
  ): Promise<{ values: Float32Array; rows: Float32Array; counted: number }> => {
    const weight = weights.get(name);
    if (weight === undefined) throw new Error(`no weight ${name}`);
    const bytes = new Uint8Array(weight.bytes);
    let counted = 0;
    const { fill } = weight;
    await fill([bytes], (more) => (counted += more));
    const columns = weight.shape.at(-1) ?? 1;
    const all = weight.shape.reduce((product, size) => product * size, 1) / columns;
    const rows = new Float32Array(all * columns);
    // by threes, so that heads are cut
    for (let from = 0; from < all; from += 3) {
      const to = Math.min(from + 3, all);
      await weight.readRows(from, to, rows.subarray(from * columns, to * columns));
    }
    return { values: new Float32Array(bytes.buffer), rows, counted };
  };

  test("names of Mistral's checkpoints, shapes, types", async () => {
    const { weights } = await weightsOf(tinyModel());
    expect([...weights.keys()].slice(0, 5)).toEqual([
      ...["model.embed_tokens.weight", "model.norm.weight", "lm_head.weight"],
      ...["model.layers.0.input_layernorm.weight", "model.layers.0.self_attn.q_proj.weight"],
    ]);
    expect(weights.size).toBe(21);
    expect(weights.get("model.layers.1.mlp.down_proj.weight")).toMatchObject({
      ...{ shape: [8, 12], encoding: "F32", bytes: 8 * 12 * 4 },
    });
  });

  test.each(["llama", "mistral"])("%s: query and key rows", async (architecture) => {
    const { weights } = await weightsOf(tinyModel(architecture));
    // the rows of a head of four, in the file's order
    const order = architecture === "llama" ? [0, 2, 1, 3] : [0, 1, 2, 3];
    for (const [part, n, heads] of [
      ["q_proj", 1, 2],
      ["k_proj", 2, 1],
    ] as const) {
      const { values, rows, counted } = await filled(
        weights,
        `model.layers.1.self_attn.${part}.weight`,
      );
      const wanted = Array.from({ length: heads * 4 }, (_, row) => row).flatMap((row) =>
        Array.from({ length: 8 }, (_, k) =>
          Math.fround(100 + 10 * n + (8 * (row - (row % 4) + order[row % 4]) + k) / 1000),
        ),
      );
      expect([...values]).toEqual(wanted);
      expect([...rows]).toEqual(wanted);
      expect(counted).toBe(4 * wanted.length);
    }
    const { values } = await filled(weights, "model.layers.1.self_attn.v_proj.weight");
    expect(values[8]).toBe(Math.fround(130.008));
  });

  test.each([
    ["Q4_0", 2, 18, "q4"],
    ["Q8_0", 8, 34, "q8"],
  ] as const)(
    "%s: rows in groups of eight are the same numbers",
    async (_, type, size, grouped) => {
      const random = seeded(type);
      const blocks = (name: string, rows: number, columns: number): CraftedGgufTensor => {
        const data = Uint8Array.from({ length: (rows * columns * size) / 32 }, () =>
          random.below(256),
        );
        for (let at = 1; at < data.length; at += size) data[at] &= 0xbf; // scales are no NaN
        return { name, dimensions: [columns, rows], type, data };
      };
      // heads of 12 rows, so that groups and heads do not meet; 21 rows, so that a group is not full
      const heads = blocks("blk.0.attn_q.weight", 36, 64);
      const plain = blocks("blk.0.ffn_up.weight", 21, 96);
      const { metadata } = tinyModel();
      const sizes = [["llama.attention.key_length", u32(12)]] as const;
      const { weights } = await weightsOf({
        metadata: [...metadata, ...sizes, ["llama.vocab_size", u32(3)]],
        tensors: [heads, plain],
      });
      for (const name of ["self_attn.q_proj", "mlp.up_proj"]) {
        const weight = weights.get(`model.layers.0.${name}.weight`);
        if (weight?.regrouped === undefined) throw new Error(`${name} has no other form`);
        const { format, fill } = weight.regrouped;
        const [rows, columns] = weight.shape;
        const parts = [new Uint8Array(format.parts(rows, columns)[0])];
        await fill(parts, () => {});
        const [wanted, values] = [
          new Float32Array(rows * columns),
          new Float32Array(rows * columns),
        ];
        await weight.readRows(0, rows, wanted);
        format.unpack(parts, { rows, columns }, 0, rows, values);
        expect(format.name).toBe(grouped);
        expect(values).toEqual(wanted);
        expect(format.isFinite?.(parts)).toBe(true);
        parts[0][15] = 0x7c;
        expect(format.isFinite?.(parts)).toBe(false);
      }
      expect(weights.get("model.layers.0.self_attn.q_proj.weight")?.file).toBeUndefined();
      const [part] = weights.get("model.layers.0.mlp.up_proj.weight")?.file?.parts ?? [];
      expect("offset" in part ? part.offset : 0).toBeGreaterThan(heads.data.length);
    },
  );

  test("a tensor of a layer that Mistral does not have is refused, others are kept under their names", async () => {
    const model = tinyModel();
    const bias = numbers("blk.0.attn_q.bias", [8], 0);
    await expect(weightsOf({ ...model, tensors: [...model.tensors, bias] })).rejects.toThrow(
      /"blk.0.attn_q.bias" is part of a layer, but a Mistral layer has none/,
    );
    const other = numbers("cls.weight", [8], 0);
    const { weights } = await weightsOf({ ...model, tensors: [...model.tensors, other] });
    expect(weights.has("cls.weight")).toBe(true);
    const twice = numbers("model.norm.weight", [8], 0);
    await expect(weightsOf({ ...model, tensors: [...model.tensors, twice] })).rejects.toThrow(
      /"model.norm.weight" stands for model.norm.weight, and so does another tensor/,
    );
    const factors = numbers("rope_freqs.weight", [2], 0);
    await expect(weightsOf({ ...model, tensors: [...model.tensors, factors] })).rejects.toThrow(
      /rope_freqs.weight scales rotary frequencies/,
    );
  });
});
