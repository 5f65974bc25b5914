import { describe, expect, test } from "vitest";
import type { InputData } from "../../src/backends/backend.ts";
import { ReferenceBackend } from "../../src/backends/reference/backend.ts";
import { recordStep, type StepShape } from "../../src/generate/record.ts";
import { elements } from "../../src/graph/graph.ts";
import { ropeAngles } from "../../src/models/rope.ts";
import { seeded } from "../random.ts";
import { seededWeights, stepModel, tinyConfig } from "../tiny-model.ts";

const config = tinyConfig();
const PAGES = 3;
const CAPACITY = { T: 8, N: 4 };

/** A plan of that capacity, with all outputs, on a backend of its own with seeded weights. */
async function program(T: number, N: number) {
  const shape: StepShape = {
    ...{ T, N, S: 1, P: PAGES, columns: 0, embeds: false },
    wants: { logits: true, last: true, hidden: true, losses: { kind: "cross_entropy" } },
  };
  const { plan } = recordStep(stepModel(config), shape);
  const backend = new ReferenceBackend();
  const leaves = [...plan.leaves.values()];
  await backend.place(
    leaves.flatMap(({ name, kind, shape: dims, dtype }) =>
      kind === "input"
        ? []
        : [
            {
              name,
              kind,
              dtype,
              regions: [],
              shape: kind === "state" ? [PAGES, ...dims.slice(1)] : dims,
            },
          ],
    ),
  );
  const weights = leaves.filter((leaf) => leaf.kind === "weight");
  const numbers = seededWeights(new Map(weights.map((leaf) => [leaf.name, leaf.shape])), 3);
  for (const leaf of weights) {
    await backend.load(leaf.name, async ([target]) => {
      target.set(new Uint8Array(Float32Array.from(numbers[leaf.name]).buffer));
    });
    expect(numbers[leaf.name]).toHaveLength(elements(leaf.shape));
  }
  const compiled = backend.compile(plan);
  return (rows: number, wanted: number): Promise<Float32Array[]> =>
    compiled.submit(inputs(rows, wanted), { rows, wanted }, [...plan.outputs.keys()]);
}

/** `rows` rows of one sequence from its start; the last `wanted` of them are wanted. */
function inputs(rows: number, wanted: number): Record<string, InputData> {
  const random = seeded(rows);
  const columns = Int32Array.from({ length: rows }, (_, t) => t);
  const wantedRows = columns.slice(rows - wanted);
  return {
    ...ropeAngles(config, columns),
    ids: columns.map(() => random.below(config.vocab_size)),
    ...{ seq: columns.map(() => 0), at: columns, slots: columns },
    pages: Int32Array.from(Array.from({ length: PAGES }, (_, page) => [page, 0xffff]).flat()),
    ...{ want: wantedRows, labels: wantedRows.map((row) => (row === 2 ? -100 : row)) },
  };
}

describe("a plan of capacity 8 (4 wanted), bit for bit as one of exact size", () => {
  test.each([1, 2, 3, 4, 5, 6, 7, 8])("%i live rows", async (rows) => {
    const wide = await program(CAPACITY.T, CAPACITY.N);
    await wide(8, 4); // the rows of an earlier replay must not shine through
    for (const wanted of [1, 2, 3, 4].filter((n) => n <= rows)) {
      const exact = await program(rows, wanted);
      const expected = await exact(rows, wanted);
      expect(expected[0]).toHaveLength(wanted * config.vocab_size);
      expect(expected[0].every(Number.isFinite)).toBe(true);
      expect(await wide(rows, wanted)).toEqual(expected);
    }
  });
});
