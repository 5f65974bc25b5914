// A run of a case on a backend, through the interface that the engine uses: leaves are placed and loaded, the plan is compiled,
// run and read. Knows how the CPU backend's kernels lay out the cache.

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
  const placed = leaves.filter(({ kind }) => kind !== "input");
  await place(backend, placed, run.ins, run.case.op.name);
  try {
    const program = backend.compile(plan);
    try {
      await program.run(inputsOf(run.ins), NO_LIVE_ROWS);
      return await Promise.all(node.outs.map((_, i) => program.read(i)));
    } finally {
      program.dispose();
    }
  } finally {
    backend.release(placed.map(({ name }) => name));
  }
}

/** Places the leaves in0, in1 … and fills them. Compute paths share the bytes of a weight. */
export async function place(
  backend: Backend,
  leaves: readonly Leaf[],
  ins: readonly TestTensor[],
  op: string,
): Promise<void> {
  const specs = leaves.map(({ name, kind, shape, dtype }) => ({
    ...{ name, shape, regions: [], dtype: layoutOf(dtype) },
    kind: kind as "weight" | "state",
  }));
  await backend.place(specs);
  const lies = backend.name === "reference" ? {} : (liesOf[op] ?? {});
  for (const { name } of leaves) {
    const i = Number(name.slice(2));
    const bytes = bytesOf({ ...ins[i], values: laid(ins[i].values, ins[i].shape, lies[i]) });
    await backend.load(name, async (parts) => parts.forEach((part, n) => part.set(bytes[n])));
  }
}

/** The numbers of the input leaves, by name. */
export function inputsOf(ins: readonly TestTensor[]): Record<string, InputData> {
  return Object.fromEntries(
    ins.flatMap(({ kind, dtype, values }, i) => {
      if (kind !== "input") return [];
      return [[`in${i}`, dtype === "i32" ? Int32Array.from(values) : Float32Array.from(values)]];
    }),
  );
}
