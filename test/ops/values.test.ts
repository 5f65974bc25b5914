// Each op's loop against numbers worked out by hand, or against a second way to say the same. The goldens try them in the model.

import { describe, expect, test } from "vitest";
import { Graph, type Shape, type Tensor } from "../../src/graph/graph.ts";
import { copyPages } from "../../src/ops/copy-pages.ts";
import { crossEntropy, IGNORED_LABEL } from "../../src/ops/cross-entropy.ts";
import { embed } from "../../src/ops/embed.ts";
import { erf } from "../../src/ops/erf.ts";
import { gatherRows } from "../../src/ops/gather-rows.ts";
import { type Activation, glu } from "../../src/ops/glu.ts";
import { PAGE } from "../../src/ops/kv-append.ts";
import { linear } from "../../src/ops/linear.ts";
import { logSoftmax } from "../../src/ops/log-softmax.ts";
import { rmsNorm } from "../../src/ops/rms-norm.ts";
import { rope } from "../../src/ops/rope.ts";
import { DRAW, LOG_PROB, sample, SampleStatus } from "../../src/ops/sample.ts";
import { evaluator } from "../graph/evaluate.ts";
import { seeded } from "../random.ts";

/** The value of what `record` makes of leaves of those shapes and numbers. */
function value(
  leaves: Record<string, { shape: Shape; numbers: ArrayLike<number>; index?: boolean }>,
  record: (tensors: Record<string, Tensor>) => Tensor,
): number[] {
  const graph = new Graph();
  const tensors = Object.entries(leaves).map(([name, { shape, index }]) => {
    return [name, graph.leaf(name, "input", shape, index ? "i32" : "f32")] as const;
  });
  const numbers = Object.entries(leaves).map(([name, leaf]) => [name, leaf.numbers] as const);
  const run = evaluator(graph, [record(Object.fromEntries(tensors))]);
  return [...run(Object.fromEntries(numbers))[0]];
}

const expectClose = (got: readonly number[], expected: readonly number[]): void => {
  expect(got).toHaveLength(expected.length);
  got.forEach((x, i) => expect(Math.abs(x - expected[i])).toBeLessThan(1e-13));
};

test("linear: y = x · wᵀ, the weight as [out, in]", () => {
  const x = { shape: [2, 3], numbers: [1, 2, 3, 4, 5, 6] };
  const w = { shape: [2, 3], numbers: [1, 0, -1, 2, 2, 2] };
  expect(value({ x, w }, (t) => linear(t.x, t.w))).toEqual([-2, 12, -2, 30]);
});

test("embed and gather_rows pick rows, in order and again", () => {
  const table = { shape: [3, 2], numbers: [10, 11, 20, 21, 30, 31] };
  const rows = { shape: [3], numbers: [2, 0, 2], index: true };
  const expected = [30, 31, 10, 11, 30, 31];
  expect(value({ table, rows }, (t) => embed(t.rows, t.table))).toEqual(expected);
  expect(value({ table, rows }, (t) => gatherRows(t.table, t.rows))).toEqual(expected);
});

test("rms_norm: the root mean square becomes 1, then the weight", () => {
  const x = { shape: [2, 2], numbers: [3, 4, 0, 0] };
  const w = { shape: [2], numbers: [1, 10] };
  const rms = Math.sqrt(12.5);
  expectClose(
    value({ x, w }, (t) => rmsNorm(t.x, t.w, 0.25)),
    [3 / Math.sqrt(12.75), 40 / Math.sqrt(12.75), 0, 0],
  );
  expectClose(value({ x, w }, (t) => rmsNorm(t.x, t.w, 1e-300)).slice(0, 2), [3 / rms, 40 / rms]);
});

describe("rope", () => {
  const angles = [0.3, -1.1];
  const cos = { shape: [1, 2], numbers: angles.map(Math.cos) };
  const sin = { shape: [1, 2], numbers: angles.map(Math.sin) };

  test("turns the pairs (d, d + D/2) of each head", () => {
    const x = { shape: [1, 8], numbers: [1, 0, 0, 1, 0, 1, 1, 0] };
    expectClose(
      value({ x, cos, sin }, (t) => rope(t.x, t.cos, t.sin, 2)),
      [
        ...[Math.cos(0.3), -Math.sin(-1.1), Math.sin(0.3), Math.cos(-1.1)],
        ...[-Math.sin(0.3), Math.cos(-1.1), Math.cos(0.3), Math.sin(-1.1)],
      ],
    );
  });

  test("keeps lengths, and turns back", () => {
    const x = { shape: [1, 8], numbers: seeded(3).numbers(8) };
    expectClose(
      value({ x, cos, sin }, (t) => rope(rope(t.x, t.cos, t.sin, 2), t.cos, t.sin, 2, true)),
      [...x.numbers],
    );
  });
});

describe("log_softmax and cross_entropy", () => {
  test("of scores whose exponentials are known", () => {
    const x = { shape: [2, 3], numbers: [1, 2, 3, 4, 4, 8].map(Math.log) };
    expectClose(
      value({ x }, (t) => logSoftmax(t.x)),
      [1 / 6, 1 / 3, 1 / 2, 1 / 4, 1 / 4, 1 / 2].map(Math.log),
    );
    const labels = { shape: [2], numbers: [2, IGNORED_LABEL], index: true };
    expectClose(
      value({ x, labels }, (t) => crossEntropy(t.x, t.labels)),
      [Math.log(2), 0],
    );
  });

  test("of scores far apart, beyond the range of exp, or −∞", () => {
    const x = { shape: [1, 3], numbers: [1000, -Infinity, 1000] };
    const [a, b, c] = value({ x }, (t) => logSoftmax(t.x));
    expectClose([a, c], [-Math.LN2, -Math.LN2]);
    expect(b).toBe(-Infinity);
  });
});

describe("glu", () => {
  const at = [-2, -0.5, 0, 1, 3];
  const curves: Record<Activation, (x: number) => number> = {
    silu: (x) => x / (1 + Math.exp(-x)),
    relu: (x) => (x > 0 ? x : 0),
    gelu: (x) => x * normal(x),
    gelu_tanh: (x) => x / (1 + Math.exp(-2 * Math.sqrt(2 / Math.PI) * (x + 0.044715 * x ** 3))),
  };
  test.each(Object.keys(curves) as Activation[])("%s of the gate, times up", (act) => {
    const gate = { shape: [1, 5], numbers: at };
    const up = { shape: [1, 5], numbers: [1, 2, 3, 4, -5] };
    const expected = at.map((x, i) => curves[act](x) * up.numbers[i]);
    expectClose(
      value({ gate, up }, (t) => glu(t.gate, t.up, act)),
      expected,
    );
  });
});

/** The normal distribution function, by Simpson's rule from 0: a third way besides a series and a fraction. */
function normal(x: number): number {
  const steps = 2000;
  const density = (t: number): number => Math.exp(-t * t * 0.5) / Math.sqrt(2 * Math.PI);
  let sum = density(0) + density(x);
  for (let i = 1; i < steps; i++) sum += density((x * i) / steps) * (i % 2 === 1 ? 4 : 2);
  return 0.5 + (sum * x) / steps / 3;
}

test("erf is odd, goes to ±1, and is the area under the bell everywhere between", () => {
  for (const x of [0, 1e-9, 0.1, 0.7, 1, 1.9, 2.5, 2.999, 3.001, 3.5, 4.5, 5.9, 6.1, 40]) {
    expect(erf(-x)).toBe(-erf(x));
    const area = 2 * normal(Math.min(x, 8) * Math.SQRT2) - 1;
    expect(Math.abs(erf(x) - area)).toBeLessThan(2e-14);
  }
  expect(erf(Infinity)).toBe(1);
  expect(erf(1)).toBeCloseTo(0.8427007929497149, 15);
});

describe("sample", () => {
  const off = { temperature: 1, cut: -1, minP: 0, flags: DRAW, k: 0, u: 0.5 };

  /** token, label and status of one row. */
  function sampled(scores: number[], given: Partial<typeof off>): number[] {
    const { temperature, cut, minP, flags, k, u } = { ...off, ...given };
    const logits = { shape: [1, scores.length], numbers: scores };
    const settings = { shape: [1, 3], numbers: [temperature, cut, minP] };
    const draws = { shape: [1, 4], numbers: [flags, k, u * 2 ** 27, 0], index: true };
    return (["token", "label", "status"] as const).flatMap((name) =>
      value({ logits, settings, draws }, (t) => sample(t.logits, t.settings, t.draws)[name]),
    );
  }
  const log = [1, 2, 4, 1].map(Math.log);

  test.each<[string, Partial<typeof off>, number]>([
    ["without a draw the best token", { flags: 0, u: 0 }, 2],
    ["u of 0", { u: 0 }, 0],
    ["u at half of the mass", {}, 2],
    ["u near 1", { u: 1 - 2 ** -20 }, 3],
    ["a low temperature leaves the best", { temperature: 0.01, u: 1 - 2 ** -20 }, 2],
    ["top-k 2 leaves ids 1 and 2", { k: 2, u: 1 - 2 ** -20 }, 2],
    ["top-k 3 keeps all that equal the third", { k: 3, u: 1 - 2 ** -20 }, 3],
    ["top-p removes at most a quarter: ids 0 and 3", { cut: 0.26, u: 0 }, 1],
    ["top-p removes at most an eighth: id 0, of equals the earlier", { cut: 0.13, u: 0 }, 1],
    ["and not id 3", { cut: 0.13, u: 1 - 2 ** -20 }, 3],
    ["min-p a half", { minP: 0.5, u: 0 }, 1],
  ])("%s", (_, given, token) => {
    expect(sampled(log, given)).toEqual([token, IGNORED_LABEL, SampleStatus.chosen]);
  });

  test("the label is the token where its log-probability is wanted", () => {
    expect(sampled(log, { flags: LOG_PROB })).toEqual([2, 2, SampleStatus.chosen]);
  });

  test("rows without a token say why", () => {
    const flags = DRAW | LOG_PROB;
    const status = (scores: number[]): number[] => sampled(scores, { flags });
    expect(status([0, NaN, Infinity])).toEqual([0, IGNORED_LABEL, SampleStatus.nan]);
    expect(status([0, Infinity])).toEqual([0, IGNORED_LABEL, SampleStatus.infinite]);
    expect(status([-Infinity])).toEqual([0, IGNORED_LABEL, SampleStatus.nothing]);
  });
});

test("copy_pages copies whole pages of both pools", () => {
  const graph = new Graph();
  const [K, V] = ["K", "V"].map((name) => graph.leaf(name, "state", [4, PAGE, 2]));
  const [from, to] = ["from", "to"].map((name) => graph.leaf(name, "input", [2], "i32"));
  copyPages(K, V, from, to);
  const pool = (sign: number) => Float64Array.from({ length: 4 * PAGE * 2 }, (_, i) => sign * i);
  const state = { K: pool(1), V: pool(-1) };
  evaluator(graph, [])({ ...state, from: [0, 3], to: [2, 1] });
  const page = (sign: number, number: number) =>
    [...pool(sign)].slice(number * PAGE * 2, (number + 1) * PAGE * 2);
  expect([...state.K]).toEqual([0, 3, 0, 3].flatMap((number) => page(1, number)));
  expect([...state.V]).toEqual([0, 3, 0, 3].flatMap((number) => page(-1, number)));
});
