// Reverse-mode differentiation of the recorded graph: emits each node's vector-Jacobian product (`vjp`), last node first, only on paths
// to the tensors whose gradients are wanted. It goes into the node's region, so that a layer's gradient is placed with the layer.
// Knows no op; how two gradients are added is passed in.

import { InputError } from "../errors.ts";
import { describe, type Tensor } from "./graph.ts";

/**
 * Emits the gradients of Σ ⟨output, seed⟩ with respect to `wrt`.
 *
 * @param seeds pairs of an output and its seed, the gradient of the loss with respect to that output (same shape)
 * @param add   emits the sum of two tensors: a tensor that is used twice has two gradients to add
 * @returns for each tensor of `wrt` its gradient, or undefined if no output depends on it
 * @throws InputError a path goes through an op without a gradient
 */
export function grad(
  seeds: readonly (readonly [output: Tensor, seed: Tensor])[],
  wrt: readonly Tensor[],
  add: (a: Tensor, b: Tensor) => Tensor,
): (Tensor | undefined)[] {
  const { graph } = seeds[0][0];
  const nodes = graph.nodes.slice(); // without the nodes that are emitted below
  const towards = new Set(wrt.map((t) => t.id));
  for (const node of nodes) {
    if (!node.ins.some((t) => towards.has(t.id))) continue;
    const written = node.op.writes?.map((i) => node.ins[i]) ?? [];
    for (const t of [...node.outs, ...written]) towards.add(t.id);
  }

  const gradients = new Map<number, Tensor>();
  const accumulate = (t: Tensor, d: Tensor): void => {
    const known = gradients.get(t.id);
    gradients.set(t.id, known === undefined ? d : add(known, d));
  };
  for (const [output, seed] of seeds) accumulate(output, seed);

  for (const node of nodes.toReversed()) {
    const dys = node.outs.map((t) => gradients.get(t.id));
    if (dys.every((dy) => dy === undefined) || !node.ins.some((t) => towards.has(t.id))) continue;
    const { op, ins, outs, attrs, region } = node;
    if (op.vjp === undefined) {
      throw new InputError(
        `grad: ${op.name} has no gradient, but lies between an output and ${ins.map(describe).join(", ")}`,
      );
    }
    const thunks = op.vjp(dys, ins, outs, attrs);
    graph.region(region, () => {
      for (const [i, t] of ins.entries()) {
        const thunk = thunks[i];
        if (thunk !== undefined && towards.has(t.id)) accumulate(t, thunk());
      }
    });
  }
  return wrt.map((t) => gradients.get(t.id));
}
