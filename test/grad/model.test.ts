import { describe, expect, test } from "vitest";
import type { Graph, Leaf } from "../../src/graph/graph.ts";
import { grad } from "../../src/graph/grad.ts";
import type { MistralConfigOptions } from "../../src/models/config.ts";
import type { Weights } from "../../src/models/mistral.ts";
import { add } from "../../src/ops/add.ts";
import { linear } from "../../src/ops/linear.ts";
import { recordStep } from "../../src/generate/record.ts";
import { evaluator } from "../graph/evaluate.ts";
import { packedInputs, recordPacked, seededWeights, tinyConfig } from "../tiny-model.ts";
import { gradientErrors, TOLERANCE } from "./difference.ts";

const SEQUENCES = [
  [1, 4, 7, 2, 10],
  [1, 3, 3, 9],
];
const T = SEQUENCES.flat().length;
const LIVE = { rows: T, wanted: T };

/** The recorded loss: the mean of the rows' losses, but for the two ignored ends and one more. */
function setting(options: MistralConfigOptions = {}, wrap?: Parameters<typeof recordPacked>[2]) {
  const config = tinyConfig(options);
  const recorded = recordPacked(config, T, wrap);
  const { graph, nll, weights } = recorded;
  const seed = graph.leaf("seed", "input", [T], "f32", "wanted");
  const inputs = packedInputs(config, SEQUENCES);
  inputs.labels[1] = -100;
  const counted = inputs.labels.filter((label) => label !== -100).length;
  inputs.seed = new Float64Array(T).fill(1 / counted);
  const numbers: Record<string, Float64Array> = { ...seededWeights(weights, 11), ...inputs };
  const leaf = (name: string): Leaf => {
    const found = graph.leaves.get(name);
    if (found === undefined) throw new Error(`no leaf ${name}`);
    return found;
  };
  return { graph, seed, numbers, counted, leaf, nll, weights, logits: recorded.logits };
}

describe("the whole model, two sequences in one plan, window 3, grouped queries", () => {
  test.each<[string, MistralConfigOptions]>([
    ["head of its own, silu", {}],
    ["tied embeddings, gelu", { tie_word_embeddings: true, hidden_act: "gelu" }],
    ["no window, one key-value head", { sliding_window: null, num_key_value_heads: 1 }],
  ])("%s: all gradients are finite differences", (_, options) => {
    const { graph, nll, seed, weights, leaf, numbers, counted } = setting(options);
    expect(counted).toBe(6);
    const wrt = [...weights.keys()].map(leaf);
    expect(weights.has("lm_head.weight")).toBe(!options.tie_word_embeddings);
    const errors = gradientErrors(graph, [[nll, seed]], wrt, numbers, LIVE);
    expect(Object.keys(errors)).toEqual([...weights.keys()]);
    for (const name of weights.keys())
      expect([name, errors[name] < TOLERANCE]).toEqual([name, true]);
  });

  test("a tied table gets what its two uses would get apart", () => {
    const tied = setting({ tie_word_embeddings: true });
    const free = setting();
    const table = "model.embed_tokens.weight";
    const numbers = { ...tied.numbers, "lm_head.weight": tied.numbers[table] };
    const [both] = evaluator(
      tied.graph,
      only(grad([[tied.nll, tied.seed]], [tied.leaf(table)], add)),
    )(numbers, LIVE);
    const apart = [table, "lm_head.weight"].map(free.leaf);
    const [a, b] = evaluator(free.graph, only(grad([[free.nll, free.seed]], apart, add)))(
      numbers,
      LIVE,
    );
    both.forEach((d, i) => expect(d).toBeCloseTo(a[i] + b[i], 12));
    expect(Math.max(...a)).toBeGreaterThan(1e-3);
  });

  test("ignored labels give no loss and no gradient", () => {
    const { graph, nll, logits, seed, numbers } = setting();
    const dLogits = only(grad([[nll, seed]], [logits], add));
    const [losses, d] = evaluator(graph, [nll, ...dLogits])(numbers, LIVE);
    const rows = [...numbers.labels.keys()].filter((row) => numbers.labels[row] === -100);
    expect(rows).toEqual([1, 4, 8]);
    const V = d.length / T;
    for (const row of numbers.labels.keys()) {
      const ignored = rows.includes(row);
      expect(losses[row] === 0).toBe(ignored);
      expect(d.slice(row * V, (row + 1) * V).every((x) => x === 0)).toBe(ignored);
    }
  });

  test("a plan of more capacity than live rows gives the same gradients, bit for bit", () => {
    const gradients = (capacity: number): Float64Array[] => {
      const { graph, nll, weights } = recordPacked(tinyConfig(), capacity);
      const seed = graph.leaf("seed", "input", [capacity], "f32", "wanted");
      const wrt = [...weights.keys()]
        .map((name) => graph.leaves.get(name))
        .filter((t) => t !== undefined);
      return evaluator(graph, only(grad([[nll, seed]], wrt, add)))(setting().numbers, LIVE);
    };
    expect(gradients(T + 5)).toEqual(gradients(T));
  });

  test("a plan with a cache has no gradient, and says at which op", () => {
    const shape = { T: 8, N: 8, S: 1, P: 1, columns: 0, embeds: false, blind: false };
    const { plan } = recordStep(tinyConfig(), { ...shape, wants: { nll: true } }, () => "f32");
    const [nll] = plan.outputs;
    // The last layer's keys reach the output only through the cache, which no gradient follows.
    for (const name of ["0.self_attn.q_proj", "1.self_attn.k_proj"]) {
      const wrt = only([plan.leaves.get(`model.layers.${name}.weight`)]);
      expect(() => grad([[nll, nll]], wrt, add)).toThrow(
        /^grad: paged_attention has no gradient, but lies between an output and /,
      );
    }
  });

  test("frozen weights emit no gradient ops", () => {
    const { graph, nll, seed, leaf } = setting();
    const count = (): Record<string, number> => {
      const names = graph.nodes.slice(recorded).map((node) => node.op.name);
      return Object.fromEntries(
        names.map((name) => [name, names.filter((n) => n === name).length]),
      );
    };
    const recorded = graph.nodes.length;
    // The highest layer's last product: nothing below it is entered.
    grad([[nll, seed]], [leaf("model.layers.1.mlp.down_proj.weight")], add);
    expect(count()).toEqual({
      ...{ cross_entropy_grad: 1, linear_grad_x: 1, rms_norm_grad: 1, gather_rows_grad: 1 },
      linear_grad_weight: 1,
    });
  });
});

/** LoRA (Hu et al. 2021, arXiv:2106.09685) as a wrapped resolver: W + B · A is recorded where the model asks for W. */
const lora =
  (adapted: RegExp, rank: number) =>
  (w: Weights, graph: Graph): Weights =>
  (name, ...shape) => {
    const frozen = w(name, ...shape);
    if (!adapted.test(name)) return frozen;
    const B = graph.leaf(`${name}.B`, "weight", [shape[0], rank]);
    const A = graph.leaf(`${name}.Aᵀ`, "weight", [shape[1], rank]);
    return add(frozen, linear(B, A));
  };

describe("LoRA by the weights resolver alone", () => {
  const adapted = /(q_proj|v_proj|down_proj)\.weight$/;

  test("B = 0 gives the base model's logits exactly", () => {
    const base = setting();
    const tuned = setting({}, lora(adapted, 2));
    const zero = Object.entries(tuned.numbers).map(([name, values]) => [
      name,
      name.endsWith(".B") ? values.map(() => 0) : (base.numbers[name] ?? values),
    ]);
    const [expected] = evaluator(base.graph, [base.logits])(base.numbers, LIVE);
    const [got] = evaluator(tuned.graph, [tuned.logits])(Object.fromEntries(zero), LIVE);
    expect(got).toEqual(expected);
  });

  test("gradients of A and B are finite differences, and the frozen weights get none", () => {
    const { graph, nll, seed, leaf, numbers, weights } = setting({}, lora(adapted, 2));
    const factors = [...weights.keys()].filter((name) => /\.(B|Aᵀ)$/.test(name));
    expect(factors).toHaveLength(2 * 3 * 2);
    const recorded = graph.nodes.length;
    const errors = gradientErrors(graph, [[nll, seed]], factors.map(leaf), numbers, LIVE);
    for (const name of factors) expect([name, errors[name] < TOLERANCE]).toEqual([name, true]);
    const weightGradients = graph.nodes
      .slice(recorded)
      .filter((node) => node.op.name === "linear_grad_weight").length;
    // Of each adapted product: d(W + BA), and from it that of A; that of B is a product with A.
    expect(weightGradients).toBe(6 * 2);
  });
});

function only<T>(values: readonly (T | undefined)[]): T[] {
  return values.map((value) => {
    if (value === undefined) throw new Error("a gradient is missing");
    return value;
  });
}
