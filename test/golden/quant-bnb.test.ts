// bitsandbytes on the CPU against quant/bnb: codes, scales, values and products bit for bit; whole files that Transformers saved;
// quant/models: logits and greedy ids of quantised checkpoints through the public API, on every device.

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, onTestFinished, test } from "vitest";
import { bitsandbytesWeights } from "../../src/checkpoint/quantized/bitsandbytes.ts";
import { bitsandbytesTensors } from "../../src/checkpoint/quantized/save-bitsandbytes.ts";
import { saveSafetensors, type TensorToSave } from "../../src/checkpoint/save-safetensors.ts";
import { openCheckpoint } from "../../src/checkpoint/weights.ts";
import { dequantizeDynamic8, dynamicMap, quantizeDynamic8 } from "../../src/formats/dynamic-map.ts";
import { fourBitValues } from "../../src/formats/four-bit-codes.ts";
import { int8Product, quantizeActivations } from "../../src/formats/llm-int8-product.ts";
import { findWeightFormat } from "../../src/formats/registry.ts";
import { matrixShape, type Parts, type WeightFormat } from "../../src/formats/weight-format.ts";
import { bytesOf, floats32 } from "../../src/formats/words.ts";
import {
  AutoModelForCausalLM,
  BitsAndBytesConfig,
  type BitsAndBytesOptions,
  DynamicCache,
  type MistralForCausalLM,
  type Tensor,
} from "../../src/index.ts";
import { folder } from "../checkpoint/craft.ts";
import { readSafetensors } from "../safetensors-file.ts";
import { goldenPath, goldenJson } from "../golden-files.ts";

type FourBit = {
  id: string;
  weight: string;
  shape: [number, number];
  quant_type: "nf4" | "fp4";
  blocksize: number;
  double_quant: boolean;
  packed: string;
  absmax: string;
  absmax8?: string;
  nested_absmax?: string;
  nested_offset?: number;
  dequantized: string;
  /** The weight's, when it is not float32. */
  dtype?: string;
};
type Blockwise = Record<"id" | "weight" | "q" | "absmax" | "dequantized", string> & {
  blocksize: number;
};
type Linear = Record<"id" | "weight" | "x" | "y" | "kind", string> & {
  double_quant?: boolean;
  threshold?: number;
} & Partial<Record<"CB" | "SCB" | "CA" | "SCA" | "int32", string>> & { outlier_columns?: number[] };

const { four_bit, eight_bit_blockwise, linear } = goldenJson<{
  four_bit: FourBit[];
  eight_bit_blockwise: Blockwise[];
  linear: Linear[];
}>("quant/bnb.json");
const tensors = readSafetensors(goldenPath("quant/bnb.safetensors"));

function floats(name: string): Float32Array {
  const data = tensors.get(name)?.data;
  if (data instanceof Float32Array) return data;
  throw new Error(`the goldens hold no floats called ${name}`);
}
function bytes(name: string): Uint8Array {
  const data = tensors.get(name)?.data;
  if (data instanceof Uint8Array || data instanceof Int8Array) return bytesOf(data).slice();
  throw new Error(`the goldens hold no bytes called ${name}`);
}
function format(name: string): WeightFormat {
  const found = findWeightFormat(name);
  if (found === undefined) throw new Error(`no format ${name}`);
  return found;
}

/** A matrix quantised to a format. */
function packed(to: WeightFormat, values: Float32Array, shape: readonly number[]): Parts {
  const { rows, columns } = matrixShape(shape);
  const parts = to.parts(rows, columns).map((length) => new Uint8Array(length));
  const packer = to.packer?.(parts, { rows, columns });
  packer?.rows(values, 0, rows);
  packer?.finish();
  return parts;
}
function unpacked(from: WeightFormat, parts: Parts, shape: readonly number[]): Float32Array {
  const { rows, columns } = matrixShape(shape);
  const out = new Float32Array(rows * columns);
  from.unpack(parts, { rows, columns }, 0, rows, out);
  return out;
}

function largestDifference(a: ArrayLike<number>, b: ArrayLike<number>): number {
  expect(b.length).toBe(a.length);
  return Array.from(a).reduce((most, value, i) => Math.max(most, Math.abs(value - b[i])), 0);
}

const nameOf = ({ quant_type, blocksize, double_quant }: FourBit): string =>
  `${quant_type}-${blocksize}${double_quant ? "-dq" : ""}`;

describe("4 bits", () => {
  test("the values of both types, and the dynamic map", () => {
    expect(fourBitValues.nf4).toEqual(floats("code.nf4"));
    // Its second zero is negative in what codes mean, not in the table.
    expect(fourBitValues.fp4.map((value) => value + 0)).toEqual(floats("code.fp4"));
    expect(dynamicMap).toEqual(floats("code.dynamic8"));
  });

  test.each(four_bit)("$id: codes and scales are bitsandbytes' own", (c) => {
    const parts = packed(format(nameOf(c)), floats(c.weight), c.shape);
    expect(parts[0]).toEqual(bytes(c.packed));
    // Cases of 16-bit weights give the scales only as what they mean.
    if (!c.double_quant) expect(floats32(parts[1])).toEqual(floats(c.absmax));
    else if (c.absmax8 !== undefined && c.nested_absmax !== undefined) {
      expect(parts[1]).toEqual(bytes(c.absmax8));
      expect(floats32(parts[2])).toEqual(floats(c.nested_absmax));
      expect(floats32(parts[3])[256]).toBe(c.nested_offset);
    }
  });

  test.each(four_bit.filter(({ dtype }) => dtype === undefined))(
    "$id: what its bytes mean",
    (c) => {
      const parts: Uint8Array[] = [bytes(c.packed)];
      if (c.absmax8 === undefined || c.nested_absmax === undefined)
        parts.push(bytesOf(floats(c.absmax)));
      else {
        const tail = Float32Array.of(...floats("code.dynamic8"), c.nested_offset ?? NaN);
        parts.push(bytes(c.absmax8), bytesOf(floats(c.nested_absmax)), bytesOf(tail));
      }
      expect(unpacked(format(nameOf(c)), parts, c.shape)).toEqual(floats(c.dequantized));
    },
  );

  test.each(linear.filter(({ kind }) => kind !== "int8"))("$id: the product", (c) => {
    const x = floats(c.x);
    const K = x.length / 5;
    const O = floats(c.weight).length / K;
    const to = format(`${c.kind}-64${c.double_quant ? "-dq" : ""}`);
    const w = unpacked(to, packed(to, floats(c.weight), [O, K]), [O, K]);
    const y = Float64Array.from({ length: 5 * O }, (_, i) => {
      let sum = 0;
      for (let k = 0; k < K; k++) sum += x[Math.floor(i / O) * K + k] * w[(i % O) * K + k];
      return sum;
    });
    expect(largestDifference(y, floats(c.y))).toBeLessThan(1e-4);
  });
});

test.each(eight_bit_blockwise)("$id: blocks of the dynamic 8-bit type", (c) => {
  const values = floats(c.weight);
  const codes = new Uint8Array(values.length);
  const scales = new Float32Array(Math.ceil(values.length / c.blocksize));
  quantizeDynamic8(values, c.blocksize, codes, scales);
  expect(codes).toEqual(bytes(c.q));
  expect(scales).toEqual(floats(c.absmax));
  const out = new Float32Array(values.length);
  dequantizeDynamic8(codes, c.blocksize, scales, out);
  expect(out).toEqual(floats(c.dequantized));
});

test.each(linear.filter(({ kind }) => kind === "int8"))("$id: LLM.int8", (c) => {
  const [x, T, threshold] = [floats(c.x), 5, c.threshold ?? NaN];
  const K = x.length / T;
  const O = floats(c.weight).length / K;
  const [codes, scales] = packed(format(`int8-${threshold}`), floats(c.weight), [O, K]);
  const w = { codes: new Int8Array(codes.buffer), scales: floats32(scales) };
  expect(codes).toEqual(bytes(c.CB ?? ""));
  expect(w.scales).toEqual(floats(c.SCB ?? ""));
  const rows = quantizeActivations(x, T, K, threshold);
  expect(bytesOf(rows.codes)).toEqual(bytes(c.CA ?? ""));
  expect(rows.scales).toEqual(floats(c.SCA ?? ""));
  expect(rows.outliers).toEqual(c.outlier_columns);
  expect(int8Product(x, w, { T, K, O }, threshold)).toEqual(floats(c.y));
});

/** The header without the spaces that it ends in, and all bytes of tensors. */
function fileParts(path: string): { header: string; data: Buffer } {
  const file = readFileSync(path);
  const begin = 8 + Number(file.readBigUInt64LE(0));
  return { header: file.toString("utf8", 8, begin).trimEnd(), data: file.subarray(begin) };
}

describe.each([
  ["base-bnb-nf4-dq", "nf4-64-dq"],
  ["base-bnb-int8", "int8-6"],
])("%s", (model, name) => {
  const dir = goldenPath(`models/${model}`);

  test("its weights are base-f32's, quantised", async () => {
    const plain = await openCheckpoint(goldenPath("models/base-f32"));
    const checkpoint = await openCheckpoint(dir);
    onTestFinished(() => Promise.all([plain.close(), checkpoint.close()]).then(() => {}));
    const { quantization_config } = goldenJson<{ quantization_config: Record<string, unknown> }>(
      `models/${model}/config.json`,
    );
    const { weights, used } = await bitsandbytesWeights(checkpoint, quantization_config);
    expect(weights.size).toBe(21);
    expect([...checkpoint.tensors.keys()].filter((tensor) => !used.has(tensor))).toHaveLength(9);
    for (const weight of weights.values()) {
      expect(weight.format.name).toBe(name);
      const own = packed(weight.format, await plain.readValues(weight.name), weight.shape);
      const parts = own.map(({ length }) => new Uint8Array(length));
      let read = 0;
      await weight.fill(parts, (count) => (read += count));
      expect(read).toBe(weight.bytes);
      expect(parts).toEqual(own);
      const whole = unpacked(weight.format, parts, weight.shape);
      const { rows, columns } = matrixShape(weight.shape);
      const pieces = new Float32Array(whole.length);
      for (let row = 0; row < rows; row += 7) {
        const end = Math.min(row + 7, rows);
        await weight.readRows(row, end, pieces.subarray(row * columns, end * columns));
      }
      expect(pieces).toEqual(whole);
    }
  });

  test("quantising base-f32 and saving it gives the same file", async () => {
    const plain = await openCheckpoint(goldenPath("models/base-f32"));
    onTestFinished(() => plain.close());
    const out: TensorToSave[] = [];
    for (const entry of plain.tensors.values()) {
      const { shape, dtype } = entry;
      if (entry.name.includes("_proj")) {
        const parts = packed(format(name), await plain.readValues(entry.name), shape);
        out.push(...bitsandbytesTensors(entry.name, format(name), shape, parts));
        continue;
      }
      const stored = new Uint8Array(entry.bytes);
      await plain.read(entry.name, stored);
      out.push({ name: entry.name, dtype, shape, data: () => [stored] });
    }
    // The order of the reference's writer: wide dtypes first, then names.
    const rank = ["F32", "I8", "U8"];
    out.sort((a, b) => rank.indexOf(a.dtype) - rank.indexOf(b.dtype) || (a.name < b.name ? -1 : 1));
    const path = join(folder(), "model.safetensors");
    await saveSafetensors(path, out);
    const [own, reference] = [fileParts(path), fileParts(join(dir, "model.safetensors"))];
    expect(own.header).toBe(reference.header);
    expect(own.data.equals(reference.data)).toBe(true);
  });
});

type ModelCase = {
  id: string;
  from: string;
  quantization_config: BitsAndBytesOptions;
  saved_as?: string | null;
  input_ids: number[];
  logits?: string;
  sequence?: number[];
};
const { cases } = goldenJson<{ cases: ModelCase[] }>("quant/models.json");
const expectedLogits = readSafetensors(goldenPath("quant/models.safetensors"));
const methodOf = ({ id }: ModelCase): string => id.split(".")[0];

/** Greedy search by forward, which chooses the outliers of a call's rows together, as bitsandbytes does; generate() does not. */
async function greedy(
  model: MistralForCausalLM,
  prompt: number[],
  count: number,
): Promise<number[]> {
  const ids = [...prompt];
  const past_key_values = new DynamicCache();
  let next = prompt;
  while (ids.length < prompt.length + count) {
    const { logits } = await model.forward({ input_ids: [next], past_key_values });
    const last = logits.data.slice(-logits.dims[2]);
    next = [last.indexOf(Math.max(...last))];
    ids.push(...next);
  }
  return ids;
}

describe.each(["reference", "cpu"] as const)("models on %s", (device) => {
  /** A flip of one of int8's roundings grows through the layers: the plain formula is up to 0.6 away. */
  const bound = (method: string): number => (method === "int8" ? 0.1 : 2e-4);

  /** The largest difference of all logits, and the sequences that greedy search found. */
  async function run(
    model: MistralForCausalLM,
    method: string,
  ): Promise<{ difference: number; sequences: number[][] }> {
    onTestFinished(() => model.dispose());
    let difference = 0;
    const sequences: number[][] = [];
    for (const { logits, sequence, input_ids } of cases.filter((c) => methodOf(c) === method)) {
      if (logits !== undefined) {
        const out = await model.forward({ input_ids: [input_ids] });
        const expected = expectedLogits.get(logits)?.data ?? [];
        difference = Math.max(difference, largestDifference(out.logits.data, expected));
      }
      if (sequence === undefined) continue;
      const count = sequence.length - input_ids.length;
      if (method === "int8") sequences.push(await greedy(model, input_ids, count));
      else {
        const settings = { do_sample: false, max_new_tokens: count };
        const out = await model.generate({ input_ids: [input_ids] }, settings);
        sequences.push(Array.from((out as Tensor).data, Number));
      }
    }
    return { difference, sequences };
  }

  const sequencesOf = (method: string): number[][] =>
    cases.flatMap((c) => (methodOf(c) === method && c.sequence !== undefined ? [c.sequence] : []));

  test.each(["nf4", "nf4-dq", "fp4", "int8"])("base-f32, quantised to %s", async (method) => {
    const [{ from, quantization_config }] = cases.filter((c) => methodOf(c) === method);
    const model = await AutoModelForCausalLM.from_pretrained(goldenPath(`models/${from}`), {
      ...{ device, threads: 1 },
      quantization_config: new BitsAndBytesConfig(quantization_config),
    });
    const { difference, sequences } = await run(model, method);
    expect(difference).toBeLessThan(bound(method));
    expect(sequences).toEqual(sequencesOf(method));
  });

  test.each(["nf4-dq", "int8"])("base-bnb-%s", async (method) => {
    const dir = goldenPath(`models/base-bnb-${method}`);
    const model = await AutoModelForCausalLM.from_pretrained(dir, { device, threads: 1 });
    const { difference, sequences } = await run(model, method);
    expect(difference).toBeLessThan(bound(method));
    expect(sequences).toEqual(sequencesOf(method));
  });
});
