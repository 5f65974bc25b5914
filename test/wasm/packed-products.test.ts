// Products with packed weights as programs: rows are packed once for those that share them, and neither threads nor the number of
// rows in a step change a bit.

import { expect, test } from "vitest";
import { weightDType } from "../../src/formats/registry.ts";
import { Graph, layoutOf } from "../../src/graph/graph.ts";
import { add } from "../../src/ops/add.ts";
import { linear } from "../../src/ops/linear.ts";
import { seeded } from "../random.ts";
import { planned, startTeam } from "./team.ts";

const [T, K, O] = [140, 128, 192];
const shapes = { gate: [O, K], up: [O, K], down: [K, O] } as const;

/** gate · x + up · x, two products of the same rows; and gate · down of that sum, which packs rows that were computed. */
function network(dtype: string): ReturnType<typeof planned> {
  const graph = new Graph();
  const x = graph.leaf("x", "input", [T, K], "f32", "rows");
  const weight = (name: keyof typeof shapes) => graph.leaf(name, "weight", shapes[name], dtype);
  const gate = weight("gate");
  const sum = add(linear(x, gate), linear(x, weight("up")));
  const { plan, leaves } = planned(graph, [sum, linear(linear(sum, weight("down")), gate)]);
  // Compute paths share the bytes of a weight.
  return { plan, leaves: leaves.map((leaf) => ({ ...leaf, dtype: layoutOf(leaf.dtype) })) };
}

/** Both outputs for the live rows of each step. */
async function outputs(
  dtype: string,
  threads: number,
  steps: readonly number[],
): Promise<Float32Array[]> {
  const { plan, leaves } = network(dtype);
  const { format } = weightDType(dtype);
  const team = await startTeam({ threads }, leaves);
  try {
    for (const [i, { name, shape }] of leaves.entries()) {
      const [rows, columns] = shape;
      const values = Float32Array.from(seeded(i + 1).numbers(rows * columns));
      await team.backend.load(name, async (parts) => {
        const packer = format.packer?.(parts, { rows, columns });
        packer?.rows(values, 0, rows);
        packer?.finish();
      });
    }
    const program = team.backend.compile(plan);
    const results: Float32Array[] = [];
    for (const rows of steps) {
      const x = Float32Array.from(seeded(9).numbers(rows * K), (v) => 8 * v ** 3);
      const live = { rows, wanted: 0 };
      results.push(...(await program.submit({ x }, live, [...plan.outputs.keys()])));
    }
    return results;
  } finally {
    await team.close();
  }
}

const dtypes = [
  "nf4-64",
  "nf4-64:fixed16",
  "fp4-64-dq:fixed16",
  "nf4-64:int8",
  "int8-6:row",
  "q4:int8",
  "q8:int8",
];

test.for(dtypes)("%s: the same bits for any threads and any number of rows", async (dtype) => {
  const steps = [T, 1, 2, 17, 70];
  const alone = await outputs(dtype, 1, steps);
  expect(await outputs(dtype, 3, steps)).toEqual(alone);
  const [sums, last] = alone;
  for (let step = 1; step < steps.length; step++) {
    expect(alone[2 * step], `${steps[step]} rows`).toEqual(sums.slice(0, steps[step] * O));
    expect(alone[2 * step + 1], `${steps[step]} rows`).toEqual(last.slice(0, steps[step] * O));
  }
  expect(last.every((v) => Number.isFinite(v) && v !== 0)).toBe(true);
});

test("int8-6:call: the same bits for any threads; outliers of other rows change a row", async () => {
  const alone = await outputs("int8-6:call", 1, [T, 1]);
  expect(await outputs("int8-6:call", 3, [T, 1])).toEqual(alone);
  expect(alone[2]).not.toEqual(alone[0].slice(0, O));
  expect(alone[2]).toEqual((await outputs("int8-6:row", 1, [1]))[0]);
});
