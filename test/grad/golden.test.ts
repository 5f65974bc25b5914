// Losses and gradients of Transformers (PyTorch, f32, eager attention) against the emitted ones in float64.
// The batch is padded on the left and its first real token has a label, which the last padding row predicts: rows that see
// nothing take part, and take the mean of all rows, as an eager softmax over equal masked scores does.

import { describe, expect, test } from "vitest";
import { Graph, type Op, rowsOf, type Shape, type Tensor } from "../../src/graph/graph.ts";
import { grad } from "../../src/graph/grad.ts";
import { type Attend, packedAttention } from "../../src/models/attend.ts";
import { MistralConfig, type MistralConfigOptions } from "../../src/models/config.ts";
import { recordHead } from "../../src/models/heads.ts";
import { embedTokens, mistral } from "../../src/models/mistral.ts";
import { ropeAngles } from "../../src/models/rope.ts";
import { plainWeights, type Weights } from "../../src/models/weights.ts";
import { add } from "../../src/ops/add.ts";
import { crossEntropy } from "../../src/ops/cross-entropy.ts";
import { f32, i32 } from "../../src/ops/dtypes.ts";
import { linear } from "../../src/ops/linear.ts";
import { once } from "../../src/ops/shapes.ts";
import { evaluator } from "../graph/evaluate.ts";
import { readSafetensors } from "../safetensors-file.ts";
import { goldenPath, goldenJson } from "../golden-files.ts";

type Batch = Record<"input_ids" | "attention_mask" | "position_ids" | "labels", number[][]>;
type Golden = {
  batch: Batch;
  gradients: { model: string; loss: number; global_norm: number }[];
  lora: {
    kind: string;
    model: string;
    r: number;
    lora_alpha: number;
    use_rslora: boolean;
    target_modules: string[];
    input_ids: number[];
    losses: number[];
  }[];
};
const golden = goldenJson<Golden>("training/training.json");
const tensors = readSafetensors(goldenPath("training/training.safetensors"));
const TOLERANCE = 1e-4; // goldens/README.md: of losses, and of gradients relative to the largest of the tensor

type Heads = { heads: number; kvHeads: number; scale: number };

/** y [T, Hq·D], but in the rows that see nothing (1 of unmasked [T]) the mean of v over all rows of the same batch row. */
const unmaskedMean: Op<Heads> = {
  name: "unmasked_mean",
  takes: [f32, f32, f32, f32, i32, i32],
  gives: ["f32"],
  shapes: ([y]) => [rowsOf(y, y.shape[1])],
  run([out], [y, , , v, unmasked, batch], [[T, width], , , [, KV]], { heads, kvHeads }) {
    out.set(y);
    eachUnmasked(T, unmasked, batch, (t, rows) => {
      for (let i = 0; i < width; i++) {
        const at = keyOf(i, width / heads, heads / kvHeads);
        out[t * width + i] = rows.reduce((sum, j) => sum + v[j * KV + at], 0) / rows.length;
      }
    });
  },
  vjp: ([dOut], [y, q, k, v, unmasked, batch], [out], attrs) => {
    if (dOut === undefined) return [];
    const all = once(() =>
      y.graph.emit(unmaskedMeanGrad, [dOut, out, q, k, v, unmasked, batch], attrs),
    );
    return [0, 1, 2, 3].map((i) => () => all()[i]);
  },
};

/** The softmax is flat, but torch's gradient flows through it to q and k: d score = p · (dy·v − dy·y). */
const unmaskedMeanGrad: Op<Heads> = {
  name: "unmasked_mean_grad",
  takes: [f32, f32, f32, f32, f32, i32, i32],
  gives: ["f32", "f32", "f32", "f32"],
  shapes: ([dOut, , q, k, v]) => [dOut, q, k, v].map((t) => rowsOf(t, t.shape[1])),
  run([dy, dq, dk, dv], [dOut, out, q, k, v, unmasked, batch], shapes, { heads, kvHeads, scale }) {
    const [[T, width], , , [, KV]] = shapes;
    const D = width / heads;
    dy.set(dOut);
    for (const d of [dq, dk, dv]) d.fill(0);
    eachUnmasked(T, unmasked, batch, (t, rows) => {
      dy.fill(0, t * width, (t + 1) * width);
      for (let head = 0; head < heads; head++) {
        const i = t * width + head * D;
        const kv = keyOf(head * D, D, heads / kvHeads);
        for (const row of rows) {
          const j = row * KV + kv;
          let dScore = 0;
          for (let d = 0; d < D; d++) dScore += dOut[i + d] * (v[j + d] - out[i + d]);
          for (let d = 0; d < D; d++) {
            dq[i + d] += ((dScore * scale) / rows.length) * k[j + d];
            dk[j + d] += ((dScore * scale) / rows.length) * q[i + d];
            dv[j + d] += dOut[i + d] / rows.length;
          }
        }
      }
    });
  },
};

/** Where element `i` of a query row finds its key-value head. */
const keyOf = (i: number, D: number, group: number): number =>
  Math.floor(i / D / group) * D + (i % D);

function eachUnmasked(
  T: number,
  unmasked: Float64Array,
  batch: Float64Array,
  see: (t: number, rows: number[]) => void,
): void {
  const all = [...Array(T).keys()];
  for (const t of all)
    if (unmasked[t] === 1)
      see(
        t,
        all.filter((j) => batch[j] === batch[t]),
      );
}

/** The model over a padded batch, all its rows flat; padding is a sequence of its own, row by row. */
function record(config: MistralConfig, batch: Batch, wrap: (w: Weights, graph: Graph) => Weights) {
  const graph = new Graph();
  const T = batch.input_ids.flat().length;
  const w = wrap(
    plainWeights((name, ...shape) => graph.leaf(name, "weight", shape)),
    graph,
  );
  const input = (name: string, ...dims: Shape): Tensor => graph.leaf(name, "input", [T, ...dims]);
  const index = (name: string): Tensor => graph.leaf(name, "input", [T], "i32");
  const half = config.head_dim / 2;
  const rows = { cos: input("cos", half), sin: input("sin", half), want: index("want") };
  const seeing = packedAttention(config, { seq: index("seq"), at: index("at") });
  const heads = {
    heads: config.num_attention_heads,
    kvHeads: config.num_key_value_heads,
    scale: 1 / Math.sqrt(config.head_dim),
  };
  const attend: Attend = (q, k, v, layer) => {
    const ins = [seeing(q, k, v, layer), q, k, v, index("unmasked"), index("batch")];
    return graph.emit(unmaskedMean, ins, heads)[0];
  };
  const { last } = mistral(embedTokens(index("ids"), config, w), config, w, rows, attend);
  const logits = recordHead(last, "MistralForCausalLM", config, w);
  const nll = crossEntropy(logits, index("labels"));

  const S = batch.input_ids[0].length;
  const mask = batch.attention_mask.flat();
  const labels = batch.labels.flatMap((row) => [...row.slice(1), -100]);
  const counted = labels.filter((label) => label !== -100).length;
  const numbers: Record<string, ArrayLike<number>> = {
    ...ropeAngles(config, batch.position_ids.flat()),
    ...{ ids: batch.input_ids.flat(), want: mask.map((_, t) => t), labels },
    at: mask.map((_, t) => t % S),
    batch: mask.map((_, t) => Math.floor(t / S)),
    seq: mask.map((real, t) => (real ? Math.floor(t / S) : T + t)),
    unmasked: mask.map((real) => 1 - real),
    seed: new Float64Array(T).fill(1 / counted),
  };
  return { graph, logits, nll, seed: input("seed"), numbers, counted };
}

function checkpoint(model: string): {
  config: MistralConfig;
  weights: Record<string, Float64Array>;
} {
  const folder = `models/${model}`;
  const config = new MistralConfig(goldenJson<MistralConfigOptions>(`${folder}/config.json`));
  const file = readSafetensors(goldenPath(`${folder}/model.safetensors`));
  const weights = [...file].map(([name, { data }]) => [name, Float64Array.from(data)]);
  return { config, weights: Object.fromEntries(weights) as Record<string, Float64Array> };
}

/** The largest difference relative to the reference's largest entry. */
function relativeError(ours: ArrayLike<number>, name: string): number {
  const theirs = Array.from(tensors.get(name)?.data ?? []);
  expect(theirs, name).toHaveLength(ours.length);
  const scale = Math.max(...theirs.map(Math.abs));
  expect(scale).toBeGreaterThan(0);
  return Math.max(...theirs.map((value, i) => Math.abs(ours[i] - value))) / scale;
}

const names = golden.gradients.map(({ model }) => model);

describe("loss and all gradients of a left-padded batch", () => {
  test.each(names)("%s", (name) => {
    const { loss, global_norm } = golden.gradients[names.indexOf(name)];
    const { config, weights } = checkpoint(name);
    const { graph, nll, seed, numbers, counted } = record(config, golden.batch, (w) => w);
    const wrt = [...graph.leaves.values()].filter((leaf) => leaf.kind === "weight");
    expect(wrt.map((leaf) => leaf.name).toSorted()).toEqual(
      [...tensors.keys()]
        .filter((key) => key.startsWith(`grad.${name}.`))
        .map((key) => key.slice(`grad.${name}.`.length))
        .toSorted(),
    );
    const gradients = grad([[nll, seed]], wrt, add).filter((d) => d !== undefined);
    expect(gradients).toHaveLength(wrt.length);
    const [losses, ...ours] = evaluator(graph, [nll, ...gradients])({ ...numbers, ...weights });

    expect(losses.reduce((sum, x) => sum + x, 0) / counted).toBeCloseTo(loss, 4);
    wrt.forEach((leaf, i) => {
      const error = relativeError(ours[i], `grad.${name}.${leaf.name}`);
      expect(error, leaf.name).toBeLessThan(TOLERANCE);
    });
    const squares = ours.flatMap((d) => [...d]).reduce((sum, x) => sum + x * x, 0);
    expect(Math.abs(Math.sqrt(squares) / global_norm - 1)).toBeLessThan(TOLERANCE);
  });
});

const adapters = golden.lora.filter(({ kind }) => kind !== "qlora"); // that one needs the nf4 format

describe("low-rank adapters, wrapped around `project`", () => {
  test.each(adapters.map(({ kind }) => kind))("%s", (kind) => {
    const adapter = golden.lora[golden.lora.findIndex((one) => one.kind === kind)];
    const { config, weights } = checkpoint(adapter.model);
    const { r, lora_alpha, use_rslora, input_ids } = adapter;
    const scale = lora_alpha / (use_rslora ? Math.sqrt(r) : r);
    const numbers: Record<string, Float64Array> = { ...weights };
    const factors: { name: string; by: number }[] = [];

    // W·x + B·A·x, with the scale kept in B.
    const wrap = (w: Weights, graph: Graph): Weights => ({
      weight: w.weight,
      project(x, module, O, I) {
        const plain = w.project(x, module, O, I);
        if (!adapter.target_modules.some((target) => module.endsWith(`.${target}`))) return plain;
        const factor = (letter: string, by: number, shape: Shape): Tensor => {
          const name = `base_model.model.${module}.lora_${letter}.default.weight`;
          const values = Array.from(tensors.get(`${kind}.weights.${name}`)?.data ?? []);
          numbers[name] = Float64Array.from(values, (value) => value * by);
          factors.push({ name, by });
          return graph.leaf(name, "weight", shape);
        };
        return add(plain, linear(linear(x, factor("A", 1, [r, I])), factor("B", scale, [O, r])));
      },
    });
    const {
      graph,
      nll,
      logits,
      seed,
      counted,
      numbers: inputs,
    } = record(config, golden.batch, wrap);
    const wrt = factors
      .map(({ name }) => graph.leaves.get(name))
      .filter((leaf) => leaf !== undefined);
    expect(wrt).toHaveLength(2 * 3 * config.num_hidden_layers);
    const gradients = grad([[nll, seed]], wrt, add).filter((d) => d !== undefined);
    const outputs = evaluator(graph, [nll, logits, ...gradients])({ ...inputs, ...numbers });
    const [losses, ourLogits, ...ours] = outputs;

    expect(losses.reduce((sum, x) => sum + x, 0) / counted).toBeCloseTo(adapter.losses[0], 4);
    // The logits are those of one text alone; in the batch it stands at the end of a padded row.
    const S = golden.batch.input_ids[0].length;
    const row = golden.batch.input_ids.findIndex((ids) => String(ids).endsWith(String(input_ids)));
    const end = (row + 1) * S * config.vocab_size;
    const alone = ourLogits.slice(end - input_ids.length * config.vocab_size, end);
    expect(relativeError(alone, `${kind}.logits`)).toBeLessThan(TOLERANCE);
    factors.forEach(({ name, by }, i) => {
      const gradient = ours[i].map((d) => d * by);
      const error = relativeError(gradient, `${kind}.grad.${name}`);
      expect(error, name).toBeLessThan(TOLERANCE);
    });
  });
});
