// The one table of cases, an entry for each op: sizes, inputs, attributes, how far a float32 result may lie from the op's own
// float64 loops; its gradient, its timing. An op that only a gradient emits is tried by its forward op's entry. A bound adds up
// the roundings on the way of a number. The cache, attention, the parts of heads and the choice of tokens have files of their own.

import type { Op, Values } from "../../src/graph/graph.ts";
import { addOp } from "../../src/ops/add.ts";
import { crossEntropyOp, IGNORED_LABEL } from "../../src/ops/cross-entropy.ts";
import { embedOp } from "../../src/ops/embed.ts";
import { gatherRowsOp } from "../../src/ops/gather-rows.ts";
import { linearOp } from "../../src/ops/linear.ts";
import { logSoftmaxOp } from "../../src/ops/log-softmax.ts";
import { rmsNormOp } from "../../src/ops/rms-norm.ts";
import { ropeOp } from "../../src/ops/rope.ts";
import { type Case, exact, grid, u } from "./case.ts";
import { attentionTable } from "./table-attention.ts";
import { cacheTable } from "./table-cache.ts";
import { gluCase } from "./table-glu.ts";
import { headTable } from "./table-heads.ts";
import { sampleTable } from "./table-sample.ts";
import { given, indices, numbers, picks, scaled, type TestTensor, weights } from "./tensors.ts";

const logs = (...values: number[]): number[] => values.map(Math.log);
const turn = [0.3, -1.1];

const rowCases: readonly Case[] = [
  {
    op: embedOp as Op,
    sizes: grid({ T: [1, 6], V: [3], H: [1, 7, 8, 9, 64, 256] }),
    inputs: ({ T, V, H }, random) => [indices(picks(random, T, V)), weights(random, V, H)],
    attrs: () => ({ padding: -1 }),
    bound: exact,
    examples: [
      {
        sizes: { T: 3, V: 3, H: 2 },
        ins: [indices([2, 0, 2]), given([3, 2], [10, 11, 20, 21, 30, 31])],
        outs: [[30, 31, 10, 11, 30, 31]],
      },
    ],
    gradient: {
      sizes: [
        { T: 6, V: 3, H: 4 }, // an id twice
        { T: 2, V: 6, H: 4 }, // ids that nobody has
      ],
    },
    timed: grid({ T: [1, 512], V: [2048], H: [4096] }),
    // The rows of the table that are looked up.
    work: ({ ins: [ids, table], outs: [y] }) => ({
      bytes: ids.bytes + (table.bytes / table.shape[0]) * ids.shape[0] + y.bytes,
    }),
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
    examples: [
      {
        sizes: { T: 2, K: 3, O: 2 },
        ins: [given([2, 3], [1, 2, 3, 4, 5, 6]), given([2, 3], [1, 0, -1, 2, 2, 2])],
        outs: [[-2, 12, -2, 30]],
      },
    ],
    gradient: { sizes: [{ T: 3, K: 5, O: 4 }] },
    timed: grid({ T: [1, 512], K: [4096], O: [4096] }),
    work: ({ ins: [x, w] }) => ({ flops: 2 * x.shape[0] * w.shape[0] * w.shape[1] }),
  },
  {
    op: rmsNormOp as Op,
    sizes: grid({ T: [1, 3], H: [1, 7, 8, 9, 100, 4096] }),
    inputs: ({ T, H }, random) => [numbers(random, T, H), weights(random, H)],
    attrs: ({ eps = 1e-5 }) => ({ eps: Math.fround(eps) }),
    // The sum of squares to (H/8 + 4)·u, of which the root keeps half; mean, eps, root and quotient; two products for y.
    bound: ({ outs, sizes: { H } }) => {
      const rstd = (Math.ceil(H / 8) + 4) / 2 + 4;
      return (output, i) => (output === 0 ? rstd + 2 : rstd) * u * Math.abs(outs[output][i]);
    },
    // The root mean square becomes 1, then the weight.
    examples: [
      {
        sizes: { T: 2, H: 2, eps: 0.25 },
        ins: [given([2, 2], [3, 4, 0, 0]), given([2], [1, 10])],
        outs: [
          [3 / Math.sqrt(12.75), 40 / Math.sqrt(12.75), 0, 0],
          [1 / Math.sqrt(12.75), 2],
        ],
      },
      {
        sizes: { T: 1, H: 2, eps: 0 },
        ins: [given([1, 2], [3, 4]), given([2], [1, 10])],
        outs: [[3 / Math.sqrt(12.5), 40 / Math.sqrt(12.5)], [1 / Math.sqrt(12.5)]],
      },
    ],
    gradient: { sizes: [{ T: 3, H: 5 }] },
    timed: grid({ T: [1, 512], H: [4096] }),
  },
  {
    op: ropeOp as Op,
    sizes: grid({ T: [1, 3], heads: [1, 3], half: [1, 3, 4, 5, 64], inverse: [0, 1] }),
    inputs: ({ T, heads, half }, random) => {
      const angles = Array.from({ length: T * half }, () => random.uniform(0, 100));
      const of = (f: (x: number) => number): TestTensor =>
        given(
          [T, half],
          angles.map((angle) => Math.fround(f(angle))),
        );
      return [numbers(random, T, heads * 2 * half), of(Math.cos), of(Math.sin)];
    },
    attrs: ({ heads, inverse }) => ({ heads, inverse: inverse === 1 }),
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
    // It turns the pairs (d, d + D/2) of each head.
    examples: [
      {
        sizes: { T: 1, heads: 2, half: 2, inverse: 0 },
        ins: [
          given([1, 8], [1, 0, 0, 1, 0, 1, 1, 0]),
          given([1, 2], turn.map(Math.cos)),
          given([1, 2], turn.map(Math.sin)),
        ],
        outs: [
          [
            ...[Math.cos(0.3), -Math.sin(-1.1), Math.sin(0.3), Math.cos(-1.1)],
            ...[-Math.sin(0.3), Math.cos(-1.1), Math.cos(0.3), Math.sin(-1.1)],
          ],
        ],
      },
    ],
    gradient: { sizes: grid({ T: [3], heads: [2], half: [2], inverse: [0, 1] }), constant: [1, 2] },
    timed: grid({ T: [1, 512], heads: [32], half: [64], inverse: [0] }),
  },
  gluCase,
  {
    op: addOp as Op,
    sizes: grid({ T: [1, 3], H: [1, 7, 8, 9, 700] }),
    inputs: ({ T, H }, random) => [numbers(random, T, H), numbers(random, T, H)],
    attrs: () => ({}),
    bound:
      ({ outs: [y] }) =>
      (_, i) =>
        u * Math.abs(y[i]),
    examples: [
      {
        sizes: { T: 1, H: 3 },
        ins: [given([1, 3], [1, 2, 3]), given([1, 3], [10, -2, 0.5])],
        outs: [[11, 0, 3.5]],
      },
    ],
    gradient: { sizes: [{ T: 3, H: 4 }] },
    timed: grid({ T: [1, 512], H: [4096] }),
  },
  {
    op: gatherRowsOp as Op,
    sizes: grid({ T: [3], N: [1, 6], H: [1, 7, 8, 9, 64] }),
    inputs: ({ T, N, H }, random) => [numbers(random, T, H), indices(picks(random, N, T))],
    attrs: () => ({}),
    bound: exact,
    examples: [
      {
        sizes: { T: 3, N: 3, H: 2 },
        ins: [given([3, 2], [10, 11, 20, 21, 30, 31]), indices([2, 0, 2])],
        outs: [[30, 31, 10, 11, 30, 31]],
      },
    ],
    gradient: {
      sizes: [
        { T: 3, N: 6, H: 4 }, // a row twice
        { T: 5, N: 3, H: 3 }, // rows that nobody wants
      ],
    },
    timed: grid({ T: [512], N: [1, 512], H: [4096] }),
    work: ({ ins: [, want], outs: [y] }) => ({ bytes: want.bytes + 2 * y.bytes }),
  },
  {
    op: logSoftmaxOp as Op,
    sizes: grid({ N: [1, 3], V: [1, 3, 4, 5, 100, 32000], spread: [20] }),
    inputs: ({ N, V, spread }, random) => [scaled(numbers(random, N, V), spread)],
    attrs: () => ({}),
    // Of each term: the difference, exp (4) and V/4 additions make a relative error, so an absolute one of the logarithm.
    bound: ({ ins: [x], outs: [y], sizes: { N, V } }) => {
      const rows = logRoundings(x, N, V);
      return (_, i) => {
        const { roundings, max } = rows[Math.floor(i / V)];
        return (roundings + Math.abs(x[i] - max) + 2 * Math.abs(y[i])) * u;
      };
    },
    examples: [
      {
        sizes: { N: 2, V: 3 },
        ins: [given([2, 3], logs(1, 2, 3, 4, 4, 8))],
        outs: [logs(1 / 6, 1 / 3, 1 / 2, 1 / 4, 1 / 4, 1 / 2)],
      },
      {
        // Beyond the range of exp, and −∞.
        sizes: { N: 1, V: 3 },
        ins: [given([1, 3], [1000, -Infinity, 1000])],
        outs: [[-Math.LN2, -Infinity, -Math.LN2]],
      },
    ],
    gradient: { sizes: [{ N: 3, V: 6, spread: 1 }] },
    timed: grid({ N: [1, 64], V: [32000], spread: [20] }),
  },
  {
    op: crossEntropyOp as Op,
    sizes: grid({ N: [1, 3], V: [1, 3, 4, 5, 100, 32000], spread: [20] }),
    inputs: ({ N, V, spread }, random) => [
      scaled(numbers(random, N, V), spread),
      indices(picks(random, N, V).map((label, n) => (n % 3 === 1 ? IGNORED_LABEL : label))),
    ],
    attrs: () => ({}),
    bound: ({ ins: [x], outs, sizes: { N, V } }) => {
      const rows = logRoundings(x, N, V);
      return (output, i) => (rows[i].roundings + Math.abs(outs[output][i])) * u;
    },
    examples: [
      {
        sizes: { N: 2, V: 3 },
        ins: [given([2, 3], logs(1, 2, 3, 4, 4, 8)), indices([2, IGNORED_LABEL])],
        outs: [logs(2, 1), logs(6, 16)],
      },
    ],
    gradient: { sizes: [{ N: 5, V: 6, spread: 1 }] },
    timed: grid({ N: [1, 64], V: [32000], spread: [20] }),
  },
];

export const table: readonly Case[] = [
  ...rowCases,
  ...headTable,
  ...sampleTable,
  ...cacheTable,
  ...attentionTable,
];

/** Per row its maximum, and roundings of log Σ exp(x − max): additions, exp, and what differences lose, by their share of the sum. */
function logRoundings(x: Values, N: number, V: number): { roundings: number; max: number }[] {
  return Array.from({ length: N }, (_, n) => {
    const row = x.subarray(n * V, (n + 1) * V);
    const max = row.reduce((m, value) => Math.max(m, value), -Infinity);
    let sum = 0;
    let lost = 0;
    for (const value of row) {
      if (value === -Infinity) continue; // gives an exact 0
      sum += Math.exp(value - max);
      lost += Math.exp(value - max) * (max - value);
    }
    return { roundings: Math.ceil(V / 4) + 3 + 4 + lost / sum, max };
  });
}
