// Random schedules of unequal calls on one engine: they join, leave, are aborted, share beginnings, fork, lose their pages to others, guess,
// choose slowly and are read slowly. Every call's logits and tokens equal, bit for bit, those that it gets alone; every call ends; no page stays behind.

import assert from "node:assert/strict";
import * as fc from "fast-check";
import { afterAll, afterEach, describe, expect, test, vi } from "vitest";
import type { GenerateResult } from "../../src/engine/messages.ts";
import { Sequence } from "../../src/engine/sequence.ts";
import type { LogitsProcessor } from "../../src/generate/logits-processor.ts";
import { PAGE_COLUMNS } from "../../src/generate/page-pool.ts";
import { SequencePages } from "../../src/generate/pages.ts";
import type { CacheDType } from "../../src/models/attend.ts";
import { DirectEngine, type DirectOptions } from "../engine/direct-engine.ts";
import { attentions, loadFolder, makeRoom, wasmTeam } from "../golden/engines.ts";
import { goldenPath } from "../golden-files.ts";

const NEW = 24;
/** Pages of the cache: enough for the longest call with a cache of its own. */
const PAGES = 30;
/** Pages that the longest sequence of a schedule without caches needs, and one more. */
const FEW_PAGES = 14;

const call = fc.record({
  /** Tokens of one of two texts, then its own. */
  text: fc.nat(1),
  common: fc.integer({ min: 0, max: 90 }),
  own: fc.array(fc.integer({ min: 3, max: 600 }), { minLength: 1, maxLength: 40 }),
  /** A second row, shorter by left padding; -1: none. */
  padding: fc.integer({ min: -3, max: 30 }),
  tokens: fc.integer({ min: 1, max: NEW }),
  sampled: fc.boolean(),
  /** Who chooses: with logits to be given back, or with a penalty, the host has its part; else all happens in the step. */
  logits: fc.boolean(),
  penalty: fc.constantFrom(1, 1, 1.2),
  copies: fc.constantFrom(1, 1, 1, 3),
  /** Turns of the event loop before it joins, and until it is aborted (0: never). */
  joins: fc.integer({ min: 0, max: 20 }),
  aborts: fc.constantFrom(0, 0, 0, 1, 5, 30),
  guesses: fc.constantFrom(0, 0, 3),
  /** The reader takes that many tokens a turn; 0: at once. */
  reads: fc.constantFrom(0, 0, 1),
  /** Turns of the event loop that each choice of a token takes. */
  thinks: fc.constantFrom(0, 0, 0, 1, 6),
  turn: fc.constantFrom("only", "only", "only", "second", "second", "cached"),
});
type CallCase = typeof call extends fc.Arbitrary<infer T> ? T : never;

const turns = async (count: number): Promise<void> => {
  for (let i = 0; i < count; i++) await new Promise((resolve) => setImmediate(resolve));
};

const word = (text: number, i: number): number => 3 + ((text * 131 + i * 7919) % 600);

function promptsOf({ text, common, own, padding }: CallCase): {
  prompts: number[][];
  mask?: Uint8Array;
} {
  const ids = [...Array.from({ length: common }, (_, i) => word(text, i)), ...own];
  if (padding < 0) return { prompts: [ids] };
  const padded = Math.min(padding, ids.length - 1);
  const second = ids.map((id, i) => (i < padded ? 0 : id));
  const mask = new Uint8Array(2 * ids.length).fill(1);
  mask.fill(0, ids.length, ids.length + padded);
  return { prompts: [ids, second], mask };
}

/** Runs one call; a second turn goes on with its result, with the cache or by its content. */
async function run(
  engine: DirectEngine,
  one: CallCase,
  extra: DirectOptions,
): Promise<GenerateResult[]> {
  const { prompts, mask } = promptsOf(one);
  const options: DirectOptions = {
    ...{ max_new_tokens: one.tokens, do_sample: one.sampled, seed: 11 },
    ...{ num_return_sequences: one.sampled ? one.copies : 1 },
    ...{ output_logits: one.logits, return_dict_in_generate: true },
    repetition_penalty: one.penalty,
    ...extra,
  };
  const keepCache = one.turn === "cached" && mask === undefined;
  const request = { mask, keepCache, ...extra.request };
  const first = await engine.generate(prompts, { ...options, request });
  if (one.turn === "only" || mask !== undefined) {
    if (first.cache !== undefined)
      await engine.core.cache({ op: "dispose", cache: first.cache.id });
    return [first];
  }
  const rows = first.sequences.length / first.length;
  const ids = Array.from({ length: rows }, (_, row) => [
    ...first.sequences.subarray(row * first.length, (row + 1) * first.length),
    ...[5, 6, 7],
  ]);
  const cached = { cache: first.cache?.id, past: first.cache?.length };
  try {
    const second = await engine.generate(ids, {
      ...{ ...options, num_return_sequences: 1 },
      request: { keepCache, ...cached, ...extra.request },
    });
    return [first, second];
  } finally {
    if (first.cache !== undefined)
      await engine.core.cache({ op: "dispose", cache: first.cache.id });
  }
}

function expectSame(actual: readonly GenerateResult[], wanted: readonly GenerateResult[]): void {
  assert.equal(actual.length, wanted.length);
  for (const [i, { sequences, logits = [] }] of actual.entries()) {
    assert.deepEqual(sequences, wanted[i].sequences);
    for (const [step, scores] of logits.entries()) {
      const other = wanted[i].logits?.[step];
      assert.ok(
        other !== undefined && Buffer.from(scores.buffer).equals(Buffer.from(other.buffer)),
      );
    }
  }
}

const longrope = {
  ...{ rope_type: "longrope", original_max_position_embeddings: 40, factor: 4 },
  short_factor: Array.from({ length: 8 }, (_, i) => 1 + i / 10),
  long_factor: Array.from({ length: 8 }, (_, i) => 1 + i),
};

const cases: [name: string, model: string, cache: CacheDType, config: object, runs: number][] = [
  ["no window", "base-f32", "f32", {}, 25],
  ["a window of 5", "sw5-mqa-f32", "f32", {}, 15],
  ["a window of 8", "sw8-f32", "f16", {}, 15],
  ["a window of 40", "sw8-f32", "f32", { sliding_window: 40 }, 20],
  ["the cache in int8", "base-f32", "int8", {}, 10],
  [
    "rope dynamic",
    "base-f32",
    "f32",
    {
      max_position_embeddings: 64,
      rope_parameters: { rope_type: "dynamic", factor: 4, rope_theta: 1e4 },
    },
    15,
  ],
  [
    "rope longrope",
    "base-f32",
    "f32",
    { max_position_embeddings: 160, rope_parameters: { ...longrope, rope_theta: 1e4 } },
    15,
  ],
];

/** Over all cases: sequences that lost their pages, and prompt tokens that were found. */
let restarts = 0;
let hits = 0;
afterEach(() => vi.restoreAllMocks());
afterAll(() => {
  expect(restarts).toBeGreaterThan(50);
  expect(hits).toBeGreaterThan(1000);
});

describe.each(attentions)("%s", (attention) => {
  test.each(cases)("%s", async (_, model, cache, config, numRuns) => {
    const runs = attention === "eager" ? Math.ceil(numRuns / 3) : numRuns;
    const load = async (threads: number): Promise<DirectEngine> => {
      const team = await wasmTeam(threads);
      const engine = await DirectEngine.of((beforeStep) =>
        loadFolder(goldenPath(`models/${model}`), team.backend, attention, "auto", cache, {
          beforeStep,
          config,
        }),
      );
      await team.start();
      return engine;
    };
    const alone = await load(1);
    const busy = await load(2);
    busy.limitPages(PAGES);
    const restarted = vi.spyOn(Sequence.prototype, "restart");
    let nth = 0;
    await fc.assert(
      fc.asyncProperty(fc.array(call, { minLength: 2, maxLength: 8 }), async (given) => {
        // One call at most keeps a cache: several could hold all pages for good.
        const keeps = given.findIndex(({ turn }) => turn === "cached");
        const calls = given.map((one, i): CallCase =>
          one.turn === "cached" && i !== keeps ? { ...one, turn: "second" } : one,
        );
        const wanted: GenerateResult[][] = [];
        for (const one of calls) {
          const request = { domain: `alone ${nth++}` };
          wanted.push(await run(alone, one, { request }));
        }
        const { pool } = busy.core;
        await makeRoom(busy.core, PAGES);
        const holder = new SequencePages(pool, null);
        if (calls.every(({ turn }) => turn !== "cached")) {
          holder.reserve((PAGES - FEW_PAGES) * PAGE_COLUMNS);
          holder.commit((PAGES - FEW_PAGES) * PAGE_COLUMNS);
        }
        const open = new Set(calls);
        const reader = async (queue: (() => void)[]): Promise<void> => {
          while (open.size > 0) {
            queue.shift()?.();
            await turns(1);
          }
        };
        const readers: Promise<void>[] = [];
        const ends = await Promise.allSettled(
          calls.map(async (one) => {
            const aborting = busy.newCall();
            const ids = wanted[calls.indexOf(one)][0].sequences;
            const S = promptsOf(one).prompts[0].length;
            const draft = (known: Int32Array): number[] =>
              Array.from({ length: one.guesses }, (_unused, i) => ids[known.length + i] ?? 3).map(
                (id, i) => (i === known.length % 5 ? 4 : id),
              );
            const think: LogitsProcessor = () => turns(one.thinks);
            const functions = {
              ...(one.guesses > 0 && S > 0 && { draft }),
              ...(one.thinks > 0 && { processors: [think] }),
            };
            const queue: (() => void)[] = [];
            if (one.reads > 0) readers.push(reader(queue));
            try {
              await turns(one.joins);
              const running = run(busy, one, {
                ...(one.turn === "only" && { call: aborting }),
                functions,
                ...(one.reads > 0 && {
                  onTokens: ({ tokens }, taken) => {
                    for (let i = 0; i < tokens.length; i++) queue.push(() => taken(1));
                  },
                }),
              });
              if (one.aborts > 0) void turns(one.aborts).then(() => aborting.abort("enough"));
              return await running;
            } finally {
              open.delete(one);
            }
          }),
        );
        await Promise.all(readers);
        ends.forEach((end, i) => {
          if (end.status === "fulfilled") {
            expectSame(end.value, wanted[i]);
            hits += end.value[0].cachedTokens[0];
          } else assert.equal(end.reason, "enough");
        });
        holder.dispose();
        assert.equal(pool.inUse, 0, "pages that stay behind");
      }),
      { numRuns: runs, endOnFailure: true },
    );
    expect(busy.core.pool.pages).toBeLessThanOrEqual(30);
    restarts += restarted.mock.calls.length;
  });
});
