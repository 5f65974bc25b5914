// The cases of what only some heads and losses are made of: a bias, scores turned, losses against targets.

import type { Op } from "../../src/graph/graph.ts";
import { addBiasOp } from "../../src/ops/add-bias.ts";
import { bceOp } from "../../src/ops/bce.ts";
import { mseOp } from "../../src/ops/mse.ts";
import { transposeOp } from "../../src/ops/transpose.ts";
import type { Random } from "../random.ts";
import { type Case, exact, grid, type Sizes, u } from "./case.ts";
import { given, numbers, scaled, type TestTensor, weights } from "./tensors.ts";

/** Logits, some of them far from 0, and targets from 0 to 1. */
const againstTargets = {
  sizes: grid({ N: [1, 3], K: [1, 2, 5, 33], spread: [1, 40] }),
  inputs: ({ N, K, spread }: Sizes, random: Random): TestTensor[] => {
    const targets = numbers(random, N, K);
    return [
      scaled(numbers(random, N, K), spread),
      { ...targets, values: targets.values.map(Math.abs) },
    ];
  },
  attrs: (): object => ({}),
  gradient: { sizes: [{ N: 4, K: 3, spread: 1 }], constant: [1] },
  timed: grid({ N: [1, 64], K: [16], spread: [1] }),
};

export const headTable: readonly Case[] = [
  {
    op: addBiasOp as Op,
    sizes: grid({ T: [1, 3], O: [1, 2, 5, 256] }),
    inputs: ({ T, O }, random) => [numbers(random, T, O), weights(random, O)],
    attrs: () => ({}),
    bound:
      ({ outs: [y] }) =>
      (_, i) =>
        u * Math.abs(y[i]),
    examples: [
      {
        sizes: { T: 2, O: 3 },
        ins: [given([2, 3], [1, 2, 3, 4, 5, 6]), given([3], [10, 20, 30])],
        outs: [[11, 22, 33, 14, 25, 36]],
      },
    ],
    gradient: { sizes: [{ T: 3, O: 4 }] },
    timed: grid({ T: [1, 512], O: [4096] }),
  },
  {
    op: transposeOp as Op,
    sizes: grid({ blocks: [1, 3], rows: [1, 4, 7], K: [1, 2, 5], behind: [0, 2] }),
    inputs: ({ blocks, rows, K, behind }, random) => [numbers(random, blocks * rows + behind, K)],
    attrs: ({ blocks, rows }) => ({ blocks, rows }),
    bound: exact,
    // It turns each block by itself.
    examples: [
      {
        sizes: { blocks: 2, rows: 2, K: 3, behind: 0 },
        ins: [given([4, 3], [1, 2, 3, 4, 5, 6, 10, 20, 30, 40, 50, 60])],
        outs: [[1, 4, 2, 5, 3, 6, 10, 40, 20, 50, 30, 60]],
      },
    ],
    gradient: { sizes: grid({ blocks: [2], rows: [3], K: [2], behind: [0, 1] }) },
    timed: grid({ blocks: [1, 8], rows: [512], K: [2], behind: [0] }),
  },
  {
    op: mseOp as Op,
    ...againstTargets,
    // Sums in f64: only the result is rounded to f32.
    bound:
      ({ outs: [loss] }) =>
      (_, i) =>
        1.01 * u * loss[i],
    examples: [
      {
        sizes: { N: 2, K: 3 },
        ins: [given([2, 3], [1, 2, 3, 0.5, 0, -1]), given([2, 3], [1, 4, 2, 0.5, 3, 0])],
        outs: [[(0 + 4 + 1) / 3, (0 + 9 + 1) / 3]],
      },
    ],
  },
  {
    op: bceOp as Op,
    ...againstTargets,
    // exp in f32 (8 roundings), which the logarithm passes on as exp(−|x|) / (1 + exp(−|x|)) of it at most; below e^−87.3 it is 0.
    bound:
      ({ ins: [x], outs: [loss], sizes: { K } }) =>
      (_, n) => {
        let error = 0;
        for (let i = n * K; i < (n + 1) * K; i++)
          error += Math.max(8 * u * Math.exp(-Math.abs(x[i])), Math.abs(x[i]) > 87.3 ? 2e-38 : 0);
        return 1.01 * u * Math.abs(loss[n]) + error / K;
      },
    // The mean of −log of what each target says, by the logistic function.
    examples: [
      {
        sizes: { N: 2, K: 2 },
        ins: [
          given([2, 2], [0, Math.log(3), -Math.log(4), Math.log(9)]),
          given([2, 2], [1, 1, 0, 0.25]),
        ],
        outs: [
          [
            (Math.log(2) - Math.log(3 / 4)) / 2,
            (-Math.log(4 / 5) - 0.25 * Math.log(9 / 10) - 0.75 * Math.log(1 / 10)) / 2,
          ],
        ],
      },
      {
        // Beyond the range of exp.
        sizes: { N: 2, K: 2 },
        ins: [given([2, 2], [1000, -1000, 1000, -1000]), given([2, 2], [1, 0, 0, 1])],
        outs: [[0, 1000]],
      },
    ],
  },
];
