// The one table of cases: for each op the sizes (1, lanes ± 1, many lanes, a real one), inputs and attributes, and how far a
// float32 result may lie from the op's own float64 loops. A bound follows from the arithmetic and the data: u is half a unit
// in the last place, and each rounding on the way of a number adds at most u times what is rounded.

import type { DType, Op, Shape, Values } from "../../src/graph/graph.ts";
import { addOp } from "../../src/ops/add.ts";
import { crossEntropyOp, IGNORED_LABEL } from "../../src/ops/cross-entropy.ts";
import { embedOp } from "../../src/ops/embed.ts";
import { gatherRowsOp } from "../../src/ops/gather-rows.ts";
import { gluOp } from "../../src/ops/glu.ts";
import { linearOp } from "../../src/ops/linear.ts";
import { logSoftmaxOp } from "../../src/ops/log-softmax.ts";
import { rmsNormOp } from "../../src/ops/rms-norm.ts";
import { ropeOp } from "../../src/ops/rope.ts";
import type { Random } from "../random.ts";

export const u: number = 2 ** -24;

export type TestTensor = {
  readonly shape: Shape;
  readonly values: Values;
  readonly dtype: DType;
  /** May have any weight format. */
  readonly weight?: boolean;
};

export type Sizes = Readonly<Record<string, number>>;

/** Per output, how far element `i` may lie from the reference. */
export type Bound = (output: number, i: number) => number;

export type Case = {
  readonly op: Op;
  readonly sizes: readonly Sizes[];
  inputs(sizes: Sizes, random: Random): TestTensor[];
  attrs(sizes: Sizes): object;
  /** Shapes of the outputs; empty when the op writes states. */
  outputs(sizes: Sizes): Shape[];
  /** Outputs are i32, not f32. */
  readonly integers?: boolean;
  /** Bytes of scratch that the kernel says it needs; not given: enough. */
  scratch?(sizes: Sizes): number;
  bound(given: {
    ins: readonly Values[];
    outs: readonly Values[];
    sizes: Sizes;
    attrs: object;
  }): Bound;
};

export const numbers = (random: Random, ...shape: number[]): TestTensor => ({
  shape,
  values: Float64Array.from(random.numbers(size(shape)), Math.fround),
  dtype: "f32",
});

export const weights = (random: Random, ...shape: number[]): TestTensor => ({
  ...numbers(random, ...shape),
  weight: true,
});

export const indices = (values: readonly number[], ...shape: number[]): TestTensor => ({
  shape: shape.length > 0 ? shape : [values.length],
  values: Float64Array.from(values),
  dtype: "i32",
});

const size = (shape: Shape): number => shape.reduce((product, dim) => product * dim, 1);
export const exact = (): Bound => () => 0;
const picks = (random: Random, count: number, below: number): number[] =>
  Array.from({ length: count }, () => random.below(below));

/** Every combination of the given values. */
export function grid(axes: Readonly<Record<string, readonly number[]>>): Sizes[] {
  return Object.entries(axes).reduce<Sizes[]>(
    (all, [name, values]) =>
      all.flatMap((sizes) => values.map((value) => ({ ...sizes, [name]: value }))),
    [{}],
  );
}

export const table: readonly Case[] = [
  {
    op: embedOp as Op,
    sizes: grid({ T: [1, 6], V: [3], H: [1, 7, 8, 9, 64] }),
    inputs: ({ T, V, H }, random) => [indices(picks(random, T, V)), weights(random, V, H)],
    attrs: () => ({}),
    outputs: ({ T, H }) => [[T, H]],
    bound: exact,
  },
  {
    op: linearOp as Op,
    sizes: [
      ...grid({ T: [1, 2, 3, 16], K: [1, 7, 8, 9, 63], O: [1, 2, 5, 13] }),
      ...grid({ T: [1, 5, 17, 35], K: [1023, 1024, 1033, 2056], O: [7, 24] }),
      { T: 70, K: 4096, O: 50 },
    ],
    inputs: ({ T, K, O }, random) => [numbers(random, T, K), weights(random, O, K)],
    attrs: () => ({}),
    outputs: ({ T, O }) => [[T, O]],
    // A product, K/8 (at most 128) additions in a lane, 3 folds, and the sums of blocks of 1024.
    bound: ({ ins: [x, w], sizes: { K, O } }) => {
      const roundings = 1 + Math.ceil(Math.min(K, 1024) / 8) + 3 + Math.ceil(K / 1024);
      return (_, i) => {
        const [t, o] = [Math.floor(i / O), i % O];
        let sum = 0;
        for (let k = 0; k < K; k++) sum += Math.abs(x[t * K + k] * w[o * K + k]);
        return roundings * u * sum;
      };
    },
  },
  {
    op: rmsNormOp as Op,
    sizes: grid({ T: [1, 3], H: [1, 7, 8, 9, 100, 4096] }),
    inputs: ({ T, H }, random) => [numbers(random, T, H), weights(random, H)],
    attrs: () => ({ eps: Math.fround(1e-5) }),
    outputs: ({ T, H }) => [[T, H], [T]],
    // The sum of squares to (H/8 + 4)·u, of which the root keeps half; mean, eps, root and quotient; two products for y.
    bound: ({ outs, sizes: { H } }) => {
      const rstd = (Math.ceil(H / 8) + 4) / 2 + 4;
      return (output, i) => (output === 0 ? rstd + 2 : rstd) * u * Math.abs(outs[output][i]);
    },
  },
  {
    op: ropeOp as Op,
    sizes: grid({ T: [1, 3], heads: [1, 3], half: [1, 3, 4, 5, 64], inverse: [0, 1] }),
    inputs: ({ T, heads, half }, random) => {
      const angles = Array.from({ length: T * half }, () => random.uniform(0, 100));
      const turn = (f: (x: number) => number): TestTensor => ({
        shape: [T, half],
        values: Float64Array.from(angles, (angle) => Math.fround(f(angle))),
        dtype: "f32",
      });
      return [numbers(random, T, heads * 2 * half), turn(Math.cos), turn(Math.sin)];
    },
    attrs: ({ heads, inverse }) => ({ heads, inverse: inverse === 1 }),
    outputs: ({ T, heads, half }) => [[T, heads * 2 * half]],
    // Two products and a sum.
    bound:
      ({ ins: [x, cos, sin], sizes: { heads, half } }) =>
      (_, i) => {
        const t = Math.floor(i / (heads * 2 * half));
        const [d, at] = [i % half, t * half + (i % half)];
        const start = i - (i % (2 * half));
        return (
          2 *
          u *
          (Math.abs(x[start + d]) + Math.abs(x[start + d + half])) *
          Math.max(Math.abs(cos[at]), Math.abs(sin[at]))
        );
      },
  },
  {
    op: gluOp as Op,
    sizes: grid({ T: [1, 3], F: [1, 7, 8, 9, 700], act: [0, 1, 2, 3], spread: [1, 30] }),
    inputs: ({ T, F, spread }, random) => {
      const gate = numbers(random, T, F);
      return [
        { ...gate, values: gate.values.map((x) => Math.fround(x * spread)) },
        numbers(random, T, F),
      ];
    },
    attrs: ({ act }) => ({ act: ["silu", "gelu", "gelu_tanh", "relu"][act] }),
    outputs: ({ T, F }) => [[T, F]],
    // exp and the fraction around it: 8 roundings, or 16 in erfc's; tanh's argument has 4 of its own, which exp multiplies by it.
    bound:
      ({ ins: [gate, up], outs: [y], sizes: { act } }) =>
      (_, i) => {
        const x = Math.abs(gate[i]);
        const argument = 2 * Math.sqrt(2 / Math.PI) * (x + 0.044715 * x ** 3);
        const roundings = [8, 16, 8 + 4 * argument, 1][act];
        // Below 2⁻¹²⁶ f32 loses bits, and 1 + erf(x), 1 + tanh(x) of a negative x lose them in the reference.
        const lost = 2 ** -126 + (act === 1 || act === 2 ? 2 ** -51 : 0);
        return roundings * u * Math.abs(y[i]) + lost * x * Math.abs(up[i]);
      },
  },
  {
    op: addOp as Op,
    sizes: grid({ T: [1, 3], H: [1, 7, 8, 9, 700] }),
    inputs: ({ T, H }, random) => [numbers(random, T, H), numbers(random, T, H)],
    attrs: () => ({}),
    outputs: ({ T, H }) => [[T, H]],
    bound:
      ({ outs: [y] }) =>
      (_, i) =>
        u * Math.abs(y[i]),
  },
  {
    op: gatherRowsOp as Op,
    sizes: grid({ T: [3], N: [1, 6], H: [1, 7, 8, 9, 64] }),
    inputs: ({ T, N, H }, random) => [numbers(random, T, H), indices(picks(random, N, T))],
    attrs: () => ({}),
    outputs: ({ N, H }) => [[N, H]],
    bound: exact,
  },
  {
    op: logSoftmaxOp as Op,
    sizes: grid({ N: [1, 3], V: [1, 3, 4, 5, 100, 32000] }),
    inputs: ({ N, V }, random) => [stretched(numbers(random, N, V), 20)],
    attrs: () => ({}),
    outputs: ({ N, V }) => [[N, V]],
    // Of each term: the difference, exp (4) and V/4 additions make a relative error, so an absolute one of the logarithm.
    bound: ({ ins: [x], outs: [y], sizes: { N, V } }) => {
      const rows = logRoundings(x, N, V);
      return (_, i) => {
        const { roundings, max } = rows[Math.floor(i / V)];
        return (roundings + Math.abs(x[i] - max) + 2 * Math.abs(y[i])) * u;
      };
    },
  },
  {
    op: crossEntropyOp as Op,
    sizes: grid({ N: [1, 3], V: [1, 3, 4, 5, 100, 32000] }),
    inputs: ({ N, V }, random) => [
      stretched(numbers(random, N, V), 20),
      indices(picks(random, N, V).map((label, n) => (n === 1 ? IGNORED_LABEL : label))),
    ],
    attrs: () => ({}),
    outputs: ({ N }) => [[N], [N]],
    bound: ({ ins: [x], outs, sizes: { N, V } }) => {
      const rows = logRoundings(x, N, V);
      return (output, i) => (rows[i].roundings + Math.abs(outs[output][i])) * u;
    },
  },
];

function stretched(tensor: TestTensor, factor: number): TestTensor {
  return { ...tensor, values: tensor.values.map((x) => Math.fround(x * factor)) };
}

/** Per row its maximum, and roundings of log Σ exp(x − max): additions, exp, and what differences lose, by their share of the sum. */
function logRoundings(x: Values, N: number, V: number): { roundings: number; max: number }[] {
  return Array.from({ length: N }, (_, n) => {
    const row = x.subarray(n * V, (n + 1) * V);
    const max = row.reduce((m, value) => Math.max(m, value), -Infinity);
    let sum = 0;
    let lost = 0;
    for (const value of row) {
      sum += Math.exp(value - max);
      lost += Math.exp(value - max) * (max - value);
    }
    return { roundings: Math.ceil(V / 4) + 3 + 4 + lost / sum, max };
  });
}
