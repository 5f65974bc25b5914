// The table is whole: nobody can add an op that no case tries.

import { expect, test } from "vitest";
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

test("an op gives as many outputs as it names dtypes", () => {
  for (const [name, { op, outs }] of nodesOfTheTable())
    expect(
      outs.map(({ dtype }) => dtype),
      name,
    ).toEqual(op.gives);
});
