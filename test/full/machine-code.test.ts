// Ten thousand short runs of a small model whose products machine code computes, with aborts, traps and threads that are ended at random
// moments: each run gives the bits that WebAssembly gives, or the error of what happened to it. A crash would end this process.

import { afterAll, beforeAll, expect, test } from "vitest";
import { NATIVE_INT8 } from "../../src/backends/wasm/kernels/header.ts";
import { EngineError } from "../../src/index.ts";
import { seeded } from "../random.ts";
import { type SpiedModel, spiedModel } from "../engine/spied-model.ts";
import { temporaryFolder, writeModel } from "../engine/written-model.ts";
import { forceMachineCode } from "../native/forced.ts";
import { onlyWith } from "../native/has.ts";

const RUNS = 10_000;
/** Runs of one engine: an engine gives up on helpers that die too often in a row. */
const OF_ENGINE = 250;
const HELPER_KILLS = 5;
/** Rows of a run: few, which read weights as they lie, and many, which share panels. */
const LENGTHS = [1, 2, 5, 13, 40, 90];
const how = {
  quantisation: { linear: "q4r", head: "q6r", skip: [] },
  compute: "int8",
} as const;
const HIDDEN = 160;

const folder = temporaryFolder();
const random = seeded(23);
const prompt = Int32Array.from({ length: 90 }, (_, i) => (i * 29) % 64);
const chance = (probability: number): boolean => random.uniform(0, 1) < probability;
const load = (native: boolean): Promise<SpiedModel> =>
  spiedModel(folder.dir, { threads: 3, native, how });

beforeAll(async () => {
  await writeModel(folder.dir, {
    ...{ hidden_size: HIDDEN, intermediate_size: 296, num_hidden_layers: 2 },
  });
});
afterAll(() => folder.remove());

async function logitsOf(
  { model }: SpiedModel,
  rows: number,
  signal?: AbortSignal,
): Promise<Float32Array> {
  const { logits } = await model({ input_ids: prompt.subarray(0, rows), use_cache: false, signal });
  return logits.data as Float32Array;
}

/** A run with a token far beyond the table: its kernel traps. */
async function trap({ engine }: SpiedModel): Promise<void> {
  const request = {
    ...{ B: 1, S: 1, ids: Int32Array.of(2 ** 31 / (HIDDEN * 4)), keepCache: false },
    keep: Int32Array.of(0),
    wants: { logits: true, last: false, hidden: false, attentions: false },
  };
  const error = await engine.call("forward", request).catch((e: unknown) => e);
  expect(error).toBeInstanceOf(EngineError);
}

test(
  `${RUNS} runs`,
  { timeout: 1_800_000 },
  onlyWith("avx512Vnni", async () => {
    const without = await load(false);
    const expected = new Map<number, Float32Array>();
    for (const rows of LENGTHS) expected.set(rows, await logitsOf(without, rows));
    await without.model.dispose();
    await forceMachineCode(NATIVE_INT8);

    const happened = { right: 0, aborted: 0, failed: 0, traps: 0, helpers: 0, workers: 0 };
    const stop = new Error("stop");
    const run = async (spied: SpiedModel): Promise<void> => {
      const rows = LENGTHS[Math.floor(random.uniform(0, LENGTHS.length))];
      const abort = new AbortController();
      if (chance(0.3)) setTimeout(() => abort.abort(stop), random.uniform(0, 6));
      try {
        const logits = await logitsOf(spied, rows, abort.signal);
        const [got, right] = [logits, expected.get(rows)].map((x) =>
          Buffer.from(x?.buffer as ArrayBuffer),
        );
        expect(got.equals(right)).toBe(true);
        happened.right++;
      } catch (error) {
        if (error === stop) happened.aborted++;
        else {
          expect(error).toBeInstanceOf(EngineError);
          happened.failed++;
        }
      }
    };

    for (let done = 0; done < RUNS;) {
      const spied = await load(true);
      let kills = 0;
      for (let i = 0; i < OF_ENGINE && done < RUNS; i++) {
        const runs = Array.from({ length: chance(0.2) ? 2 : 1 }, () => run(spied));
        done += runs.length;
        if (chance(0.02)) {
          happened.traps++;
          runs.push(trap(spied));
        }
        if (chance(0.03) && kills++ < HELPER_KILLS) {
          happened.helpers++;
          await new Promise((resolve) => setTimeout(resolve, random.uniform(0, 2)));
          await spied.latest("helper").kill();
        }
        if (chance(0.01)) {
          happened.workers++;
          await new Promise((resolve) => setTimeout(resolve, random.uniform(0, 2)));
          await spied.latest("worker").kill();
        }
        await Promise.all(runs);
      }
      expect((await spied.model.memory()).pagesInUse).toBe(0);
      await spied.model.dispose();
    }
    console.log(JSON.stringify(happened));
    const { right, aborted, traps, helpers, workers } = happened;
    expect(right).toBeGreaterThan(RUNS / 2);
    for (const count of [aborted, traps, helpers, workers]) expect(count).toBeGreaterThan(50);
  }),
);
