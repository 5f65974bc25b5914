// Many calls on one engine: pages that are shared by content, sequences that are computed again, forks, readers that fall behind, choices
// that take time. Whatever happens beside it, a call's tokens are those that it gets alone.

import { beforeEach, describe, expect, test } from "vitest";
import type { LogitsProcessor } from "../../src/generate/processors.ts";
import { MOST_UNREAD } from "../../src/engine/sequence.ts";
import { backends, loadGolden } from "../golden/engines.ts";
import { DirectEngine } from "./direct-engine.ts";

const words = (length: number, from = 0): number[] =>
  Array.from({ length }, (_, i) => 3 + (((i + from) * 7919) % 600));

const load = async (model = "base-f32"): Promise<DirectEngine> =>
  DirectEngine.of(async (beforeStep) =>
    loadGolden(model, await backends.wasm(), "flash", "auto", undefined, beforeStep),
  );

let engine: DirectEngine;
beforeEach(async () => {
  engine = await load();
});

/** New tokens of a call that shares nothing. */
async function alone(
  prompt: readonly number[],
  options: Parameters<DirectEngine["continue"]>[1],
): Promise<number[]> {
  return (await load()).continue(prompt, options);
}

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
        Math.ceil(1.25 * Math.ceil(columns / 16)) + 2,
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
    expect(Math.max(...pools)).toBeLessThanOrEqual(30);
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

describe("readers", () => {
  test("one that falls behind is waited for, others go on", async () => {
    const options = { max_new_tokens: 400 };
    let reported = 0;
    let take: (count: number) => void = () => {};
    const slow = engine.generate([words(10)], {
      ...options,
      onTokens: ({ tokens }, taken) => {
        reported += tokens.length;
        take = taken;
      },
    });
    expect(await engine.continue(words(12, 3), { max_new_tokens: 300 })).toHaveLength(300);
    expect(reported).toBe(MOST_UNREAD + 1);
    take(30);
    await new Promise((resolve) => setTimeout(resolve, 100));
    expect(reported).toBe(MOST_UNREAD + 31);
    const pump = setInterval(() => take(50), 1);
    const { sequences } = await slow;
    clearInterval(pump);
    expect([...sequences.subarray(10)]).toEqual(await alone(words(10), options));
  });

  test("one that never reads can still be aborted, and holds nobody up", async () => {
    const call = engine.newCall();
    const stuck = engine.continue(words(10), { max_new_tokens: 400, call, onTokens: () => {} });
    await engine.continue(words(12, 3), { max_new_tokens: 100 });
    call.abort("enough");
    await expect(stuck).rejects.toBe("enough");
    expect(engine.core.memory().pagesInUse).toBe(0);
  });
});

describe("reports", () => {
  test("say row, token and log-probability, and at the end why", async () => {
    const rows = new Map<number, { tokens: number[]; logprobs: number[]; reason?: string }>();
    const prompts = [words(9), words(9, 4)];
    const { sequences, reasons, logits } = await engine.generate(prompts, {
      ...{ max_new_tokens: 6, output_logits: true, return_dict_in_generate: true },
      request: { logprobs: true },
      onTokens: (report, taken) => {
        report.rows.forEach((row, i) => {
          const known = rows.get(row) ?? { tokens: [], logprobs: [] };
          rows.set(row, known);
          known.tokens.push(report.tokens[i]);
          known.logprobs.push(report.logprobs?.[i] ?? NaN);
        });
        for (const { row, reason } of report.ends)
          (rows.get(row) ?? { reason: "" }).reason = reason;
        taken(report.tokens.length);
      },
    });
    expect(reasons).toEqual(["length", "length"]);
    const V = engine.core.runner.config.vocab_size;
    for (const row of [0, 1]) {
      const told = rows.get(row);
      expect(told?.tokens).toEqual([...sequences.subarray(row * 15 + 9, row * 15 + 15)]);
      expect(told?.reason).toBe("length");
      told?.logprobs.forEach((logprob, step) => {
        const scores = Array.from(logits?.[step].subarray(row * V, (row + 1) * V) ?? []);
        const max = Math.max(...scores);
        const sum = scores.reduce((total, score) => total + Math.exp(score - max), 0);
        expect(logprob).toBeCloseTo(scores[told.tokens[step]] - max - Math.log(sum), 4);
      });
    }
  });

  test("eos and abort are told, too", async () => {
    const first = await engine.continue(words(9), { max_new_tokens: 8 });
    const ends: string[] = [];
    const onTokens: Parameters<DirectEngine["generate"]>[1]["onTokens"] = (report, taken) => {
      ends.push(...report.ends.map(({ reason }) => reason));
      taken(report.tokens.length);
    };
    const eos_token_id = first[3];
    const { reasons } = await engine.generate([words(9)], {
      max_new_tokens: 8,
      eos_token_id,
      onTokens,
    });
    expect([reasons, ends]).toEqual([["eos"], ["eos"]]);
    const call = engine.newCall();
    const going = engine.generate([words(9)], { max_new_tokens: 2000, call, onTokens });
    await new Promise((resolve) => setTimeout(resolve, 20));
    call.abort();
    await expect(going).rejects.toBe("aborted");
    expect(ends).toEqual(["eos", "abort"]);
  });
});

describe("choosing a token", () => {
  /** Prefers a token that depends on the step. */
  const prefer =
    (wait: number): LogitsProcessor =>
    ({ step }, scores) => {
      scores[(step * 37) % scores.length] += 4;
      return wait === 0 ? undefined : new Promise((resolve) => setTimeout(resolve, wait));
    };

  test("may take its time without holding up other calls", async () => {
    const options = { max_new_tokens: 10 };
    const wanted = await engine.continue(words(20), {
      ...options,
      functions: { processors: [prefer(0)] },
    });
    const order: string[] = [];
    const slow = engine
      .continue(words(20), { ...options, functions: { processors: [prefer(30)] } })
      .finally(() => order.push("slow"));
    const fast = engine
      .continue(words(21, 8), { max_new_tokens: 60 })
      .finally(() => order.push("fast"));
    expect(await fast).toEqual(await alone(words(21, 8), { max_new_tokens: 60 }));
    expect(await slow).toEqual(wanted);
    expect(order).toEqual(["fast", "slow"]);
  });

  test("a processor that fails, at once or later, ends its own call only", async () => {
    const failing =
      (wait: boolean): LogitsProcessor =>
      ({ step }) => {
        if (step < 3) return undefined;
        if (!wait) throw new Error("mine");
        return Promise.reject(new Error("mine"));
      };
    const beside = engine.continue(words(21, 8), { max_new_tokens: 30 });
    for (const wait of [false, true]) {
      const call = engine.generate([words(20), words(20, 3)], {
        max_new_tokens: 10,
        functions: { processors: [failing(wait)] },
      });
      await expect(call).rejects.toThrow("mine");
    }
    expect(await beside).toEqual(await alone(words(21, 8), { max_new_tokens: 30 }));
    expect(engine.core.memory().pagesInUse).toBe(0);
  });
});

describe("speculation", () => {
  test("guesses save steps and change no token, whether they are right or wrong", async () => {
    for (const options of [
      { max_new_tokens: 40 },
      { max_new_tokens: 40, do_sample: true, seed: 5 },
    ]) {
      const wanted = await alone(words(20), options);
      for (const wrongAt of [-1, 0, 2]) {
        const guessing = await load();
        const draft = (ids: Int32Array): number[] => {
          const done = ids.length - 20;
          return wanted.slice(done, done + 4).map((id, i) => (i === wrongAt ? (id + 1) % 640 : id));
        };
        expect(await guessing.continue(words(20), { ...options, functions: { draft } })).toEqual(
          wanted,
        );
        const expected = wrongAt < 0 ? 40 / 5 + 1 : 40 / (wrongAt + 1) + 1;
        expect(guessing.ran.steps).toBeLessThanOrEqual(Math.ceil(expected) + 1);
        expect(guessing.core.memory().pagesInUse).toBe(0);
      }
    }
  });
});

test("a step is stopped only by the call whose rows alone are in it", async () => {
  const call = engine.newCall();
  await engine.generate([words(20)], { max_new_tokens: 3, call });
  expect(new Set(engine.ran.owners)).toEqual(new Set([call.id]));
  engine.ran.owners.length = 0;
  const others = [engine.newCall(), engine.newCall()];
  await Promise.all(
    others.map((other, i) => engine.generate([words(20, i)], { max_new_tokens: 20, call: other })),
  );
  expect(engine.ran.owners.filter((owner) => owner === 0).length).toBeGreaterThan(15);
});

test("scores and logits that no machine can hold are refused before anything runs", async () => {
  const call = engine.generate([words(10)], {
    ...{ max_new_tokens: 50_000_000, output_scores: true, output_logits: true },
    return_dict_in_generate: true,
  });
  await expect(call).rejects.toThrow(
    /output_scores and output_logits 2 × \[50000000, 1, 640\] in float32 take 256\.00 GB, but .* lower max_new_tokens/,
  );
  expect(engine.ran.rows).toBe(0);
});
