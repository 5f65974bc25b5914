// What a call tells while it runs, and what may hold it up without holding up others: readers that fall behind, choices that take
// time, guesses; and whose abort may stop a step.

import { beforeEach, describe, expect, test } from "vitest";
import type { LogitsProcessor } from "../../src/generate/logits-processor.ts";
import { MOST_UNREAD } from "../../src/engine/sequence.ts";
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

describe("who chooses", () => {
  const settings: [name: string, options: DirectOptions][] = [
    ["greedy", {}],
    ["top_k", { do_sample: true, top_k: 20 }],
    [
      "temperature, top_p, min_p",
      { do_sample: true, temperature: 1.4, top_p: 0.8, min_p: 0.01, top_k: 0 },
    ],
    ["a penalty before sampling", { do_sample: true, repetition_penalty: 1.3, top_k: 30 }],
    ["n-grams, greedy", { no_repeat_ngram_size: 2 }],
    ["typical_p", { do_sample: true, typical_p: 0.7 }],
  ];

  test.each(settings)(
    "%s: the step, its threads or the host, the tokens and log-probabilities are the same",
    async (_, options) => {
      const tell = async (functions?: DirectOptions["functions"]): Promise<unknown[]> => {
        const told: unknown[] = [];
        const { sequences } = await (
          await load()
        ).generate([words(20), words(20, 7)], {
          ...{ max_new_tokens: 12, seed: 4, ...options },
          ...{ functions, request: { logprobs: true } },
          onTokens: ({ tokens, logprobs = new Float32Array() }, taken) => {
            told.push(...Array.from(logprobs, (logprob) => logprob.toFixed(4)));
            taken(tokens.length);
          },
        });
        return [...sequences, ...told];
      };
      // A caller's own processor, even one that does nothing, keeps all on the host.
      expect(await tell()).toEqual(await tell({ processors: [] }));
    },
  );

  test("logits stay on the device unless the host needs them", async () => {
    const read: boolean[] = [];
    const { runner } = engine.core;
    const step = runner.step.bind(runner);
    runner.step = async (rows, wants, ...others) => {
      read.push(wants.logits ?? false);
      return step(rows, wants, ...others);
    };
    await engine.continue(words(20), { max_new_tokens: 4, do_sample: true, seed: 1 });
    expect(read).toEqual([false, false, false, false]);
    await engine.continue(words(20), { max_new_tokens: 2, repetition_penalty: 1.1 });
    expect(read.slice(4)).toEqual([true, true]);
  });

  test("scores that are no numbers fail their own call only, wherever they are met", async () => {
    for (const functions of [undefined, { processors: [] }]) {
      const bad = engine.generate([words(20)], {
        ...{ max_new_tokens: 4, do_sample: true, functions },
        suppress_tokens: [...Array(640).keys()],
      });
      const beside = engine.continue(words(21, 8), { max_new_tokens: 10 });
      await expect(bad).rejects.toThrow("the scores are −Infinity for every token");
      expect(await beside).toEqual(await alone(words(21, 8), { max_new_tokens: 10 }));
    }
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
