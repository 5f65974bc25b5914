// From a plan of ops to the ops that kernels run: products on a compute path of their own read rows that were packed for it, so an op
// that packs is put before them, once for all products of the same rows (q, k and v; gate and up). Knows no addresses.

import { EngineError } from "../../errors.ts";
import { weightDType } from "../../formats/registry.ts";
import { type Node, type Op, rowsOf, type Tensor } from "../../graph/graph.ts";
import { f32 } from "../../ops/dtypes.ts";
import { assignSlots, type Plan } from "../../graph/plan.ts";
import { computePathOf } from "./compute-paths.ts";

export type PackAttrs = {
  /** Which packing: a number of kernels/header.ts. */
  readonly mode: number;
  /** The weight format's parameter: numbers that share a scale, or the threshold of outliers. */
  readonly param: number;
  /** 4-byte words that a packed row takes. */
  readonly words: number;
  /** Bytes of scratch of the kernel. */
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

/** The plan that the kernels run. Weights keep their dtype, from which their kernel follows. */
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
