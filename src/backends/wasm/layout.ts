// Cuts a plan into segments: consecutive nodes that compute in one shard. Finds before which nodes threads must wait for each
// other, and which tensors must be copied from one shard to another. Knows no addresses.

import { EngineError } from "../../errors.ts";
import { describe, type Leaf, type Node, type Tensor } from "../../graph/graph.ts";
import type { Plan } from "../../graph/plan.ts";

export type Segment = {
  readonly shard: number;
  readonly nodes: readonly Node[];
  /** Per node: whether all threads must have finished the nodes before it. */
  readonly barriers: readonly boolean[];
  /** Tensors that lie in another shard and are copied here before the segment runs. */
  readonly copies: readonly { readonly tensor: Tensor; readonly from: number }[];
};

export type Layout = {
  readonly segments: readonly Segment[];
  /** The shard in which each computed tensor was written. */
  readonly writtenIn: ReadonlyMap<number, number>;
  /** Per shard: the slots and the input leaves that it needs memory for. */
  readonly slots: readonly ReadonlySet<number>[];
  readonly inputs: readonly ReadonlySet<Leaf>[];
};

/**
 * @param shardsOf where a weight or state is placed
 * @param shardOfRegion where a region's leaves lie, if it has any
 */
export function layOut(
  plan: Plan,
  shardsOf: (leaf: Leaf) => readonly number[],
  shardOfRegion: (region: string) => number | undefined,
): Layout {
  const leaves = new Map([...plan.leaves.values()].map((leaf) => [leaf.id, leaf]));
  const shards = shardPerNode(plan, leaves, shardsOf, shardOfRegion);
  const writtenIn = new Map<number, number>();
  const present = new Map<number, Set<number>>();
  const slots: Set<number>[] = [];
  const inputs: Set<Leaf>[] = [];
  const segments: Segment[] = [];

  for (let begin = 0, end = 0; begin < plan.nodes.length; begin = end) {
    const shard = shards[begin];
    while (end < plan.nodes.length && shards[end] === shard) end++;
    const nodes = plan.nodes.slice(begin, end);
    const copies: { tensor: Tensor; from: number }[] = [];
    for (const { ins, outs } of nodes) {
      for (const t of [...ins, ...outs]) {
        const slot = plan.slotOf.get(t.id);
        const leaf = leaves.get(t.id);
        if (slot !== undefined) (slots[shard] ??= new Set()).add(slot);
        if (leaf?.kind === "input") (inputs[shard] ??= new Set()).add(leaf);
      }
      for (const t of ins) {
        const from = writtenIn.get(t.id);
        const at = present.get(t.id);
        if (from === undefined || at === undefined || at.has(shard)) continue;
        copies.push({ tensor: t, from });
        at.add(shard);
      }
      for (const t of outs) {
        writtenIn.set(t.id, shard);
        present.set(t.id, new Set([shard]));
      }
    }
    segments.push({ shard, nodes, barriers: barriersOf(nodes, plan, leaves), copies });
  }
  for (const t of plan.outputs) {
    const leaf = leaves.get(t.id);
    if (leaf?.kind === "input" && !inputs.some((set) => set?.has(leaf)))
      (inputs[0] ??= new Set()).add(leaf);
  }
  return { segments, writtenIn, slots, inputs };
}

/**
 * The shard in which each node computes. Its weights and states must all lie there. Of such shards, it is that of the node's
 * region, else that of the node before, else the first.
 */
function shardPerNode(
  plan: Plan,
  leaves: ReadonlyMap<number, Leaf>,
  shardsOf: (leaf: Leaf) => readonly number[],
  shardOfRegion: (region: string) => number | undefined,
): number[] {
  let current = 0;
  return plan.nodes.map((node) => {
    const placed = node.ins
      .map((t) => leaves.get(t.id))
      .filter((leaf) => leaf !== undefined && leaf.kind !== "input");
    const [first, ...rest] = placed.map((leaf) => shardsOf(leaf as Leaf));
    const allowed = first?.filter((shard) => rest.every((shards) => shards.includes(shard)));
    if (allowed?.length === 0) {
      const names = placed.map((leaf) => describe(leaf as Leaf)).join(" and ");
      throw new EngineError(
        `${node.op.name}: ${names} lie in different memories; place leaves that one op uses in one region`,
      );
    }
    const home = node.region === undefined ? undefined : shardOfRegion(node.region);
    if (home !== undefined && (allowed === undefined || allowed.includes(home))) current = home;
    else if (allowed !== undefined && !allowed.includes(current)) current = allowed[0];
    return current;
  });
}

/** A node waits if it reads what was written since the last barrier, or writes what was read or written since. */
function barriersOf(
  nodes: readonly Node[],
  plan: Plan,
  leaves: ReadonlyMap<number, Leaf>,
): boolean[] {
  const read = new Set<string>();
  const written = new Set<string>();
  // Outputs without a slot are not written.
  const keyOf = (t: Tensor): string[] => {
    const slot = plan.slotOf.get(t.id);
    if (slot !== undefined) return [`slot ${slot}`];
    return leaves.get(t.id)?.kind === "state" ? [`leaf ${t.id}`] : [];
  };
  return nodes.map(({ op, ins, outs }) => {
    const reads = ins.flatMap(keyOf);
    const writes = [...outs, ...(op.writes ?? []).map((i) => ins[i])].flatMap(keyOf);
    const wait =
      reads.some((key) => written.has(key)) ||
      writes.some((key) => read.has(key) || written.has(key));
    if (wait) {
      read.clear();
      written.clear();
    }
    for (const key of reads) read.add(key);
    for (const key of writes) written.add(key);
    return wait;
  });
}
