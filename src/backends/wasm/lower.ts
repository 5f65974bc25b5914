// Turns a plan of ops into the plan that kernels run. A product on any compute path but the exact one reads packed rows, so an op
// that packs them is put before it: once for all products that read the same rows (q, k and v; gate and up). Knows no addresses.

import { EngineError } from "../../errors.ts";
import { weightDType } from "../../formats/registry.ts";
import { type Node, type Op, rowsOf, type Tensor } from "../../graph/graph.ts";
import { f32 } from "../../ops/dtypes.ts";
import { assignSlots, type Plan } from "../../graph/plan.ts";
import { computePathOf } from "./compute-paths.ts";

export type PackAttrs = {
  /** How the rows are packed: one of the PACK numbers of kernels/header.ts. */
  readonly mode: number;
  /** The weight format's parameter: how many numbers share a scale or, for LLM.int8, the threshold of outliers. */
  readonly param: number;
  /** Size of a packed row, in words of 4 bytes. */
  readonly words: number;
  /** Bytes of scratch that the kernel needs. */
  readonly scratch: number;
};

const packRowsOp: Op<PackAttrs> = {
  name: "pack_rows",
  takes: [f32],
  gives: ["f32"], // words of packed numbers; only the product behind it reads them
  shapes: ([x], { words }) => [rowsOf(x, words)],
  run() {
    throw new EngineError("pack_rows is an op of the CPU backend's kernels only");
  },
};

/** The plan that the kernels run. Weights keep their dtype, by which the encoder chooses their kernel. */
export function lower(plan: Plan): Plan {
  const nodes: Node[] = [];
  const packed = new Map<string, Tensor>();
  for (const node of plan.nodes) {
    const path = node.op.name === "linear" ? computePathOf(node.ins[1]) : undefined;
    if (path === undefined) {
      nodes.push(node);
      continue;
    }
    const [x, w] = node.ins;
    const { param } = weightDType(w.dtype).format;
    const { mode, words, scratch } = path.pack;
    const key = `${x.id} ${mode} ${param}`;
    let rows = packed.get(key);
    if (rows === undefined) {
      const K = w.shape[1];
      const attrs = { mode, param, words: words(K), scratch: scratch(K) };
      const [{ shape, live }] = packRowsOp.shapes([x], attrs);
      rows = { graph: x.graph, id: -1 - packed.size, shape, dtype: "f32", live };
      packed.set(key, rows);
      nodes.push({ op: packRowsOp as Op, ins: [x], outs: [rows], attrs, region: node.region });
    }
    nodes.push({ ...node, ins: [rows, w] });
  }
  if (packed.size === 0) return plan;
  return { ...plan, nodes, ...assignSlots(nodes, plan.outputs) };
}
