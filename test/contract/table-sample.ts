// The cases of the ops that choose tokens and keep them on the device. Their results are whole numbers, and exact.

import type { Op } from "../../src/graph/graph.ts";
import { IGNORED_LABEL } from "../../src/ops/cross-entropy.ts";
import { pickIdsOp } from "../../src/ops/pick-ids.ts";
import { putTokensOp } from "../../src/ops/put-tokens.ts";
import { DRAW, LOG_PROB, sampleOp, SampleStatus } from "../../src/ops/sample.ts";
import type { Random } from "../random.ts";
import { type Case, exact, type Example, grid } from "./case.ts";
import { given, indices, numbers, picks, type TestTensor } from "./tensors.ts";

/** What a row is chosen with. k of 0 and 1 − p below 0: off. */
type Settings = {
  readonly flags: number;
  readonly k?: number;
  readonly temperature?: number;
  readonly cut?: number;
  readonly minP?: number;
};

/** Every cut alone, some together, and the best token. */
const settings: readonly Settings[] = [
  { flags: 0 },
  { flags: DRAW },
  { flags: DRAW | LOG_PROB, temperature: 0.3 },
  { flags: DRAW, k: 1 },
  { flags: DRAW | LOG_PROB, k: 7 },
  { flags: DRAW, cut: 0.1, temperature: 2 },
  { flags: DRAW, cut: 1 },
  { flags: DRAW, minP: 0.5 },
  { flags: DRAW, k: 90, cut: 0.3, minP: 0.05, temperature: 0.7 },
  { flags: LOG_PROB },
];

const LARGEST = 3.4028234663852886e38;

/** A u near 1. */
const LATE = 1 - 2 ** -20;

/** Rows of probabilities 1/8, 2/8, 4/8, 1/8. */
const drawnByHand: readonly (Settings & { u: number; token: number; label?: number })[] = [
  { flags: 0, u: 0, token: 2 }, // the best token
  { flags: LOG_PROB, u: 0, token: 2, label: 2 }, // its log-probability is wanted
  { flags: DRAW, u: 0, token: 0 },
  { flags: DRAW, u: 0.5, token: 2 },
  { flags: DRAW, u: LATE, token: 3 },
  { flags: DRAW, temperature: 0.01, u: LATE, token: 2 }, // leaves the best
  { flags: DRAW, k: 2, u: LATE, token: 2 }, // leaves ids 1 and 2
  { flags: DRAW, k: 3, u: LATE, token: 3 }, // keeps all that equal the third
  { flags: DRAW, cut: 0.26, u: 0, token: 1 }, // top-p removes at most a quarter: ids 0 and 3
  { flags: DRAW, cut: 0.13, u: 0, token: 1 }, // at most an eighth: id 0, of equals the earlier
  { flags: DRAW, cut: 0.13, u: LATE, token: 3 }, // and not id 3
  { flags: DRAW, minP: 0.5, u: 0, token: 1 },
];

const chosen: Example = {
  sizes: { N: drawnByHand.length, V: 4 },
  ins: [
    given(
      [drawnByHand.length, 4],
      drawnByHand.flatMap(() => [1, 2, 4, 1].map(Math.log)),
    ),
    ratios(drawnByHand),
    draws(drawnByHand, ({ u }) => [u * 2 ** 27, 0]),
  ],
  outs: [
    drawnByHand.map(({ token }) => token),
    drawnByHand.map(({ label = IGNORED_LABEL }) => label),
    drawnByHand.map(() => SampleStatus.chosen),
  ],
};

/** Rows without a token say why, however it was to be chosen. */
const broken = [0, DRAW | LOG_PROB].flatMap((flags) => [
  { flags, scores: [0, NaN, Infinity], status: SampleStatus.nan },
  { flags, scores: [0, Infinity, 0], status: SampleStatus.infinite },
  { flags, scores: [-Infinity, -Infinity, -Infinity], status: SampleStatus.nothing },
]);

const withoutToken: Example = {
  sizes: { N: broken.length, V: 3 },
  ins: [
    given(
      [broken.length, 3],
      broken.flatMap(({ scores }) => scores),
    ),
    ratios(broken),
    draws(broken, () => [0, 0]),
  ],
  outs: [broken.map(() => 0), broken.map(() => IGNORED_LABEL), broken.map(({ status }) => status)],
};

export const sampleTable: readonly Case[] = [
  {
    op: sampleOp as Op,
    sizes: grid({
      N: [1, settings.length + 2],
      V: [1, 3, 4, 63, 65, 100, 3000],
      kind: [0, 1, 2, 3],
    }),
    inputs: ({ N, V, kind }, random) => {
      const rows = Array.from({ length: N }, (_, n) => settings[(n + kind) % settings.length]);
      return [
        logits(random, kind, N, V),
        ratios(rows),
        draws(rows, () => [random.below(2 ** 27), random.below(2 ** 26)]),
      ];
    },
    attrs: () => ({}),
    bound: exact,
    examples: [chosen, withoutToken],
    timed: grid({ N: [1, 64], V: [32000], kind: [0] }),
  },
  {
    op: putTokensOp as Op,
    sizes: grid({ S: [1, 9], N: [1, 4] }),
    inputs: ({ S, N }, random) => [
      { ...indices(tokens(random, S)), kind: "state" },
      indices(tokens(random, N)),
      // No slot twice; those of the second half are not kept.
      indices(Array.from({ length: N }, (_, n) => (2 * n < Math.min(N, S) ? n : -1))),
    ],
    attrs: () => ({}),
    bound: exact,
    examples: [
      {
        sizes: { S: 4, N: 3 },
        ins: [
          { ...indices([10, 11, 12, 13]), kind: "state" },
          indices([7, 8, 9]),
          indices([2, -1, 0]),
        ],
        outs: [[9, 11, 7, 13]],
      },
    ],
    timed: grid({ S: [64], N: [1, 64] }),
    // Slots, and each token that is kept: read and written.
    work: ({ ins: [, token, slots] }) => ({ bytes: 2 * token.bytes + slots.bytes }),
  },
  {
    op: pickIdsOp as Op,
    sizes: grid({ S: [1, 9], T: [1, 7] }),
    inputs: ({ S, T }, random) => [
      indices(tokens(random, T)),
      indices(tokens(random, S)),
      indices(picks(random, T, S + 1).map((place) => place - 1)),
    ],
    attrs: () => ({}),
    bound: exact,
    examples: [
      {
        sizes: { S: 2, T: 3 },
        ins: [indices([5, 6, 7]), indices([20, 21]), indices([-1, 1, 0])],
        outs: [[5, 21, 20]],
      },
    ],
    timed: grid({ S: [64], T: [1, 64] }),
    // Each id is read from one of the two.
    work: ({ ins: [, , from], outs: [y] }) => ({ bytes: from.bytes + 2 * y.bytes }),
  },
];

/** The input `settings`. */
function ratios(rows: readonly Settings[]): TestTensor {
  const values = rows.flatMap(({ temperature = 1, cut = -1, minP = 0 }) => [
    temperature,
    cut,
    minP,
  ]);
  return given([rows.length, 3], values.map(Math.fround));
}

/** The input `draws`. @param words the upper 27 and the lower 26 bits of a row's u */
function draws<R extends Settings>(
  rows: readonly R[],
  words: (row: R) => readonly [high: number, low: number],
): TestTensor {
  const values = rows.flatMap((row) => [row.flags, row.k ?? 0, ...words(row)]);
  return indices(values, rows.length, 4);
}

/** Logits: 0 spread, 1 whole numbers with many equal ones, 2 with gaps of −∞, 3 with the largest of all numbers. */
function logits(random: Random, kind: number, N: number, V: number): TestTensor {
  const tensor = numbers(random, N, V);
  const values = tensor.values.map((x, i) => {
    if (kind === 2 && random.below(3) === 0) return -Infinity;
    if (kind === 3 && i % V === V - 1) return LARGEST;
    return kind === 1 ? Math.round(x * 3) : Math.fround(x * 8);
  });
  return { ...tensor, values };
}

/** Ids from 1 on. */
function tokens(random: Random, count: number): number[] {
  return picks(random, count, 131_072).map((id) => id + 1);
}
