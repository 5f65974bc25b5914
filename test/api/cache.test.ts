// DynamicCache: what its methods do to the logits that follow, and every way to use one wrongly.

import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import {
  AutoModelForCausalLM,
  DynamicCache,
  InputError,
  type MistralForCausalLM,
  Tensor,
} from "../../src/index.ts";
import { goldenPath } from "../golden-files.ts";

const V = 640;
const rows = [
  [1, 20, 300, 7, 5],
  [9, 8, 77, 66, 55],
];

describe.each(["base-f32", "sw8-f32"])("%s", (name) => {
  let model: MistralForCausalLM;
  beforeAll(async () => {
    model = await AutoModelForCausalLM.from_pretrained(goldenPath(`models/${name}`));
  });
  afterEach(async () => expect((await model.memory()).pagesInUse).toBe(0));
  afterAll(() => model.dispose());

  const start = async (input_ids: number[] | number[][]): Promise<DynamicCache> => {
    const { past_key_values } = await model({ input_ids, use_cache: true });
    if (past_key_values === undefined) throw new Error("no cache came");
    return past_key_values;
  };
  /** The logits that follow these rows, computed whole. */
  const whole = async (input_ids: number[][], kept = 1): Promise<Float32Array> => {
    const out = await model({ input_ids, logits_to_keep: kept, use_cache: false });
    return out.logits.data as Float32Array;
  };
  const next = async (cache: DynamicCache, ids: number[][]): Promise<Float32Array> =>
    (await model({ input_ids: ids, past_key_values: cache, logits_to_keep: 1 })).logits
      .data as Float32Array;

  test("it goes on in place, and counts", async () => {
    const cache = await start(rows);
    expect(cache).toBeInstanceOf(DynamicCache);
    expect([cache.get_seq_length(), cache.batch_size]).toEqual([5, 2]);
    const out = await model({ input_ids: [[4], [3]], past_key_values: cache });
    expect(out.past_key_values).toBe(cache);
    expect(cache.get_seq_length()).toBe(6);
    expect(out.logits.data).toEqual(
      await whole([
        [...rows[0], 4],
        [...rows[1], 3],
      ]),
    );
    await cache.dispose();
  });

  test("crop: absolute, from the end, beyond the end, to nothing", async () => {
    const cache = await start(rows);
    await cache.crop(3);
    expect(cache.get_seq_length()).toBe(3);
    expect(await next(cache, [[4], [3]])).toEqual(
      await whole([
        [...rows[0].slice(0, 3), 4],
        [...rows[1].slice(0, 3), 3],
      ]),
    );
    await cache.crop(-2);
    expect(cache.get_seq_length()).toBe(2);
    await cache.crop(100);
    expect(cache.get_seq_length()).toBe(2);
    await cache.crop(0);
    await expect(model({ input_ids: [1], past_key_values: cache })).rejects.toThrow(/has 2/);
    await expect(model.generate([1], { past_key_values: cache })).rejects.toThrow(/× 2 rows/);
    expect(await next(cache, rows)).toEqual(await whole(rows));
    await expect(cache.crop(-6)).rejects.toThrow(InputError);
    await expect(cache.crop(1.5)).rejects.toThrow(InputError);
    expect(cache.get_seq_length()).toBe(5);
    await cache.dispose();
  });

  test("fork: both go their own way", async () => {
    const cache = await start(rows);
    const fork = await cache.fork();
    const [a, b] = await Promise.all([next(cache, [[4], [3]]), next(fork, [[6], [2]])]);
    expect(a).toEqual(await whole([[...rows[0], 4], [...rows[1], 3]])); // prettier-ignore
    expect(b).toEqual(await whole([[...rows[0], 6], [...rows[1], 2]])); // prettier-ignore
    await cache.dispose();
    expect(await next(fork, [[4], [3]])).toEqual(
      await whole([
        [...rows[0], 6, 4],
        [...rows[1], 2, 3],
      ]),
    );
    await fork.dispose();
  });

  test("reorder_cache, batch_select_indices, batch_repeat_interleave", async () => {
    const cache = await start(rows);
    await cache.reorder_cache([1, 0, 1]);
    expect(cache.batch_size).toBe(3);
    expect(await next(cache, [[4], [3], [2]])).toEqual(
      await whole([
        [...rows[1], 4],
        [...rows[0], 3],
        [...rows[1], 2],
      ]),
    );
    await cache.batch_select_indices(Tensor.from([2, 1]));
    expect(cache.batch_size).toBe(2);
    await cache.batch_repeat_interleave(2);
    expect(cache.batch_size).toBe(4);
    expect(await next(cache, [[1], [2], [3], [4]])).toEqual(
      await whole([
        [...rows[1], 2, 1],
        [...rows[1], 2, 2],
        [...rows[0], 3, 3],
        [...rows[0], 3, 4],
      ]),
    );
    for (const bad of [[], [4], [-1], [0.5], [[0]], "x"]) {
      await expect(cache.batch_select_indices(bad as never)).rejects.toThrow(InputError);
    }
    for (const bad of [0, -1, 1.5]) {
      await expect(cache.batch_repeat_interleave(bad)).rejects.toThrow(InputError);
    }
    expect([cache.batch_size, cache.get_seq_length()]).toEqual([4, 7]);
    await cache.dispose();
  });

  test("left padding is remembered: the mask may be left out, given again, but not changed", async () => {
    const padded = [rows[0], [0, 0, ...rows[1].slice(0, 3)]];
    const mask = [
      [1, 1, 1, 1, 1],
      [0, 0, 1, 1, 1],
    ];
    const out = await model({ input_ids: padded, attention_mask: mask, use_cache: true });
    const cache = out.past_key_values as DynamicCache;
    const fork = await cache.fork();
    const ids = [[4], [3]];
    const a = await model({ input_ids: ids, past_key_values: cache });
    const again = mask.map((row) => [...row, 1]);
    const b = await model({ input_ids: ids, past_key_values: fork, attention_mask: again });
    expect(b.logits.data).toEqual(a.logits.data);
    const wrong = [[1, 1, 1, 1, 1, 1, 1], [0, 1, 1, 1, 1, 1, 1]]; // prettier-ignore
    await expect(
      model({ input_ids: ids, past_key_values: fork, attention_mask: wrong }),
    ).rejects.toThrow(/attention_mask: row 1, column 1 is 1, but past_key_values were made with 0/);
    await expect(
      model({ input_ids: ids, past_key_values: fork, attention_mask: again }),
    ).rejects.toThrow(/attention_mask \[2, 6\]: expected \[2, 7\]/);
    expect(fork.get_seq_length()).toBe(6);
    await Promise.all([cache.dispose(), fork.dispose()]);
  });

  test("two calls on one cache at the same time: one wins, the other is told", async () => {
    const cache = await start(rows);
    const calls = await Promise.allSettled([next(cache, [[4], [3]]), next(cache, [[6], [2]])]);
    expect(calls.map(({ status }) => status)).toEqual(["fulfilled", "rejected"]);
    expect((calls[1] as PromiseRejectedResult).reason).toBeInstanceOf(InputError);
    expect((calls[1] as PromiseRejectedResult).reason.message).toMatch(
      /had 5 columns when this call was made, and has 6 now.*await each call.*fork\(\)/,
    );
    expect(cache.get_seq_length()).toBe(6);
    expect(await next(cache, [[1], [1]])).toEqual(
      await whole([
        [...rows[0], 4, 1],
        [...rows[1], 3, 1],
      ]),
    );
    await cache.dispose();
  });

  test("disposed of while a call runs: the call ends, nothing is left", async () => {
    const cache = await start(rows);
    const going = model({
      input_ids: rows,
      past_key_values: cache,
      signal: new AbortController().signal,
    });
    await cache.dispose();
    await going.catch(() => {});
    expect(cache.get_seq_length()).toBe(0);
  });

  test("disposed of: twice is harmless, every use is an InputError", async () => {
    const cache = await start(rows);
    await cache.dispose();
    await cache.dispose();
    expect([cache.get_seq_length(), cache.batch_size]).toEqual([0, 0]);
    const uses = [
      () => cache.crop(1),
      () => cache.fork(),
      () => cache.reorder_cache([0]),
      () => cache.batch_repeat_interleave(2),
      () => model({ input_ids: [[1], [1]], past_key_values: cache }),
      () => model.generate([1, 2, 3], { past_key_values: cache }),
    ];
    for (const use of uses) {
      const error = await use().catch((e: unknown) => e);
      expect(error).toBeInstanceOf(InputError);
      expect((error as Error).message).toMatch(/has been disposed of/);
    }
  });

  test("a new one is empty, and filled by the first call that it is given to", async () => {
    const cache = new DynamicCache({ config: model.config });
    expect([cache.get_seq_length(), cache.batch_size]).toEqual([0, 0]);
    await expect(cache.crop(1)).rejects.toThrow(/the cache is empty/);
    const first = await model({ input_ids: rows, past_key_values: cache, logits_to_keep: 1 });
    expect(first.logits.data).toEqual(await whole(rows));
    expect(first.past_key_values).toBe(cache);
    expect([cache.get_seq_length(), cache.batch_size]).toEqual([5, 2]);
    await cache.dispose();

    const chat = new DynamicCache();
    let ids = rows[0];
    for (let turn = 0; turn < 3; turn++) {
      const options = { max_new_tokens: 7, eos_token_id: null };
      const plain = await model.generate(ids, options);
      const out = await model.generate({ input_ids: ids, past_key_values: chat }, options);
      expect(out.tolist()).toEqual(plain.tolist());
      ids = [...(out.tolist() as number[][])[0], 9, 4 + turn];
    }
    expect(chat.get_seq_length()).toBe(5 + 3 * 7 + 2 * 2 - 1);
    await chat.dispose();
    await new DynamicCache().dispose();
    expect(() => new DynamicCache({ confg: 1 } as never)).toThrow(/did you mean "config"/);
  });

  test("await using", async () => {
    {
      await using cache = await start(rows);
      expect((await model.memory()).pagesInUse).toBeGreaterThan(0);
      expect(cache.get_seq_length()).toBe(5);
    }
    expect((await model.memory()).pagesInUse).toBe(0);
  });

  test("of another model, or of another batch size", async () => {
    const other = await AutoModelForCausalLM.from_pretrained(goldenPath(`models/${name}`));
    const { past_key_values } = await other({ input_ids: rows, use_cache: true });
    await expect(model({ input_ids: [[1], [2]], past_key_values })).rejects.toThrow(
      /belongs to another model/,
    );
    await expect(model.generate([1, 2, 3], { past_key_values })).rejects.toThrow(
      /belongs to another model/,
    );
    await expect(other({ input_ids: [1], past_key_values })).rejects.toThrow(
      /1 rows came, past_key_values has 2/,
    );
    await other.dispose();
    await past_key_values?.dispose();
  });

  test("generate goes on with a cache as without one, in place", async () => {
    const prompt = rows[0];
    const options = { max_new_tokens: 30, eos_token_id: null };
    const plain = await model.generate(prompt, options);
    const cache = await start(prompt.slice(0, 4));
    const out = await model.generate(prompt, { ...options, past_key_values: cache });
    expect(out.tolist()).toEqual(plain.tolist());
    expect(cache.get_seq_length()).toBe(34);

    const longer = [...(out.tolist() as number[][])[0], 3];
    const a = await model.generate(longer, { ...options, past_key_values: cache });
    const b = await model.generate(longer, options);
    expect(a.tolist()).toEqual(b.tolist());

    await expect(model.generate(prompt, { past_key_values: cache })).rejects.toThrow(
      /must begin with the 65 columns × 1 rows/,
    );
    await cache.dispose();
  });
});

test("a window that has released what the next token would see refuses to be cropped", async () => {
  const model = await AutoModelForCausalLM.from_pretrained(goldenPath("models/sw8-f32"));
  const ids = Array.from({ length: 80 }, (_, i) => (i * 7) % V);
  const { past_key_values: cache } = await model({ input_ids: ids, use_cache: true });
  await expect(cache?.crop(40)).rejects.toThrow(InputError);
  expect(cache?.get_seq_length()).toBe(80);
  const next = await model({ input_ids: [9], past_key_values: cache });
  const whole = await model({ input_ids: [...ids, 9], logits_to_keep: 1, use_cache: false });
  expect(next.logits.data).toEqual(whole.logits.data);
  await cache?.dispose();
  await model.dispose();
});
