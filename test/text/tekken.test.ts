// tekken.json: which tokens a text has, how they become text again, and what a file can get wrong. Right values: tiktoken's rule of
// ranks, and mistral-common's Tekkenizer (also in the stored cases of mistral-common.test.ts).

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { tokenBytesTable } from "../../src/api/tokenizer/token-bytes.ts";
import { CheckpointError } from "../../src/errors.ts";
import { Bpe } from "../../src/text/bpe.ts";
import { StreamDecoder } from "../../src/text/stream-decoder.ts";
import { readTekken } from "../../src/text/tekken.ts";
import { TokenBuffer } from "../../src/text/token-buffer.ts";
import { TextTokenizer } from "../../src/text/tokenizer.ts";
import { seeded } from "../random.ts";

type File = {
  config: Record<string, unknown>;
  vocab: { rank: number; token_bytes: string; token_str: string | null }[];
  special_tokens?: { rank: number; token_str: string; is_control: boolean }[] | null;
  [field: string]: unknown;
};

const stringified = readFileSync(join(import.meta.dirname, "mistral-common/tekken.json"), "utf8");
const file = (): File => JSON.parse(stringified) as File;
const encoder = new TextEncoder();
const opened = (data: object): TextTokenizer =>
  new TextTokenizer(readTekken(encoder.encode(JSON.stringify(data)), "tekken.json").parts, "x");
const stored = opened(file());

/** A file whose tokens are the bytes and these texts. */
function fileOf(tokens: readonly string[], pattern = "[\\s\\S]+"): File {
  const bytes = [
    ...Array.from({ length: 256 }, (_, byte) => String.fromCharCode(byte)),
    ...tokens.map((token) => String.fromCharCode(...encoder.encode(token))),
  ];
  const special = ["<unk>", "<s>", "</s>"];
  return {
    config: {
      pattern,
      num_vocab_tokens: bytes.length,
      default_vocab_size: bytes.length + special.length,
      default_num_special_tokens: special.length,
      version: "v7",
    },
    vocab: bytes.map((token, rank) => ({ rank, token_bytes: btoa(token), token_str: null })),
    special_tokens: special.map((token_str, rank) => ({ rank, token_str, is_control: true })),
  };
}

/** The texts of the tokens of a text. */
const pieces = (t: TextTokenizer, of: string): string[] =>
  Array.from(t.encodePlain(of), (id) => t.decode([id], false));

describe("merges in the order of ranks", () => {
  test("the token of the lowest rank first, then the leftmost", () => {
    expect(pieces(opened(fileOf(["ab", "bc", "abc"])), "abcbc")).toEqual(["abc", "bc"]);
    expect(pieces(opened(fileOf(["bc", "ab", "cd"])), "abcd")).toEqual(["a", "bc", "d"]);
    // as tiktoken 0.13 gives them
    const t = opened(fileOf(["ba", "aa", "ab", "aab", "baa", "aabaa"]));
    expect(pieces(t, "aababbbba").join(" ")).toBe("aa ba b b b ba");
    expect(pieces(t, "ababbabbaabaaaababaa").join(" ")).toBe("a ba b ba b baa ba aa a ba baa");
  });

  test("also of a word of many symbols, which a heap merges", () => {
    const t = opened(fileOf(["aa", "aaa"]));
    for (const [length, pairs, threes] of [
      [7, 2, 1],
      [101, 49, 1],
      [3001, 1499, 1],
    ]) {
      const expected = [...Array.from({ length: pairs }, () => "aa"), ...Array(threes).fill("aaa")];
      expect(pieces(t, "a".repeat(length))).toEqual(expected);
    }
  });

  test("the rank of a merge is the token's, whatever the order of a list of merges", () => {
    const vocab = new Map(["a", "b", "c", "ab", "bc"].map((token, id) => [token, id]));
    const merges = Int32Array.of(1, 2, 4, 0, 1, 3);
    const rest = { unk: undefined, fuseUnk: false, byteFallback: false, ignoreMerges: false };
    const ids = (rankByToken: boolean): number[] => {
      const out = new TokenBuffer(false);
      new Bpe({ vocab, merges, ...rest, rankByToken }).encode("abc", out);
      return Array.from(out.ids.subarray(0, out.length));
    };
    expect(ids(true)).toEqual([3, 2]);
    expect(ids(false)).toEqual([0, 4]);
  });

  test("a word that is a token is that token, however its parts merge", () => {
    expect(pieces(opened(fileOf(["bc", "abcd"])), "abcd")).toEqual(["abcd"]);
  });

  test("a text of a million symbols without a cut takes seconds at most, not the square of it", () => {
    const t = opened(fileOf(["aa", "aaaa", "ab", "abab"]));
    const begin = performance.now();
    expect(t.encodePlain("ab".repeat(5e5)).length).toBe(250_000);
    expect(t.encodePlain("a".repeat(1e6)).length).toBe(250_000);
    expect(performance.now() - begin).toBeLessThan(20_000);
  });
});

describe("text and bytes", () => {
  test("offsets count code points; the bytes of one character have its span", () => {
    const { details } = stored.encodeText("aé끝👍b", { details: true, splitSpecial: true });
    const spans = Array.from(details?.offsets ?? []);
    expect(spans.slice(0, 2)).toEqual([0, 1]);
    expect(spans.slice(-2)).toEqual([4, 5]);
    const starts = spans.filter((_, i) => i % 2 === 0);
    expect(starts).toEqual(starts.toSorted((a, b) => a - b));
  });

  const byte = (value: number): number => value + 40;

  test("broken UTF-8 becomes U+FFFD; a control token ends a run of bytes, also one that is left out", () => {
    // é is C3 A9
    expect(stored.decode([byte(0xc3), byte(0xa9)], true)).toBe("é");
    expect(stored.decode([byte(0xc3), 1, byte(0xa9)], true)).toBe("\ufffd\ufffd");
    expect(stored.decode([byte(0xc3), 1, byte(0xa9)], false)).toBe("\ufffd<s>\ufffd");
    expect(stored.decode([byte(0xf0), byte(0x9f), byte(0x41)], false)).toBe("\ufffdA");
  });

  test("the text of a stream is that of all its tokens, in pieces that no later token changes", () => {
    const random = seeded(12);
    for (let round = 0; round < 400; round++) {
      const skipSpecial = round % 2 === 0;
      const ids = Array.from({ length: 30 }, () =>
        random.below(2) === 0 ? random.below(300) : random.below(1340),
      );
      const stream = new StreamDecoder(stored, { skipSpecial });
      let before = "";
      const text = ids.map((id) => {
        const piece = stream.put([id]);
        before += piece;
        expect(stored.decode(ids, skipSpecial).startsWith(before)).toBe(true);
        return piece;
      });
      expect(text.join("") + stream.end()).toBe(stored.decode(ids, skipSpecial));
    }
  });

  test("a stream prints words, lines and Chinese characters when they are whole", () => {
    const stream = new StreamDecoder(stored, { skipSpecial: true });
    const bytes = [...encoder.encode("ab c\nd中e")].map(byte);
    expect(bytes.map((id) => stream.put([id]))).toEqual([
      ...["", "", "ab ", "", "c\n", "", "", "", "d中", ""],
    ]);
    expect(stream.end()).toBe("e");
  });

  test("stop strings find the bytes of tokens", () => {
    const { bytes, ends } = tokenBytesTable({
      get_vocab: () => stored.vocabulary(),
      backend_tokenizer: stored,
    });
    const of = (id: number): number[] => Array.from(bytes.subarray(ends[id - 1], ends[id]));
    expect(of(byte(0xeb))).toEqual([0xeb]);
    expect(of(byte(0x20))).toEqual([0x20]);
    const [space] = stored.encodePlain(" the");
    expect(of(space)).toEqual([...encoder.encode(stored.decode([space], false))]);
  });
});

describe("the file", () => {
  test("special tokens come first; places without a name are called by their number", () => {
    expect(stored.idToToken(3)).toBe("[INST]");
    expect(stored.idToToken(39)).toBe("<SPECIAL_39>");
    expect([stored.size, stored.vocabSize]).toEqual([1340, 1300]);
  });

  test("files up to version 7 need not list them", () => {
    const { special_tokens: _, ...data } = file();
    data.config.version = "v7";
    const t = opened(data);
    const names = [0, 1, 2, 3, 10, 11, 14, 15, 16, 17, 19, 20].map((id) => t.idToToken(id));
    expect(names.join(" ")).toBe(
      "<unk> <s> </s> [INST] [IMG] <pad> [PREFIX] [MIDDLE] [SUFFIX] [SYSTEM_PROMPT] [TOOL_CONTENT] <SPECIAL_20>",
    );
  });

  test("the vocabulary is cut to the size that config says", () => {
    const data = file();
    data.config.default_vocab_size = 1000;
    expect(opened(data).size).toBe(1000);
  });

  const wrong: [string, (data: File) => void, RegExp][] = [
    ["no version", (d) => delete d.config.version, /config: version: unknown version null/],
    ["a version that is not known", (d) => (d.config.version = "v4"), /unknown version "v4"/],
    ["no special tokens", (d) => delete d.special_tokens, /version v13 must list/],
    ["too few places", (d) => (d.config.default_num_special_tokens = 5), /at least the 38/],
    ["a gap in ranks", (d) => (d.special_tokens![1].rank = 40), /rank is 40/],
    ["a name twice", (d) => (d.special_tokens![1].token_str = "<unk>"), /special token 0 and 1/],
    ["more than there is", (d) => (d.config.default_vocab_size = 2000), /leaves 1960 tokens/],
    ["no bytes", (d) => (d.config.default_vocab_size = 200), /expected 256 to 1300/],
    ["a rank out of place", (d) => (d.vocab[300].rank = 7), /vocab\[300\]: rank is 7/],
    ["a byte out of place", (d) => (d.vocab[7].token_bytes = "AA=="), /the byte 7 alone/],
    ["no base64", (d) => (d.vocab[300].token_bytes = "*"), /expected bytes in base64/],
    ["an empty token", (d) => (d.vocab[300].token_bytes = ""), /at least one byte/],
    ["bytes twice", (d) => (d.vocab[300].token_bytes = d.vocab[301].token_bytes), /the same bytes/],
    ["no pattern", (d) => delete d.config.pattern, /config: pattern is missing/],
    [
      "settings too early",
      (d) => (d.model_settings_builder = {}),
      /version v13 have no such field/,
    ],
    [
      "a token that is special and text",
      (d) => (d.special_tokens![20].token_str = atob(d.vocab[500].token_bytes).replace(" ", "Ġ")),
      /is a special token and a token of text/,
    ],
  ];
  test.each(wrong)("%s", (_, change, message) => {
    const data = file();
    change(data);
    expect(() => opened(data)).toThrow(CheckpointError);
    expect(() => opened(data)).toThrow(message);
  });

  test("no JSON", () => {
    expect(() => readTekken(encoder.encode("{"), "tekken.json")).toThrow(/not JSON/);
  });
});
