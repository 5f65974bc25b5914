// Threads that die: the calls concerned reject with an EngineError in time, the next call works, and weights are not read again
// (where memory cannot be shared, they are).

import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { EngineError, InputError, type Tensor } from "../../src/index.ts";
import { withThreads, threadsOr1, weightsStay } from "../platform/has.ts";
import { goldenPath } from "../golden-files.ts";
import { pause, type SpiedModel, spiedModel } from "./spied-model.ts";
import { slowShape, temporaryFolder, writeModel } from "./written-model.ts";

/** Milliseconds in which a dead thread must be noticed, with room for a busy machine. */
const IN_TIME = 2000;

const prompt = [1, 17, 300, 45, 99, 12, 7];

async function rejection(promise: Promise<unknown>): Promise<unknown> {
  try {
    await promise;
  } catch (error) {
    return error;
  }
  throw new Error("it should have been rejected");
}

describe("a small model", () => {
  let spied: SpiedModel;
  let expected: unknown;
  beforeAll(async () => {
    spied = await spiedModel(goldenPath("models/base-f32"), { threads: threadsOr1(2) });
    expected = (await spied.model.generate(prompt, { max_new_tokens: 12 })).tolist();
  });
  afterAll(() => spied.model.dispose());

  const works = async (): Promise<void> => {
    const { model } = spied;
    const again: Tensor = await model.generate(prompt, { max_new_tokens: 12 });
    expect(again.tolist()).toEqual(expected);
    expect((await model.memory()).pagesInUse).toBe(0);
  };

  test("the worker dies while nothing runs: the next call starts another one, which has the weights", async () => {
    await spied.latest("worker").kill();
    await spied.latest("worker").ended;
    await works();
    const { messages } = spied.latest("worker");
    expect(spied.workers.filter(({ kind }) => kind === "worker")).toHaveLength(2);
    expect(messages).toContain("ready");
    expect(messages.includes("progress")).toBe(!weightsStay);
  });

  test("the worker dies again and again", async () => {
    for (let i = 0; i < 3; i++) {
      await spied.latest("worker").kill();
      await spied.latest("worker").ended;
      await works();
    }
    expect(spied.latest("worker").messages.includes("progress")).toBe(!weightsStay);
  });

  test("the worker dies between the call and its answer", async () => {
    const dying = spied.latest("worker").kill();
    const error = await rejection(spied.model.generate(prompt, { max_new_tokens: 12 }));
    expect(error).toBeInstanceOf(EngineError);
    await dying;
    await works();
  });

  test("the worker dies while tokens come: all calls in progress reject, the streamer too", async () => {
    const { model } = spied;
    let tokens = 0;
    let reason: unknown;
    const streaming = model.generate(prompt, {
      max_new_tokens: 400,
      eos_token_id: null,
      streamer: {
        put: () => {
          if (++tokens === 3) void spied.latest("worker").kill();
        },
        end: () => {},
        fail: (error) => (reason = error),
      },
    });
    const other = model.generate([5, 6], { max_new_tokens: 400, eos_token_id: null });
    const [first, second] = await Promise.all([rejection(streaming), rejection(other)]);
    expect(first).toBeInstanceOf(EngineError);
    expect(second).toBeInstanceOf(EngineError);
    expect((first as Error).message).toMatch(/worker died .*next call starts a new one/s);
    expect(reason).toBe(first);
    await works();
  });

  test("caches of a dead worker are gone, and never taken for those of the next", async () => {
    const { model } = spied;
    const { past_key_values: lost } = await model({ input_ids: prompt, use_cache: true });
    await spied.latest("worker").kill();
    await spied.latest("worker").ended;
    const { past_key_values: fresh } = await model({ input_ids: [3, 4], use_cache: true });
    const error = await rejection(model({ input_ids: [8], past_key_values: lost }));
    expect(error).toBeInstanceOf(InputError);
    expect((error as Error).message).toMatch(/gone.*worker died/);
    await lost?.dispose();
    expect(fresh?.get_seq_length()).toBe(2);
    await model({ input_ids: [8], past_key_values: fresh });
    expect(fresh?.get_seq_length()).toBe(3);
    await fresh?.dispose();
    await works();
  });

  test(
    "a helper dies while nothing runs, and is replaced",
    withThreads(async () => {
      const before = spied.workers.filter(({ kind }) => kind === "helper").length;
      const helper = spied.latest("helper");
      await helper.kill();
      await helper.ended;
      await works();
      expect(spied.workers.filter(({ kind }) => kind === "helper")).toHaveLength(before + 1);
    }),
  );

  test(
    "helpers die at any moment of a generation: it is right, or an EngineError",
    withThreads(async () => {
      for (let i = 0; i < 6; i++) {
        const going = spied.model.generate(prompt, { max_new_tokens: 12 });
        await pause(i);
        await spied.latest("helper").kill();
        const result = await going.catch((error: unknown) => error);
        if (result instanceof Error) expect(result).toBeInstanceOf(EngineError);
        else expect((result as Tensor).tolist()).toEqual(expected);
        await works();
      }
    }),
  );
});

describe("a prompt that takes seconds", () => {
  const folder = temporaryFolder();
  const long = Int32Array.from({ length: 8000 }, (_, i) => (i * 7) % 64);
  let spied: SpiedModel;
  beforeAll(async () => {
    await writeModel(folder.dir, slowShape, { dtype: "bf16" });
    spied = await spiedModel(folder.dir, { threads: threadsOr1(2) });
  });
  afterAll(async () => {
    await spied.model.dispose();
    folder.remove();
  });

  test.each(["generate", "forward"] as const)(
    "the worker dies in the prefill of %s",
    async (name) => {
      const { model } = spied;
      const before = await model.generate([1, 2, 3], { max_new_tokens: 4 });
      const going = rejection(
        name === "generate"
          ? model.generate(long, { max_new_tokens: 2 })
          : model({ input_ids: long, logits_to_keep: 1 }),
      );
      await pause(150);
      const killed = performance.now();
      await spied.latest("worker").kill();
      expect(await going).toBeInstanceOf(EngineError);
      expect(performance.now() - killed).toBeLessThan(IN_TIME);
      const after = await model.generate([1, 2, 3], { max_new_tokens: 4 });
      expect(after.tolist()).toEqual(before.tolist());
      expect(spied.latest("worker").messages.includes("progress")).toBe(!weightsStay);
      expect((await model.memory()).pagesInUse).toBe(0);
    },
  );

  test(
    "a helper dies in a prefill: it is right, or an EngineError in time",
    withThreads(async () => {
      const { model } = spied;
      const input_ids = long.subarray(0, 700);
      const options = { input_ids, logits_to_keep: 1, use_cache: false };
      const whole = await model(options);
      for (let i = 0; i < 3; i++) {
        const going = model(options).catch((error: unknown) => error);
        await pause(40 + 30 * i);
        await spied.latest("helper").kill();
        const result = await going;
        if (result instanceof Error) expect(result).toBeInstanceOf(EngineError);
        else expect((result as typeof whole).logits.data).toEqual(whole.logits.data);
      }
      expect((await model(options)).logits.data).toEqual(whole.logits.data);
    }),
  );

  test("the files are gone when a worker is to be replaced: a CheckpointError, and no hang", async () => {
    const { dir, remove } = temporaryFolder();
    await writeModel(dir);
    const own = await spiedModel(dir);
    await own.latest("worker").kill();
    await own.latest("worker").ended;
    remove();
    const error = await rejection(own.model.generate([1], { max_new_tokens: 2 }));
    expect((error as Error).name).toBe("CheckpointError");
    const next = await rejection(own.model.generate([1], { max_new_tokens: 2 }));
    expect((next as Error).name).toBe("CheckpointError");
    await own.model.dispose();
  });
});

test("a kernel that traps: an EngineError that names the op; the next call works", async () => {
  const { model, engine } = await spiedModel(goldenPath("models/base-f32"), {
    threads: threadsOr1(2),
  });
  const good = await model({ input_ids: prompt });
  const H = model.config.hidden_size;
  // The engine trusts the API's checks: a row 2 GiB behind the table is beyond the memory.
  const error = await rejection(
    engine.call("forward", {
      ...{ B: 1, S: 1, ids: Int32Array.of(2 ** 31 / (H * 4)), keepCache: false },
      keep: Int32Array.of(0),
      wants: { logits: true, last: false, hidden: false, attentions: false },
    }),
  );
  expect(error).toBeInstanceOf(EngineError);
  expect((error as Error).message).toMatch(/^embed: the kernel failed .*next call works/);
  const after = await model({ input_ids: prompt });
  expect(after.logits.data).toEqual(good.logits.data);
  await good.past_key_values?.dispose();
  await after.past_key_values?.dispose();
  expect((await model.memory()).pagesInUse).toBe(0);
  await model.dispose();
});
