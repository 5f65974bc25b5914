// A second executor, for tests: runs a plan with the ops' own loops in float64, inside the slots that the plan assigned.
// Slots are poisoned before every node's outputs are written, so a plan whose liveness is wrong gives NaN, not a lucky result.

import { elements, type Graph, liveShape, type LiveCounts } from "../../src/graph/graph.ts";
import type { Leaf, Tensor } from "../../src/graph/graph.ts";
import { makePlan, type Plan } from "../../src/graph/plan.ts";

/** Numbers of each leaf by name, row-major. A state given as a Float64Array is changed in place. */
export type LeafNumbers = Readonly<Record<string, ArrayLike<number>>>;

export type Evaluator = (leaves: LeafNumbers, live?: Partial<LiveCounts>) => Float64Array[];

/**
 * The plan of `outputs`, ready to be run on numbers; gives each output's live part.
 * @param change spoils the plan, to show that a wrong one is noticed
 */
export function evaluator(
  graph: Graph,
  outputs: readonly Tensor[],
  change: (plan: Plan) => Plan = (plan) => plan,
): Evaluator {
  const plan = change(makePlan(graph, outputs));
  return (leaves, live = {}) => {
    const counts = { rows: live.rows ?? 0, wanted: live.wanted ?? 0 };
    const slots = plan.slots.map((slot) => new Float64Array(slot.elements).fill(NaN));
    const values = new Map<number, Float64Array>();
    for (const leaf of plan.leaves.values()) values.set(leaf.id, numbersOf(leaf, leaves, counts));

    const place = (t: Tensor): Float64Array => {
      const size = elements(liveShape(t, counts));
      const slot = plan.slotOf.get(t.id);
      const value = slot === undefined ? new Float64Array(size) : slots[slot].subarray(0, size);
      if (slot !== undefined) slots[slot].fill(NaN);
      values.set(t.id, value);
      return value;
    };
    for (const { op, ins, outs, attrs } of plan.nodes) {
      const given = ins.map((t) => known(values, t));
      const shapes = ins.map((t) => liveShape(t, counts));
      op.run(outs.map(place), given, shapes, attrs);
    }
    return outputs.map((t) => Float64Array.from(known(values, t)));
  };
}

function numbersOf(leaf: Leaf, leaves: LeafNumbers, counts: LiveCounts): Float64Array {
  const size = elements(liveShape(leaf, counts));
  const numbers = leaves[leaf.name];
  if (numbers?.length !== size) {
    throw new Error(`leaf ${leaf.name}: ${numbers?.length} numbers came, ${size} are needed`);
  }
  return numbers instanceof Float64Array ? numbers : Float64Array.from(numbers);
}

function known(values: ReadonlyMap<number, Float64Array>, t: Tensor): Float64Array {
  const value = values.get(t.id);
  if (value === undefined) throw new Error(`tensor ${t.id} is read before it is computed`);
  return value;
}
