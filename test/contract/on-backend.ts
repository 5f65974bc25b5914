// A run of a case on a backend, through the interface that the engine uses: leaves are placed and loaded, the plan is compiled
// and submitted. Knows how the CPU backend's kernels lay out the cache.

import type { Backend, InputData } from "../../src/backends/backend.ts";
import { layoutOf, type Leaf } from "../../src/graph/graph.ts";
import { makePlan } from "../../src/graph/plan.ts";
import { laid, liesOf } from "./cache-layout.ts";
import { record, type Run } from "./case.ts";
import { bytesOf, type TestTensor } from "./tensors.ts";

const NO_LIVE_ROWS = { rows: 0, wanted: 0 }; // a case's tensors have no live part

/** What the outputs are. States that the op writes are not read back. */
export async function runOn(backend: Backend, run: Run): Promise<Float32Array[]> {
  const { graph, leaves, node } = record(run);
  const plan = makePlan(graph, node.outs);
  const placed = await place(backend, leaves, run);
  try {
    const program = await backend.compile(plan);
    try {
      return await program.submit(inputsOf(run.ins), NO_LIVE_ROWS, [...node.outs.keys()]);
    } finally {
      program.dispose();
    }
  } finally {
    backend.release(placed);
  }
}

/** Places the weights and states of a run and fills them; gives their names. Compute paths share the bytes of a weight. */
export async function place(
  backend: Backend,
  leaves: readonly Leaf[],
  { case: { op }, ins }: Run,
): Promise<string[]> {
  const lies = backend.name === "reference" ? {} : (liesOf[op.name] ?? {});
  const names: string[] = [];
  for (const [i, { name, kind, shape, dtype }] of leaves.entries()) {
    if (kind === "input") continue;
    await backend.place([{ name, kind, shape, dtype: layoutOf(dtype), regions: [] }]);
    const bytes = bytesOf({ ...ins[i], values: laid(ins[i].values, shape, lies[i]) });
    await backend.load(name, async (parts) => parts.forEach((part, n) => part.set(bytes[n])));
    names.push(name);
  }
  return names;
}

/** The numbers of the input leaves, by name. */
export function inputsOf(ins: readonly TestTensor[]): Record<string, InputData> {
  return Object.fromEntries(
    ins.flatMap(({ kind, dtype, values }, i) => {
      if (kind !== "input") return [];
      return [[`in${i}`, dtype === "i32" ? new Int32Array(values) : new Float32Array(values)]];
    }),
  );
}
