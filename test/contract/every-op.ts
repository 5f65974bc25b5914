// All ops of src/ops/, and of each one a node that the table leads to: its own case, or the gradient of another op's case.

import { readdirSync } from "node:fs";
import { join } from "node:path";
import { grad } from "../../src/graph/grad.ts";
import type { Graph, Leaf, Node, Op } from "../../src/graph/graph.ts";
import { add } from "../../src/ops/add.ts";
import { seeded } from "../random.ts";
import { type Case, record, type Run, type Sizes } from "./case.ts";
import { table } from "./table.ts";

const folder = join(import.meta.dirname, "../../src/ops");

/** What the files of src/ops/ export under a name that ends with "Op". */
export const everyOp: readonly Op[] = (
  await Promise.all(
    readdirSync(folder).map(
      async (file) => (await import(join(folder, file))) as Record<string, unknown>,
    ),
  )
).flatMap((module) =>
  Object.entries(module)
    .filter(([name]) => name.endsWith("Op"))
    .map(([, op]) => op as Op),
);

/** An op recorded with a seed for its first output: Σ ⟨output, seed⟩ is differentiated by the leaves of `wrt`. */
export type Differentiable = {
  graph: Graph;
  output: Node["outs"][0];
  seed: Leaf;
  wrt: Leaf[];
  run: Run;
};

export function differentiable(c: Case, sizes: Sizes): Differentiable {
  const run: Run = { case: c, sizes, ins: c.inputs(sizes, seeded(c.op.name.length)) };
  const { graph, leaves, node } = record(run);
  const [output] = node.outs;
  const constant = c.gradient?.constant ?? [];
  const wrt = leaves.filter(({ dtype }, i) => dtype === "f32" && !constant.includes(i));
  return { graph, output, seed: graph.leaf("seed", "input", output.shape), wrt, run };
}

/** A node of each op, by its name: with all inputs, those too that may be left out. */
export function nodesOfTheTable(): Map<string, Node> {
  const nodes = new Map<string, Node>();
  for (const c of table) {
    for (const sizes of c.sizes) {
      const ins = c.inputs(sizes, seeded(1));
      if (ins.length < c.op.takes.length) continue;
      nodes.set(c.op.name, record({ case: c, sizes, ins }).node);
      break;
    }
    for (const sizes of c.gradient?.sizes ?? []) {
      const { graph, output, seed, wrt } = differentiable(c, sizes);
      grad([[output, seed]], wrt, add);
      for (const node of graph.nodes) if (!nodes.has(node.op.name)) nodes.set(node.op.name, node);
    }
  }
  return nodes;
}
