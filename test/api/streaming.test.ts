// Streamers fed by generate: what they see, readers that come late or leave early, failures, and back-pressure.

import { afterAll, beforeAll, describe, expect, test } from "vitest";
import {
  AutoModelForCausalLM,
  AutoTokenizer,
  type IndexedText,
  InputError,
  type MistralForCausalLM,
  type PreTrainedTokenizer,
  TextIteratorStreamer,
  TextStreamer,
} from "../../src/index.ts";
import { goldenPath } from "../golden-files.ts";

let model: MistralForCausalLM;
let tokenizer: PreTrainedTokenizer;
beforeAll(async () => {
  model = await AutoModelForCausalLM.from_pretrained(goldenPath("models/base-f32"));
  tokenizer = await AutoTokenizer.from_pretrained(goldenPath("tokenizers/tiny"));
  tokenizer.padding_side = "left";
});
afterAll(async () => {
  expect((await model.memory()).pagesInUse).toBe(0);
  await model.dispose();
});

const options = { max_new_tokens: 40, eos_token_id: null };
const text = "Once upon a time";
const texts = ["Hello there", "Once upon a time there was"];

/** The texts of a generation without a streamer. */
async function plain(prompts: string | string[], skip = false): Promise<string[]> {
  const inputs = tokenizer([prompts].flat(), { padding: true, return_tensors: "ts" });
  const out = (await model.generate(inputs, options)).tolist() as number[][];
  const S = inputs.input_ids.dims[1];
  const rows = skip ? out.map((row) => row.slice(S)) : out;
  return tokenizer.batch_decode(rows, { skip_special_tokens: true });
}

async function collect<T>(pieces: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = [];
  for await (const piece of pieces) all.push(piece);
  return all;
}

test("a streamer of one's own sees the prompt, then each token, then the end", async () => {
  const events: unknown[] = [];
  const out = await model.generate([5, 6, 7], {
    max_new_tokens: 4,
    streamer: {
      put: (value) => {
        const rows = [...(value as Iterable<number | Int32Array>)];
        events.push(rows.map((row) => (typeof row === "number" ? row : [...row])));
      },
      end: () => void events.push("end"),
    },
  });
  const [row] = out.tolist() as number[][];
  expect(events).toEqual([[[5, 6, 7]], [row[3]], [row[4]], [row[5]], [row[6]], "end"]);
});

test.each([true, false])(
  "onProgress tells how much of the prompts is computed, streamed %s",
  async (isStreamed) => {
    const seen: { done: number; total: number }[] = [];
    // Longer than the rows of one step, and not begun like the other call's.
    const first = isStreamed ? 3 : 4;
    const input_ids = [Array.from({ length: 1300 }, (_, i) => first + (i % 500))];
    const streamer = isStreamed ? { put() {}, end() {} } : undefined;
    await model.generate({
      ...{ input_ids, streamer, do_sample: false, max_new_tokens: 2, num_return_sequences: 1 },
      onProgress: (step) => seen.push(step),
    });
    expect(seen.length).toBeGreaterThan(1);
    expect(seen.map(({ total }) => total)).toEqual(seen.map(() => 1300));
    const done = seen.map((step) => step.done);
    expect(done).toEqual([...new Set(done)].toSorted((a, b) => a - b));
    expect([done[0] < 1300, done.at(-1)]).toEqual([true, 1300]);

    const padded: number[] = [];
    await model.generate({
      input_ids: [
        [0, 0, 5],
        [7, 8, 9],
      ],
      attention_mask: [
        [0, 0, 1],
        [1, 1, 1],
      ],
      ...{ do_sample: false, max_new_tokens: 1, num_return_sequences: 1 },
      onProgress: ({ done: now, total }) => padded.push(now, total),
    });
    expect(padded.slice(-2)).toEqual([4, 4]);
  },
);

describe("TextStreamer", () => {
  test.each([true, false])("skip_prompt %s: the text of the ids", async (skip_prompt) => {
    let streamed = "";
    const streamer = new TextStreamer(tokenizer, {
      ...{ skip_prompt, skip_special_tokens: true },
      callback_function: (piece) => (streamed += piece),
    });
    await model.generate({ ...tokenizer(text), ...options, streamer });
    expect(streamed).toBe((await plain(text, skip_prompt))[0]);
  });

  test("several sequences are refused before anything runs", async () => {
    const inputs = tokenizer(texts, { padding: true });
    const streamer = new TextStreamer(tokenizer);
    await expect(model.generate(inputs, { ...options, streamer })).rejects.toThrow(InputError);
  });

  test("after a failure it can be used again", async () => {
    let streamed = "";
    const abort = new AbortController();
    const streamer = new TextStreamer(tokenizer, {
      ...{ skip_prompt: true, skip_special_tokens: true },
      callback_function: (piece) => {
        streamed += piece;
        abort.abort(new Error("enough"));
      },
    });
    const inputs = { ...tokenizer(text), ...options, streamer };
    await expect(model.generate({ ...inputs, signal: abort.signal })).rejects.toThrow("enough");
    streamed = "";
    await model.generate(inputs);
    expect(streamed).toBe((await plain(text, true))[0]);
  });
});

describe("TextIteratorStreamer", () => {
  const reader = (more = {}): TextIteratorStreamer =>
    new TextIteratorStreamer(tokenizer, { skip_prompt: true, skip_special_tokens: true, ...more });

  test("read while it comes, read afterwards, read as a stream", async () => {
    const [wanted] = await plain(text, true);
    const first = reader();
    const [pieces] = await Promise.all([
      collect(first),
      model.generate({ ...tokenizer(text), ...options, streamer: first }),
    ]);
    expect(pieces.join("")).toBe(wanted);
    expect(pieces.length).toBeGreaterThan(1);

    const late = reader();
    await model.generate({ ...tokenizer(text), ...options, streamer: late });
    expect((await collect(late)).join("")).toBe(wanted);

    const stream = reader({ highWaterMark: 1 });
    const [read] = await Promise.all([
      collect(stream.readable as AsyncIterable<string>),
      model.generate({ ...tokenizer(text), ...options, streamer: stream }),
    ]);
    expect(read.join("")).toBe(wanted);
  });

  test("of a batch: pieces with their index", async () => {
    const streamer = new TextIteratorStreamer<IndexedText>(tokenizer, {
      ...{ skip_prompt: true, skip_special_tokens: true },
    });
    const [pieces] = await Promise.all([
      collect(streamer),
      model.generate({ ...tokenizer(texts, { padding: true }), ...options, streamer }),
    ]);
    const joined = texts.map((_, i) =>
      pieces
        .filter(({ index }) => index === i)
        .map((piece) => piece.text)
        .join(""),
    );
    expect(joined).toEqual(await plain(texts, true));
  });

  test("a reader that stops early does not hold up generate", async () => {
    for (const highWaterMark of [1, 64]) {
      const streamer = reader({ highWaterMark });
      const going = model.generate({ ...tokenizer(text), ...options, streamer });
      for await (const piece of streamer) {
        expect(piece).not.toBe("");
        break;
      }
      expect((await going).dims[1]).toBeGreaterThan(40);
    }
  });

  test("a reader that never comes back: the signal ends the call all the same", async () => {
    const streamer = reader({ highWaterMark: 1 });
    const pieces = streamer[Symbol.asyncIterator]();
    const abort = new AbortController();
    const going = model.generate({
      ...{ ...tokenizer(text), ...options, streamer, signal: abort.signal },
    });
    await pieces.next();
    setTimeout(() => abort.abort(new Error("gone")), 300);
    await expect(going).rejects.toThrow("gone");
  });

  test("the engine waits for a reader that is behind, and others go on", async () => {
    const [wanted] = await plain(text, true);
    const streamer = reader({ highWaterMark: 1 });
    const long = { ...options, max_new_tokens: 1500 };
    const going = model.generate({ ...tokenizer(text), ...long, streamer });
    const pieces = streamer[Symbol.asyncIterator]();
    let read = (await pieces.next()).value ?? "";
    await model.generate(tokenizer(texts[0]).input_ids, { ...options, max_new_tokens: 300 });
    // The prompt and some 80 tokens, not the 300 and more that the other call had time for.
    expect((await model.memory()).pagesInUse).toBeLessThanOrEqual(8);
    for await (const piece of { [Symbol.asyncIterator]: () => pieces }) read += piece;
    expect((await going).dims[1]).toBeGreaterThan(1500);
    expect(read.startsWith(wanted)).toBe(true);
  });

  test("an abort reaches the reader, and so does every other failure", async () => {
    const abort = new AbortController();
    const streamer = reader();
    const going = model.generate({
      ...{ ...tokenizer(text), ...options, max_new_tokens: 400 },
      ...{ streamer, signal: abort.signal },
    });
    const reading = (async () => {
      for await (const piece of streamer) if (piece !== "") abort.abort(new Error("enough"));
    })();
    await expect(going).rejects.toThrow("enough");
    await expect(reading).rejects.toThrow("enough");

    const other = reader();
    const wrong = model.generate({ input_ids: [1], streamer: other, max_new_token: 3 } as never);
    await expect(wrong).rejects.toThrow(InputError);
    await expect(collect(other)).rejects.toThrow(/did you mean "max_new_tokens"/);
  });
});

describe("a streamer that throws", () => {
  test.each(["put", "end"] as const)(
    "from %s: generate rejects with its error, at once",
    async (where) => {
      const mine = new Error("the streamer's own");
      let puts = 0;
      let failed: unknown;
      const going = model.generate([5, 6, 7], {
        max_new_tokens: where === "put" ? 100_000 : 3,
        eos_token_id: null,
        return_dict_in_generate: true,
        streamer: {
          put: () => {
            puts++;
            if (where === "put" && puts === 3) throw mine;
          },
          end: () => {
            throw mine;
          },
          fail: (reason) => (failed = reason),
        },
      });
      await expect(going).rejects.toBe(mine);
      expect(failed).toBe(mine);
      expect(puts).toBe(where === "put" ? 3 : 4);
      expect((await model.memory()).pagesInUse).toBe(0);
    },
  );

  test("a promise that rejects is the same", async () => {
    const going = model.generate([5, 6, 7], {
      ...options,
      streamer: { put: () => Promise.reject(new Error("later")), end: () => {} },
    });
    await expect(going).rejects.toThrow("later");
  });
});
