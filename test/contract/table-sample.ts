// The table's cases of the ops that choose tokens and keep them on the device. Their results are whole numbers, and exact.

import { sampleScratch } from "../../src/backends/wasm/encode.ts";
import type { Op } from "../../src/graph/graph.ts";
import { pickIdsOp } from "../../src/ops/pick-ids.ts";
import { putTokensOp } from "../../src/ops/put-tokens.ts";
import { DRAW, LOG_PROB, sampleOp } from "../../src/ops/sample.ts";
import type { Random } from "../random.ts";
import { type Case, exact, grid, indices, numbers, type TestTensor } from "./table.ts";

/** What a row is chosen with: every cut alone, some together, and the best token. k of 0 and 1 − p below 0: off. */
const settings: readonly {
  flags: number;
  k?: number;
  temperature?: number;
  cut?: number;
  minP?: number;
}[] = [
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

export const sampleTable: readonly Case[] = [
  {
    op: sampleOp as Op,
    sizes: grid({ N: [1, settings.length + 2], V: [1, 3, 4, 63, 65, 100, 3000], kind: [0, 1, 2] }),
    inputs: ({ N, V, kind }, random) => {
      const rows = Array.from({ length: N }, (_, n) => settings[(n + kind) % settings.length]);
      return [
        scores(random, kind, N, V),
        { ...numbers(random, N, 3), values: Float64Array.from(rows.flatMap(ratios)) },
        indices(
          rows.flatMap(({ flags, k = 0 }) => [
            flags,
            k,
            random.below(2 ** 27),
            random.below(2 ** 26),
          ]),
          ...[N, 4],
        ),
      ];
    },
    attrs: () => ({}),
    outputs: ({ N }) => [[N], [N], [N]],
    scratch: ({ V }) => sampleScratch(V),
    integers: true,
    bound: exact,
  },
  {
    op: putTokensOp as Op,
    sizes: grid({ S: [1, 9], N: [1, 4] }),
    inputs: ({ S, N }, random) => [
      indices(whole(random, S)),
      indices(whole(random, N)),
      // No slot twice; those of the second half are not kept.
      indices(Array.from({ length: N }, (_, n) => (2 * n < Math.min(N, S) ? n : -1))),
    ],
    attrs: () => ({}),
    outputs: () => [],
    integers: true,
    bound: exact,
  },
  {
    op: pickIdsOp as Op,
    sizes: grid({ S: [1, 9], T: [1, 7] }),
    inputs: ({ S, T }, random) => [
      indices(whole(random, T)),
      indices(whole(random, S)),
      indices(Array.from({ length: T }, () => random.below(S + 1) - 1)),
    ],
    attrs: () => ({}),
    outputs: ({ T }) => [[T]],
    integers: true,
    bound: exact,
  },
];

function ratios({ temperature = 1, cut = -1, minP = 0 }: (typeof settings)[number]): number[] {
  return [temperature, cut, minP].map(Math.fround);
}

/** Logits: 0 spread, 1 whole numbers with many equal ones, 2 with gaps of −∞. */
function scores(random: Random, kind: number, N: number, V: number): TestTensor {
  const tensor = numbers(random, N, V);
  const values = tensor.values.map((x) => {
    if (kind === 2 && random.below(3) === 0) return -Infinity;
    return kind === 1 ? Math.round(x * 3) : Math.fround(x * 8);
  });
  return { ...tensor, values };
}

function whole(random: Random, count: number): number[] {
  return Array.from({ length: count }, () => 1 + random.below(131_072));
}
