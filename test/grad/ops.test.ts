import { readdirSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { InputError } from "../../src/errors.ts";
import {
  elements,
  Graph,
  type Leaf,
  type Op,
  type Shape,
  type Tensor,
} from "../../src/graph/graph.ts";
import { grad } from "../../src/graph/grad.ts";
import { add } from "../../src/ops/add.ts";
import { attention } from "../../src/ops/attention.ts";
import { crossEntropy } from "../../src/ops/cross-entropy.ts";
import { f32 } from "../../src/ops/dtypes.ts";
import { embed } from "../../src/ops/embed.ts";
import { gatherRows } from "../../src/ops/gather-rows.ts";
import { glu } from "../../src/ops/glu.ts";
import { linear } from "../../src/ops/linear.ts";
import { logSoftmax } from "../../src/ops/log-softmax.ts";
import { rmsNorm } from "../../src/ops/rms-norm.ts";
import { rope } from "../../src/ops/rope.ts";
import { seeded } from "../random.ts";
import { evaluator } from "../graph/evaluate.ts";
import { gradientErrors, TOLERANCE } from "./difference.ts";

/** A case: floats by shape get seeded numbers, indices their own; all floats are differentiated, but those of `fixed`. */
type Case = {
  floats: Record<string, Shape>;
  indices?: Record<string, number[]>;
  fixed?: readonly string[];
  record(leaves: Record<string, Leaf>): Tensor;
};

const packed = { seq: [0, 0, 0, 0, 1, 1, 1], at: [0, 1, 2, 3, 0, 1, 2] };
const attentionCase = (heads: number, kvHeads: number, window: number): Case => ({
  floats: { q: [7, heads * 4], k: [7, kvHeads * 4], v: [7, kvHeads * 4] },
  indices: packed,
  record: ({ q, k, v, seq, at }) =>
    attention(q, k, v, { seq, at }, { heads, kvHeads, window, scale: 0.7 }),
});
const gluCase = (act: "silu" | "gelu" | "gelu_tanh" | "relu"): Case => ({
  floats: { gate: [3, 5], up: [3, 5] },
  record: ({ gate, up }) => glu(gate, up, act),
});
const ropeCase = (inverse: boolean): Case => ({
  floats: { x: [3, 8], cos: [3, 2], sin: [3, 2] },
  fixed: ["cos", "sin"],
  record: ({ x, cos, sin }) => rope(x, cos, sin, 2, inverse),
});

const cases: Record<string, Case> = {
  add: { floats: { a: [3, 4], b: [3, 4] }, record: ({ a, b }) => add(a, b) },
  "add of a tensor to itself": { floats: { a: [3, 4] }, record: ({ a }) => add(a, add(a, a)) },
  "attention, grouped, window 3": attentionCase(4, 2, 3),
  "attention, all heads alike, no window": attentionCase(2, 2, 0),
  "attention, one key-value head, window 1": attentionCase(3, 1, 1),
  "cross_entropy with ignored labels": {
    floats: { logits: [5, 6] },
    indices: { labels: [0, -100, 5, 3, -100] },
    record: ({ logits, labels }) => crossEntropy(logits, labels),
  },
  "embed with an id twice": {
    floats: { table: [6, 4] },
    indices: { ids: [5, 0, 5, 2] },
    record: ({ ids, table }) => embed(ids, table),
  },
  "gather_rows with a row twice": {
    floats: { x: [5, 3] },
    indices: { want: [4, 1, 4] },
    record: ({ x, want }) => gatherRows(x, want),
  },
  "glu silu": gluCase("silu"),
  "glu gelu": gluCase("gelu"),
  "glu gelu_tanh": gluCase("gelu_tanh"),
  "glu relu": gluCase("relu"),
  linear: { floats: { x: [3, 5], w: [4, 5] }, record: ({ x, w }) => linear(x, w) },
  log_softmax: { floats: { x: [3, 6] }, record: ({ x }) => logSoftmax(x) },
  rms_norm: { floats: { x: [3, 5], w: [5] }, record: ({ x, w }) => rmsNorm(x, w, 1e-5) },
  rope: ropeCase(false),
  "rope back": ropeCase(true),
};

describe("the gradient of every op is its finite difference", () => {
  test.each(Object.keys(cases))("%s", (name) => {
    const { floats, indices = {}, fixed = [], record } = cases[name];
    const graph = new Graph();
    const random = seeded(name.length);
    const numbers: Record<string, ArrayLike<number>> = { ...indices };
    const leaves: Record<string, Leaf> = {};
    for (const [leaf, shape] of Object.entries(floats)) {
      leaves[leaf] = graph.leaf(leaf, "weight", shape);
      numbers[leaf] = random.numbers(elements(shape));
    }
    for (const [leaf, { length }] of Object.entries(indices)) {
      leaves[leaf] = graph.leaf(leaf, "input", [length], "i32");
    }
    const output = record(leaves);
    const seed = graph.leaf("seed", "input", output.shape);
    numbers.seed = random.numbers(elements(output.shape));

    const wrt = Object.keys(floats).filter((leaf) => !fixed.includes(leaf));
    const errors = gradientErrors(
      graph,
      [[output, seed]],
      wrt.map((leaf) => leaves[leaf]),
      numbers,
    );
    expect(Object.keys(errors)).toEqual(wrt);
    for (const error of Object.values(errors)) expect(error).toBeLessThan(TOLERANCE);
  });

  test("no op with a gradient is left out", async () => {
    const folder = join(import.meta.dirname, "../../src/ops");
    const modules = await Promise.all(
      readdirSync(folder).map(
        (file) => import(join(folder, file)) as Promise<Record<string, unknown>>,
      ),
    );
    const ops = modules
      .flatMap((module) => Object.entries(module))
      .filter(([name]) => name.endsWith("Op"))
      .map(([, op]) => op as Op);
    const differentiable = ops.filter((op) => op.vjp !== undefined).map((op) => op.name);
    const checked = new Set(Object.keys(cases).map((name) => name.split(/[ ,]/)[0]));
    expect([...checked].toSorted()).toEqual(differentiable.toSorted());
  });

  test("the check notices a wrong gradient", () => {
    const wrong: Op<object> = {
      name: "square",
      takes: [f32],
      gives: ["f32"],
      shapes: ([x]) => [{ shape: x.shape, live: x.live }],
      run: ([y], [x]) => y.set(x.map((v) => v * v)),
      vjp: ([dy], [x]) => [dy && (() => glu(dy, x, "relu"))],
    };
    const graph = new Graph();
    const x = graph.leaf("x", "weight", [2, 1]);
    const seed = graph.leaf("seed", "input", [2, 1]);
    const [y] = graph.emit(wrong, [x], {});
    const errors = gradientErrors(graph, [[y, seed]], [x], { x: [0.3, 0.5], seed: [1, 1] });
    expect(errors.x).toBeGreaterThan(1e-3);
  });
});

test("the row of the padding id gets no gradient", () => {
  const graph = new Graph();
  const table = graph.leaf("table", "weight", [3, 2]);
  const ids = graph.leaf("ids", "input", [4], "i32");
  const seed = graph.leaf("seed", "input", [4, 2]);
  const rows = { table: [1, 2, 3, 4, 5, 6], ids: [0, 2, 1, 2], seed: [1, 2, 3, 4, 5, 6, 7, 8] };
  const gradient = (padding: number | null): number[] => {
    const [d] = grad([[embed(ids, table, padding), seed]], [table], add);
    return d === undefined ? [] : [...evaluator(graph, [d])(rows)[0]];
  };
  expect(gradient(null)).toEqual([1, 2, 5, 6, 3 + 7, 4 + 8]);
  expect(gradient(2)).toEqual([1, 2, 5, 6, 0, 0]);
});

const setting = () => {
  const graph = new Graph();
  const x = graph.leaf("x", "input", [2, 3]);
  const w = graph.leaf("w", "weight", [3, 3]);
  const other = graph.leaf("other", "weight", [3, 3]);
  const seed = graph.leaf("seed", "input", [2, 3]);
  return { graph, x, w, other, seed };
};

describe("grad", () => {
  test("emits only what leads to the wanted tensors", () => {
    const { graph, x, w, other, seed } = setting();
    const y = linear(linear(x, w), other);
    const recorded = graph.nodes.length;
    const [dw] = grad([[y, seed]], [w], add);
    expect(graph.nodes.slice(recorded).map((node) => node.op.name)).toEqual([
      "linear_grad_x",
      "linear_grad_weight",
    ]);
    expect(dw?.shape).toEqual(w.shape);
  });

  test("gives nothing for a tensor that no output depends on, and emits nothing for it", () => {
    const { graph, x, w, other, seed } = setting();
    const y = linear(x, w);
    linear(y, other); // depends on w, but is not an output
    const recorded = graph.nodes.length;
    expect(grad([[y, seed]], [other], add)).toEqual([undefined]);
    expect(graph.nodes).toHaveLength(recorded);
  });

  test("the gradient of an output with respect to itself is its seed", () => {
    const { x, w, seed } = setting();
    const y = linear(x, w);
    expect(grad([[y, seed]], [y], add)).toEqual([seed]);
  });

  test("seeds of several outputs add up, also where one output feeds another", () => {
    const { graph, x, w, other, seed } = setting();
    const second = graph.leaf("second", "input", [2, 3]);
    const y = linear(x, w);
    const z = linear(y, other);
    const random = seeded(5);
    const numbers = Object.fromEntries(
      [...graph.leaves.values()].map((leaf) => [leaf.name, random.numbers(elements(leaf.shape))]),
    );
    const seeds = [
      [y, seed],
      [z, second],
    ] as const;
    const errors = gradientErrors(graph, seeds, [w, other], numbers);
    expect(Math.max(errors.w, errors.other)).toBeLessThan(TOLERANCE);
  });

  test("an op without a gradient on the way is an error that names it", () => {
    const { graph, x, w, seed } = setting();
    const opaque: Op<object> = {
      name: "opaque",
      takes: [f32],
      gives: ["f32"],
      shapes: ([t]) => [{ shape: t.shape, live: t.live }],
      run() {},
    };
    const [y] = graph.emit(opaque, [linear(x, w)], {});
    expect(() => grad([[y, seed]], [w], add)).toThrow(
      new InputError("grad: opaque has no gradient, but lies between an output and %4 [2, 3]"),
    );
    expect(grad([[y, seed]], [w, x].slice(2), add)).toEqual([]);
  });
});
