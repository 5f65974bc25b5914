// From a graph to a plan: the nodes that are needed, and a slot of memory for each computed tensor. Tensors that are not alive at the
// same time share a slot. A backend turns slots into memory: offsets in an arena, or buffers. Knows no backend.

import { elements, type Graph, type Leaf, type Node, type Tensor } from "./graph.ts";

/** A piece of memory that several tensors use one after the other. An element has 4 bytes. */
export type Slot = { elements: number };

export type Plan = {
  readonly nodes: readonly Node[];
  readonly outputs: readonly Tensor[];
  /** The leaves that the nodes use, by name. */
  readonly leaves: ReadonlyMap<string, Leaf>;
  readonly slots: readonly Slot[];
  /** Tensor id → its slot. A computed tensor without a slot is read by nobody, so a kernel need not write it. */
  readonly slotOf: ReadonlyMap<number, number>;
};

/**
 * A slot may be written again this many nodes after its last reader. So threads may run three neighbours that do not depend on each other
 * (q, k and v; gate and up) without waiting in between: none of them writes into a slot from which another still reads.
 */
const REST = 3;

/** The plan of the nodes that `outputs` and written states need. The slot of an output is not used again. */
export function makePlan(graph: Graph, outputs: readonly Tensor[]): Plan {
  const nodes = neededNodes(graph, outputs);
  const used = new Set([...nodes.flatMap((n) => n.ins), ...outputs].map((t) => t.id));
  const leaves = new Map([...graph.leaves].filter(([, leaf]) => used.has(leaf.id)));
  return { nodes, outputs, leaves, ...assignSlots(nodes, outputs) };
}

/** Gives a slot to every tensor that is read when the nodes run in that order. */
export function assignSlots(
  nodes: readonly Node[],
  outputs: readonly Tensor[],
): Pick<Plan, "slots" | "slotOf"> {
  const lastUse = new Map<number, number>();
  nodes.forEach((node, i) => node.ins.forEach((t) => lastUse.set(t.id, i)));
  for (const t of outputs) lastUse.set(t.id, nodes.length);

  const slots: Slot[] = [];
  const slotOf = new Map<number, number>();
  const free: number[] = [];
  const resting: { slot: number; until: number }[] = [];
  nodes.forEach((node, i) => {
    while (resting.length > 0 && resting[0].until <= i) free.push(resting.splice(0, 1)[0].slot);
    for (const out of node.outs) {
      if (lastUse.has(out.id)) slotOf.set(out.id, takeSlot(slots, free, elements(out.shape)));
    }
    for (const id of new Set(node.ins.map((t) => t.id))) {
      const slot = slotOf.get(id);
      if (slot !== undefined && lastUse.get(id) === i) resting.push({ slot, until: i + REST });
    }
  });
  return { slots, slotOf };
}

function neededNodes(graph: Graph, outputs: readonly Tensor[]): Node[] {
  const needed = new Set(outputs.map((t) => t.id));
  const nodes: Node[] = [];
  for (const node of graph.nodes.toReversed()) {
    if (!node.op.writes?.length && !node.outs.some((t) => needed.has(t.id))) continue;
    for (const t of node.ins) needed.add(t.id);
    nodes.push(node);
  }
  return nodes.toReversed();
}

/** The smallest free slot that is large enough; else the largest free one, grown; else a new one. */
function takeSlot(slots: Slot[], free: number[], size: number): number {
  free.sort((a, b) => slots[a].elements - slots[b].elements);
  const fit = free.findIndex((slot) => slots[slot].elements >= size);
  const at = fit >= 0 ? fit : free.length - 1;
  if (at < 0) return slots.push({ elements: size }) - 1;
  const [slot] = free.splice(at, 1);
  slots[slot].elements = Math.max(slots[slot].elements, size);
  return slot;
}
