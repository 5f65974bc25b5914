// Gated linear unit (Shazeer 2020, arXiv:2002.05202): SwiGLU when the activation is SiLU, as in Mistral.

import { InputError } from "../errors.ts";
import { unknownName } from "../did-you-mean.ts";
import { type Op, rowsOf, type Tensor } from "../graph/graph.ts";
import { f32 } from "./dtypes.ts";
import { erf } from "./erf.ts";
import { expectSame, once } from "./shapes.ts";

export type Activation = "silu" | "gelu" | "gelu_tanh" | "relu";

/** y [T, F] = act(gate [T, F]) ∘ up [T, F] */
export const glu = (gate: Tensor, up: Tensor, act: Activation): Tensor =>
  gate.graph.emit(gluOp, [gate, up], { act })[0];

/** Each activation with its derivative. */
type Curve = (x: number) => number;
const activations: Record<Activation, { f: Curve; slope: Curve }> = {
  silu: {
    f: (x) => x / (1 + Math.exp(-x)),
    slope: (x) => (1 + x * (1 - 1 / (1 + Math.exp(-x)))) / (1 + Math.exp(-x)),
  },
  gelu: {
    f: (x) => 0.5 * x * (1 + erf(x / Math.SQRT2)),
    slope: (x) =>
      0.5 * (1 + erf(x / Math.SQRT2)) + (x * Math.exp(-x * x * 0.5)) / Math.sqrt(2 * Math.PI),
  },
  gelu_tanh: {
    f: (x) => 0.5 * x * (1 + Math.tanh(inner(x))),
    slope: (x) => {
      const t = Math.tanh(inner(x));
      return (
        0.5 * (1 + t) + 0.5 * x * (1 - t * t) * Math.sqrt(2 / Math.PI) * (1 + 3 * 0.044715 * x * x)
      );
    },
  },
  relu: { f: (x) => Math.max(x, 0), slope: (x) => (x > 0 ? 1 : 0) },
};
const inner = (x: number): number => Math.sqrt(2 / Math.PI) * (x + 0.044715 * x ** 3);

export const gluOp: Op<{ act: Activation }> = {
  name: "glu",
  takes: [f32, f32],
  gives: ["f32"],

  shapes([gate, up], { act }) {
    expectSame("glu", gate, up);
    if (!(act in activations))
      throw new InputError(`glu: ${unknownName("activation", act, Object.keys(activations))}`);
    return [rowsOf(gate, gate.shape[1])];
  },

  run([y], [gate, up], _shapes, { act }) {
    const { f } = activations[act];
    for (let i = 0; i < y.length; i++) y[i] = f(gate[i]) * up[i];
  },

  vjp: ([dy], [gate, up], _outs, { act }) => {
    if (dy === undefined) return [];
    const both = once(() => dy.graph.emit(gluGradOp, [dy, gate, up], { act }));
    return [() => both()[0], () => both()[1]];
  },
};

/** dGate = dy ∘ up ∘ act′(gate) · dUp = dy ∘ act(gate) */
export const gluGradOp: Op<{ act: Activation }> = {
  name: "glu_grad",
  takes: [f32, f32, f32],
  gives: ["f32", "f32"],

  shapes: ([dy]) => [rowsOf(dy, dy.shape[1]), rowsOf(dy, dy.shape[1])],

  run([dGate, dUp], [dy, gate, up], _shapes, { act }) {
    const { f, slope } = activations[act];
    for (let i = 0; i < dy.length; i++) {
      dGate[i] = dy[i] * up[i] * slope(gate[i]);
      dUp[i] = dy[i] * f(gate[i]);
    }
  },
};
