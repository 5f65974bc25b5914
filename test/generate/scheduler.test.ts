// The scheduler under random schedules: no step too large, nobody starves or overtakes, pages of others are taken over, the youngest gives
// its pages back when they run out, and whatever happens a sequence's rows see what they would see alone.

import assert from "node:assert/strict";
import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { EngineError, InputError, MemoryError } from "../../src/errors.ts";
import { PAGE_COLUMNS } from "../../src/generate/page-pool.ts";
import { SequencePages } from "../../src/generate/pages.ts";
import { all, CAPACITY, nextToken, Story, World } from "./scheduler-world.ts";

const given = fc.record({
  /** Repeated words: texts share beginnings. */
  prompt: fc
    .tuple(fc.integer({ min: 0, max: 40 }), fc.array(fc.nat(2), { minLength: 1, maxLength: 10 }))
    .map(([common, own]) => [...Array.from({ length: common }, (_, i) => i % 3), ...own]),
  length: fc.integer({ min: 1, max: 20 }),
  guesses: fc.constantFrom(0, 0, 3),
  holes: fc.constantFrom([], [], [0, 5]),
});

const event = fc.record({
  kind: fc.constantFrom(
    "step",
    "step",
    "step",
    "step",
    "add",
    "add",
    "drop",
    "abort",
    "abortInFlight",
    "pause",
    "giveBack",
  ),
  which: fc.nat(20),
  share: fc.integer({ min: 1, max: CAPACITY }),
});

test("random schedules: every sequence makes the tokens that it makes alone, all end, and all pages come back", () => {
  let preempted = 0;
  let drafted = 0;
  fc.assert(
    fc.property(
      fc.array(given, { minLength: 1, maxLength: 8 }),
      fc.array(event, { maxLength: 60 }),
      fc.constantFrom(null, 5, 16),
      fc.integer({ min: 5, max: 9 }),
      (givens, events, window, pages) => {
        const world = new World(pages);
        const { scheduler, pool } = world;
        const stories = givens.map((one, id) => new Story(pool, { ...one, id, window }));
        const aborted = new Set<Story>();
        let added = 0;
        const add = (): void => {
          if (added < stories.length) world.add(stories[added++]);
        };
        const abort = (story: Story | undefined): void => {
          if (story === undefined || !world.stories.has(story.id)) return;
          aborted.add(story);
          world.remove(story);
        };
        add();
        for (const { kind, which, share } of events) {
          const story = stories[which % Math.max(1, added)];
          if (kind === "add") add();
          else if (kind === "abort") abort(story);
          else if (kind === "pause") story.paused = !story.paused;
          else if (kind === "giveBack") scheduler.giveBack(which % 4);
          else {
            const batch = scheduler.next({
              share: (decoding) => (decoding === 0 ? CAPACITY : share),
              rows: 1 + (which % CAPACITY),
            });
            if (batch === undefined) continue;
            world.check(batch);
            if (kind === "abortInFlight") abort(world.stories.get(batch.sequences[0].id));
            if (kind === "drop") scheduler.drop();
            else world.advance(batch, which % 5);
          }
        }
        while (added < stories.length) add();
        for (const story of stories) story.paused = false;
        let steps = 0;
        for (let batch = scheduler.next(all); batch; batch = scheduler.next(all)) {
          world.check(batch);
          drafted += batch.sequences.filter(({ wanted }) => wanted > 1).length;
          world.advance(batch, steps++ % 4);
          assert.ok(steps < stories.length * 200, "it ends");
        }
        for (const story of stories) {
          if (aborted.has(story)) continue;
          const alone = [...story.ids.slice(0, story.promptLength)];
          while (alone.length < story.ids.length) alone.push(nextToken(alone));
          assert.ok(story.done);
          assert.deepEqual(story.ids, alone);
          preempted += story.restarts;
        }
        expect([scheduler.waiting, scheduler.running]).toEqual([0, 0]);
        expect([pool.inUse, pool.available]).toEqual([0, pages]);
      },
    ),
    { numRuns: 400 },
  );
  expect(preempted).toBeGreaterThan(100);
  expect(drafted).toBeGreaterThan(100);
});

test("nobody starves: with room for all, a sequence that decodes has a row in every step, and admission is in order", () => {
  fc.assert(
    fc.property(fc.array(given, { minLength: 1, maxLength: 30 }), (givens) => {
      const world = new World(400);
      const stories = givens.map((one, id) => new Story(world.pool, { ...one, id, guesses: 0 }));
      for (const story of stories) world.add(story);
      const started: number[] = [];
      for (let batch = world.scheduler.next(all); batch; batch = world.scheduler.next(all)) {
        const decoding = [...world.stories.values()].filter(
          (story) => story.pages.length > 0 && story.columns - story.pages.length === 1,
        );
        for (const { id } of batch.sequences) if (!started.includes(id)) started.push(id);
        world.check(batch);
        const oldest = decoding.slice(0, CAPACITY);
        if (decoding.length <= CAPACITY) {
          for (const story of oldest) assert.equal(story.lastStep, world.step);
        }
        world.advance(batch);
      }
      expect(world.stories.size).toBe(0);
      expect(started).toEqual(started.toSorted((a, b) => a - b));
    }),
    { numRuns: 200 },
  );
});

const ones = (length: number): number[] => Array.from({ length }, () => 1);
const counting = (length: number, from = 0): number[] =>
  Array.from({ length }, (_, i) => (i + from) % 97);

/** Steps as text: `id at+count`, with `!` when a token follows. */
function shape(world: World, limits = all): string[] | undefined {
  const batch = world.scheduler.next(limits);
  const text = batch?.sequences.map(
    ({ id, at, count, wanted }) => `${id} ${at}+${count}${"!".repeat(wanted)}`,
  );
  if (batch !== undefined) {
    world.check(batch);
    world.advance(batch);
  }
  return text;
}

test("a step mixes decode rows with chunks of prompts, which get their share", () => {
  const world = new World(16);
  const story = (id: number, prompt: number[]): Story =>
    new Story(world.pool, { id, prompt, length: 5 });
  world.add(story(1, ones(3)));
  world.add(story(2, counting(20)));
  expect(shape(world)).toEqual(["1 0+3!", "2 0+9"]);
  expect(shape(world, { share: () => 4 })).toEqual(["1 3+1!", "2 9+4"]);
  expect(shape(world)).toEqual(["1 4+1!", "2 13+7!"]);
  expect(shape(world, { share: () => 1 })).toEqual(["1 5+1!", "2 20+1!"]);
});

test("guesses take what is left: others that decode have a row in every step", () => {
  const world = new World(100);
  const many = new Story(world.pool, { id: 0, prompt: [1], length: 300, guesses: 2 * CAPACITY });
  const others = [1, 2, 3].map((id) => new Story(world.pool, { id, prompt: [id], length: 15 }));
  for (const story of [many, ...others]) world.add(story);
  for (let step = 0; step < 12; step++) {
    const batch = world.scheduler.next(all);
    assert.ok(batch !== undefined);
    expect(batch.sequences.map(({ id }) => id)).toEqual([0, 1, 2, 3]);
    if (step > 0) expect(batch.rows).toBe(CAPACITY);
    world.check(batch);
    world.advance(batch, CAPACITY * 2);
  }
});

describe("pages", () => {
  test("what is computed in the same step by another is waited for, and taken over", () => {
    const world = new World(40);
    const prompt = counting(30);
    for (const id of [1, 2, 3]) {
      world.add(new Story(world.pool, { id, prompt: [...prompt, id], length: 3 }));
    }
    // 12 rows a step: while one computes the first page, the others do not.
    expect(shape(world)).toEqual(["1 0+12"]);
    expect(shape(world)).toEqual(["1 12+12"]);
    expect(shape(world)).toEqual(["1 24+7!", "2 16+5"]);
    expect(shape(world)).toEqual(["1 31+1!", "2 21+10!", "3 16+1"]);
  });

  test("unequal calls: one that waits for more is neither overtaken nor refused", () => {
    // 100 pages of 16: 60 are used, the next wants 80, a third 30.
    const world = new World(100);
    const story = (id: number, pages: number, length = 2): Story =>
      new Story(world.pool, { id, prompt: counting(pages * PAGE_COLUMNS - 4, id), length });
    world.add(story(1, 60));
    world.add(story(2, 80));
    const third = story(3, 30);
    const started: number[] = [];
    for (let i = 0, text = shape(world); text !== undefined; text = shape(world), i++) {
      if (i === 20) world.add(third);
      for (const rows of text) if (/ 0\+/.test(rows)) started.push(Number(rows.split(" ")[0]));
    }
    expect(started).toEqual([1, 2, 3]);
    expect(world.stories.size).toBe(0);
  });

  test("when they run out, the youngest gives its own back, and is computed again", () => {
    const world = new World(4);
    const [first, second] = [1, 2].map(
      (id) => new Story(world.pool, { id, prompt: counting(4, id * 10), length: 40 }),
    );
    world.add(first);
    world.add(second);
    while (shape(world) !== undefined);
    expect([first.done, second.done]).toEqual([true, true]);
    expect(first.restarts).toBe(0);
    expect(second.restarts).toBeGreaterThan(0);
  });

  test("one that waits for its reader gives way to others", () => {
    const world = new World(4);
    const [first, second] = [1, 2].map(
      (id) => new Story(world.pool, { id, prompt: counting(40, id * 10), length: 4 }),
    );
    world.add(first);
    world.add(second);
    while (first.ids.length === 40) shape(world);
    first.paused = true;
    while (!second.done) expect(shape(world)).toBeDefined();
    expect(shape(world)).toBeUndefined();
    first.paused = false;
    while (shape(world) !== undefined);
    expect([first.done, first.restarts]).toEqual([true, 1]);
  });

  test("held by others for good: the first job fails, the next goes on; held for a while: it waits", () => {
    const world = new World(4);
    const other = new SequencePages(world.pool, null);
    other.reserve(32);
    other.commit(32);
    world.add(new Story(world.pool, { id: 1, prompt: counting(60), length: 4 }));
    world.add(new Story(world.pool, { id: 2, prompt: counting(4), length: 2 }));
    expect(world.scheduler.next({ ...all, othersGivePages: true })).toBeUndefined();
    let error: unknown;
    try {
      world.scheduler.next(all);
    } catch (caught) {
      error = caught;
    }
    expect(error).toBeInstanceOf(MemoryError);
    expect((error as MemoryError).cause).toBe(1);
    expect((error as MemoryError).message).toContain(
      "needs 4 more pages of the cache, but 2 can be taken: 4 pages − 2 held by past_key_values",
    );
    expect(shape(world)).toEqual(["2 0+4!"]);
  });
});

test("misuse is named", () => {
  const world = new World(4);
  const story = new Story(world.pool, { id: 1, prompt: [1], length: 2 });
  expect(() =>
    world.scheduler.add(new Story(world.pool, { id: 3, prompt: [], length: 2 })),
  ).toThrow(InputError);
  world.add(story);
  expect(() => world.scheduler.add(story)).toThrow("sequence 1 is scheduled already");
  world.scheduler.next(all);
  expect(() => world.scheduler.next(all)).toThrow(EngineError);
  world.scheduler.drop();
  world.scheduler.remove(7);
});
