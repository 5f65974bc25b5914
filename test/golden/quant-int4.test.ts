// Packed 4-bit weights against the libraries that wrote them: quant/{gptq,awq,ct}, layers bit for bit; quant/models-int4, logits and
// greedy ids of whole checkpoints through the public API, on every device.

import { describe, expect, onTestFinished, test } from "vitest";
import { awqWeights } from "../../src/checkpoint/quantized/awq.ts";
import { compressedTensorsWeights } from "../../src/checkpoint/quantized/compressed-tensors.ts";
import { gptqWeights } from "../../src/checkpoint/quantized/gptq.ts";
import type { Settings } from "../../src/checkpoint/quantized/packed-settings.ts";
import type { StoredWeight } from "../../src/checkpoint/stored-weight.ts";
import type { QuantizedWeights } from "../../src/checkpoint/quantized/quantized-weights.ts";
import type { Checkpoint } from "../../src/checkpoint/weights.ts";
import { f16 } from "../../src/formats/f16.ts";
import { matrixShape } from "../../src/formats/weight-format.ts";
import { bytesOf } from "../../src/formats/words.ts";
import { AutoModelForCausalLM, Tensor } from "../../src/index.ts";
import { checkpointOf, type RawTensor, readRaw } from "../checkpoint/packed-folder.ts";
import { readSafetensors } from "../safetensors-file.ts";
import { goldenPath, goldenJson } from "../golden-files.ts";

type Read = (checkpoint: Checkpoint, settings: Settings) => Promise<QuantizedWeights>;

type Linear = {
  id: string;
  shape: [number, number];
  tensors: Record<string, string>;
} & Record<string, unknown>;

const LAYER = "model.layers.0.mlp.up_proj";

/** The parts of a layer, filled, and all its rows by readRows. */
async function readWhole(
  weight: StoredWeight,
): Promise<{ filled: Float32Array; read: Float32Array }> {
  const shape = matrixShape(weight.shape);
  const parts = weight.format
    .parts(shape.rows, shape.columns)
    .map((bytes) => new Uint8Array(bytes));
  let reported = 0;
  await weight.fill(parts, (bytes) => (reported += bytes));
  expect(reported).toBe(weight.bytes);
  const filled = new Float32Array(shape.rows * shape.columns);
  weight.format.unpack(parts, shape, 0, shape.rows, filled);
  const read = new Float32Array(filled.length);
  const middle = Math.floor(shape.rows / 3);
  await weight.readRows(0, middle, read.subarray(0, middle * shape.columns));
  await weight.readRows(middle, shape.rows, read.subarray(middle * shape.columns));
  if (weight.regrouped !== undefined) {
    const { format, fill } = weight.regrouped;
    const grouped = format.parts(shape.rows, shape.columns).map((bytes) => new Uint8Array(bytes));
    await fill(grouped, () => {});
    const again = new Float32Array(filled.length);
    format.unpack(grouped, shape, 0, shape.rows, again);
    expect(bits(again)).toEqual(bits(filled));
  }
  return { filled, read };
}

const bits = (values: Float32Array): Uint32Array =>
  new Uint32Array(values.buffer, values.byteOffset, values.length);

/** y = x · wᵀ in float64. */
function product(x: Float32Array, w: Float32Array, O: number, K: number): Float64Array {
  const T = x.length / K;
  return Float64Array.from({ length: T * O }, (_, i) => {
    const [t, o] = [Math.floor(i / O), i % O];
    let sum = 0;
    for (let k = 0; k < K; k++) sum += x[t * K + k] * w[o * K + k];
    return sum;
  });
}

type Method = {
  file: string;
  read: Read;
  /** Checkpoints that one row of the file stands for: settings, and the golden's name of each tensor. */
  variants(linear: Linear): { settings: Settings; parts: Record<string, string> }[];
};

const given = ({ tensors }: Linear, ...names: string[]): Record<string, string> =>
  Object.fromEntries(names.flatMap((name) => (tensors[name] ? [[name, tensors[name]]] : [])));

const methods: Method[] = [
  {
    file: "gptq",
    read: gptqWeights,
    variants: (linear) =>
      ["gptq", "gptq_v2"]
        .filter((version) => linear.tensors[`qzeros.${version}`] !== undefined)
        .map((version) => ({
          settings: {
            ...{ quant_method: "gptq", bits: 4, checkpoint_format: version },
            ...{ group_size: linear.group_size, desc_act: linear.desc_act, sym: linear.sym },
          },
          parts: {
            ...given(linear, "qweight", "scales", "g_idx"),
            qzeros: linear.tensors[`qzeros.${version}`],
          },
        })),
  },
  {
    file: "awq",
    read: awqWeights,
    variants: (linear) => [
      {
        settings: { quant_method: "awq", bits: 4, group_size: linear.group_size, version: "gemm" },
        parts: given(linear, "qweight", "qzeros", "scales"),
      },
      {
        settings: { w_bit: 4, q_group_size: linear.group_size, version: "GEMM", zero_point: true },
        parts: given(linear, "qweight", "qzeros", "scales"),
      },
    ],
  },
  {
    file: "ct",
    read: compressedTensorsWeights,
    variants: (linear) => [
      {
        settings: {
          quant_method: "compressed-tensors",
          format: "pack-quantized",
          ignore: ["lm_head"],
          config_groups: {
            group_0: {
              targets: ["Linear"],
              weights: {
                ...{ num_bits: 4, type: "int", strategy: linear.strategy },
                ...{ group_size: linear.group_size, symmetric: linear.symmetric },
                actorder: linear.actorder,
              },
            },
          },
        },
        parts: given(linear, ...Object.keys(linear.tensors).filter((n) => n.startsWith("weight_"))),
      },
    ],
  },
];

describe.for(methods)("$file", ({ file, read, variants }) => {
  const { linear: cases } = goldenJson<{ linear: Linear[] }>(`quant/${file}.json`);
  const raw = readRaw(goldenPath(`quant/${file}.safetensors`));
  const numbers = readSafetensors(goldenPath(`quant/${file}.safetensors`));
  const tensorOf = (name: string): RawTensor => {
    const found = raw.get(name);
    if (found === undefined) throw new Error(`${file}.safetensors has no ${name}`);
    return found;
  };

  test.for(cases)("$id", async (linear) => {
    const [O, K] = linear.shape;
    const all = variants(linear);
    expect(all.length).toBeGreaterThan(0);
    for (const { settings, parts } of all) {
      const checkpoint = await checkpointOf(
        Object.fromEntries(
          Object.entries(parts).map(([part, name]) => [`${LAYER}.${part}`, tensorOf(name)]),
        ),
      );
      const { weights, used } = await read(checkpoint, settings);
      expect([...used].toSorted()).toEqual([...checkpoint.tensors.keys()].toSorted());
      const weight = weights.get(`${LAYER}.weight`);
      if (weight === undefined) throw new Error("the layer was not found");
      expect(weight.shape).toEqual(linear.shape);
      const symmetric = linear.sym === true || linear.symmetric === true;
      const ordered = weight.format.family === "int4";
      expect(weight.regrouped?.format.name).toBe(symmetric && ordered ? "q4" : undefined);
      const result = await readWhole(weight);
      expect(bits(result.read)).toEqual(bits(result.filled));

      const exact = linear.tensors.dequantized;
      if (exact === undefined) {
        const rounded = new Uint8Array(result.filled.length * 2);
        f16.pack(result.filled.slice(), rounded);
        expect(rounded).toEqual(tensorOf(linear.tensors.dequantized_float16).bytes);
      } else {
        expect(bytesOf(result.filled)).toEqual(tensorOf(exact).bytes);
      }
      const x = Float32Array.from(numbers.get(linear.tensors.x)?.data ?? []);
      const y = Float64Array.from(numbers.get(linear.tensors.y)?.data ?? []);
      const largest = y.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
      const ours = product(x, result.filled, O, K);
      expect(ours.length).toBe(y.length);
      const off = ours.reduce((most, value, i) => Math.max(most, Math.abs(value - y[i])), 0);
      expect(off).toBeLessThanOrEqual(1e-5 * largest);
    }
  });
});

type ModelCase = {
  id: string;
  saved_as: string;
  input_ids: number[];
  logits?: string;
  sequence?: number[];
};

describe("models-int4", () => {
  const { cases } = goldenJson<{ cases: ModelCase[] }>("quant/models-int4.json");
  const golden = readSafetensors(goldenPath("quant/models-int4.safetensors"));
  const folders = [...new Set(cases.map((c) => c.saved_as))];

  test.for(
    folders.flatMap((folder) =>
      (["reference", "cpu"] as const).map((device) => [folder, device] as const),
    ),
  )("%s on %s", async ([folder, device]) => {
    const model = await AutoModelForCausalLM.from_pretrained(goldenPath(`models/${folder}`), {
      device,
    });
    onTestFinished(() => model.dispose());
    const own = cases.filter((c) => c.saved_as === folder);
    expect(own.length).toBe(3);
    for (const { id, input_ids, logits, sequence } of own) {
      const inputs = { input_ids: [input_ids] };
      if (sequence !== undefined) {
        const out = await model.generate(inputs, {
          max_new_tokens: sequence.length - input_ids.length,
          do_sample: false,
        });
        expect(out instanceof Tensor && Array.from(out.data), id).toEqual(sequence);
      }
      if (logits === undefined) continue;
      const expected = golden.get(logits)?.data ?? [];
      const got = Float32Array.from((await model(inputs)).logits.data, Number);
      expect(got.length, id).toBe(expected.length);
      const off = got.reduce((most, x, i) => Math.max(most, Math.abs(x - expected[i])), 0);
      expect(off, id).toBeLessThanOrEqual(2e-4);
    }
  });
});
