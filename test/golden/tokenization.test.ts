// Every text, id list and stream of goldens/tokenization, from tokenizer.json and, where the same vocabulary has one,
// from tokenizer.model: exact ids, offsets, texts and printed pieces.

import { mkdtemp, rm, symlink } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { AutoTokenizer } from "../../src/api/tokenizer/auto-tokenizer.ts";
import type { PreTrainedTokenizer } from "../../src/api/tokenizer/tokenizer.ts";
import { goldenPath, goldenJson } from "../golden-files.ts";

type Goldens = {
  special: Record<string, number | null>;
  encode: {
    text: string;
    ids: number[];
    offsets: number[];
    decoded: string;
    decoded_skip_special: string;
  }[];
  decode: { ids: number[]; text: string; skip_special: string; tokens: string[] }[];
  surrogates: { text: string; "with_U+FFFD": { text: string; ids: number[] } }[];
  split_special_tokens: { text: string; ids: number[] }[];
  pairs: { text: string; pair: string; result: object }[];
  calls: {
    padding_side: "left" | "right";
    truncation_side: "left" | "right";
    kwargs: Record<string, unknown>;
    inputs: [string | string[], string?];
    result: { error?: string };
  }[];
  stream: { ids: number[]; chunks: string[]; chunks_skip_special: string[] }[];
  added: {
    ops: ({ returns: number } & Record<string, never>)[];
    length: number;
    encode: { text: string; ids: number[]; decoded: string; skip_special: string }[];
  };
};

const folders: string[] = [];
afterAll(() => Promise.all(folders.map((dir) => rm(dir, { recursive: true }))));

/** A folder with the tokenizer.model of one of the reference tokenizers and nothing else. */
async function modelOnly(name: string): Promise<string> {
  const dir = await mkdtemp(join(tmpdir(), "tokenizer-model-"));
  folders.push(dir);
  await symlink(goldenPath(`tokenizers/${name}/tokenizer.model`), join(dir, "tokenizer.model"));
  return dir;
}

const published = (name: string) => (): Promise<PreTrainedTokenizer> =>
  AutoTokenizer.from_pretrained(goldenPath(`tokenizers/${name}`));

const sources: { title: string; goldens: string; load: () => Promise<PreTrainedTokenizer> }[] = [
  ...["mistral-v1", "mistral-v1-prepend", "mistral-v3", "tiny"].map((name) => ({
    title: `${name}/tokenizer.json`,
    goldens: name,
    load: published(name),
  })),
  ...["mistral-v1", "mistral-v3"].map((name) => ({
    title: `${name}/tokenizer.model`,
    goldens: name,
    load: async () => AutoTokenizer.from_pretrained(await modelOnly(name)),
  })),
  {
    title: "tiny/tokenizer.model, with the padding token of its tokenizer_config.json",
    goldens: "tiny",
    load: async () =>
      AutoTokenizer.from_pretrained(await modelOnly("tiny"), { pad_token: "<unk>" }),
  },
  {
    title: "mistral-v1/tokenizer.model, legacy",
    goldens: "mistral-v1-prepend",
    load: async () =>
      AutoTokenizer.from_pretrained(await modelOnly("mistral-v1"), { legacy: true }),
  },
];

describe.each(sources)("$title", ({ goldens: name, load }) => {
  const goldens = goldenJson<Goldens>(`tokenization/${name}.json`);
  const loaded = load();

  test("names and sizes", async () => {
    const t = await loaded;
    expect({
      bos: t.bos_token_id,
      eos: t.eos_token_id,
      unk: t.unk_token_id,
      pad: t.pad_token_id,
      vocab_size: t.vocab_size,
      length: t.length,
    }).toEqual(goldens.special);
  });

  test("500 texts: ids, offsets, and back", async () => {
    const t = await loaded;
    expect(goldens.encode).toHaveLength(500);
    const rows = goldens.encode.map(({ text, ids }) => {
      const detailed = t(text, { return_offsets_mapping: true });
      return {
        text,
        ids: detailed.input_ids,
        offsets: (detailed.offset_mapping as [number, number][]).flat(),
        decoded: t.decode(ids),
        decoded_skip_special: t.decode(ids, { skip_special_tokens: true }),
      };
    });
    expect(rows).toEqual(
      goldens.encode.map(({ text, ids, offsets, decoded, decoded_skip_special }) => {
        return { text, ids, offsets, decoded, decoded_skip_special };
      }),
    );
    const texts = goldens.encode.map(({ text }) => text);
    const ids = goldens.encode.map((row) => row.ids);
    // twice without offsets: the second time from remembered chunks
    expect(t(texts).input_ids).toEqual(ids);
    expect(t(texts).input_ids).toEqual(ids);
    expect(t(texts, { add_special_tokens: false }).input_ids).toEqual(ids.map((r) => r.slice(1)));
  });

  test("id lists that are no text", async () => {
    const t = await loaded;
    expect(goldens.decode.length).toBeGreaterThan(60);
    const rows = goldens.decode.map(({ ids }) => ({
      ids,
      text: t.decode(ids),
      skip_special: t.decode(ids, { skip_special_tokens: true }),
      tokens: t.convert_ids_to_tokens(ids),
    }));
    expect(rows).toEqual(
      goldens.decode.map(({ ids, text, skip_special, tokens }) => {
        return { ids, text, skip_special, tokens };
      }),
    );
    const lists = goldens.decode.map(({ ids }) => ids);
    expect(t.batch_decode(lists)).toEqual(goldens.decode.map(({ text }) => text));
  });

  test("half a surrogate pair is an error that says where", async () => {
    const t = await loaded;
    expect(goldens.surrogates.length).toBeGreaterThan(0);
    for (const { text, "with_U+FFFD": fixed } of goldens.surrogates) {
      expect(() => t(text)).toThrow(
        /surrogate pair \(U\+D[0-9A-F]{3}\) at UTF-16 unit \d.*toWellFormed/,
      );
      expect(t(text.toWellFormed()).input_ids).toEqual(fixed.ids);
    }
  });

  test("streams print what TextStreamer prints", async () => {
    const t = await loaded;
    expect(goldens.stream).toHaveLength(30);
    for (const { ids, chunks, chunks_skip_special } of goldens.stream) {
      for (const skip_special_tokens of [false, true]) {
        const decoder = t.stream_decoder({ skip_special_tokens });
        const printed = ids.map((id) => decoder.put([id]));
        printed.push(decoder.end());
        expect(printed).toEqual(skip_special_tokens ? chunks_skip_special : chunks);
      }
    }
  });

  // These rows were recorded by a plain call: Transformers 5.23 sets the flag of its backend back before it encodes.
  // What the option split_special_tokens does is in test/text/options.test.ts.
  test("texts with special tokens in them", async () => {
    const t = await loaded;
    expect(goldens.split_special_tokens.length).toBeGreaterThan(20);
    for (const { text, ids } of goldens.split_special_tokens)
      expect(t(text).input_ids).toEqual(ids);
  });

  test("two texts", async () => {
    const t = await loaded;
    expect(goldens.pairs).toHaveLength(7);
    for (const { text, pair, result } of goldens.pairs) {
      const options = {
        text_pair: pair,
        return_offsets_mapping: true,
        return_token_type_ids: true,
        return_special_tokens_mask: true,
      };
      expect({ ...t(text, options) }).toEqual(result);
    }
  });

  test("72 calls: padding, truncation, stride, overflow, words", async () => {
    const t = await loaded;
    const { pad_token } = t;
    t.pad_token = "<unk>";
    expect(goldens.calls).toHaveLength(72);
    const results = goldens.calls.map(({ padding_side, truncation_side, kwargs, inputs }) => {
      Object.assign(t, { padding_side, truncation_side });
      const [text, text_pair = null] = inputs;
      try {
        return { ...t(text as string, { ...kwargs, text_pair }) };
      } catch (error) {
        return { error: (error as Error).name, message: (error as Error).message };
      }
    });
    Object.assign(t, { pad_token, padding_side: "right", truncation_side: "right" });
    const refused = {
      error: "InputError",
      message: expect.stringContaining("cannot reach max_length"),
    };
    const wanted = goldens.calls.map(({ result }) =>
      result.error === undefined ? result : refused,
    );
    expect(results).toEqual(wanted);
  });

  test("tokens added at run time", async () => {
    const t = await load();
    const [special, plain] = goldens.added.ops;
    expect(t.add_special_tokens(special.add_special_tokens)).toBe(special.returns);
    expect(t.add_tokens(plain.add_tokens)).toBe(plain.returns);
    expect(t.length).toBe(goldens.added.length);
    const rows = goldens.added.encode.map(({ text, ids }) => ({
      text,
      ids: t(text).input_ids,
      decoded: t.decode(ids),
      skip_special: t.decode(ids, { skip_special_tokens: true }),
    }));
    expect(rows).toEqual(goldens.added.encode);
  });
});
