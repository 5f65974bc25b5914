// The table is whole: nobody can add an op that no case tries.

import { expect, test } from "vitest";
import { encode } from "../../src/backends/wasm/encode.ts";
import { seeded } from "../random.ts";
import { record } from "./case.ts";
import { everyOp, nodesOfTheTable } from "./every-op.ts";
import { table } from "./table.ts";

const names = everyOp.map(({ name }) => name);

test("every op of src/ops has an entry, or is emitted by the gradient of one that has", () => {
  expect(names.length).toBeGreaterThan(10);
  expect([...nodesOfTheTable().keys()].toSorted()).toEqual(names.toSorted());
  expect(new Set(table.map(({ op }) => op)).size).toBe(table.length);
});

test("every op with a gradient has it checked, and no other", () => {
  const differentiable = everyOp.filter(({ vjp }) => vjp !== undefined).map(({ name }) => name);
  const checked = table.filter(({ gradient }) => gradient?.sizes.length);
  expect(checked.map(({ op }) => op.name).toSorted()).toEqual(differentiable.toSorted());
});

test("every op that has a kernel is timed: wasm.test.ts and bench/ops.ts go by that", () => {
  const hasKernel = ({ node }: ReturnType<typeof record>): boolean => {
    try {
      return encode(node, () => 0).code > 0;
    } catch (error) {
      if (/has no kernel/.test(String(error))) return false;
      throw error;
    }
  };
  for (const c of table) {
    const [sizes] = c.sizes;
    const recorded = record({ case: c, sizes, ins: c.inputs(sizes, seeded(1)) });
    expect(hasKernel(recorded), c.op.name).toBe((c.timed ?? []).length > 0);
  }
});

test("an op gives as many outputs as it names dtypes", () => {
  for (const [name, { op, outs }] of nodesOfTheTable())
    expect(
      outs.map(({ dtype }) => dtype),
      name,
    ).toEqual(op.gives);
});
