// Times each op of the contract table by itself, at the sizes that the table names for it: those of Mistral-7B. Needs no model.

import type { Backend } from "../src/backends/backend.ts";
import { type DType, elements, Graph, type Node } from "../src/graph/graph.ts";
import { makePlan } from "../src/graph/plan.ts";
import { type Case, record, type Run, type Sizes } from "../test/contract/case.ts";
import { inputsOf, place } from "../test/contract/on-backend.ts";
import { table } from "../test/contract/table.ts";
import { packedWeight, type TestTensor } from "../test/contract/tensors.ts";
import { seeded } from "../test/random.ts";
import { type OpTime, timeOp } from "./single-op.ts";

/** Weights and states are placed so often that they come from memory and not from a cache, but not oftener than this. */
const FROM_MEMORY = 2 ** 24;
const MOST_COPIES = 8;

export type CaseTime = OpTime & { readonly sizes: Sizes };

/** @param dtype of weights, where an op takes it; else they stay f32 */
export async function* timeCases(backend: Backend, dtype: DType): AsyncGenerator<CaseTime> {
  for (const c of table)
    for (const sizes of c.timed ?? [])
      yield { ...(await timeCase(backend, c, sizes, dtype)), sizes };
}

async function timeCase(backend: Backend, c: Case, sizes: Sizes, dtype: DType): Promise<OpTime> {
  const random = seeded(1);
  const keep = (t: TestTensor, i: number): TestTensor =>
    t.kind === "weight" && dtype !== "f32" && c.op.takes[i].has(dtype)
      ? packedWeight(t, dtype, random)
      : t;
  const run: Run = { case: c, sizes, ins: c.inputs(sizes, random).map(keep) };
  const placed = run.ins.filter(({ kind }) => kind !== "input");
  const numbers = placed.reduce((sum, { shape }) => sum + elements(shape), 1);
  const copies = Math.min(MOST_COPIES, Math.ceil(FROM_MEMORY / numbers));

  const graph = new Graph();
  const nodes: Node[] = [];
  const names: string[] = [];
  for (let copy = 0; copy < copies; copy++) {
    const { leaves, node } = record(run, graph, ` ${copy}`);
    nodes.push(node);
    names.push(...(await place(backend, leaves, run)));
  }
  const outputs = nodes.flatMap(({ outs }) => outs);
  const live = { rows: 0, wanted: 0 };
  const time = await timeOp(backend, makePlan(graph, outputs), nodes, inputsOf(run.ins), live);
  backend.release(names);
  return time;
}
