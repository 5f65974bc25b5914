// The case of glu: each activation, and what it is in a second way.

import type { Op } from "../../src/graph/graph.ts";
import { type Activation, gluOp } from "../../src/ops/glu.ts";
import { normal } from "../ops/normal.ts";
import { type Case, grid, u } from "./case.ts";
import { given, numbers, scaled } from "./tensors.ts";

const activations: readonly Activation[] = ["silu", "gelu", "gelu_tanh", "relu"];

const curves: Record<Activation, (x: number) => number> = {
  silu: (x) => x / (1 + Math.exp(-x)),
  relu: (x) => (x > 0 ? x : 0),
  gelu: (x) => x * normal(x),
  gelu_tanh: (x) => x / (1 + Math.exp(-2 * Math.sqrt(2 / Math.PI) * (x + 0.044715 * x ** 3))),
};
const [gates, ups] = [
  [-2, -0.5, 0, 1, 3],
  [1, 2, 3, 4, -5],
];

export const gluCase: Case = {
  op: gluOp as Op,
  sizes: grid({ T: [1, 3], F: [1, 7, 8, 9, 700], act: [0, 1, 2, 3], spread: [1, 30] }),
  inputs: ({ T, F, spread }, random) => [
    scaled(numbers(random, T, F), spread),
    numbers(random, T, F),
  ],
  attrs: ({ act }) => ({ act: activations[act] }),
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
  examples: activations.map((name, act) => ({
    sizes: { T: 1, F: 5, act },
    ins: [given([1, 5], gates), given([1, 5], ups)],
    outs: [gates.map((x, i) => curves[name](x) * ups[i])],
  })),
  gradient: { sizes: grid({ T: [3], F: [5], act: [0, 1, 2, 3], spread: [1] }) },
  timed: grid({ T: [1, 512], F: [14336], act: [0], spread: [1] }),
};
