import fc from "fast-check";
import { expect, test } from "vitest";
import { ReferenceBackend } from "../../src/backends/reference/backend.ts";
import { Runner } from "../../src/generate/runner.ts";
import { PAGE } from "../../src/ops/kv-append.ts";
import { evaluator } from "./evaluate.ts";
import { packedInputs, recordPacked, seededWeights, stepModel, tinyConfig } from "../tiny-model.ts";
import { seeded } from "../random.ts";

const config = tinyConfig({ sliding_window: 5 });
const random = seeded(29);
const SEQUENCES = [23, 18].map((length) =>
  Array.from({ length }, () => random.below(config.vocab_size)),
);
const BLOCKS = 2;

async function runner(weights: Record<string, Float64Array>): Promise<Runner> {
  const backend = new ReferenceBackend();
  const made = new Runner(stepModel(config), backend);
  const leaves = made.weightLeaves({ logits: true });
  await backend.place(leaves);
  for (const { name } of leaves) {
    await backend.load(name, async ([target]) => {
      target.set(new Uint8Array(Float32Array.from(weights[name]).buffer));
    });
  }
  await made.growPool(BLOCKS * SEQUENCES.length);
  return made;
}

/** Logits of rows [seq, at], run in steps of the given sizes, all rows wanted. */
async function inSteps(
  made: Runner,
  rows: [number, number][],
  cuts: number[],
): Promise<number[][]> {
  const logits: number[][] = [];
  for (let from = 0, n = 0; from < rows.length; n++) {
    const step = rows.slice(from, (from += cuts[n % cuts.length]));
    const [seq, at] = [0, 1].map((side) => Int32Array.from(step, (row) => row[side]));
    const pages = SEQUENCES.flatMap((_, s) =>
      Array.from({ length: BLOCKS }, (_x, block) => [s + SEQUENCES.length * block, 0xffff]),
    );
    const result = await made.step(
      {
        ...{ seq, at, positions: at, tables: { S: SEQUENCES.length, P: BLOCKS } },
        ids: Int32Array.from(step, ([s, column]) => SEQUENCES[s][column]),
        slots: Int32Array.from(step, ([s, column]) => {
          const block = Math.floor(column / PAGE);
          return (s + SEQUENCES.length * block) * PAGE + (column % PAGE);
        }),
        pages: Int32Array.from(pages.flat()),
        want: Int32Array.from(step, (_, t) => t),
      },
      { logits: true },
    );
    const V = config.vocab_size;
    for (let t = 0; t < step.length; t++) {
      logits.push([...(result.logits ?? [])].slice(t * V, (t + 1) * V));
    }
  }
  return logits;
}

test("packed without a cache, whole over pages, and in any chunks: one answer", async () => {
  const T = SEQUENCES.flat().length;
  const packed = recordPacked(config, T);
  const drawn = seededWeights(packed.weights, 7);
  // f32, as a checkpoint has them: both compute paths then start from the same numbers.
  const weights = Object.fromEntries(
    Object.entries(drawn).map(([name, w]) => [name, Float64Array.from(Float32Array.from(w))]),
  );
  const inputs = { ...packedInputs(config, SEQUENCES), ...weights };
  const [expected] = evaluator(packed.graph, [packed.logits])(inputs, { rows: T, wanted: T });

  const made = await runner(weights);
  const rows = SEQUENCES.flatMap((ids, s) => ids.map((_, at): [number, number] => [s, at]));
  const whole = await inSteps(made, rows, [T]);
  // Read as f32: half a unit in the last place, of the largest logit.
  const largest = Math.max(...expected.map(Math.abs));
  whole.flat().forEach((logit, i) => {
    expect(Math.abs(logit - expected[i])).toBeLessThan(largest * 2 ** -23);
  });

  await fc.assert(
    fc.asyncProperty(fc.array(fc.integer({ min: 1, max: 9 }), { minLength: 1 }), async (cuts) => {
      // Both sequences advance together, so that chunks mix them.
      const order = [...rows.keys()].toSorted((a, b) => rows[a][1] - rows[b][1]);
      const chunked = await inSteps(
        made,
        order.map((row) => rows[row]),
        cuts,
      );
      order.forEach((row, i) => expect(chunked[i]).toEqual(whole[row]));
    }),
    { numRuns: 15 },
  );
  made.dispose();
});
