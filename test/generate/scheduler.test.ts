// The scheduler under random schedules: every row once and in order, no step too large, nobody starves, all pages come back.

import assert from "node:assert/strict";
import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { EngineError, InputError, MemoryError } from "../../src/errors.ts";
import { PagePool, pagesFor, SequencePages } from "../../src/generate/pages.ts";
import { type RowBatch, Scheduler } from "../../src/generate/scheduler.ts";

const CAPACITY = 12;

/** What a sequence of a test is to do, and what it did. */
type Story = {
  prompt: number[];
  newTokens: number;
  /** Committed columns, by the rows that ran */
  ran: number;
  made: number;
  done: boolean;
  /** The last step it had a row in */
  lastStep: number;
};

const story = fc
  .record({
    prompt: fc.array(fc.constantFrom(0, 1, 1), { minLength: 1, maxLength: 50 }),
    newTokens: fc.integer({ min: 1, max: 20 }),
  })
  .map((given): Story => ({ ...given, ran: 0, made: 0, done: false, lastStep: -1 }));

const event = fc.record({
  kind: fc.constantFrom("step", "step", "step", "step", "add", "drop", "abort", "abortInFlight"),
  which: fc.nat(20),
  capacity: fc.integer({ min: 1, max: CAPACITY }),
});

/** Checks a step against the stories. */
function check(batch: RowBatch, stories: readonly Story[], capacity: number): void {
  const rows = batch.sequences.reduce((sum, { count }) => sum + count, 0);
  assert.equal(batch.rows, rows);
  assert.ok(rows >= 1 && rows <= capacity);
  assert.equal(new Set(batch.sequences.map(({ id }) => id)).size, batch.sequences.length);
  const slots = batch.sequences.flatMap((rowsOfOne) => [...rowsOfOne.slots]);
  const taken = slots.filter((slot) => slot >= 0);
  assert.equal(new Set(taken).size, taken.length);
  for (const { id, kind, at, from, count, wanted, slots: own } of batch.sequences) {
    const { prompt, ran, made, done } = stories[id];
    assert.ok(!done);
    assert.equal(at, ran);
    assert.equal(kind, ran < prompt.length ? "prefill" : "decode");
    assert.equal(wanted, ran + count >= prompt.length);
    if (kind === "prefill") {
      assert.equal(from, ran);
      assert.deepEqual(
        [...own].map((slot) => (slot < 0 ? 0 : 1)),
        prompt.slice(from, from + count),
      );
    } else assert.deepEqual([count, ran - prompt.length + 1, own[0] >= 0], [1, made, true]);
  }
}

/** Plays the engine: what ran counts, and a wanted row makes a token. */
function advance(scheduler: Scheduler, batch: RowBatch, stories: readonly Story[]): void {
  const finished: number[] = [];
  for (const { id, count, wanted } of batch.sequences) {
    const one = stories[id];
    one.ran += count;
    if (wanted && ++one.made === one.newTokens) {
      one.done = true;
      finished.push(id);
    }
  }
  scheduler.advance(finished);
}

describe("random schedules", () => {
  test("every row runs once and in order; all end, and all pages come back", () => {
    fc.assert(
      fc.property(
        fc.array(story, { minLength: 1, maxLength: 8 }),
        fc.array(event, { maxLength: 60 }),
        fc.constantFrom(null, 5, 16),
        fc.integer({ min: 6, max: 14 }),
        (given, events, window, poolPages) => {
          const stories = given.map((one) => ({ ...one }));
          const pool = new PagePool(poolPages);
          const scheduler = new Scheduler(pool, CAPACITY);
          let added = 0;
          const add = (): void => {
            if (added === stories.length) return;
            const { prompt, newTokens } = stories[added];
            const pages = new SequencePages(pool, window);
            scheduler.add({ id: added++, pages, prompt, maxLength: prompt.length + newTokens });
          };
          const abort = (id: number): void => {
            if (id >= added) return;
            stories[id].done = true;
            scheduler.abort(id);
          };
          add();
          for (const { kind, which, capacity } of events) {
            if (kind === "add") add();
            else if (kind === "abort") abort(which);
            else {
              const batch = scheduler.next(capacity);
              if (batch === undefined) continue;
              check(batch, stories, capacity);
              if (kind === "abortInFlight") abort(batch.sequences[0].id);
              if (kind === "drop") scheduler.drop();
              else advance(scheduler, batch, stories);
            }
          }
          while (added < stories.length) add();
          let steps = 0;
          for (let batch = scheduler.next(); batch; batch = scheduler.next()) {
            check(batch, stories, CAPACITY);
            advance(scheduler, batch, stories);
            steps++;
          }
          expect(steps).toBeLessThan(stories.length * 80);
          expect(stories.every(({ done }) => done)).toBe(true);
          expect([scheduler.waiting, scheduler.running]).toEqual([0, 0]);
          expect([pool.inUse, pool.available]).toEqual([0, poolPages]);
        },
      ),
      { numRuns: 300 },
    );
  });

  test("nobody starves: a sequence that decodes has a row in every step, a prompt goes on, admission is in order", () => {
    fc.assert(
      fc.property(fc.array(story, { minLength: 1, maxLength: 30 }), (given) => {
        const stories = given.map((one) => ({ ...one }));
        const pool = new PagePool(40);
        const scheduler = new Scheduler(pool, CAPACITY);
        stories.forEach(({ prompt, newTokens }, id) => {
          const pages = new SequencePages(pool, null);
          scheduler.add({ id, pages, prompt, maxLength: prompt.length + newTokens });
        });
        const started: number[] = [];
        let step = 0;
        for (let batch = scheduler.next(); batch; batch = scheduler.next(), step++) {
          for (const { id, at } of batch.sequences) {
            if (at === 0) started.push(id);
            stories[id].lastStep = step;
          }
          for (const one of stories) {
            const decodes = one.ran >= one.prompt.length && !one.done;
            assert.ok(!decodes || one.lastStep === step, "a decode row in every step");
          }
          const prompts = batch.sequences.filter(({ kind }) => kind === "prefill");
          const open = stories.some((one) => one.ran > 0 && one.ran < one.prompt.length);
          assert.ok(prompts.length > 0 || !open, "an admitted prompt goes on");
          advance(scheduler, batch, stories);
        }
        expect(started).toEqual([...stories.keys()]);
      }),
      { numRuns: 200 },
    );
  });
});

test("a step mixes decode rows with chunks of prompts", () => {
  const pool = new PagePool(16);
  const scheduler = new Scheduler(pool, 8);
  const job = (id: number, length: number): Parameters<Scheduler["add"]>[0] => ({
    id,
    pages: new SequencePages(pool, null),
    prompt: Array.from({ length }, () => 1),
    maxLength: length + 4,
  });
  scheduler.add(job(1, 3));
  scheduler.add(job(2, 12));
  const shape = (): string[] | undefined => {
    const batch = scheduler.next();
    const text = batch?.sequences.map(
      ({ id, kind, at, count, wanted }) => `${id} ${kind} ${at}+${count}${wanted ? " !" : ""}`,
    );
    scheduler.advance();
    return text;
  };
  expect(shape()).toEqual(["1 prefill 0+3 !", "2 prefill 0+5"]);
  expect(shape()).toEqual(["1 decode 3+1 !", "2 prefill 5+7 !"]);
  expect(shape()).toEqual(["1 decode 4+1 !", "2 decode 12+1 !"]);
  scheduler.finish(1);
  expect(shape()).toEqual(["2 decode 13+1 !"]);
});

function ones(length: number): number[] {
  return Array.from({ length }, () => 1);
}

describe("admission", () => {
  test("waits for pages, and nobody overtakes", () => {
    const pool = new PagePool(4);
    const scheduler = new Scheduler(pool, 64);
    const add = (id: number, length: number): void =>
      scheduler.add({
        id,
        pages: new SequencePages(pool, null),
        prompt: ones(1),
        maxLength: length,
      });
    add(1, 40);
    add(2, 40);
    add(3, 8);
    expect(scheduler.next()?.sequences.map(({ id }) => id)).toEqual([1]);
    scheduler.advance([1]);
    expect(scheduler.next()?.sequences.map(({ id }) => id)).toEqual([2, 3]);
  });

  test("what can never fit is refused at once; what others hold, when nothing runs", () => {
    const pool = new PagePool(4);
    const scheduler = new Scheduler(pool, 16);
    const pages = new SequencePages(pool, null);
    const job = { id: 1, pages, prompt: ones(1) };
    expect(() => scheduler.add({ ...job, maxLength: 65 })).toThrow(
      "sequence 1: 65 columns need 5 pages, but the cache has 4",
    );
    const other = new SequencePages(pool, null);
    other.reserve(32);
    other.commit(32);
    scheduler.add({ ...job, maxLength: 60 });
    expect(() => scheduler.next()).toThrow(MemoryError);
    expect([scheduler.waiting, scheduler.next()]).toEqual([0, undefined]);
    expect(pagesFor(60, null, 16)).toBe(4);
  });

  test("a second turn goes on with the pages of the first, and keeps them when asked to", () => {
    const pool = new PagePool(8);
    const scheduler = new Scheduler(pool, 16);
    const pages = new SequencePages(pool, null);
    scheduler.add({ id: 1, pages, prompt: ones(20), maxLength: 40, keep: true });
    scheduler.next();
    scheduler.advance();
    scheduler.next();
    scheduler.advance([1]);
    expect([pages.length, pool.inUse, pool.available]).toEqual([20, 2, 6]);
    const fork = pages.fork();
    scheduler.add({ id: 2, pages: fork, prompt: ones(3), maxLength: 64 });
    const batch = scheduler.next();
    expect(batch?.sequences[0]).toMatchObject({ at: 20, from: 0, count: 3, wanted: true });
    expect(batch?.sequences[0].copies).toHaveLength(1);
    scheduler.advance([2]);
    pages.dispose();
    expect([pool.inUse, pool.available]).toEqual([0, 8]);
  });
});

test("misuse is named", () => {
  const pool = new PagePool(4);
  const scheduler = new Scheduler(pool, 4);
  const job = { id: 1, pages: new SequencePages(pool, null), prompt: [1], maxLength: 2 };
  expect(() => scheduler.add({ ...job, prompt: [] })).toThrow(InputError);
  scheduler.add(job);
  expect(() => scheduler.add(job)).toThrow("sequence 1 is scheduled already");
  expect(() => scheduler.next(5)).toThrow("5 rows: expected 1 to 4");
  scheduler.next();
  expect(() => scheduler.next()).toThrow(EngineError);
  scheduler.advance();
  scheduler.next();
  scheduler.advance();
  expect(() => scheduler.next()).toThrow("has 2 columns of at most 2, and was not finished");
  expect(() => scheduler.finish(7)).toThrow(InputError);
});
