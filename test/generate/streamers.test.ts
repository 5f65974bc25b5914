// Streamers: Transformers' pieces from a real tokenizer, and readers of every kind.

import { readFileSync } from "node:fs";
import { setTimeout as wait } from "node:timers/promises";
import { describe, expect, test } from "vitest";
import { TextStreamer } from "../../src/api/tokenizer/text-streamer.ts";
import { EngineError, InputError } from "../../src/errors.ts";
import {
  type IndexedText,
  type StreamTokenizer,
  TextIteratorStreamer,
  type TextStreamerOptions,
} from "../../src/generate/streamers.ts";
import { StreamDecoder } from "../../src/text/stream-decoder.ts";
import { readTokenizerJson } from "../../src/text/tokenizer-json.ts";
import { TextTokenizer } from "../../src/text/tokenizer.ts";
import { goldenPath, goldenJson } from "../golden-files.ts";

const path = goldenPath("tokenizers/tiny/tokenizer.json");
const text = new TextTokenizer(readTokenizerJson(readFileSync(path), path), path);
const tiny: StreamTokenizer = {
  decode: (ids, options = {}) => text.decode(ids, options.skip_special_tokens ?? false),
};
const incremental: StreamTokenizer = {
  ...tiny,
  stream_decoder: ({ skip_special_tokens = false, wholeText }) =>
    new StreamDecoder(text, { skipSpecial: skip_special_tokens, wholeText }),
};
/** Every id is a word. */
const words: StreamTokenizer = { decode: (ids) => ids.map((id) => `${id} `).join("") };

class Collector extends TextStreamer {
  readonly pieces: string[] = [];
  ends = 0;

  override on_finalized_text(piece: string, stream_end: boolean = false): void {
    this.pieces.push(piece);
    if (stream_end) this.ends++;
  }
}

async function all<T>(pieces: AsyncIterable<T>): Promise<T[]> {
  const list: T[] = [];
  for await (const piece of pieces) list.push(piece);
  return list;
}

describe("pieces as Transformers prints them", () => {
  type Golden = { ids: number[]; chunks: string[]; chunks_skip_special: string[] };
  const { stream } = goldenJson<{ stream: Golden[] }>("tokenization/tiny.json");

  test.each([
    ["decoding again", tiny],
    ["incrementally", incremental],
  ])("%s", (_, tokenizer) => {
    for (const { ids, chunks, chunks_skip_special } of stream) {
      for (const skip_special_tokens of [false, true]) {
        const streamer = new Collector(tokenizer, { skip_special_tokens });
        for (const id of ids) void streamer.put([id]);
        void streamer.end();
        expect(streamer.pieces).toEqual(skip_special_tokens ? chunks_skip_special : chunks);
        expect(streamer.ends).toBe(1);
      }
    }
    expect(stream.length).toBeGreaterThan(5);
  });
});

test.each([
  ["decoding again", tiny],
  ["incrementally", incremental],
])("wholeText: the pieces are together what decode gives, %s", (_, tokenizer) => {
  const { stream } = goldenJson<{ stream: { ids: number[] }[] }>("tokenization/tiny.json");
  const indented = [
    ...text.encodeText("a:\n   b\n\n  c", { details: false, splitSpecial: false }).ids,
  ];
  for (const ids of [indented, ...stream.map((each) => each.ids)]) {
    const whole = new Collector(tokenizer, { wholeText: true });
    for (const id of ids) void whole.put([id]);
    void whole.end();
    expect(whole.pieces.join("")).toBe(tokenizer.decode(ids));
  }
  expect(tokenizer.decode(indented)).toBe("a:\n   b\n\n  c");
});

describe("TextStreamer", () => {
  test("skips the prompt, and takes tensors, typed arrays, bigints and nested arrays", () => {
    const streamer = new Collector(words, { skip_prompt: true });
    void streamer.put({ dims: [1, 3], data: Int32Array.of(7, 8, 9) });
    void streamer.put(BigInt64Array.of(1n));
    void streamer.put([[2]]);
    void streamer.put(3);
    void streamer.end();
    expect(streamer.pieces.join("")).toBe("1 2 3 ");
    void streamer.put([[5]]);
    void streamer.put([6]);
    void streamer.end();
    expect(streamer.pieces.join("")).toBe("1 2 3 6 ");
  });

  test("calls back with text and with ids", () => {
    const [texts, ids]: [string[], number[][]] = [[], []];
    const options: TextStreamerOptions = {
      callback_function: (piece) => texts.push(piece),
      token_callback_function: (step) => ids.push(step),
    };
    const streamer = new TextStreamer(words, options);
    void streamer.put([[4, 5]]);
    void streamer.put([6]);
    void streamer.end();
    expect([texts, ids]).toEqual([
      ["4 5 ", "6 "],
      [[4, 5], [6]],
    ]);
  });

  test("refuses a batch and unknown options", () => {
    const streamer = new Collector(words);
    expect(() => streamer.put([[1], [2]])).toThrow(InputError);
    const options = { skip_promt: true } as TextStreamerOptions;
    expect(() => new TextStreamer(words, options)).toThrow('did you mean "skip_prompt"?');
  });
});

describe("TextIteratorStreamer", () => {
  test("is iterated while text comes, and again for the next generation", async () => {
    const streamer = new TextIteratorStreamer(words);
    const pieces = all(streamer);
    for (const id of [1, 2, 3]) {
      await wait(1);
      await streamer.put([id]);
    }
    await streamer.end();
    expect(await pieces).toEqual(["1 ", "2 ", "3 "]);
    await streamer.put([9]);
    await streamer.end();
    expect(await all(streamer)).toEqual(["9 "]);
  });

  test("never waits without a reader", async () => {
    const streamer = new TextIteratorStreamer(words, { highWaterMark: 2 });
    for (let id = 0; id < 100; id++) expect(streamer.put([id])).toBeUndefined();
    await streamer.end();
    expect(await all(streamer)).toHaveLength(100);
  });

  test("of a batch gives { index, text }, and a sequence that ended gives nothing", async () => {
    const streamer = new TextIteratorStreamer<IndexedText>(words, { skip_prompt: true });
    await streamer.put([
      [0, 1],
      [2, 3],
    ]);
    await streamer.put([4, 5]);
    await streamer.put([6, -1]);
    expect(() => streamer.put([1, 2, 3])).toThrow("tokens of 3 sequences after a prompt of 2");
    await streamer.end();
    expect(await all(streamer)).toEqual([
      { index: 0, text: "4 " },
      { index: 1, text: "5 " },
      { index: 0, text: "6 " },
    ]);
  });

  test("as a ReadableStream holds the writer back", async () => {
    const streamer = new TextIteratorStreamer(words, { highWaterMark: 2 });
    let written = 0;
    const write = async (): Promise<void> => {
      for (; written < 20; written++) await streamer.put([written]);
      await streamer.end();
    };
    const reader = streamer.readable.getReader();
    const writing = write();
    await wait(5);
    expect(written).toBeLessThan(6);
    const pieces: string[] = [];
    for (let read = await reader.read(); !read.done; read = await reader.read()) {
      pieces.push(read.value);
    }
    await writing;
    expect(pieces).toHaveLength(20);
  });

  test("lets the writer go on when the reader leaves", async () => {
    const streamer = new TextIteratorStreamer(words, { highWaterMark: 1 });
    const write = async (): Promise<string> => {
      for (let id = 0; id < 30; id++) await streamer.put([id]);
      await streamer.end();
      return "written";
    };
    const writing = write();
    for await (const piece of streamer) if (piece === "3 ") break;
    expect(await writing).toBe("written");
    await streamer.put([7]);
    await streamer.end();
    expect(await all(streamer)).toEqual(["7 "]);
  });

  test("hands a failure to the reader, and does not wait longer than its timeout", async () => {
    const streamer = new TextIteratorStreamer(words, { timeout: 0.01 });
    await streamer.put([1]);
    streamer.fail(new EngineError("a kernel trapped"));
    await expect(all(streamer)).rejects.toThrow("a kernel trapped");
    await expect(all(streamer)).rejects.toThrow("no text came for 0.01 seconds");
  });
});
