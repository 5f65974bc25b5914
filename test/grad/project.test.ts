// `project` is the one place where a product can be changed: a bias, a fused matrix, low-rank adapters and adapters that each row
// chooses come in by wrapping it, and the model's file does not know.

import { describe, expect, test } from "vitest";
import { type Graph, type Leaf, type Op, rowsOf, type Tensor } from "../../src/graph/graph.ts";
import { grad } from "../../src/graph/grad.ts";
import type { Weights } from "../../src/models/weights.ts";
import { add } from "../../src/ops/add.ts";
import { addBias } from "../../src/ops/add-bias.ts";
import { f32, i32 } from "../../src/ops/dtypes.ts";
import { gatherRows } from "../../src/ops/gather-rows.ts";
import { linear } from "../../src/ops/linear.ts";
import { evaluator } from "../graph/evaluate.ts";
import { gradientErrors, TOLERANCE } from "./difference.ts";
import { LIVE, T, tinyLoss, type TinyLoss } from "./tiny-loss.ts";

/** Changes what is projected under some names. `plain` is the product as it would be. */
const changed =
  (
    names: RegExp,
    change: (of: {
      plain: Tensor;
      x: Tensor;
      name: string;
      O: number;
      I: number;
      graph: Graph;
      w: Weights;
    }) => Tensor,
  ) =>
  (w: Weights, graph: Graph): Weights => ({
    weight: w.weight,
    project: (x, name, O, I) =>
      names.test(name)
        ? change({ plain: w.project(x, name, O, I), x, name, O, I, graph, w })
        : w.project(x, name, O, I),
  });

const adapted = /(q_proj|v_proj|down_proj|lm_head)$/;
const RANK = 2;

/** LoRA (Hu et al. 2021, arXiv:2106.09685): W·x + B·A·x. */
const lora = changed(adapted, ({ plain, x, name, O, I, graph }) => {
  const A = graph.leaf(`${name}.A`, "weight", [RANK, I]);
  const B = graph.leaf(`${name}.B`, "weight", [O, RANK]);
  return add(plain, linear(linear(x, A), B));
});

const bias = changed(/./, ({ plain, name, O, w }) => addBias(plain, w.weight(`${name}.bias`, O)));

function expectGradients({ graph, losses, seed, numbers }: TinyLoss, wrt: readonly Leaf[]): void {
  const errors = gradientErrors(graph, [[losses, seed]], wrt, numbers, LIVE);
  for (const { name } of wrt) expect([name, errors[name] < TOLERANCE]).toEqual([name, true]);
}

const added = ({ weights, leaf }: TinyLoss, names: RegExp): Leaf[] =>
  [...weights.keys()].filter((name) => names.test(name)).map(leaf);

const logitsOf = ({ graph, logits }: TinyLoss, numbers: TinyLoss["numbers"]): Float64Array =>
  evaluator(graph, [logits])(numbers, LIVE)[0];

test("a bias of every product", () => {
  const tuned = tinyLoss({}, bias);
  const biases = added(tuned, /\.bias$/);
  expect(biases).toHaveLength(2 * 7 + 1);
  expectGradients(tuned, biases);
  const zero = Object.fromEntries(
    biases.map(({ name, shape }) => [name, new Float64Array(shape[0])]),
  );
  const base = tinyLoss();
  expect(logitsOf(tuned, { ...base.numbers, ...zero })).toEqual(logitsOf(base, base.numbers));
});

test("q, k and v in one matrix", () => {
  const parts: Record<string, [from: number, count: number]> = {
    q: [0, 16],
    k: [16, 8],
    v: [24, 8],
  };
  const fused = tinyLoss({}, (w, graph) => ({
    weight: w.weight,
    project(x, name, O, I) {
      const part = /(.*)\.([qkv])_proj$/.exec(name);
      if (part === null) return w.project(x, name, O, I);
      const rows = graph.leaf(`rows of ${part[2]}`, "input", [O], "i32");
      return linear(x, gatherRows(w.weight(`${part[1]}.qkv_proj.weight`, 32, I), rows));
    },
  }));
  const base = tinyLoss();
  const numbers = { ...base.numbers };
  for (const layer of [0, 1]) {
    const module = `model.layers.${layer}.self_attn`;
    const rows = ["q", "k", "v"].flatMap((name) => [
      ...base.numbers[`${module}.${name}_proj.weight`],
    ]);
    numbers[`${module}.qkv_proj.weight`] = Float64Array.from(rows);
  }
  for (const [name, [from, count]] of Object.entries(parts))
    numbers[`rows of ${name}`] = Float64Array.from({ length: count }, (_, i) => from + i);
  expect(logitsOf(fused, numbers)).toEqual(logitsOf(base, base.numbers));
  expectGradients({ ...fused, numbers }, added(fused, /qkv_proj/));
});

describe("low-rank adapters", () => {
  test("B = 0 gives the base model's logits exactly", () => {
    const base = tinyLoss();
    const tuned = tinyLoss({}, lora);
    const zero = Object.entries(tuned.numbers).map(([name, values]) => [
      name,
      name.endsWith(".B") ? values.map(() => 0) : (base.numbers[name] ?? values),
    ]);
    const got = logitsOf(tuned, Object.fromEntries(zero) as TinyLoss["numbers"]);
    expect(got).toEqual(logitsOf(base, base.numbers));
  });

  test("gradients of A and B are finite differences, and the frozen weights get none", () => {
    const tuned = tinyLoss({}, lora);
    const factors = added(tuned, /\.[AB]$/);
    expect(factors).toHaveLength(2 * (2 * 3 + 1));
    const recorded = tuned.graph.nodes.length;
    expectGradients(tuned, factors);
    const emitted = tuned.graph.nodes.slice(recorded).map(({ op }) => op.name);
    expect(emitted.filter((name) => name === "linear_grad_weight")).toHaveLength(factors.length);
  });
});

describe("adapters that each row chooses", () => {
  /** Each row's own adapter: 0 for the first sequence, none for one row, 1 for the second sequence. */
  const choice = Float64Array.from({ length: T }, (_, t) => (t < 5 ? 0 : t === 6 ? -1 : 1));
  const byRow = changed(adapted, ({ plain, x, name, O, I, graph }) => {
    // The head's rows are the wanted ones, in an order of their own.
    const which = graph.leaf(`adapter of ${x.live}`, "input", [T], "i32", x.live);
    const A = graph.leaf(`${name}.A`, "weight", [2, RANK, I]);
    const B = graph.leaf(`${name}.B`, "weight", [2, O, RANK]);
    return add(plain, linearByRow(linearByRow(x, A, which), B, which));
  });

  const chosen = (adapter: Float64Array): Record<string, Float64Array> => ({
    "adapter of rows": adapter,
    "adapter of wanted": adapter,
  });

  test("a row gets what its adapter gives, whatever its neighbours chose", () => {
    const tuned = tinyLoss({}, byRow);
    const logits = (adapter: Float64Array): Float64Array =>
      logitsOf(tuned, { ...tuned.numbers, ...chosen(adapter) });
    const [first, second] = [0, 1].map((n) => logits(choice.map((own) => (own < 0 ? -1 : n))));
    const end = (5 * first.length) / T; // of the first sequence
    const mixed = logits(choice);
    expect(mixed.slice(0, end)).toEqual(first.slice(0, end));
    expect(mixed.slice(end)).toEqual(second.slice(end));
    expect(first.slice(0, end)).not.toEqual(second.slice(0, end));
    expect(logits(choice.map(() => -1))).toEqual(logitsOf(tinyLoss(), tuned.numbers));
  });

  test("gradients reach the adapters that were chosen", () => {
    const tuned = tinyLoss({}, byRow);
    const numbers = { ...tuned.numbers, ...chosen(choice) };
    expectGradients({ ...tuned, numbers }, added(tuned, /\.[AB]$/));
    const [d] = grad([[tuned.losses, tuned.seed]], [tuned.leaf("lm_head.B")], add);
    const onlySecond = { ...numbers, ...chosen(choice.map(() => 1)) };
    const [values] = evaluator(tuned.graph, d === undefined ? [] : [d])(onlySecond, LIVE);
    expect(values.slice(0, values.length / 2).every((x) => x === 0)).toBe(true);
    expect(values.slice(values.length / 2).some((x) => x !== 0)).toBe(true);
  });
});

/** y [T, O] = x [T, I] · w [n, O, I]ᵀ of the matrix that each row names, which [T] i32; −1: 0 */
function linearByRow(x: Tensor, w: Tensor, which: Tensor): Tensor {
  return x.graph.emit(linearByRowOp, [x, w, which], {})[0];
}

const linearByRowOp: Op<object> = {
  name: "linear_by_row",
  takes: [f32, f32, i32],
  gives: ["f32"],
  shapes: ([x, w]) => [rowsOf(x, w.shape[1])],
  run([y], [x, w, which], [[rows, I], [, O]]) {
    y.fill(0);
    for (let t = 0; t < rows; t++) {
      const matrix = which[t] * O * I;
      for (let o = 0; which[t] >= 0 && o < O; o++)
        for (let i = 0; i < I; i++) y[t * O + o] += x[t * I + i] * w[matrix + o * I + i];
    }
  },
  vjp: ([dy], [x, w, which]) => {
    if (dy === undefined) return [];
    const both = (): Tensor[] => dy.graph.emit(linearByRowGradOp, [dy, x, w, which], {});
    return [() => both()[0], () => both()[1], undefined];
  },
};

const linearByRowGradOp: Op<object> = {
  name: "linear_by_row_grad",
  takes: [f32, f32, f32, i32],
  gives: ["f32", "f32"],
  shapes: ([, x, w]) => [rowsOf(x, x.shape[1]), { shape: w.shape, live: undefined }],
  run([dx, dw], [dy, x, w, which], [[rows, O], [, I]]) {
    dx.fill(0);
    dw.fill(0);
    for (let t = 0; t < rows; t++) {
      for (let o = 0; which[t] >= 0 && o < O; o++) {
        const row = (which[t] * O + o) * I;
        for (let i = 0; i < I; i++) {
          dx[t * I + i] += dy[t * O + o] * w[row + i];
          dw[row + i] += dy[t * O + o] * x[t * I + i];
        }
      }
    }
  },
};
