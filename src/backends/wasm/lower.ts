// From a plan of ops to the ops that kernels run: products on a compute path of their own read rows that were packed for it, so an
// op that packs is put before them, once for all products of the same rows (q, k and v; gate and up). Knows no addresses.

import { EngineError } from "../../errors.ts";
import { fourBitSettings } from "../../formats/four-bit.ts";
import { weightDType } from "../../formats/registry.ts";
import { type DType, type Node, type Op, rowsOf, type Tensor } from "../../graph/graph.ts";
import { assignSlots, type Plan } from "../../graph/plan.ts";
import {
  PACK_FIXED16,
  PACK_INT8,
  PACK_INT8_HALVES,
  PACK_LLM_INT8,
  PACK_LLM_INT8_CALL,
} from "./kernels/header.ts";

export type PackAttrs = {
  /** Which packing: a number of kernels/header.ts. */
  readonly mode: number;
  /** The weight format's parameter: numbers that share a scale, or the threshold of outliers. */
  readonly param: number;
  /** 4-byte words that a packed row takes. */
  readonly words: number;
};

type Road = { readonly mode: number; words(columns: number): number };

/** 64 bytes, a code of 16 bits for each column, and room for each column to be an outlier. */
const llmInt8Words = (K: number): number => 16 + 8 * Math.ceil(K / 16) + 2 * K;

const roads: Readonly<Record<string, Road>> = {
  int8: { mode: PACK_INT8, words: (K) => 10 * Math.ceil(K / 32) },
  fixed16: { mode: PACK_FIXED16, words: (K) => 33 * Math.ceil(K / 64) },
  row: { mode: PACK_LLM_INT8, words: llmInt8Words },
  call: { mode: PACK_LLM_INT8_CALL, words: llmInt8Words },
};

/** Compute path int8 of nf4 and fp4, whose codes lie row by row. */
const halves: Road = { mode: PACK_INT8_HALVES, words: (K) => 28 * Math.ceil(K / 64) };

const packRowsOp: Op<PackAttrs> = {
  name: "pack_rows",
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
    const road = node.op.name === "linear" ? roadOf(node.ins[1].dtype) : undefined;
    if (road === undefined) {
      nodes.push(node);
      continue;
    }
    const [x, w] = node.ins;
    const { param } = weightDType(w.dtype).format;
    const key = `${x.id} ${road.mode} ${param}`;
    let rows = packed.get(key);
    if (rows === undefined) {
      const attrs = { mode: road.mode, param, words: road.words(w.shape[1]) };
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

function roadOf(dtype: DType): Road | undefined {
  const { format, road } = weightDType(dtype);
  if (road === "") return undefined;
  const isFourBit = road === "int8" && fourBitSettings(format.name) !== undefined;
  const found = isFourBit ? halves : roads[road];
  if (found === undefined) throw new EngineError(`${dtype}: the CPU backend has no road ${road}`);
  return found;
}
