// bitsandbytes checkpoints that are wrong: each gives a CheckpointError that names the weight and the part. And right ones that
// the goldens do not hold: rows that begin within a block and a byte, other storage dtypes, parts in files of their own.

import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, onTestFinished, test } from "vitest";
import { bitsandbytesWeights } from "../../src/checkpoint/quantized/bitsandbytes.ts";
import {
  bitsandbytesLayout,
  bitsandbytesTensors,
} from "../../src/checkpoint/quantized/save-bitsandbytes.ts";
import { openWeights } from "../../src/checkpoint/weight-source.ts";
import type { StoredWeight } from "../../src/checkpoint/stored-weight.ts";
import { openCheckpoint } from "../../src/checkpoint/weights.ts";
import { CheckpointError, InputError } from "../../src/errors.ts";
import { findWeightFormat } from "../../src/formats/registry.ts";
import type { WeightFormat } from "../../src/formats/weight-format.ts";
import { checkpointOf, type RawTensor, safetensors } from "../checkpoint/packed-folder.ts";
import { folder } from "../checkpoint/craft.ts";
import { seeded } from "../random.ts";

const NAME = "model.layers.0.mlp.up_proj.weight";
const STATE = `${NAME}.quant_state.bitsandbytes__nf4`;
const FOUR = { quant_method: "bitsandbytes", load_in_4bit: true, load_in_8bit: false };
const EIGHT = { quant_method: "bitsandbytes", load_in_8bit: true };

type Tensors = Record<string, RawTensor>;

function named(name: string): WeightFormat {
  const format = findWeightFormat(name);
  if (format === undefined) throw new Error(`no format ${name}`);
  return format;
}

function quantised(name: string, rows: number, columns: number): Uint8Array[] {
  const format = named(name);
  const parts = format.parts(rows, columns).map((bytes) => new Uint8Array(bytes));
  const packer = format.packer?.(parts, { rows, columns });
  packer?.rows(Float32Array.from(seeded(rows).numbers(rows * columns)), 0, rows);
  packer?.finish();
  return parts;
}

/** The tensors of one weight, as they are saved. */
function saved(name: string, rows = 6, columns = 64): Tensors {
  const tensors = bitsandbytesTensors(
    NAME,
    named(name),
    [rows, columns],
    quantised(name, rows, columns),
  );
  const raw = tensors.map(({ name: key, dtype, shape, data }): [string, RawTensor] => {
    const [bytes] = data() as Uint8Array[];
    return [key, { dtype, shape: [...shape], bytes: Uint8Array.from(bytes) }];
  });
  return Object.fromEntries(raw);
}

async function read(tensors: Tensors, settings: Record<string, unknown>): Promise<StoredWeight> {
  const { weights } = await bitsandbytesWeights(await checkpointOf(tensors), settings);
  const weight = weights.get(NAME);
  if (weight === undefined) throw new Error(`${NAME} was not found`);
  return weight;
}

async function fillAll(weight: StoredWeight): Promise<Uint8Array[]> {
  const [rows, columns] = weight.shape;
  const parts = weight.format.parts(rows, columns).map((bytes) => new Uint8Array(bytes));
  await weight.fill(parts, () => {});
  return parts;
}

const text = (value: unknown): RawTensor => {
  const bytes = new TextEncoder().encode(typeof value === "string" ? value : JSON.stringify(value));
  return { dtype: "U8", shape: [bytes.length], bytes };
};
const stateOf = (tensors: Tensors): Record<string, unknown> =>
  JSON.parse(new TextDecoder().decode(tensors[STATE].bytes)) as Record<string, unknown>;
/** The same with other fields of quant_state; undefined takes one away. */
const withState = (name: string, fields: Record<string, unknown>): Tensors => {
  const tensors = saved(name);
  return { ...tensors, [STATE]: text({ ...stateOf(tensors), ...fields }) };
};
const without = (tensors: Tensors, ...names: string[]): Tensors =>
  Object.fromEntries(Object.entries(tensors).filter(([name]) => !names.includes(name)));
/** The same with a number in the first four bytes of a tensor. */
const withFloat = (tensors: Tensors, name: string, value: number): Tensors => {
  const bytes = Uint8Array.from(tensors[name].bytes);
  new DataView(bytes.buffer).setFloat32(0, value, true);
  return { ...tensors, [name]: { ...tensors[name], bytes } };
};

describe.each(["nf4-64", "nf4-64-dq", "fp4-32", "fp4-128-dq", "int8-6"])("%s", (name) => {
  const settings = name.startsWith("int8") ? EIGHT : FOUR;

  test.each([
    [6, 64],
    [7, 33],
    [1, 1],
    [700, 100],
  ])("a weight [%d, %d] is read as it was saved, whole and by rows", async (rows, columns) => {
    const weight = await read(saved(name, rows, columns), settings);
    expect(weight.format.name).toBe(name);
    expect(weight.shape).toEqual([rows, columns]);
    const parts = await fillAll(weight);
    expect(parts).toEqual(quantised(name, rows, columns));
    const whole = new Float32Array(rows * columns);
    weight.format.unpack(parts, { rows, columns }, 0, rows, whole);
    for (const [from, to] of [
      [0, rows],
      [rows >> 1, rows],
      [rows - 1, rows],
    ]) {
      const some = new Float32Array((to - from) * columns);
      await weight.readRows(from, to, some);
      expect(some).toEqual(whole.subarray(from * columns, to * columns));
    }
  });

  test("a layout that was made before the bytes holds them all the same", async () => {
    const [rows, columns] = [6, 64];
    const parts = quantised(name, rows, columns);
    const layout = bitsandbytesLayout(NAME, named(name), [rows, columns], "bfloat16");
    const raw = layout.map(({ name: key, dtype, shape, bytes }): [string, RawTensor] => [
      key,
      { dtype, shape: [...shape], bytes: Uint8Array.from(bytes(parts)) },
    ]);
    expect(await fillAll(await read(Object.fromEntries(raw), settings))).toEqual(parts);
  });

  test("parts that lie as the format has them can be mapped", async () => {
    const { file } = await read(saved(name), settings);
    const where = file?.parts.map((part) => ("offset" in part ? "file" : part.known.length));
    // The 256 values of nested scales and their offset lie in two tensors: they are known.
    expect(where).toEqual(name.endsWith("-dq") ? ["file", "file", "file", 1028] : ["file", "file"]);
  });
});

test.each([
  ["nf4-64", { load_in_4bit: true }],
  ["int8-6", { load_in_8bit: true }],
])(
  "%s: an older config.json, which does not name the method",
  async (name, quantization_config) => {
    const dir = folder({ "model.safetensors": safetensors(saved(name)) });
    const source = await openWeights(dir, {}, { quantization_config });
    onTestFinished(() => source.close());
    expect(source.weights.get(NAME)?.format.name).toBe(name);
  },
);

test("codes may be labelled with another dtype of the same bytes", async () => {
  const tensors = saved("nf4-64");
  const codes = tensors[NAME];
  const shape = [codes.bytes.length / 2, 1];
  const weight = await read({ ...tensors, [NAME]: { ...codes, dtype: "BF16", shape } }, FOUR);
  expect(await fillAll(weight)).toEqual(quantised("nf4-64", 6, 64));
});

test("parts may be in files of their own; then none is mapped", async () => {
  const tensors = saved("nf4-64");
  const [first, second] = [
    without(tensors, `${NAME}.absmax`),
    { [`${NAME}.absmax`]: tensors[`${NAME}.absmax`] },
  ];
  const files = { "a.safetensors": first, "b.safetensors": second };
  const dir = folder();
  const weight_map: Record<string, string> = {};
  for (const [file, some] of Object.entries(files)) {
    writeFileSync(join(dir, file), safetensors(some));
    for (const name of Object.keys(some)) weight_map[name] = file;
  }
  writeFileSync(join(dir, "model.safetensors.index.json"), JSON.stringify({ weight_map }));
  const checkpoint = await openCheckpoint(dir);
  onTestFinished(() => checkpoint.close());
  const weight = (await bitsandbytesWeights(checkpoint, FOUR)).weights.get(NAME);
  expect(weight?.file).toBeUndefined();
  expect(weight && (await fillAll(weight))).toEqual(quantised("nf4-64", 6, 64));
});

describe("refused when it is opened", () => {
  const dq = "nf4-64-dq";
  const cases: [string, Tensors, Record<string, unknown>, RegExp][] = [
    ["neither 4 nor 8 bits", saved("nf4-64"), { quant_method: "bitsandbytes" }, /load_in_4bit/],
    ["both", saved("nf4-64"), { ...FOUR, load_in_8bit: true }, /load_in_4bit/],
    [
      "a flag that is none",
      saved("nf4-64"),
      { ...FOUR, load_in_4bit: "yes" },
      /load_in_4bit is "yes"/,
    ],
    [
      "16-bit weights beside",
      saved("int8-6"),
      { ...EIGHT, llm_int8_has_fp16_weight: true },
      /llm_int8_has_fp16_weight/,
    ],
    [
      "a negative threshold",
      saved("int8-6"),
      { ...EIGHT, llm_int8_threshold: -1 },
      /llm_int8_threshold is -1/,
    ],
    ["no 4-bit weight at all", { x: text("x") }, FOUR, /load_in_4bit, but no tensor/],
    ["no 8-bit weight at all", { x: text("x") }, EIGHT, /load_in_8bit, but no tensor/],
    ["no codes", without(saved("nf4-64"), NAME), FOUR, /up_proj.weight" is missing/],
    ["no absmax", without(saved("nf4-64"), `${NAME}.absmax`), FOUR, /absmax" is missing/],
    ["no quant_map", without(saved("nf4-64"), `${NAME}.quant_map`), FOUR, /quant_map" is missing/],
    ["no quant_state", without(saved("nf4-64"), STATE), FOUR, /quant_state.* is missing/],
    [
      "two quant_states",
      { ...saved("nf4-64"), [`${NAME}.quant_state.bitsandbytes__fp4`]: text({}) },
      FOUR,
      /2 quant_states/,
    ],
    [
      "no nested_absmax",
      without(saved(dq), `${NAME}.nested_absmax`),
      FOUR,
      /nested_absmax" is missing/,
    ],
    [
      "no nested_quant_map",
      without(saved(dq), `${NAME}.nested_quant_map`),
      FOUR,
      /nested_quant_map" is missing/,
    ],
    [
      "quant_state is no JSON",
      { ...saved("nf4-64"), [STATE]: text("{") },
      FOUR,
      /quant_state is no JSON/,
    ],
    ["quant_state is a list", { ...saved("nf4-64"), [STATE]: text([]) }, FOUR, /no JSON object/],
    [
      "quant_state is not UTF-8",
      { ...saved("nf4-64"), [STATE]: { dtype: "U8", shape: [2], bytes: Uint8Array.of(255, 254) } },
      FOUR,
      /quant_state is no JSON/,
    ],
    [
      "quant_state of another dtype",
      { ...saved("nf4-64"), [STATE]: { dtype: "F32", shape: [1], bytes: new Uint8Array(4) } },
      FOUR,
      /quant_state is F32/,
    ],
    ["an unknown type", withState("nf4-64", { quant_type: "af4" }), FOUR, /quant_type is "af4"/],
    [
      "another type than its name",
      withState("nf4-64", { quant_type: "fp4" }),
      FOUR,
      /quant_type is "fp4".*bitsandbytes__nf4/,
    ],
    [
      "a block that is no power of two",
      withState("nf4-64", { blocksize: 48 }),
      FOUR,
      /blocksize is 48/,
    ],
    ["a block of nothing", withState("nf4-64", { blocksize: 0 }), FOUR, /blocksize is 0/],
    [
      "another block",
      withState("nf4-64", { blocksize: 128 }),
      FOUR,
      /absmax" is F32 \[6\].*expected F32 of 12 bytes/,
    ],
    ["no block", withState("nf4-64", { blocksize: undefined }), FOUR, /blocksize is missing/],
    ["no shape", withState("nf4-64", { shape: undefined }), FOUR, /shape is missing/],
    ["a negative shape", withState("nf4-64", { shape: [-6, -64] }), FOUR, /shape is \[-6,-64\]/],
    [
      "a shape beyond numbers",
      withState("nf4-64", { shape: [2 ** 40, 2 ** 40] }),
      FOUR,
      /shape is/,
    ],
    [
      "another shape",
      withState("nf4-64", { shape: [64, 64] }),
      FOUR,
      /is U8 \[192, 1\], 192 bytes; expected .* 2048 bytes/,
    ],
    [
      "half of the nested fields",
      withState(dq, { nested_offset: undefined }),
      FOUR,
      /nested_offset is missing/,
    ],
    [
      "another nested block",
      withState(dq, { nested_blocksize: 128 }),
      FOUR,
      /nested_blocksize is 128/,
    ],
    [
      "a nested offset that is infinite",
      withState(dq, { nested_offset: 1e39 }),
      FOUR,
      /nested_offset is 1e\+39/,
    ],
    ["a negative nested offset", withState(dq, { nested_offset: -1 }), FOUR, /nested_offset is -1/],
    [
      "nested scales of f32",
      withState("nf4-64", { nested_offset: 1, nested_blocksize: 256 }),
      FOUR,
      /absmax" is F32/,
    ],
    [
      "a table of its own",
      withFloat(saved("nf4-64"), `${NAME}.quant_map`, -0.5),
      FOUR,
      /quant_map gives code 0 the value -0.5/,
    ],
    [
      "NaN in the table",
      withFloat(saved("nf4-64"), `${NAME}.quant_map`, NaN),
      FOUR,
      /quant_map gives code 0 the value NaN/,
    ],
    [
      "NaN in the map of scales",
      withFloat(saved(dq), `${NAME}.nested_quant_map`, NaN),
      FOUR,
      /nested_quant_map holds NaN/,
    ],
    [
      "int8 without SCB",
      without(saved("int8-6"), "model.layers.0.mlp.up_proj.SCB"),
      EIGHT,
      /up_proj.SCB" is missing/,
    ],
    ["SCB without int8", without(saved("int8-6"), NAME), EIGHT, /up_proj.weight" is missing/],
    [
      "SCB of another length",
      {
        ...saved("int8-6"),
        "model.layers.0.mlp.up_proj.SCB": { dtype: "F32", shape: [5], bytes: new Uint8Array(20) },
      },
      EIGHT,
      /SCB" is F32 \[5\].*24 bytes/,
    ],
    [
      "weights that are not int8",
      { ...saved("int8-6"), [NAME]: { dtype: "F32", shape: [6, 64], bytes: new Uint8Array(1536) } },
      EIGHT,
      /dtype is F32/,
    ],
    [
      "the order of a GPU's kernel",
      {
        ...saved("int8-6"),
        "model.layers.0.mlp.up_proj.weight_format": {
          dtype: "U8",
          shape: [],
          bytes: Uint8Array.of(2),
        },
      },
      EIGHT,
      /weight_format is not 0/,
    ],
  ];
  test.each(cases)("%s", async (_, tensors, settings, message) => {
    const checkpoint = await checkpointOf(tensors);
    const opened = bitsandbytesWeights(checkpoint, settings);
    await expect(opened).rejects.toThrow(CheckpointError);
    await expect(opened).rejects.toThrow(message);
  });
});

describe("refused when scales are read", () => {
  const cases: [string, string, Record<string, unknown>][] = [
    ["nf4-64", `${NAME}.absmax`, FOUR],
    ["nf4-64-dq", `${NAME}.nested_absmax`, FOUR],
    ["int8-6", "model.layers.0.mlp.up_proj.SCB", EIGHT],
  ];
  test.each(cases)("%s: %s", async (name, part, settings) => {
    for (const bad of [NaN, Infinity, -1]) {
      const weight = await read(withFloat(saved(name), part, bad), settings);
      const filled = fillAll(weight);
      await expect(filled).rejects.toThrow(CheckpointError);
      await expect(filled).rejects.toThrow(`holds ${bad} as the scale`);
      await expect(weight.readRows(0, 1, new Float32Array(64))).rejects.toThrow(CheckpointError);
    }
  });
});

test("a format that bitsandbytes does not have cannot be saved as one", () => {
  expect(() => bitsandbytesLayout(NAME, named("f32"), [6, 64])).toThrow(InputError);
});
