import { describe, expect, test } from "vitest";
import { grad } from "../../src/graph/grad.ts";
import type { MistralConfigOptions } from "../../src/models/config.ts";
import { add } from "../../src/ops/add.ts";
import { recordStep } from "../../src/generate/record.ts";
import { evaluator } from "../graph/evaluate.ts";
import { recordPacked, stepModel, tinyConfig } from "../tiny-model.ts";
import { gradientErrors, TOLERANCE } from "./difference.ts";
import { LIVE, T, tinyLoss } from "./tiny-loss.ts";

describe("the whole model, two sequences in one plan, window 3, grouped queries", () => {
  test.each<[string, MistralConfigOptions]>([
    ["head of its own, silu", {}],
    ["tied embeddings, gelu", { tie_word_embeddings: true, hidden_act: "gelu" }],
    ["no window, one key-value head", { sliding_window: null, num_key_value_heads: 1 }],
  ])("%s: all gradients are finite differences", (_, options) => {
    const { graph, losses, seed, weights, leaf, numbers, counted } = tinyLoss(options);
    expect(counted).toBe(6);
    const wrt = [...weights.keys()].map(leaf);
    expect(weights.has("lm_head.weight")).toBe(!options.tie_word_embeddings);
    const errors = gradientErrors(graph, [[losses, seed]], wrt, numbers, LIVE);
    expect(Object.keys(errors)).toEqual([...weights.keys()]);
    for (const name of weights.keys())
      expect([name, errors[name] < TOLERANCE]).toEqual([name, true]);
  });

  test("a tied table gets what its two uses would get apart", () => {
    const tied = tinyLoss({ tie_word_embeddings: true });
    const free = tinyLoss();
    const table = "model.embed_tokens.weight";
    const numbers = { ...tied.numbers, "lm_head.weight": tied.numbers[table] };
    const [both] = evaluator(
      tied.graph,
      only(grad([[tied.losses, tied.seed]], [tied.leaf(table)], add)),
    )(numbers, LIVE);
    const apart = [table, "lm_head.weight"].map(free.leaf);
    const [a, b] = evaluator(free.graph, only(grad([[free.losses, free.seed]], apart, add)))(
      numbers,
      LIVE,
    );
    both.forEach((d, i) => expect(d).toBeCloseTo(a[i] + b[i], 12));
    expect(Math.max(...a)).toBeGreaterThan(1e-3);
  });

  test("ignored labels give no loss and no gradient", () => {
    const { graph, losses, logits, seed, numbers } = tinyLoss();
    const dLogits = only(grad([[losses, seed]], [logits], add));
    const [each, d] = evaluator(graph, [losses, ...dLogits])(numbers, LIVE);
    const rows = [...numbers.labels.keys()].filter((row) => numbers.labels[row] === -100);
    expect(rows).toEqual([1, 4, 8]);
    const V = d.length / T;
    for (const row of numbers.labels.keys()) {
      const ignored = rows.includes(row);
      expect(each[row] === 0).toBe(ignored);
      expect(d.slice(row * V, (row + 1) * V).every((x) => x === 0)).toBe(ignored);
    }
  });

  test("a plan of more capacity than live rows gives the same gradients, bit for bit", () => {
    const gradients = (capacity: number): Float64Array[] => {
      const { graph, losses, weights } = recordPacked(tinyConfig(), capacity);
      const seed = graph.leaf("seed", "input", [capacity], "f32", "wanted");
      const wrt = [...weights.keys()]
        .map((name) => graph.leaves.get(name))
        .filter((t) => t !== undefined);
      return evaluator(graph, only(grad([[losses, seed]], wrt, add)))(tinyLoss().numbers, LIVE);
    };
    expect(gradients(T + 5)).toEqual(gradients(T));
  });

  test("a plan with a cache has no gradient, and says at which op", () => {
    const shape = { T: 8, N: 8, S: 1, P: 1, columns: 0, embeds: false };
    const { plan } = recordStep(stepModel(tinyConfig()), {
      ...shape,
      wants: { losses: { kind: "cross_entropy" } },
    });
    const [losses] = plan.outputs;
    // The last layer's keys reach the output only through the cache, which no gradient follows.
    for (const name of ["0.self_attn.q_proj", "1.self_attn.k_proj"]) {
      const wrt = only([plan.leaves.get(`model.layers.${name}.weight`)]);
      expect(() => grad([[losses, losses]], wrt, add)).toThrow(
        /^grad: paged_attention has no gradient, but lies between an output and /,
      );
    }
  });

  test("a layer's gradient lies in the layer's region", () => {
    const { graph, losses, seed, weights, leaf } = tinyLoss();
    const recorded = graph.nodes.length;
    const wrt = [...weights.keys()].map(leaf);
    const gradients = grad([[losses, seed]], wrt, add);
    const emitted = graph.nodes.slice(recorded);
    for (const [i, { name }] of wrt.entries()) {
      const node = emitted.find(({ outs }) => outs.some((t) => t.id === gradients[i]?.id));
      const region = /layers\.\d/.exec(name)?.[0];
      expect([name, node?.region]).toEqual([name, region]);
    }
    expect(new Set(emitted.map(({ region }) => region))).toEqual(
      new Set([undefined, "layers.1", "layers.0"]),
    );
  });

  test("frozen weights emit no gradient ops", () => {
    const { graph, losses, seed, leaf } = tinyLoss();
    const count = (): Record<string, number> => {
      const names = graph.nodes.slice(recorded).map((node) => node.op.name);
      return Object.fromEntries(
        names.map((name) => [name, names.filter((n) => n === name).length]),
      );
    };
    const recorded = graph.nodes.length;
    // The highest layer's last product: nothing below it is entered.
    grad([[losses, seed]], [leaf("model.layers.1.mlp.down_proj.weight")], add);
    expect(count()).toEqual({
      ...{ cross_entropy_grad: 1, linear_grad_x: 1, rms_norm_grad: 1, gather_rows_grad: 1 },
      linear_grad_weight: 1,
    });
  });
});

function only<T>(values: readonly (T | undefined)[]): T[] {
  return values.map((value) => {
    if (value === undefined) throw new Error("a gradient is missing");
    return value;
  });
}
