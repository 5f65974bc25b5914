// Any schedule, one answer: on the WASM backend whole, chunked, packed, batched and one-by-one decode give the same bits, with
// one thread and with two, in one memory and in several. Random schedules of random sequences against each sequence alone.

import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { WasmBackend } from "../../src/backends/wasm/backend.ts";
import type { EngineCore } from "../../src/engine/core.ts";
import { SequencePages, tableSize } from "../../src/generate/pages.ts";
import type { CacheDType } from "../../src/models/attend.ts";
import { attentions, loadFolder, loadGolden, makeRoom, wasmTeam } from "../golden/engines.ts";

const models = ["base-f32", "base-bf16", "base-f16", "sw8-f32", "sw5-mqa-f32", "v03-f32"];

/** Rows of each step: which sequence, how many of its next tokens. */
type Schedule = { sequences: number[][]; steps: [sequence: number, count: number][][] };

const schedules = (vocab: number): fc.Arbitrary<Schedule> =>
  fc
    .record({
      sequences: fc.array(
        fc.array(fc.integer({ min: 0, max: vocab - 1 }), { minLength: 1, maxLength: 40 }),
        { minLength: 1, maxLength: 4 },
      ),
      cuts: fc.infiniteStream(fc.tuple(fc.nat(3), fc.integer({ min: 1, max: 20 }))),
      width: fc.integer({ min: 1, max: 4 }),
    })
    .map(({ sequences, cuts, width }) => {
      const left = sequences.map((ids) => ids.length);
      const steps: [number, number][][] = [];
      while (left.some((n) => n > 0)) {
        const step = new Map<number, number>();
        for (let i = 0; i < width; i++) {
          const { value } = cuts.next() as { value: [number, number] };
          const open = left.map((_, s) => s).filter((s) => left[s] > 0 && !step.has(s));
          if (open.length === 0) break;
          const s = open[value[0] % open.length];
          const count = Math.min(value[1], left[s]);
          step.set(s, count);
          left[s] -= count;
        }
        steps.push([...step]);
      }
      return { sequences, steps };
    });

/** Runs the schedule; the logits [tokens, V] of each sequence. */
async function run(
  core: EngineCore,
  { sequences, steps }: Schedule,
  eager: boolean,
): Promise<Float32Array[]> {
  const { runner, pool } = core;
  const V = runner.config.vocab_size;
  const pages = sequences.map(() => new SequencePages(pool, runner.config.sliding_window));
  const results = sequences.map((ids) => new Float32Array(ids.length * V));
  for (const step of steps) {
    await makeRoom(
      core,
      step.reduce((sum, [, count]) => sum + Math.ceil(count / 16) + 2, 0),
    );
    const rows = step.flatMap(([s, count], entry) => {
      const at = pages[s].length;
      const { slots } = pages[s].reserve(count);
      return Array.from({ length: count }, (_, i) => ({ s, entry, at: at + i, slot: slots[i] }));
    });
    const P = tableSize(Math.max(...step.map(([s]) => pages[s].pages)));
    const table = new Int32Array(step.length * P * 2);
    step.forEach(([s], entry) => pages[s].writeTable(table, entry * P * 2, P));
    const ints = (value: (row: (typeof rows)[number]) => number): Int32Array =>
      Int32Array.from(rows, value);
    const { logits } = await runner.step(
      {
        ids: ints(({ s, at }) => sequences[s][at]),
        positions: ints(({ at }) => at),
        seq: ints(({ entry }) => entry),
        at: ints(({ at }) => at),
        slots: ints(({ slot }) => slot),
        pages: table,
        tables: { S: step.length, P },
        want: Int32Array.from(rows.keys()),
      },
      { logits: true },
      eager,
    );
    rows.forEach(({ s, at }, t) =>
      results[s].set(logits?.subarray(t * V, (t + 1) * V) ?? [], at * V),
    );
    for (const [s, count] of step) pages[s].commit(count);
  }
  for (const sequence of pages) sequence.dispose();
  return results;
}

const alone = (ids: number[]): Schedule => ({ sequences: [ids], steps: [[[0, ids.length]]] });

/** Equal bits, NaN included. */
function expectSameBits(actual: Float32Array, wanted: Float32Array): void {
  const [a, b] = [actual, wanted].map((x) => Buffer.from(x.buffer, x.byteOffset, x.byteLength));
  expect(a.equals(b)).toBe(true);
}

const cases: [model: string, cache: CacheDType, runs: number][] = [
  ...models.map((model): [string, CacheDType, number] => [model, "f32", 35]),
  ...(["f16", "bf16", "int8"] as const).flatMap((cache): [string, CacheDType, number][] => [
    ["base-f32", cache, 12],
    ["sw5-mqa-f32", cache, 12],
  ]),
];

describe.each(cases)("%s, cache in %s", (model, cache, numRuns) => {
  test.each(attentions)(
    "%s: random schedules on one thread, two, and in several memories",
    async (attention) => {
      const eager = attention === "eager";
      const load = (backend: WasmBackend): Promise<EngineCore> =>
        loadGolden(model, backend, attention, "auto", cache);
      const one = await load((await wasmTeam(1)).backend);
      const pair = await wasmTeam(2);
      const two = await load(pair.backend);
      await pair.start();
      const split = await wasmTeam(2, 100_000);
      const shards = await load(split.backend);
      await split.start();
      expect(split.backend.adopted().memories.length).toBeGreaterThan(1);

      await fc.assert(
        fc.asyncProperty(schedules(one.runner.config.vocab_size), async (schedule) => {
          const wanted: Float32Array[] = [];
          for (const ids of schedule.sequences) wanted.push(...(await run(one, alone(ids), eager)));
          for (const core of [one, two, shards]) {
            (await run(core, schedule, eager)).forEach((logits, s) =>
              expectSameBits(logits, wanted[s]),
            );
          }
        }),
        { numRuns },
      );
      for (const core of [one, two, shards]) expect(core.memory().pagesInUse).toBe(0);
    },
  );
});

test.each(["f32", "bf16", "int8"] as const)(
  "the embedded model, cache in %s: a prompt past its window in one piece, in chunks and token by token",
  async (cache) => {
    const pair = await wasmTeam(2);
    const core = await loadFolder(
      new URL("../../models/stories", import.meta.url).pathname,
      pair.backend,
      "flash",
      "auto",
      cache,
    );
    await pair.start();
    const ids = Array.from({ length: 330 }, (_, i) => (i * 7919) % core.runner.config.vocab_size);
    const cut = (size: number): Schedule => ({
      sequences: [ids],
      steps: Array.from({ length: Math.ceil(ids.length / size) }, (_, i) => [
        [0, Math.min(size, ids.length - i * size)],
      ]),
    });
    const [whole] = await run(core, cut(ids.length), false);
    for (const size of [1, 7, 64]) expectSameBits((await run(core, cut(size), false))[0], whole);
  },
);
