// A19: a config that no model can be built from, or that its weights contradict, gives a named error from headers alone.

import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as fc from "fast-check";
import { describe, expect, onTestFinished, test } from "vitest";
import { AutoConfig } from "../../src/api/auto-config.ts";
import { openCheckpoint } from "../../src/checkpoint/weights.ts";
import { CheckpointError, InputError, MemoryError } from "../../src/errors.ts";
import { checkConfig } from "../../src/models/config-check.ts";
import {
  checkWeights,
  countParameters,
  expectedWeights,
  matchWeights,
  type WeightTable,
} from "../../src/models/config-weights.ts";
import { MistralConfig, type MistralConfigOptions } from "../../src/models/config.ts";
import { goldenPath } from "../golden-files.ts";

const tiny: MistralConfigOptions = {
  hidden_size: 64,
  intermediate_size: 160,
  num_hidden_layers: 2,
  num_attention_heads: 4,
  num_key_value_heads: 2,
  vocab_size: 640,
};

const wrong: [MistralConfigOptions, RegExp][] = [
  [{ num_hidden_layers: -1 }, /num_hidden_layers is -1, expected a whole number from 1/],
  [{ num_hidden_layers: 1.5 }, /num_hidden_layers is 1.5/],
  [{ num_hidden_layers: 1e6 }, /num_hidden_layers is 1000000, expected at most/],
  [{ hidden_size: 0 }, /hidden_size is 0/],
  [{ vocab_size: 2 ** 31 }, /vocab_size is 2147483648/],
  [{ intermediate_size: Number.NaN }, /intermediate_size is NaN/],
  [
    { num_attention_heads: 3 },
    /num_attention_heads is 3, expected a multiple of num_key_value_heads, which is 2/,
  ],
  [
    { num_attention_heads: 6 },
    /hidden_size is 64, expected a multiple of num_attention_heads, which is 6/,
  ],
  [{ head_dim: 15 }, /head_dim is 15, expected an even number/],
  [{ head_dim: -16 }, /head_dim is -16/],
  [{ num_key_value_heads: 0 }, /num_key_value_heads is 0/],
  [{ rope_theta: 0 }, /rope_theta is 0, expected a number above 0/],
  [{ rope_theta: Number.NaN }, /rope_theta is .*NaN/],
  [{ rope_parameters: { rope_theta: -5 } }, /rope_theta is -5/],
  [{ rope_parameters: { rope_type: "yarm" } }, /did you mean "yarn"/],
  [
    { rope_parameters: { rope_type: "linear" } },
    /factor is missing, expected a number of at least 1/,
  ],
  [{ rope_parameters: { rope_type: "linear", factor: 0 } }, /factor is 0/],
  [
    {
      rope_parameters: { rope_type: "llama3", factor: 8, low_freq_factor: 4, high_freq_factor: 1 },
    },
    /high_freq_factor is 1, expected more than low_freq_factor/,
  ],
  [
    { rope_parameters: { rope_type: "longrope", short_factor: [1], long_factor: [1] } },
    /short_factor is \[1\], expected a list of 8 numbers/,
  ],
  [
    { rope_parameters: { rope_type: "linear", factor: 2, partial_rotary_factor: 0.5 } },
    /partial_rotary_factor is 0.5, expected 1/,
  ],
  [{ sliding_window: 0 }, /sliding_window is 0, expected null \(no window\) or a whole number/],
  [{ sliding_window: 1e12 }, /sliding_window is 1000000000000/],
  [{ sliding_window: -1 }, /sliding_window is -1/],
  [{ rms_norm_eps: 0 }, /rms_norm_eps is 0, expected a number above 0/],
  [{ rms_norm_eps: -1e-5 }, /rms_norm_eps is -0.00001/],
  [{ attention_dropout: 1 }, /attention_dropout is 1/],
  [{ initializer_range: -1 }, /initializer_range is -1/],
  [{ hidden_act: "silo" }, /did you mean "silu"/],
  [{ max_position_embeddings: 0 }, /max_position_embeddings is 0/],
  [
    { eos_token_id: Array.from({ length: 1e6 }, () => 1) },
    /eos_token_id is a list of 1000000, expected null, a token id or a list of at most 1000/,
  ],
  [{ pad_token_id: 0.5 }, /pad_token_id is 0.5/],
  [JSON.parse('{"vocab_size":"640"}') as MistralConfigOptions, /vocab_size is "640"/],
  [
    JSON.parse('{"hidden_size":{"toString":false}}') as MistralConfigOptions,
    /hidden_size is \{"toString":false\}, expected a whole number/,
  ],
  [JSON.parse('{"hidden_size":null}') as MistralConfigOptions, /hidden_size is null/],
  [
    JSON.parse('{"tie_word_embeddings":"yes"}') as MistralConfigOptions,
    /tie_word_embeddings is "yes"/,
  ],
  [JSON.parse('{"id2label":["a"]}') as MistralConfigOptions, /id2label is \["a"\]/],
  [
    JSON.parse('{"rope_scaling":"linear"}') as MistralConfigOptions,
    /rope_parameters is "linear", expected an object/,
  ],
  [
    JSON.parse('{"rope_parameters":[1]}') as MistralConfigOptions,
    /rope_parameters is \[1\], expected an object/,
  ],
  [{ num_labels: 1e9 }, /num_labels is 1000000000, expected a whole number from 1 to 100000/],
  [{ num_labels: 0 }, /num_labels is 0/],
  [JSON.parse('{"num_labels":"3"}') as MistralConfigOptions, /num_labels is "3"/],
  [
    JSON.parse('{"problem_type":"guess"}') as MistralConfigOptions,
    /problem_type is "guess", expected one of/,
  ],
];

describe("A19 fields that no model can have", () => {
  const named = wrong.map((one) => [JSON.stringify(one[0]).slice(0, 80), ...one] as const);
  test.each(named)("%s", async (_name, options, message) => {
    const inCode = (): void => checkConfig(new MistralConfig({ ...tiny, ...options }));
    expect(inCode).toThrow(message);
    expect(inCode).toThrow(InputError);
    expect(inCode).toThrow(/^MistralConfig: /);
    // From a file it is a CheckpointError that names the file.
    const dir = mkdtempSync(join(tmpdir(), "mistral-test-"));
    onTestFinished(() => rmSync(dir, { recursive: true, force: true }));
    const text = JSON.stringify(
      { model_type: "mistral", ...tiny, ...options },
      (_, value: unknown) => (Number.isNaN(value) ? "@NaN@" : value),
    );
    writeFileSync(join(dir, "config.json"), text.replace('"@NaN@"', "NaN"));
    const error: unknown = await AutoConfig.from_pretrained(dir).catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(CheckpointError);
    expect((error as Error).message).toMatch(message);
    expect((error as Error).message).toMatch("config.json");
    expect((error as Error).message.startsWith(dir)).toBe(true);
    expect((error as Error).message.length).toBeLessThan(600);
  });

  test("the file is not blamed for an option", async () => {
    const read = AutoConfig.from_pretrained(goldenPath("models/base-f32"), { num_labels: 0 });
    await expect(read).rejects.toThrow(InputError);
    await expect(read).rejects.toThrow(/^MistralConfig: num_labels is 0/);
  });

  test("hidden_size 10^9: a MemoryError with the arithmetic, at once", () => {
    const config = new MistralConfig({ ...tiny, hidden_size: 1e9, head_dim: 16 });
    const begin = performance.now();
    expect(() => checkConfig(config)).toThrow(MemoryError);
    expect(() => checkConfig(config)).toThrow(
      /asks for .*e\+\d+ weights, at most 2\^40 are taken: 2 layers × \(hidden 1000000000/,
    );
    expect(performance.now() - begin).toBeLessThan(100);
  });

  test("head_dim of 2.5 · 10^8, as hidden_size 10^9 gives it: refused at once", () => {
    const begin = performance.now();
    const config = new MistralConfig({ ...tiny, hidden_size: 1e9 });
    expect(() => checkConfig(config)).toThrow(/head_dim is 250000000, expected at most 65536/);
    expect(performance.now() - begin).toBeLessThan(100);
  });

  test("what is right is let through: no window, -1 for no token, heads that are not hidden_size", () => {
    for (const options of [
      { sliding_window: null },
      { pad_token_id: -1 },
      { head_dim: 24 },
      { eos_token_id: [2, 3] },
      { sliding_window: 1 },
    ]) {
      checkConfig(new MistralConfig({ ...tiny, ...options }));
    }
    expect(() => checkConfig(new MistralConfig())).not.toThrow();
  });
});

test("whatever a field holds: one of our errors, or a config that can be used, at once", () => {
  const names = [
    ...Object.keys(new MistralConfig()),
    "rope_theta",
    "rope_scaling",
    "num_labels",
    "torch_dtype",
    "layer_types",
  ];
  const edges = fc.constantFrom<unknown>(
    0,
    -1,
    1,
    2,
    64,
    1e9,
    1e12,
    2 ** 53,
    1e308,
    -0.5,
    Infinity,
    Number.NaN,
    null,
    "",
    "64",
    true,
    [],
    {},
    [1],
    { rope_type: "yarn", factor: 1e300 },
    { rope_type: "dynamic", factor: 1e30, rope_theta: 1e-40 },
  );
  const values = fc.oneof(edges, fc.integer(), fc.double(), fc.jsonValue({ maxDepth: 2 }));
  const slowest = { ms: 0 };
  fc.assert(
    fc.property(
      fc.dictionary(fc.constantFrom(...names), values, { minKeys: 1, maxKeys: 3 }),
      (fields) => {
        const begin = performance.now();
        const outcome = outcomeOf(() => checkConfig(new MistralConfig({ ...tiny, ...fields })));
        slowest.ms = Math.max(slowest.ms, performance.now() - begin);
        return outcome === "fine" || outcome === "refused";
      },
    ),
    { numRuns: 3000 },
  );
  expect(slowest.ms).toBeLessThan(1000);
});

function outcomeOf(attempt: () => void): string {
  try {
    attempt();
    return "fine";
  } catch (error) {
    const ours = [InputError, CheckpointError, MemoryError].some((kind) => error instanceof kind);
    return ours ? "refused" : String(error);
  }
}

test("the number of weights of Mistral-7B", () => {
  expect(countParameters(new MistralConfig())).toBe(7_241_732_096);
});

const golden = async (
  name: string,
): Promise<{ config: MistralConfig; table: WeightTable; close: () => Promise<void> }> => {
  const dir = goldenPath(`models/${name}`);
  const table = await openCheckpoint(dir);
  return { config: await AutoConfig.from_pretrained(dir), table, close: () => table.close() };
};

describe("config and weights", () => {
  test.each([
    ["base-f32", "MistralForCausalLM"],
    ["base-sharded", "MistralForCausalLM"],
    ["v03-f32", "MistralForCausalLM"],
    ["sw5-mqa-f32", "MistralForCausalLM"],
    ["seqcls-f32", "MistralForSequenceClassification"],
    ["tokcls-f32", "MistralForTokenClassification"],
    ["qa-f32", "MistralForQuestionAnswering"],
  ] as const)("%s: every weight of a %s is there, and nothing else", async (name, kind) => {
    const { config, table, close } = await golden(name);
    const { names, info } = checkWeights(config, table, kind);
    await close();
    expect([...names.keys()]).toEqual([...expectedWeights(config, kind).keys()]);
    expect(info).toEqual({
      missing_keys: [],
      unexpected_keys: [],
      mismatched_keys: [],
      error_msgs: [],
    });
    expect(names.size).toBe(table.tensors.size);
  });

  test.each([
    [
      { hidden_size: 128 },
      /model.embed_tokens.weight has shape \[640, 64\], but config.json asks for \[640, 128\] \(vocab_size 640, hidden_size 128\).*\(30 shapes disagree in all\)/,
    ],
    [
      { vocab_size: 641 },
      /embed_tokens.weight has shape \[640, 64\], but config.json asks for \[641, 64\]/,
    ],
    [
      { head_dim: 8 },
      /q_proj.weight has shape \[64, 64\], but config.json asks for \[32, 64\] \(4 heads × head_dim 8, hidden_size 64\)/,
    ],
    [
      { num_key_value_heads: 4 },
      /k_proj.weight has shape \[32, 64\], but config.json asks for \[64, 64\] \(4 heads/,
    ],
    [{ intermediate_size: 161 }, /gate_proj.weight has shape .* \(intermediate_size 161/],
    [
      { num_hidden_layers: 4 },
      /hold no model.layers.3.input_layernorm.weight.* which a MistralForCausalLM of 4 layers needs \(9 weights are missing in all\)/,
    ],
  ])("A19 weights that contradict %j", async (options, message) => {
    const { config, table, close } = await golden("base-f32");
    const changed = new MistralConfig({ ...config.to_dict(), ...options });
    expect(() => checkWeights(changed, table)).toThrow(CheckpointError);
    expect(() => checkWeights(changed, table)).toThrow(message);
    await close();
  });

  test("a checkpoint of the bare model has no model. before its names", async () => {
    const { config, table, close } = await golden("v03-f32");
    await close();
    const bare = new Map(
      [...table.tensors.values()].map(({ name, ...rest }) => [
        name.slice(6),
        { name: name.slice(6), ...rest },
      ]),
    );
    const { names, info } = checkWeights(config, { dir: "bare", tensors: bare });
    expect(names.get("model.layers.0.mlp.up_proj.weight")).toBe("layers.0.mlp.up_proj.weight");
    expect(info.unexpected_keys).toEqual([]);
  });

  test("tied: either tensor will do, both are reported, and frequencies of old checkpoints are left out", () => {
    const config = new MistralConfig({ ...tiny, tie_word_embeddings: true });
    const untied = new MistralConfig({ ...tiny });
    const table = (...leave: string[]): WeightTable => ({
      dir: "x",
      tensors: new Map(
        [
          ...expectedWeights(untied, "MistralForCausalLM"),
          ["model.layers.0.self_attn.rotary_emb.inv_freq", [8]] as const,
        ]
          .filter(([name]) => !leave.includes(name))
          .map(([name, shape]) => [name, { name, dtype: "F32", shape }]),
      ),
    });
    const [embedding, head] = ["model.embed_tokens.weight", "lm_head.weight"];
    expect(checkWeights(config, table()).bothTiedStored).toBe(true);
    expect(checkWeights(config, table(head)).bothTiedStored).toBe(false);
    expect(checkWeights(config, table(embedding)).names.get(embedding)).toBe(head);
    expect(checkWeights(config, table()).info.unexpected_keys).toEqual([]);
    expect(() => checkWeights(config, table(embedding, head))).toThrow(
      "hold no model.embed_tokens.weight",
    );
    expect(() => checkWeights(untied, table(head))).toThrow("hold no lm_head.weight");
    expect(matchWeights(untied, table(head), "MistralForCausalLM").info.missing_keys).toEqual([
      head,
    ]);
    expect(matchWeights(untied, table(), "MistralModel").info.unexpected_keys).toEqual([head]);
  });

  test("dtypes that cannot be read are named; packed weights were read by their method", () => {
    const plain = new MistralConfig(tiny);
    const tensors = new Map(
      [...expectedWeights(plain, "MistralForCausalLM")].map(([name, shape]) => [
        name,
        { name, dtype: "F64", shape },
      ]),
    );
    expect(() => checkWeights(plain, { dir: "x", tensors })).toThrow(
      /model.embed_tokens.weight has dtype F64, expected F32, F16, BF16/,
    );
    const packed = new Map(
      [...tensors].map(([name, entry]) => [name, { ...entry, dtype: "nf4", quantised: true }]),
    );
    expect(checkWeights(plain, { dir: "x", tensors: packed }).info.missing_keys).toEqual([]);
  });
});
