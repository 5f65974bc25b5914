// Aborts: the promise rejects with the signal's reason at once, others are not disturbed, and the engine is free within one op (where
// memory cannot be shared: within one step).

import { afterAll, beforeAll, describe, expect, test } from "vitest";
import {
  AutoModelForCausalLM,
  type MistralForCausalLM,
  type Tensor,
  type LoadOptions,
} from "../../src/index.ts";
import { stepsStop, threadsOr1 } from "../platform/has.ts";
import { pause } from "./spied-model.ts";
import { slowShape, temporaryFolder, writeModel } from "./written-model.ts";

const folder = temporaryFolder();
const long = Int32Array.from({ length: 8000 }, (_, i) => (i * 7) % 64);
const short = [1, 2, 3, 4, 5];

let model: MistralForCausalLM;
/** Milliseconds of one full chunk of a prompt: what an abort must not wait for. */
let chunk: number;

beforeAll(async () => {
  await writeModel(folder.dir, slowShape, { dtype: "bf16" });
  model = await AutoModelForCausalLM.from_pretrained(folder.dir, { threads: threadsOr1(2) });
  const warm = { input_ids: long.subarray(0, 512), logits_to_keep: 1, use_cache: false };
  await model(warm);
  const begin = performance.now();
  await model(warm);
  chunk = performance.now() - begin;
});
afterAll(async () => {
  expect((await model.memory()).pagesInUse).toBe(0);
  await model.dispose();
  folder.remove();
});

async function rejection(promise: Promise<unknown>): Promise<unknown> {
  return promise.then(
    () => expect.unreachable("it should have been rejected"),
    (error: unknown) => error,
  );
}

const calls: Record<string, (signal: AbortSignal) => Promise<unknown>> = {
  generate: (signal) => model.generate(long, { max_new_tokens: 4, signal }),
  forward: (signal) => model({ input_ids: long, logits_to_keep: 1, signal }),
  "forward of a batch": (signal) =>
    model({ input_ids: [[...long], [...long]], logits_to_keep: 1, signal }),
};

describe.each(Object.keys(calls))("%s", (name) => {
  test("in the middle of a long prefill", async () => {
    const waits: number[] = [];
    for (let i = 0; i < 4; i++) {
      const abort = new AbortController();
      const reason = new Error("enough");
      const going = rejection(calls[name](abort.signal));
      await pause(60 + 37 * i);
      const begin = performance.now();
      abort.abort(reason);
      expect(await going).toBe(reason);
      const rejected = performance.now() - begin;
      expect(rejected).toBeLessThan(20);
      // Answered between two steps: by then the aborted one has been left.
      await model.memory();
      waits.push(performance.now() - begin);
    }
    // The best of four: another process on the machine may hold up the others.
    expect(chunk).toBeGreaterThan(40);
    const limit = stepsStop ? Math.max(10, chunk / 4) : 2 * chunk;
    expect(Math.min(...waits)).toBeLessThan(limit);
    expect((await model.memory()).pagesInUse).toBe(0);
  });

  test("before it begins", async () => {
    const reason = new Error("never mind");
    expect(await rejection(calls[name](AbortSignal.abort(reason)))).toBe(reason);
  });
});

// A step that cannot be stopped must be short for the slow backend, and is long enough for the fast one all the same.
test.each<[LoadOptions, number]>([
  [{ threads: 1 }, 600],
  [{ device: "reference" }, stepsStop ? 600 : 16],
])("with %o", async (options, rows) => {
  const small = await AutoModelForCausalLM.from_pretrained(folder.dir, options);
  for (const ms of [20, 100]) {
    const begin = performance.now();
    const input_ids = long.subarray(0, rows);
    const call = small({ input_ids, signal: AbortSignal.timeout(ms) });
    expect(((await rejection(call)) as Error).name).toBe("TimeoutError");
    await small.memory();
    expect(performance.now() - begin).toBeLessThan(5000);
    expect((await small.memory()).pagesInUse).toBe(0);
  }
  await small.dispose();
});

test("AbortSignal.timeout ends a call with its TimeoutError", async () => {
  const error = await rejection(calls.generate(AbortSignal.timeout(50)));
  expect((error as Error).name).toBe("TimeoutError");
});

test("after it has ended, an abort changes nothing", async () => {
  const abort = new AbortController();
  const out = await model.generate(short, { max_new_tokens: 2, signal: abort.signal });
  abort.abort();
  expect(out.dims).toEqual([1, 7]);
  expect((await model.generate(short, { max_new_tokens: 2 })).tolist()).toEqual(out.tolist());
});

test("calls in progress beside an aborted one give what they give alone", async () => {
  const alone = await model.generate(short, { max_new_tokens: 10 });
  const logits = (await model({ input_ids: short, use_cache: false })).logits;
  for (let i = 0; i < 3; i++) {
    const abort = new AbortController();
    const aborted = [
      rejection(calls.generate(abort.signal)),
      rejection(calls.forward(abort.signal)),
    ];
    const beside = model.generate(short, { max_new_tokens: 10 });
    const forward = model({ input_ids: short, use_cache: false });
    await pause(30 * i);
    abort.abort("stop");
    expect(await Promise.all(aborted)).toEqual(["stop", "stop"]);
    expect((await beside).tolist()).toEqual(alone.tolist());
    expect((await forward).logits.data).toEqual(logits.data);
  }
});

test("many aborts in a row do not hold up others for ever", async () => {
  const alone = await model.generate(short, { max_new_tokens: 20 });
  const done = new AbortController();
  let aborts = 0;
  const going = model.generate(short, { max_new_tokens: 20 }).finally(() => done.abort());
  while (!done.signal.aborted) {
    const abort = new AbortController();
    const call = model({ input_ids: short, use_cache: false, signal: abort.signal });
    const ended = call.then(
      () => {},
      () => aborts++,
    );
    await pause(1);
    abort.abort();
    await ended;
  }
  expect((await going).tolist()).toEqual(alone.tolist());
  expect(aborts).toBeGreaterThan(0);
});

test("whenever the abort comes, a cache is as before or as the result says, and none is lost", async () => {
  const past = async (): Promise<Tensor> => {
    const out = await model({ input_ids: short, use_cache: true });
    cache = out.past_key_values;
    return out.logits;
  };
  let cache: Awaited<ReturnType<MistralForCausalLM>>["past_key_values"];
  await past();
  const whole = await model({ input_ids: [...short, 9], use_cache: false });
  const V = whole.logits.dims[2];
  const outcomes = { aborted: 0, done: 0 };
  for (let i = 0; i < 24; i++) {
    const abort = new AbortController();
    const going = model({ input_ids: [9], past_key_values: cache, signal: abort.signal });
    if (i % 3 === 0) await new Promise((resolve) => setImmediate(resolve));
    else await pause((i % 8) + 1);
    abort.abort(new Error("stop"));
    try {
      await going;
      outcomes.done++;
      expect(cache?.get_seq_length()).toBe(6);
      await cache?.crop(5);
    } catch {
      outcomes.aborted++;
      expect(cache?.get_seq_length()).toBe(5);
    }
    // At once, while the engine may still be busy with the aborted call.
    const fork = await cache?.fork();
    const next = await model({ input_ids: [9], past_key_values: fork });
    expect(next.logits.data).toEqual(whole.logits.data.subarray(5 * V));
    await fork?.dispose();
  }
  expect(outcomes.aborted).toBeGreaterThan(0);
  await cache?.dispose();
  expect((await model.memory()).pagesInUse).toBe(0);
});

test("loading can be aborted, and leaves nothing", async () => {
  const abort = new AbortController();
  const reason = new Error("not now");
  const error = await rejection(
    AutoModelForCausalLM.from_pretrained(folder.dir, {
      signal: abort.signal,
      onProgress: () => abort.abort(reason),
    }),
  );
  expect(error).toBe(reason);
});

test("an onProgress that throws ends loading with its error", async () => {
  const reason = new Error("my own fault");
  const error = await rejection(
    AutoModelForCausalLM.from_pretrained(folder.dir, {
      onProgress: () => {
        throw reason;
      },
    }),
  );
  expect(error).toBe(reason);
});
