// The table's cases on every backend, as plans: what an op gives lies within the bound of its own loops. What ops write into states
// is looked at in wasm.test.ts, and by attention over it in test/graph/.

import { expect, test } from "vitest";
import type { Backend } from "../../src/backends/backend.ts";
import { ReferenceBackend } from "../../src/backends/reference/backend.ts";
import { WasmBackend } from "../../src/backends/wasm/backend.ts";
import { seeded } from "../random.ts";
import { exampleRuns, expected, type Run, worst } from "./case.ts";
import { runOn } from "./on-backend.ts";
import { table } from "./table.ts";
import { variants } from "./tensors.ts";

const backends: readonly { name: string; backend: Backend; without: readonly string[] }[] = [
  { name: "reference", backend: new ReferenceBackend(), without: [] },
  {
    name: "cpu",
    backend: await WasmBackend.create({ threads: 1 }),
    without: ["attention"], // training's, as are the ops of gradients
  },
];

const cases = backends.flatMap((side) =>
  table
    .filter(({ op }) => op.gives.length > 0)
    .map((c) => ({ ...side, op: c.op.name, c, known: !side.without.includes(c.op.name) })),
);

test.each(cases.filter(({ known }) => known))("$name: $op", async ({ backend, c }) => {
  const runs = c.sizes.flatMap((sizes) =>
    variants(c.inputs(sizes, seeded(11))).map((ins): Run => ({ case: c, sizes, ins })),
  );
  for (const run of [...runs, ...exampleRuns(c)]) {
    const { results, bound } = expected(run);
    const { ratio, at } = worst(await runOn(backend, run), results, bound);
    const dtypes = run.ins.map(({ dtype }) => dtype).join(" ");
    expect(ratio, `${JSON.stringify(run.sizes)} ${dtypes}: ${at}`).toBeLessThanOrEqual(1);
  }
});

test.each(cases.filter(({ known }) => !known))("$name refuses $op", async ({ backend, c }) => {
  const [sizes] = c.sizes;
  const run: Run = { case: c, sizes, ins: c.inputs(sizes, seeded(11)) };
  await expect(runOn(backend, run)).rejects.toThrow(/has no kernel/);
});
