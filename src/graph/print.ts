// A plan as text, one line a node: tests compare it, and people read it. Knows no op.

import { describe, type Leaf, type Node, showLive } from "./graph.ts";
import type { Plan } from "./plan.ts";

/** The plan, or only the nodes of one region, such as "layers.0". */
export function printPlan(plan: Plan, region?: string): string {
  const nodes = region === undefined ? plan.nodes : plan.nodes.filter((n) => n.region === region);
  return nodes.map((node) => printNode(node, plan)).join("\n");
}

export function printNode(node: Node, plan: Plan): string {
  const outs = node.outs.map((t) => {
    const slot = plan.slotOf.get(t.id);
    return `%${t.id} ${showLive(t)}${slot === undefined ? " unused" : ` @${slot}`}`;
  });
  const written = node.op.writes?.map((i) => describe(node.ins[i])) ?? [];
  const ins = node.ins.map((t) => ("name" in t ? (t as Leaf).name : `%${t.id}`));
  const attrs = Object.entries(node.attrs).map(([name, value]) => `${name}=${String(value)}`);
  return `${[...outs, ...written.map((w) => `writes ${w}`)].join(", ")} = ${node.op.name}(${[...ins, ...attrs].join(", ")})`;
}
