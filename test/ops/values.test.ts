// Each op's loop against numbers worked out by hand, or against a second way to say the same: the table's examples, and what
// takes more than one op. The goldens try the ops in the model.

import { expect, test } from "vitest";
import { Graph } from "../../src/graph/graph.ts";
import { erf } from "../../src/ops/erf.ts";
import { rope } from "../../src/ops/rope.ts";
import { expected } from "../contract/case.ts";
import { table } from "../contract/table.ts";
import { evaluator } from "../graph/evaluate.ts";
import { seeded } from "../random.ts";
import { normal } from "./normal.ts";

const expectClose = (got: ArrayLike<number>, wanted: ArrayLike<number>): void => {
  expect(got).toHaveLength(wanted.length);
  for (let i = 0; i < wanted.length; i++) {
    if (got[i] !== wanted[i]) expect(Math.abs(got[i] - wanted[i])).toBeLessThan(1e-13);
  }
};

const examples = table.flatMap((c) =>
  (c.examples ?? []).map((example) => ({ name: c.op.name, sizes: example.sizes, c, example })),
);

test.each(examples)("$name $sizes gives what was worked out", ({ c, example }) => {
  const { results } = expected({ case: c, ...example });
  expect(results).toHaveLength(example.outs.length);
  results.forEach((values, i) => expectClose(values, example.outs[i]));
});

test("rope keeps lengths, and turns back", () => {
  const graph = new Graph();
  const x = graph.leaf("x", "input", [1, 8]);
  const [cos, sin] = ["cos", "sin"].map((name) => graph.leaf(name, "input", [1, 2]));
  const turned = rope(x, cos, sin, 2);
  const angles = [0.3, -1.1];
  const numbers = { x: seeded(3).numbers(8), cos: angles.map(Math.cos), sin: angles.map(Math.sin) };
  const [there, back] = evaluator(graph, [turned, rope(turned, cos, sin, 2, true)])(numbers);
  expectClose(back, numbers.x);
  const length = (v: Float64Array): number => Math.hypot(...v);
  expectClose([length(there)], [length(numbers.x)]);
  expect(Math.max(...there.map((v, i) => Math.abs(v - numbers.x[i])))).toBeGreaterThan(0.1);
});

test("erf is odd, goes to ±1, and is the area under the bell everywhere between", () => {
  for (const x of [0, 1e-9, 0.1, 0.7, 1, 1.9, 2.5, 2.999, 3.001, 3.5, 4.5, 5.9, 6.1, 40]) {
    expect(erf(-x)).toBe(-erf(x));
    const area = 2 * normal(Math.min(x, 8) * Math.SQRT2) - 1;
    expect(Math.abs(erf(x) - area)).toBeLessThan(2e-14);
  }
  expect(erf(Infinity)).toBe(1);
  expect(erf(1)).toBeCloseTo(0.8427007929497149, 15);
});
