// Malformed and hostile tokenizer files: a typed error within a second, and nothing allocated for them.

import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { readSentencePiece } from "../../src/text/sentencepiece.ts";
import { readTokenizerJson } from "../../src/text/tokenizer-json.ts";
import { TextTokenizer } from "../../src/text/tokenizer.ts";

const utf8 = new TextEncoder();
const plain = { details: false, splitSpecial: false };

type Json = Record<string, unknown>;

function tokenizerJson(root: Json, model: Json): Uint8Array {
  const whole = {
    model: { type: "BPE", vocab: { a: 0, b: 1, ab: 2 }, merges: ["a b"], ...model },
    ...root,
  };
  return utf8.encode(JSON.stringify(whole));
}

const load = (bytes: Uint8Array): TextTokenizer =>
  new TextTokenizer(readTokenizerJson(bytes, "tokenizer.json"), "tokenizer.json");

type Outcome = { result: string; message: string; fast: boolean };

/** What comes of `run`: the name of its error or "none", and whether it came within a second. */
function outcome(run: () => unknown): Outcome {
  const start = performance.now();
  let [result, message] = ["none", ""];
  try {
    run();
  } catch (error) {
    [result, message] = [(error as Error).name, (error as Error).message];
  }
  // the machine may be busy with other tests: a second of it is not ours
  return { result, message, fast: performance.now() - start < 2000 };
}

const refused = (message: RegExp): object => ({
  result: "CheckpointError",
  message: expect.stringMatching(message),
  fast: true,
});

const added = (id: unknown, content: string): Json => ({ added_tokens: [{ id, content }] });

const read = (bytes: Uint8Array) => (): unknown =>
  readSentencePiece(bytes, "tokenizer.model", { legacy: false });

function repeated(unit: number[], times: number): Uint8Array {
  const bytes = new Uint8Array(unit.length * times);
  for (let i = 0; i < bytes.length; i += unit.length) bytes.set(unit, i);
  return bytes;
}

describe("tokenizer.json", () => {
  test("a good one works", () => {
    expect([...load(tokenizerJson({}, {})).encodeText("aab", plain).ids]).toEqual([0, 2]);
  });

  const cases: [string, Json, Json, RegExp][] = [
    ["two tokens with one id", {}, { vocab: { a: 0, b: 0 } }, /"b" and "a" both have id 0/],
    ["an id of −1", {}, { vocab: { a: -1 } }, /a is -1; expected an integer/],
    ["an id of 1.5", {}, { vocab: { a: 1.5 } }, /expected an integer/],
    ["an id as text", {}, { vocab: { a: "1" } }, /expected a number/],
    ["an id of 10^12", {}, { vocab: { a: 1e12 } }, /not below 4194304/],
    ["a merge of unknown tokens", {}, { merges: ["a c"] }, /number 0 needs the token "c"/],
    ["a merge into an unknown token", {}, { merges: ["b a"] }, /needs the token "ba"/],
    ["a merge that is no pair", {}, { merges: [["a"]] }, /expected "left right"/],
    ["an unknown unk_token", {}, { unk_token: "?" }, /unk_token "\?" is not in the vocabulary/],
    ["another model", {}, { type: "Unigram" }, /model "Unigram" is not supported/],
    ["dropout", {}, { dropout: 0.1 }, /dropout 0.1 is not supported/],
    [
      "an added token that contradicts",
      added(1, "a"),
      {},
      /"a" has id 1, but the file also says id 0/,
    ],
    [
      "an added token on another's id",
      added(1, "x"),
      {},
      /"x" has id 1, but the file also says "b"/,
    ],
    ["an added token far out", added(2 ** 31, "x"), {}, /too large/],
    ["an added token of 2 MB", added(5, "x".repeat(2e6)), {}, /2000000 characters together/],
    [
      "an unknown normalizer",
      { normalizer: { type: "Nmt" } },
      {},
      /normalizer "Nmt" is not supported/,
    ],
    ["an unknown pre-tokenizer", { pre_tokenizer: { type: "X" } }, {}, /pre-tokenizer "X"/],
    ["an unknown decoder", { decoder: { type: "CTC" } }, {}, /decoder "CTC" is not supported/],
    ["an unknown post-processor", { post_processor: { type: "X" } }, {}, /post-processor "X"/],
    ["a normalizer without type", { normalizer: {} }, {}, /normalizer: type is missing/],
  ];
  test.each(cases)("%s", (_, root, model, message) => {
    expect(outcome(() => load(tokenizerJson(root, model)))).toEqual(refused(message));
  });

  test("10^7 merges", () => {
    const merges = '"a b",'.repeat(1e7);
    const bytes = utf8.encode(`{"model":{"vocab":{"a":0,"b":1,"ab":2},"merges":[${merges}"a b"]}}`);
    expect(outcome(() => load(bytes))).toEqual(
      refused(/at most 1048576 tokens and 2097152 merges/),
    );
  });

  test("deep nesting", () => {
    const depth = 50_000;
    const open = '{"type":"Sequence","normalizers":['.repeat(depth);
    const bytes = utf8.encode(
      `{"model":{"vocab":{},"merges":[]},"normalizer":${open}${"]}".repeat(depth)}}`,
    );
    expect(outcome(() => load(bytes))).toEqual(refused(/nested too deeply/));
  });

  test.each([
    ["(a+)+b"],
    ["(a|aa)+b"],
    ["a*a*a*b"],
    ["(?=(a+))\\1b"],
    ["a{0,5000}a{0,5000}b"],
    [`${"a?".repeat(30)}${"a".repeat(30)}`],
    ["a*b"],
    ["[a-z]+\\d"],
  ])("the expression %s on a × 50,000", (regex) => {
    const split = { type: "Split", pattern: { Regex: regex }, behavior: "Isolated", invert: false };
    const bytes = tokenizerJson({ pre_tokenizer: split }, {});
    expect(outcome(() => load(bytes).encodeText("a".repeat(50_000), plain))).toEqual(
      refused(/refused|too long/),
    );
  });

  test("tokens named like parts of objects are tokens", () => {
    const text = `{"model":{"type":"BPE","vocab":{"_":0,"__":1,"__proto__":2,"constructor":3,"toString":4},"merges":["_ _"]},
      "added_tokens":[{"id":2,"content":"__proto__","special":true},{"id":3,"content":"constructor","special":false}]}`;
    const t = load(utf8.encode(text));
    expect([...t.encodeText("___proto__constructor", plain).ids]).toEqual([0, 2, 3]);
    expect(t.tokenToId("toString")).toBe(4);
    expect(t.tokenToId("hasOwnProperty")).toBeUndefined();
    expect(t.decode([2, 3, 4], true)).toBe("constructor toString");
  });

  test("any JSON and any bytes give a CheckpointError or a tokenizer", () => {
    const bytes = fc.uint8Array({ maxLength: 60 });
    const good = JSON.parse(new TextDecoder().decode(tokenizerJson({}, {}))) as Json;
    const names = ["model", "normalizer", "pre_tokenizer", "post_processor", "decoder"];
    const changed = fc
      .tuple(fc.constantFrom(...names, "added_tokens"), fc.jsonValue())
      .map(([name, value]) => utf8.encode(JSON.stringify({ ...good, [name]: value })));
    fc.assert(
      fc.property(fc.oneof(bytes, changed), (file) => {
        expect(["CheckpointError", "none"]).toContain(outcome(() => load(file)).result);
      }),
      { numRuns: 700 },
    );
  });
});

describe("tokenizer.model", () => {
  const onePiece = [0x0a, 0x05, 0x0a, 0x01, 0x61, 0x18, 0x01];

  test.each<[string, Uint8Array, RegExp]>([
    ["nothing", new Uint8Array(0), /no pieces/],
    ["a number that breaks off", Uint8Array.of(0x0a, 0x80), /breaks off at byte 2 of 2/],
    ["a number without end", repeated([0xff], 20), /more than ten bytes/],
    ["a length past the end", Uint8Array.of(0x0a, 0x7f, 1), /127 bytes, longer than the rest/],
    ["a length of 2^62", Uint8Array.of(0x0a, ...repeated([0xff], 8), 0x3f), /longer than the rest/],
    ["a group", Uint8Array.of(0x0b, 1), /wire type 3/],
    ["a group's end", Uint8Array.of(0x0c), /wire type 4/],
    ["a word that breaks off", Uint8Array.of(0x0d, 1, 2), /breaks off/],
    ["a piece that is a number", Uint8Array.of(0x08, 1), /is a number; expected a message/],
    ["a piece without text", Uint8Array.of(0x0a, 0x02, 0x18, 0x01), /piece 0 has no text/],
    ["text that is not UTF-8", Uint8Array.of(0x0a, 0x03, 0x0a, 0x01, 0xff), /not UTF-8/],
    [
      "a score of NaN",
      Uint8Array.of(0x0a, 8, 0x0a, 1, 0x61, 0x15, 0, 0, 0xc0, 0x7f),
      /score is not/,
    ],
    ["a piece of type 9", Uint8Array.of(0x0a, 0x05, 0x0a, 0x01, 0x61, 0x18, 0x09), /has type 9/],
    ["unigrams", Uint8Array.from(onePiece), /of type unigram; expected BPE/],
    ["a page of HTML", utf8.encode("<!DOCTYPE html><html></html>"), /download it again/],
    ["10^7 pieces", repeated(onePiece, 1e7), /too many pieces/],
    ["10^7 empty pieces", repeated([0x0a, 0], 1e7), /too many pieces/],
  ])("%s", (_, bytes, message) => {
    expect(outcome(read(bytes))).toEqual(refused(message));
  });

  test("a piece of 20 MB", () => {
    const bytes = repeated([0x61], 2e7);
    bytes.set([0x0a, 0xfa, 0xd9, 0xc4, 0x09, 0x0a, 0xf5, 0xd9, 0xc4, 0x09]);
    expect(outcome(read(bytes))).toEqual(refused(/too long ones/));
  });

  test("a piece twice", () => {
    const bpe = [0x12, 0x02, 0x18, 0x02, 0x1a, 0x02, 0x20, 0x00];
    const bytes = Uint8Array.from([...onePiece, ...onePiece, ...bpe]);
    expect(outcome(read(bytes))).toEqual(refused(/"a" is piece 0 and 1/));
  });

  test("any bytes", () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 1, maxLength: 60 }), (bytes) => {
        expect(outcome(read(bytes)).result).toBe("CheckpointError");
      }),
      { numRuns: 500 },
    );
  });
});
