// Gradients of ops: the table's cases against finite differences; and what `grad` makes of a graph of several ops.

import { describe, expect, test } from "vitest";
import { InputError } from "../../src/errors.ts";
import { elements, Graph, type Op } from "../../src/graph/graph.ts";
import { grad } from "../../src/graph/grad.ts";
import { add } from "../../src/ops/add.ts";
import { f32 } from "../../src/ops/dtypes.ts";
import { embed } from "../../src/ops/embed.ts";
import { glu } from "../../src/ops/glu.ts";
import { linear } from "../../src/ops/linear.ts";
import { differentiable } from "../contract/every-op.ts";
import { table } from "../contract/table.ts";
import { evaluator } from "../graph/evaluate.ts";
import { seeded } from "../random.ts";
import { gradientErrors, TOLERANCE } from "./difference.ts";

const cases = table.flatMap((c) =>
  (c.gradient?.sizes ?? []).map((sizes) => ({ name: c.op.name, sizes, c })),
);

describe("the gradient of every op is its finite difference", () => {
  test.each(cases)("$name $sizes", ({ c, sizes }) => {
    const { graph, output, seed, wrt, run } = differentiable(c, sizes);
    const numbers: Record<string, ArrayLike<number>> = {
      seed: seeded(7).numbers(elements(output.shape)),
    };
    run.ins.forEach(({ values }, i) => (numbers[`in${i}`] = values));
    const errors = gradientErrors(graph, [[output, seed]], wrt, numbers);
    expect(Object.keys(errors)).toEqual(wrt.map(({ name }) => name));
    for (const error of Object.values(errors)) expect(error).toBeLessThan(TOLERANCE);
  });

  test("so is that of an input which is used more than once", () => {
    const graph = new Graph();
    const a = graph.leaf("a", "weight", [3, 4]);
    const seed = graph.leaf("seed", "input", [3, 4]);
    const [numbers, random] = [seeded(1).numbers(12), seeded(2).numbers(12)];
    const errors = gradientErrors(graph, [[add(a, add(a, a)), seed]], [a], {
      a: numbers,
      seed: random,
    });
    expect(errors.a).toBeLessThan(TOLERANCE);
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
  const w = graph.leaf("w", "weight", [3, 2]);
  const ids = graph.leaf("ids", "input", [4], "i32");
  const seed = graph.leaf("seed", "input", [4, 2]);
  const rows = { w: [1, 2, 3, 4, 5, 6], ids: [0, 2, 1, 2], seed: [1, 2, 3, 4, 5, 6, 7, 8] };
  const gradient = (padding: number | null): number[] => {
    const [d] = grad([[embed(ids, w, padding), seed]], [w], add);
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

  test("what a node's gradient emits lies in the node's region, sums of gradients too", () => {
    const { graph, x, w, other, seed } = setting();
    const [a, b] = ["first", "second"].map((name, i) =>
      graph.region(name, () => linear(i === 0 ? x : linear(x, w), i === 0 ? w : other)),
    );
    const recorded = graph.nodes.length;
    grad([[add(a, b), seed]], [w, other], add);
    const emitted = graph.nodes.slice(recorded + 1).map(({ op, region }) => [op.name, region]);
    expect(emitted).toEqual([
      ["linear_grad_x", "second"],
      ["linear_grad_weight", "second"],
      ["linear_grad_weight", "second"],
      ["linear_grad_weight", "first"],
      ["add", "first"],
    ]);
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
