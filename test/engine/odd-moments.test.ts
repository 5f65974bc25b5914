// Calls that choose slowly, fail, are aborted or end at moments when somebody else needs their pages: whatever happens, a call's tokens are
// those that it gets alone, every call ends, and no page stays behind.

import { beforeEach, describe, expect, test } from "vitest";
import type { GenerateResult, GenerateRequest } from "../../src/engine/messages.ts";
import type { LogitsProcessor } from "../../src/generate/logits-processor.ts";
import {
  alone,
  type DirectEngine,
  type DirectOptions,
  goldenEngine as load,
  words,
} from "./direct-engine.ts";

let engine: DirectEngine;
beforeEach(async () => {
  engine = await load();
});

const pause = (milliseconds: number): Promise<void> =>
  new Promise((resolve) => setTimeout(resolve, milliseconds));

/** A processor that changes nothing and waits for what `wait` returns. */
const waiting =
  (wait: () => Promise<void>): LogitsProcessor =>
  async () =>
    wait();

const slow = (milliseconds: number): LogitsProcessor => waiting(() => pause(milliseconds));

/** A gate: a processor that waits until it is opened. */
function gate(): { processor: LogitsProcessor; reached: Promise<void>; open(): void } {
  const reached = Promise.withResolvers<void>();
  const opened = Promise.withResolvers<void>();
  return {
    reached: reached.promise,
    open: opened.resolve,
    processor: waiting(() => {
      reached.resolve();
      return opened.promise;
    }),
  };
}

/** The request of one more turn on a cache. */
const on = ({ cache }: GenerateResult): Partial<GenerateRequest> => ({
  keepCache: true,
  cache: cache?.id,
  past: cache?.length,
});

describe("a choice that takes time", () => {
  test("goes with guesses: they do not run while the token before them is being chosen", async () => {
    const prompt = words(30);
    const options: DirectOptions = { max_new_tokens: 12, do_sample: true, seed: 4 };
    const expected = await alone(prompt, options);
    const drafted: number[] = [];
    // The second of three guesses is wrong.
    const draft = (ids: Int32Array): number[] => {
      drafted.push(ids.length);
      return expected.slice(ids.length - 30, ids.length - 27).map((id, i) => (i === 1 ? 3 : id));
    };
    const functions = { processors: [slow(5)], draft };
    const beside = engine.continue(words(20, 300), { max_new_tokens: 40 });
    expect(await engine.continue(prompt, { ...options, functions })).toEqual(expected);
    expect(drafted).toEqual(Array.from({ length: 11 }, (_, i) => 31 + i));
    await beside;
    // At once: two tokens a step, and guesses are asked for once in each.
    drafted.length = 0;
    expect(await engine.continue(prompt, { ...options, functions: { draft } })).toEqual(expected);
    expect(new Set(drafted).size).toBe(drafted.length);
    expect(drafted.length).toBeLessThan(8);
    expect(engine.core.memory().pagesInUse).toBe(0);
  });

  test("is made once, though its sequence has to be computed again meanwhile", async () => {
    engine.limitPages(10);
    const options: DirectOptions = { max_new_tokens: 12, do_sample: true, seed: 5 };
    const asked: number[] = [];
    const processors: LogitsProcessor[] = [({ step }) => void asked.push(step), slow(20)];
    const long = engine.continue(words(100), { ...options, functions: { processors } });
    const others = [1, 2, 3].map((i) => engine.continue(words(100, 150 * i), options));
    expect(await long).toEqual(await alone(words(100), options));
    expect(asked).toEqual(Array.from({ length: 12 }, (_, step) => step));
    for (const [i, other] of others.entries())
      expect(await other).toEqual(await alone(words(100, 150 * (i + 1)), options));
    expect(engine.core.memory().pagesInUse).toBe(0);
  });

  test("leaves the pages of all copies of a prompt to calls that can run", async () => {
    engine.limitPages(10);
    const options: DirectOptions = { max_new_tokens: 3, do_sample: true, seed: 5 };
    const { processor, reached, open } = gate();
    const copies = engine.generate([words(100)], {
      ...options,
      num_return_sequences: 3,
      functions: { processors: [processor] },
    });
    await reached;
    const other = await engine.continue(words(100, 400), options);
    open();
    expect(other).toEqual(await alone(words(100, 400), options));
    const expected = await (
      await load()
    ).generate([words(100)], { ...options, num_return_sequences: 3 });
    expect((await copies).sequences).toEqual(expected.sequences);
    expect(engine.core.memory().pagesInUse).toBe(0);
  });

  test("that comes after its call was aborted takes no pages of the cache that the call went on from", async () => {
    const first = await engine.generate([words(40)], {
      max_new_tokens: 2,
      request: { keepCache: true },
    });
    const call = engine.newCall();
    const { processor, reached, open } = gate();
    const turn = engine.generate([[...first.sequences, 5]], {
      max_new_tokens: 8,
      call,
      functions: { processors: [processor] },
      request: on(first),
    });
    await reached;
    call.abort();
    await expect(turn).rejects.toBe("aborted");
    open();
    await pause(1);
    await engine.core.cache({ op: "dispose", cache: first.cache?.id ?? 0 });
    expect(engine.core.memory().pagesInUse).toBe(0);
  });

  test("ends a call whose pages were taken meanwhile: the cache that it leaves is whole", async () => {
    engine.limitPages(10);
    const prompt = words(100);
    const { processor, reached, open } = gate();
    const first = engine.generate([prompt], {
      max_new_tokens: 1,
      functions: { processors: [processor] },
      request: { keepCache: true },
    });
    await reached;
    await engine.continue(words(100, 400), { max_new_tokens: 3 });
    open();
    const kept = await first;
    const next = await engine.continue([...kept.sequences, 5], {
      max_new_tokens: 8,
      request: on(kept),
    });
    expect(next).toEqual(await alone([...kept.sequences, 5], { max_new_tokens: 8 }));
  });

  test.each([0, 1, 2, 3, 4, 5, 6, 8])(
    "may end its call %i microtasks after a step of another one: nothing of it runs afterwards",
    async (delay) => {
      const { processor, reached, open } = gate();
      const last = engine.generate([words(40)], {
        max_new_tokens: 1,
        functions: { processors: [processor] },
      });
      const other = engine.continue(words(20, 200), { max_new_tokens: 10 });
      await reached;
      const { runner } = engine.core;
      const step = runner.step.bind(runner);
      let opened = false;
      runner.step = async (...args) => {
        const result = await step(...args);
        if (!opened) {
          opened = true;
          open();
          for (let i = 0; i < delay; i++) await Promise.resolve();
        }
        return result;
      };
      await last;
      const before = engine.ran.rows;
      await other;
      expect(engine.ran.rows - before).toBeLessThanOrEqual(9);
      expect(engine.core.memory().pagesInUse).toBe(0);
    },
  );
});

describe("calls that fail", () => {
  test("a leader that fails while its copies choose leaves no pages of their cache behind", async () => {
    const first = await engine.generate([words(40)], {
      max_new_tokens: 2,
      request: { keepCache: true },
    });
    const failing: LogitsProcessor = ({ sequence }) => {
      if (sequence === 0) throw new Error("no");
    };
    const turn = engine.generate([[...first.sequences, 5]], {
      ...{ max_new_tokens: 8, do_sample: true, seed: 1, num_return_sequences: 3 },
      functions: { processors: [failing] },
      request: on(first),
    });
    await expect(turn).rejects.toThrow("no");
    await engine.core.cache({ op: "dispose", cache: first.cache?.id ?? 0 });
    expect(engine.core.memory().pagesInUse).toBe(0);
  });

  test("a draft that throws ends its call alone", async () => {
    const other = engine.continue(words(20, 200), { max_new_tokens: 10 });
    let asked = 0;
    const draft = (): number[] => {
      if (++asked === 3) throw new Error("no more");
      return [1, 2, 3];
    };
    const failing = engine.continue(words(30), { max_new_tokens: 10, functions: { draft } });
    await expect(failing).rejects.toThrow("no more");
    expect(await other).toEqual(await alone(words(20, 200), { max_new_tokens: 10 }));
    expect(engine.core.memory().pagesInUse).toBe(0);
  });

  test("a listener that throws ends its call alone", async () => {
    const other = engine.continue(words(20, 200), { max_new_tokens: 30 });
    const failing = engine.continue(words(30), {
      max_new_tokens: 30,
      onTokens: () => {
        throw new Error("cannot listen");
      },
    });
    await expect(failing).rejects.toThrow("cannot listen");
    expect(await other).toEqual(await alone(words(20, 200), { max_new_tokens: 30 }));
  });

  test("a call that lacks pages fails, though a forward call waits for the same cache", async () => {
    engine.limitPages(10);
    const held = await engine.generate([words(70)], {
      max_new_tokens: 2,
      request: { keepCache: true },
    });
    const first = await engine.generate([words(30, 200)], {
      max_new_tokens: 2,
      request: { keepCache: true },
    });
    // 5 pages are held, 2 by its own cache: 3 can be taken, and the call comes to need more.
    const turn = engine.generate([[...first.sequences, 5]], {
      max_new_tokens: 100,
      request: on(first),
    });
    const forward = engine.core.forward(
      {
        ...{ B: 1, S: 1, ids: Int32Array.of(7), cache: first.cache?.id, keepCache: true },
        ...{
          keep: Int32Array.of(0),
          wants: { logits: true, last: false, hidden: false, attentions: false },
        },
      },
      engine.newCall(),
    );
    await expect(turn).rejects.toThrow("can be taken");
    expect((await forward).cache?.length).toBe((first.cache?.length ?? 0) + 1);
    for (const { cache } of [held, first])
      await engine.core.cache({ op: "dispose", cache: cache?.id ?? 0 });
    expect(engine.core.memory().pagesInUse).toBe(0);
  });
});

describe("caches", () => {
  test("a row that ends long before the others gets room for the columns that it lacks", async () => {
    const two = [words(20), words(20, 300)];
    const tokens = await Promise.all(two.map((prompt) => alone(prompt, { max_new_tokens: 400 })));
    const end = tokens[0].find((id) => !tokens[1].includes(id));
    expect(tokens[0].indexOf(end ?? -1)).toBeLessThan(100);
    const { reasons, cache } = await engine.generate(two, {
      max_new_tokens: 400,
      eos_token_id: end ?? -1,
      request: { keepCache: true },
    });
    expect(reasons).toEqual(["eos", "length"]);
    await engine.core.cache({ op: "dispose", cache: cache?.id ?? 0 });
    expect(engine.core.memory().pagesInUse).toBe(0);
  });

  test("pages that a call of another domain adds to a cache are found in neither domain", async () => {
    const options: DirectOptions = { max_new_tokens: 2 };
    const first = await engine.generate([words(64)], {
      ...options,
      request: { keepCache: true, domain: "a" },
    });
    const text = [...first.sequences, ...words(64, 100)];
    const turn = await engine.generate([text], {
      ...options,
      request: { ...on(first), domain: "b" },
    });
    const found = async (domain: string): Promise<number> =>
      (await engine.generate([text], { ...options, request: { domain } })).cachedTokens[0];
    expect([await found("a"), await found("b")]).toEqual([64, 0]);
    await engine.core.cache({ op: "dispose", cache: turn.cache?.id ?? 0 });
    expect(engine.core.memory().pagesInUse).toBe(0);
  });
});

test("pages that a waiting call could have used, but that were taken before it was let in, do not count as cached", async () => {
  engine.limitPages(10);
  const prompt = words(100);
  await engine.generate([prompt], { max_new_tokens: 1 });
  // The first needs all pages in the end; the second looks at what it could use again and again, and waits.
  const first = engine.continue(words(70, 300), { max_new_tokens: 90 });
  const second = engine.generate([prompt], { max_new_tokens: 8 });
  await first;
  const before = engine.ran.rows;
  const { cachedTokens } = await second;
  expect(engine.ran.rows - before).toBe(100 + 7 - cachedTokens[0]);
  expect(cachedTokens[0]).toBeLessThan(96);
});
