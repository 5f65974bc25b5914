// The bytes that tokens add to a text, for vocabularies of every kind, and stop strings found with them.

import { describe, expect, test } from "vitest";
import { type TokenSource, tokenBytesTable } from "../../src/api/tokenizer/token-bytes.ts";
import { PreTrainedTokenizer } from "../../src/api/tokenizer/tokenizer.ts";
import { StopStrings } from "../../src/generate/stopping.ts";
import { BYTE_ALPHABET } from "../../src/text/byte-level.ts";
import { readTokenizerJson } from "../../src/text/tokenizer-json.ts";
import { TextTokenizer } from "../../src/text/tokenizer.ts";

const byteLevel = {
  type: "ByteLevel",
  add_prefix_space: false,
  trim_offsets: false,
  use_regex: true,
};
const fallback = {
  type: "Sequence",
  decoders: [
    { type: "Replace", pattern: { String: "▁" }, content: " " },
    { type: "ByteFallback" },
    { type: "Fuse" },
    { type: "Strip", content: " ", start: 1, stop: 0 },
  ],
};

function tokenizer(tokens: string[], merges: string[], rest: object): PreTrainedTokenizer {
  const vocab = Object.fromEntries(
    [...tokens, ...merges.map((m) => m.replace(" ", ""))].map((t, i) => [t, i]),
  );
  const root = {
    model: { type: "BPE", vocab, merges, byte_fallback: true, unk_token: null },
    ...rest,
  };
  const bytes = new TextEncoder().encode(JSON.stringify(root));
  return new PreTrainedTokenizer(
    new TextTokenizer(readTokenizerJson(bytes, "tokenizer.json"), "tokenizer.json"),
  );
}

// In this alphabet é is Ã©, 끝 is ëģĿ, 👍 is ðŁĳį, and a space Ġ.
const nemo = tokenizer(
  [...BYTE_ALPHABET],
  ["Ġ e", "n d", "ë ģ", "ð Ł", "Ċ b", "Ã ©", "s t", "o p"],
  {
    pre_tokenizer: byteLevel,
    decoder: byteLevel,
    added_tokens: [{ id: 264, content: "<|끝|>", special: true }],
  },
);
const hex = Array.from(
  { length: 256 },
  (_, b) => `<0x${b.toString(16).toUpperCase().padStart(2, "0")}>`,
);
const llama = tokenizer(
  [...hex, "<0xeb>", ..."▁endbstop", "é"].filter((t, i, all) => all.indexOf(t) === i),
  ["▁ e", "n d"],
  {
    normalizer: { type: "Replace", pattern: { String: " " }, content: "▁" },
    decoder: fallback,
  },
);

/** The bytes of each id, as the engine reads them from the table. */
function bytesOf(source: TokenSource): (id: number) => Uint8Array {
  const { ends, bytes } = tokenBytesTable(source);
  return (id) => bytes.subarray(ends[id - 1] ?? 0, ends[id]);
}

const texts = ["the end of it", "a\nb", "x\tstop y", "café", "이 끝.", "👍👍🏽", "<|끝|> and"];

describe.each([
  ["GPT-2's alphabet", nemo],
  ["byte tokens and ▁", llama],
  [
    "GPT-2's alphabet, of another library",
    { ...nemo, get_vocab: () => nemo.get_vocab() } as TokenSource,
  ],
])("%s", (_, source) => {
  const own = source === llama ? llama : nemo;

  test.each(texts)("the bytes of the tokens of %j are its bytes", (text) => {
    const ids = own.encode(text);
    const bytes = ids.flatMap((id) => [...bytesOf(source)(id)]);
    expect(new TextDecoder().decode(Uint8Array.from(bytes))).toBe(text);
  });

  test.each([
    ["the end", "e end"],
    ["a\nb", "\nb"],
    ["x\tstop", "\tstop"],
    ["café", "é"],
    ["이 끝", "끝"],
    ["x 👍", "👍"],
  ])("%j ends with the token that completes %j", (text, stop) => {
    const { push } = new StopStrings(stop, bytesOf(source)).matcher(new Int32Array());
    const ids = own.encode(text);
    expect(ids.map(push)).toEqual(ids.map((_id, i) => i === ids.length - 1));
  });
});

test("a byte token in lower case is its byte", () => {
  const id = llama.convert_tokens_to_ids("<0xeb>") ?? -1;
  expect(bytesOf(llama)(id)).toEqual(Uint8Array.of(0xeb));
  expect(bytesOf({ get_vocab: () => ({ "<0xeb>": 0 }) })(0)).toEqual(Uint8Array.of(0xeb));
});
