// Packed 4-bit checkpoints beyond the goldens: sizes of several bands against a plain reading, settings in all their places and
// spellings, and everything that is refused, with what the error must name.

import { describe, expect, test } from "vitest";
import { awqWeights } from "../../src/checkpoint/quantized/awq.ts";
import { compressedTensorsWeights } from "../../src/checkpoint/quantized/compressed-tensors.ts";
import { gptqWeights } from "../../src/checkpoint/quantized/gptq.ts";
import { findQuantizationSettings } from "../../src/checkpoint/quantized/packed-settings.ts";
import type { StoredWeight } from "../../src/checkpoint/stored-weight.ts";
import type { QuantizedWeights } from "../../src/checkpoint/quantized/quantized-weights.ts";
import type { Checkpoint } from "../../src/checkpoint/weights.ts";
import { CheckpointError } from "../../src/errors.ts";
import { seeded } from "../random.ts";
import { folder } from "./craft.ts";
import { checkpointOf, type RawTensor, tensor } from "./packed-folder.ts";

const LAYER = "model.layers.0.mlp.up_proj";
const AWQ_ORDER = [0, 2, 4, 6, 1, 3, 5, 7];
const F16_ONE = 0x3c00;

type Tensors = Record<string, RawTensor>;
type Settings = Record<string, unknown>;
type Method = {
  read(checkpoint: Checkpoint, settings: Settings): Promise<QuantizedWeights>;
  settings: Settings;
  /** A layer [O, K] of groups of 32: tensors by their last names. */
  layer(O: number, K: number): Tensors;
  /** The code of output o and input k in the layer's tensors. */
  code(tensors: Tensors, o: number, k: number): number;
};

const randomWords = (...shape: number[]): RawTensor => {
  const random = seeded(shape.reduce((product, size) => product * size, 1));
  return tensor("I32", shape, () => random.below(2 ** 32) | 0);
};
const wordOf = ({ bytes, shape }: RawTensor, row: number, column: number): number =>
  new Uint32Array(bytes.buffer, bytes.byteOffset)[row * shape[1] + column];
const nibble = (word: number, at: number): number => (word >>> (4 * at)) & 15;

const gptq: Method = {
  read: gptqWeights,
  settings: { quant_method: "gptq", bits: 4, group_size: 32, desc_act: false, sym: false },
  layer: (O, K) => ({
    qweight: randomWords(K / 8, O),
    qzeros: randomWords(Math.ceil(K / 32), Math.ceil(O / 8)),
    scales: tensor("F16", [Math.ceil(K / 32), O], () => F16_ONE),
    g_idx: tensor("I32", [K], (k) => Math.floor(k / 32)),
  }),
  code: ({ qweight }, o, k) => nibble(wordOf(qweight, k >> 3, o), k & 7),
};

const awq: Method = {
  read: awqWeights,
  settings: { quant_method: "awq", bits: 4, group_size: 32, version: "gemm", zero_point: true },
  layer: (O, K) => ({
    qweight: randomWords(K, O / 8),
    qzeros: randomWords(K / 32, O / 8),
    scales: tensor("F16", [K / 32, O], () => F16_ONE),
  }),
  code: ({ qweight }, o, k) => nibble(wordOf(qweight, k, o >> 3), AWQ_ORDER.indexOf(o & 7)),
};

const weightArgs = { num_bits: 4, type: "int", strategy: "group", group_size: 32, symmetric: true };
const groups = (weights: Settings, more: Settings = {}): Settings => ({
  quant_method: "compressed-tensors",
  format: "pack-quantized",
  config_groups: { group_0: { targets: ["Linear"], weights: { ...weightArgs, ...weights } } },
  ...more,
});
const compressed: Method = {
  read: compressedTensorsWeights,
  settings: groups({}),
  layer: (O, K) => ({
    weight_packed: randomWords(O, Math.ceil(K / 8)),
    weight_scale: tensor("BF16", [O, K / 32], () => 0x3f80),
    weight_shape: tensor("I64", [2], [O, K]),
  }),
  code: ({ weight_packed }, o, k) => nibble(wordOf(weight_packed, o, k >> 3), k & 7),
};

const named = (tensors: Tensors, layer = LAYER): Tensors =>
  Object.fromEntries(Object.entries(tensors).map(([part, t]) => [`${layer}.${part}`, t]));

async function weightOf(method: Method, tensors: Tensors, settings = method.settings) {
  const checkpoint = await checkpointOf(named(tensors));
  const { weights, used } = await method.read(checkpoint, settings);
  const weight = weights.get(`${LAYER}.weight`);
  if (weight === undefined) throw new Error("the layer was not found");
  return { weight, used };
}

const filled = async (weight: StoredWeight): Promise<Uint8Array[]> => {
  const [O, K] = weight.shape;
  const parts = weight.format.parts(O, K).map((bytes) => new Uint8Array(bytes));
  await weight.fill(parts, () => {});
  return parts;
};

describe.for([
  ["gptq", gptq, 4096 + 40, 1032],
  ["gptq, odd", gptq, 21, 1928],
  ["awq", awq, 4096 + 40, 1120],
  ["awq, narrow", awq, 8, 1600],
  ["compressed-tensors", compressed, 1000, 4160],
] as const)("%s in several bands", ([, method, O, K]) => {
  test("codes are those of the file", async () => {
    const tensors = method.layer(O, K);
    const { weight, used } = await weightOf(method, tensors);
    expect(weight.shape).toEqual([O, K]);
    expect(used.size).toBe(Object.keys(tensors).length);
    const [codes] = await filled(weight);
    let wrong = 0;
    for (let o = 0; o < O; o++) {
      for (let k = 0; k < K; k++) {
        const got = nibble(codes[(o * K + k) >> 1], k & 1);
        if (got !== method.code(tensors, o, k)) wrong++;
      }
    }
    expect(wrong).toBe(0);
  });
});

test("a GPTQ zero point of 0 was stored as 15 and is 0 again; gptq_v2 stores it as it is", async () => {
  const tensors = gptq.layer(8, 32);
  tensors.qzeros = tensor("I32", [1, 1], [0x7f0e1234]);
  const stored = [4, 3, 2, 1, 14, 0, 15, 7];
  for (const [version, offset] of [
    ["gptq", 1],
    ["gptq_v2", 0],
    [undefined, 1],
    [null, 1],
  ]) {
    const settings = { ...gptq.settings, checkpoint_format: version };
    const [, , zeros] = await filled((await weightOf(gptq, tensors, settings)).weight);
    const expected = stored.map((zero) => (zero + (offset as number)) % 16);
    expect(Array.from(new Int16Array(zeros.buffer))).toEqual(expected);
  }
});

test("a table in order is left out; another order makes int4-act, whatever desc_act says", async () => {
  const tensors = gptq.layer(8, 96);
  expect((await weightOf(gptq, tensors)).weight.format.name).toBe("int4-32");
  tensors.g_idx = tensor("I32", [96], (k) => (k * 7) % 3);
  expect((await weightOf(gptq, tensors)).weight.format.name).toBe("int4-32-act");
  delete tensors.g_idx;
  expect((await weightOf(gptq, tensors)).weight.format.name).toBe("int4-32");
  const ct = compressed.layer(8, 64);
  ct.weight_g_idx = tensor("I32", [64], () => -1);
  expect((await weightOf(compressed, ct)).weight.format.name).toBe("int4-32");
});

test("a bias of zeros is taken along", async () => {
  const tensors = { ...gptq.layer(8, 32), bias: tensor("F16", [8], () => 0) };
  const { used } = await weightOf(gptq, tensors);
  expect(used).toContain(`${LAYER}.bias`);
});

test("scales that are not finite are found by the format", async () => {
  for (const method of [gptq, awq, compressed]) {
    const tensors = method.layer(8, 32);
    const scales = tensors.scales ?? tensors.weight_scale;
    scales.bytes.set([0x80, 0x7f], 4); // NaN as f16, infinite as bf16
    const { weight } = await weightOf(method, tensors);
    expect(weight.format.isFinite?.(await filled(weight))).toBe(false);
  }
});

describe("settings", () => {
  const config = { quantization_config: { quant_method: "gptq", bits: 4 } };
  const side = JSON.stringify({ bits: 4, group_size: 128, desc_act: true });

  test("of config.json come first, then files beside it, which may leave out the method", async () => {
    const both = folder({ "quantize_config.json": side, "quant_config.json": '{"w_bit":4}' });
    expect(await findQuantizationSettings(both, config)).toEqual(config.quantization_config);
    expect(await findQuantizationSettings(both, {})).toEqual({
      ...{ quant_method: "gptq", bits: 4, group_size: 128, desc_act: true },
    });
    const onlyAwq = folder({ "quant_config.json": '{"w_bit":4}' });
    const settings = await findQuantizationSettings(onlyAwq, { quantization_config: null });
    expect(settings).toEqual({ quant_method: "awq", w_bit: 4 });
    expect(await findQuantizationSettings(folder(), {})).toBeUndefined();
  });

  test("under the older name compression_config", async () => {
    const old = { compression_config: { format: "pack-quantized" } };
    expect(await findQuantizationSettings(folder(), old)).toEqual({
      ...{ quant_method: "compressed-tensors", format: "pack-quantized" },
    });
  });

  test("that are no object are refused", async () => {
    const found = findQuantizationSettings(folder(), { quantization_config: "gptq" });
    await expect(found).rejects.toThrow(CheckpointError);
    const list = folder({ "quantize_config.json": "[4]" });
    await expect(findQuantizationSettings(list, {})).rejects.toThrow(CheckpointError);
  });

  test("of compressed-tensors: a name goes before an expression, and that before the class", async () => {
    const groupOf = (targets: string[], group_size: number): Settings => ({
      ...{ targets, weights: { ...weightArgs, group_size } },
    });
    const settings = {
      ...groups({}),
      config_groups: {
        all: groupOf(["Linear"], 64),
        mlp: groupOf(["re:.*mlp\\.(up|gate)_proj$"], 32),
        one: groupOf([LAYER.replace(".0.", ".1.")], 16),
      },
    };
    const layer = (group: number): Tensors => ({
      ...compressed.layer(8, 64),
      weight_scale: tensor("BF16", [8, 64 / group], () => 0x3f80),
    });
    const checkpoint = await checkpointOf({
      ...named(layer(32), LAYER),
      ...named(layer(16), LAYER.replace(".0.", ".1.")),
      ...named(layer(64), LAYER.replace("up", "down")),
    });
    const { weights } = await compressedTensorsWeights(checkpoint, settings);
    expect([...weights.values()].map(({ format }) => format.name).toSorted()).toEqual([
      "int4-16",
      "int4-32",
      "int4-64",
    ]);
  });
});

/** What is changed in a right layer and its settings, and what the error must say. */
type Bad = [what: string, settings: Settings, change: (tensors: Tensors) => void, says: RegExp];
const none = (): void => {};
const without =
  (part: string) =>
  (tensors: Tensors): void => {
    delete tensors[part];
  };

const badGptq: Bad[] = [
  ["3 bits", { bits: 3 }, none, /bits is 3.*4 bits only/],
  ["no bits", { bits: undefined }, none, /bits is missing/],
  ["bits as text", { bits: "4" }, none, /bits is "4", expected a whole number/],
  ["bits that contradict", { w_bit: 8 }, none, /bits is 4, but w_bit is 8/],
  ["no group size", { group_size: undefined }, none, /group_size is missing/],
  ["a group of 0", { group_size: 0 }, none, /group_size is 0/],
  ["another group size", { group_size: 64 }, none, /scales has shape \[2, 8\], expected \[1, 8\]/],
  ["marlin", { is_marlin_format: true }, none, /is_marlin_format is true.*Marlin/],
  ["a marlin format", { checkpoint_format: "marlin" }, none, /checkpoint_format is "marlin"/],
  ["64-bit words", { pack_dtype: "int64" }, none, /pack_dtype is "int64"/],
  ["layers of their own", { dynamic: { "+:.*": { bits: 8 } } }, none, /dynamic is "\+:\.\*"/],
  ["desc_act as text", { desc_act: "yes" }, none, /desc_act is "yes", expected true or false/],
  ["no qzeros", {}, without("qzeros"), /qzeros is missing beside .*scales/],
  ["no scales", {}, without("scales"), /scales is missing/],
  ["no qweight", {}, without("qweight"), /qweight is missing/],
  ["no g_idx", { desc_act: true }, without("g_idx"), /g_idx is missing/],
  [
    "a group too high",
    {},
    (t) => (t.g_idx = tensor("I32", [64], () => 2)),
    /column 0 into group 2/,
  ],
  ["a negative group", {}, (t) => (t.g_idx = tensor("I32", [64], () => -1)), /into group -1/],
  ["a short g_idx", {}, (t) => (t.g_idx = tensor("I32", [63], () => 0)), /expected \[64\]/],
  ["a bias", {}, (t) => (t.bias = tensor("F16", [8], (i) => i)), /bias holds numbers/],
  ["a bias of NaN", {}, (t) => (t.bias = tensor("F16", [8], () => 0x7e00)), /bias holds numbers/],
  [
    "a plain weight",
    {},
    (t) => (t.weight = tensor("F16", [8, 64], () => 0)),
    /both packed and plain/,
  ],
  ["words of 64 bits", {}, (t) => (t.qweight = tensor("I64", [8, 8], () => 0)), /dtype I64/],
  ["a vector", {}, (t) => (t.qweight = tensor("I32", [64], () => 0)), /shape \[64\]/],
  ["nothing", {}, (t) => (t.qweight = tensor("I32", [0, 8], () => 0)), /not empty/],
];

const badAwq: Bad[] = [
  ["8 bits", { bits: 8 }, none, /bits is 8/],
  ["gemv", { version: "gemv" }, none, /version is "gemv", expected "gemm"/],
  ["another packing", { backend: "llm-awq" }, none, /backend is "llm-awq"/],
  [
    "a group that does not fit",
    { group_size: 48 },
    none,
    /64 inputs.*multiple of 8 and of group_size 48/,
  ],
  ["another group size", { group_size: 64 }, none, /scales has shape/],
  ["no qzeros", { zero_point: false }, without("qzeros"), /qzeros is missing/],
  ["GPTQ's layout", {}, (t) => Object.assign(t, gptq.layer(8, 64)), /qweight|scales has shape/],
];

const badCompressed: Bad[] = [
  ["8 bits", groups({ num_bits: 8 }), none, /num_bits is 8/],
  ["floats", groups({ type: "float" }), none, /type is "float"/],
  ["another format", groups({}, { format: "int-quantized" }), none, /format is "int-quantized"/],
  ["blocks", groups({ strategy: "block" }), none, /strategy is "block"/],
  ["one scale", groups({ strategy: "tensor" }), none, /strategy is "tensor"/],
  ["no groups", { config_groups: null }, none, /config_groups is missing/],
  ["no weights", { config_groups: { a: { targets: ["Linear"] } } }, none, /weights is missing/],
  ["ignored", groups({}, { ignore: [LAYER] }), none, /ignore names model\.layers\.0/],
  ["a rotated model", groups({}, { transform_config: { a: {} } }), none, /rotated/],
  ["a quantised cache", groups({}, { kv_cache_scheme: { num_bits: 8 } }), none, /quantised cache/],
  ["sparse", groups({}, { sparsity_config: { format: "sparse-24-bitmask" } }), none, /sparse/],
  ["no target", { config_groups: { a: { targets: [], weights: weightArgs } } }, none, /no group/],
  ["flags", groups({}, { ignore: ["re:(?i)lm_head"] }), none, /no regular expression/],
  ["no expression", groups({}, { ignore: ["re:("] }), none, /no regular expression/],
  ["no zero points", groups({ symmetric: false }), none, /weight_zero_point is missing/],
  ["no shape", {}, without("weight_shape"), /weight_shape is missing/],
  ["another shape", {}, (t) => (t.weight_shape = tensor("I64", [2], [8, 128])), /weight_packed/],
  ["an absurd shape", {}, (t) => (t.weight_shape = tensor("I64", [2], [8, 2 ** 40])), /sizes/],
  ["a negative shape", {}, (t) => (t.weight_shape = tensor("I64", [2], [-8, 64])), /sizes/],
  ["a mixed table", {}, (t) => (t.weight_g_idx = tensor("I32", [64], (k) => k - 1)), /group -1/],
];

describe.for([
  ["gptq", gptq, badGptq],
  ["awq", awq, badAwq],
  ["compressed-tensors", compressed, badCompressed],
] as const)("%s refuses", ([, method, bad]) => {
  test.for(bad)("%s", async ([, settings, change, says]) => {
    const tensors = method.layer(8, 64);
    change(tensors);
    const error = await weightOf(method, tensors, { ...method.settings, ...settings }).catch(
      (reason: unknown) => reason,
    );
    expect(error).toBeInstanceOf(CheckpointError);
    expect((error as Error).message).toMatch(says);
  });

  test("weights that are not packed", async () => {
    const checkpoint = await checkpointOf({ "a.weight": tensor("F32", [1], [1]) });
    await expect(method.read(checkpoint, method.settings)).rejects.toThrow(CheckpointError);
  });
});
