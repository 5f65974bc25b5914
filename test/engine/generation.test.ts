// Many calls on one engine: pages that are shared by content, sequences that are computed again, forks, readers that fall behind, choices
// that take time. Whatever happens beside it, a call's tokens are those that it gets alone.

import { beforeEach, describe, expect, test } from "vitest";
import { alone, type DirectEngine, goldenEngine as load, words } from "./direct-engine.ts";

let engine: DirectEngine;
beforeEach(async () => {
  engine = await load();
});

describe("pages that other calls have computed", () => {
  test("20 calls with a common beginning of 2,000 tokens read it once, one after the other and at the same time", async () => {
    const prompts = Array.from({ length: 20 }, (_, i) => [
      ...words(2000),
      ...words(30, 29 * i + 1),
    ]);
    const options = { max_new_tokens: 4 };
    const results = await Promise.all(prompts.map((prompt) => engine.generate([prompt], options)));
    // 2,000 columns are 125 pages; each call has 30 rows of its own, and 3 that decode.
    expect(engine.ran.rows).toBe(2000 + 20 * (30 + 3));
    expect(results.map(({ cachedTokens }) => cachedTokens[0])).toEqual([
      0,
      ...Array.from({ length: 19 }, () => 2000),
    ]);
    const before = engine.ran.rows;
    const again = await engine.generate([prompts[7]], options);
    expect(again.cachedTokens[0]).toBe(2016);
    expect(engine.ran.rows - before).toBe(2030 - 2016 + 3);
    expect(again.sequences).toEqual(results[7].sequences);
    expect([...again.sequences.subarray(2030)]).toEqual(await alone(prompts[7], options));
    expect(engine.core.memory().pagesInUse).toBe(0);
  });

  test("a chat's next turn reads only what is new, with and without the cache of the turn before", async () => {
    for (const keepCache of [true, false]) {
      const chat = await load();
      let ids = words(100);
      let cache: number | undefined;
      const pages: number[] = [];
      for (let turn = 0; turn < 100; turn++) {
        const before = chat.ran.rows;
        const { sequences, cache: state } = await chat.generate([ids], {
          max_new_tokens: 6,
          request: { keepCache, cache, past: turn === 0 ? undefined : ids.length - 6 },
        });
        const rows = chat.ran.rows - before;
        if (turn > 0) expect(rows).toBeLessThanOrEqual(keepCache ? 6 + 5 : 6 + 5 + 16);
        cache = state?.id;
        ids = [...sequences, ...words(5, turn)];
        pages.push(chat.core.pool.inUse + chat.core.pool.kept);
      }
      const columns = ids.length - 5 - 1;
      expect(pages.at(-1)).toBeLessThanOrEqual(Math.ceil(columns / 16) + 1);
      expect(chat.core.pool.pages).toBeLessThanOrEqual(
        Math.ceil(1.5 * Math.ceil(columns / 16)) + 2,
      );
      if (cache !== undefined) await chat.core.cache({ op: "dispose", cache });
      expect(chat.core.memory().pagesInUse).toBe(0);
    }
  });

  test("calls of different domains share nothing", async () => {
    const prompt = words(100);
    await engine.generate([prompt], { max_new_tokens: 1, request: { domain: "a" } });
    const other = await engine.generate([prompt], { max_new_tokens: 1, request: { domain: "b" } });
    const same = await engine.generate([prompt], { max_new_tokens: 1, request: { domain: "a" } });
    expect([other.cachedTokens[0], same.cachedTokens[0]]).toEqual([0, 96]);
  });

  test("with a window, a prompt is taken up where its window is still there", async () => {
    const windowed = await load("sw8-f32");
    const prompt = words(200);
    // 211 columns: the next token sees those from 204 on, in the page that begins at 192.
    const first = await windowed.generate([prompt], { max_new_tokens: 12 });
    const again = await windowed.generate([[...first.sequences]], { max_new_tokens: 5 });
    expect(again.cachedTokens[0]).toBe(208);
    const fresh = await (
      await load("sw8-f32")
    ).generate([[...first.sequences]], { max_new_tokens: 5 });
    expect(again.sequences).toEqual(fresh.sequences);
    expect(windowed.core.memory().pagesInUse).toBe(0);
  });
});

describe("num_return_sequences", () => {
  const options = { do_sample: true, seed: 7, max_new_tokens: 12, num_return_sequences: 5 };

  test("reads the prompt once, and gives what separate calls with the same seed would", async () => {
    const prompt = words(70);
    const { sequences, cachedTokens } = await engine.generate([prompt], options);
    expect(engine.ran.rows).toBe(70 + 5 * 11);
    expect([...cachedTokens]).toEqual([0, 0, 0, 0, 0]);
    const rows = Array.from({ length: 5 }, (_, i) => sequences.slice(i * 82, (i + 1) * 82).join());
    expect(new Set(rows).size).toBe(5);
    // The same prompt five times in a batch: rows that are told apart by their number.
    const batch = await (
      await load()
    ).generate(
      Array.from({ length: 5 }, () => prompt),
      {
        ...options,
        num_return_sequences: 1,
      },
    );
    expect(batch.sequences).toEqual(sequences);
    expect(engine.core.memory().pagesInUse).toBe(0);
  });

  test("a prompt that ends in the middle of a page is copied before each goes its own way", async () => {
    const two = [words(37), words(37, 5)];
    const both = await engine.generate(two, { ...options, num_return_sequences: 3 });
    for (const [i, prompt] of two.entries()) {
      const one = await (await load()).generate([prompt], { ...options, num_return_sequences: 3 });
      expect(both.sequences.slice(i * 3 * 49, (i + 1) * 3 * 49)).toEqual(one.sequences);
    }
  });
});

describe("when pages run out", () => {
  test("the youngest is computed again, with the same tokens", async () => {
    engine.limitPages(10);
    const prompts = Array.from({ length: 6 }, (_, i) => words(20, 40 * i));
    const options = { max_new_tokens: 60, do_sample: true, seed: 3 };
    const results = await Promise.all(prompts.map((prompt) => engine.continue(prompt, options)));
    expect(engine.ran.rows).toBeGreaterThan(6 * (20 + 59));
    expect(engine.core.pool.pages).toBeLessThanOrEqual(10);
    for (const [i, prompt] of prompts.entries())
      expect(results[i]).toEqual(await alone(prompt, options));
    expect(engine.core.memory().pagesInUse).toBe(0);
  });

  test("what can never fit is refused at once, with the arithmetic", async () => {
    engine.limitPages(10);
    await expect(engine.continue(words(20), { max_new_tokens: 200 })).rejects.toThrow(
      /a sequence of up to 220 columns needs [\d.]+ MB \(14 pages of 16 columns\), but [\d.]+ MB \(10 pages\) is the most that fits; lower max_new_tokens/,
    );
    expect(engine.ran.rows).toBe(0);
  });

  test("unequal calls: none fails because a later one takes its pages", async () => {
    engine.limitPages(100);
    const options = { max_new_tokens: 32 };
    const columns = [60, 80, 30].map((pages) => pages * 16 - 32);
    const results = await Promise.all(
      columns.map((length, i) => engine.continue(words(length, 100 * i), options)),
    );
    for (const [i, length] of columns.entries())
      expect(results[i]).toEqual(await alone(words(length, 100 * i), options));
  });

  test("a forward call gets pages, too: sequences that generate give theirs back", async () => {
    engine.limitPages(10);
    const options = { max_new_tokens: 100 };
    const generating = engine.continue(words(30), options);
    await new Promise((resolve) => setTimeout(resolve, 30));
    const { logits } = await engine.core.forward(
      {
        ...{ B: 1, S: 140, ids: Int32Array.from(words(140, 9)), keepCache: false },
        ...{
          keep: Int32Array.of(139),
          wants: { logits: true, last: false, hidden: false, attentions: false },
        },
      },
      engine.newCall(),
    );
    expect(logits).toHaveLength(engine.core.runner.config.vocab_size);
    expect(await generating).toEqual(await alone(words(30), options));
  });
});

describe("a second turn on an old cache", () => {
  test("takes pages for what is new only, and the old cache stays when it fails", async () => {
    const prompt = words(330);
    let turn = await engine.generate([prompt], { max_new_tokens: 4, request: { keepCache: true } });
    const pools: number[] = [];
    for (let i = 0; i < 4; i++) {
      const ids = [...turn.sequences, 5];
      turn = await engine.generate([ids], {
        max_new_tokens: 4,
        request: { keepCache: true, cache: turn.cache?.id, past: turn.cache?.length },
      });
      pools.push(engine.core.pool.pages);
    }
    // 354 columns are 23 pages; the partly filled one is copied.
    expect(Math.max(...pools)).toBeLessThanOrEqual(1.5 * 23);
    const { cache } = turn;
    engine.limitPages(engine.core.pool.pages);
    const failing = engine.generate([[...turn.sequences, 5]], {
      max_new_tokens: 1000,
      request: { keepCache: true, cache: cache?.id, past: cache?.length },
    });
    await expect(failing).rejects.toThrow("is the most that fits");
    const next = await engine.generate([[...turn.sequences, 5]], {
      max_new_tokens: 4,
      request: { keepCache: true, cache: cache?.id, past: cache?.length },
    });
    expect([...next.sequences.slice(-4)]).toEqual(
      await alone([...turn.sequences, 5], { max_new_tokens: 4 }),
    );
  });

  test("ids that differ from what the cache holds do not change what others find", async () => {
    const prompt = words(64);
    const first = await engine.generate([prompt], {
      max_new_tokens: 2,
      request: { keepCache: true },
    });
    await engine.core.cache({ op: "crop", cache: first.cache?.id ?? 0, length: 60 });
    // Transformers ignores the ids of columns that the cache has; so do we, here with wrong ones.
    const wrong = [...words(60, 123), ...words(40, 7)];
    await engine.generate([wrong], {
      max_new_tokens: 2,
      request: { keepCache: true, cache: first.cache?.id, past: 60 },
    });
    const options = { max_new_tokens: 8 };
    expect(await engine.continue(wrong, options)).toEqual(await alone(wrong, options));
  });
});
