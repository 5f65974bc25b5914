// Text → ids → text gives the text back, whole and as a stream, for texts without special tokens; and any ids stream to
// what decoding them at once and again would print.

import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { AutoTokenizer } from "../../src/api/tokenizer/auto-tokenizer.ts";
import { readDecoder } from "../../src/text/decoder.ts";
import { StreamDecoder } from "../../src/text/stream-decoder.ts";
import type { TextTokenizer } from "../../src/text/tokenizer.ts";
import { goldenPath } from "../golden-files.ts";

const names = ["mistral-v1", "mistral-v1-prepend", "mistral-v3", "tiny"];
const load = async (name: string): Promise<TextTokenizer> =>
  (await AutoTokenizer.from_pretrained(goldenPath(`tokenizers/${name}`))).backend_tokenizer;
const tokenizers = await Promise.all(names.map(load));

const plain = { details: false, splitSpecial: false };
const character = fc.oneof(
  fc.constantFrom(
    " ",
    " ",
    "a",
    "the",
    "\n",
    "한국어",
    "中文",
    "😀",
    "é",
    "\u0301",
    "</",
    "s>",
    "[INS",
  ),
  fc.string({ unit: "binary", maxLength: 4 }),
);
const texts = fc
  .array(character, { maxLength: 40 })
  .map((parts) => parts.join(""))
  .filter((text) => !/▁|<s>|<\/s>|<unk>|<pad>|\[|<0x/.test(text));

describe.each(names.map((name, i) => ({ name, t: tokenizers[i] })))("$name", ({ name, t }) => {
  test("round trip", () => {
    // the newer form puts a space in front only where there is none, and decoding takes one away
    const dropped = name === "mistral-v1-prepend" ? "" : /^ /;
    const back = (text: string): string => text.replace(dropped, "");
    fc.assert(
      fc.property(texts, (text) => {
        const { ids } = t.encodeText(text, plain);
        expect(t.decode(ids, false)).toBe(back(text));
        // a stream begins anew at each line, as TextStreamer does, and so drops a space there too
        const decoder = new StreamDecoder(t, { skipSpecial: false });
        const lines = [...ids].map((id) => decoder.put([id]));
        expect((lines.join("") + decoder.end()).replaceAll(/(^|\n) +/g, "$1")).toBe(
          back(text).replaceAll(/(^|\n) +/g, "$1"),
        );
        // and drops none when the whole text is asked for
        const whole = new StreamDecoder(t, { skipSpecial: false, wholeText: true });
        const pieces = [...ids].map((id) => whole.put([id]));
        expect(pieces.join("") + whole.end()).toBe(back(text));
      }),
      { numRuns: 300 },
    );
  });

  test("offsets cover the text in order", () => {
    fc.assert(
      fc.property(texts, (text) => {
        const { ids, details } = t.encodeText(text, { ...plain, details: true });
        const offsets = details?.offsets ?? [];
        expect([...ids]).toEqual([...t.encodeText(text, plain).ids]);
        const points = [...text].length;
        for (let i = 0; i < ids.length; i++) {
          expect(offsets[2 * i]).toBeLessThan(offsets[2 * i + 1]);
          expect(offsets[2 * i + 1]).toBeLessThanOrEqual(points);
        }
      }),
      { numRuns: 200 },
    );
  });

  test("any ids stream as decoding all of them each time would print", () => {
    const byte = t.tokenToId("<0x00>") ?? 0;
    const bytes = (text: string): number[] =>
      [...new TextEncoder().encode(text)].map((b) => byte + b);
    const pieces = fc.oneof(
      fc.constantFrom(...[" ", "\n", "A", "中", "😀", "é"].map(bytes)),
      fc.nat(255).map((b) => [byte + b]),
      fc.constantFrom([1], [2], [t.size + 5]),
      fc.constantFrom("▁", "a", "中", "▁the").map((token) => [t.tokenToId(token) ?? 0]),
      fc.nat(t.size - 1).map((id) => [id]),
    );
    const idLists = fc.array(pieces, { maxLength: 14 }).map((parts) => parts.flat());
    fc.assert(
      fc.property(idLists, fc.boolean(), (ids, skipSpecial) => {
        const decoder = new StreamDecoder(t, { skipSpecial });
        const printed = ids.map((id) => decoder.put([id]));
        printed.push(decoder.end());
        expect(printed).toEqual(printedByDecodingAll(t, ids, skipSpecial));
      }),
      { numRuns: 1000 },
    );
  });
});

// CJK ideographs, extensions A to E and compatibility ideographs
const CHINESE =
  /[\u{4e00}-\u{9fff}\u{3400}-\u{4dbf}\u{f900}-\u{faff}\u{20000}-\u{2a6df}\u{2a700}-\u{2ceaf}\u{2f800}-\u{2fa1f}]/u;

/** TextStreamer as its documentation describes it, decoding every token since the last line end each time. */
function printedByDecodingAll(t: TextTokenizer, ids: number[], skipSpecial: boolean): string[] {
  const printed: string[] = [];
  let line: number[] = [];
  let done = 0;
  const take = (text: string[], to: number): void => {
    printed.push(text.slice(done, to).join(""));
    done = Math.max(done, to);
  };
  for (const id of ids) {
    line.push(id);
    const text = [...t.decode(line, skipSpecial)];
    const last = text.at(-1) ?? "";
    if (last === "\n") {
      take(text, text.length);
      [line, done] = [[], 0];
    } else if (CHINESE.test(last)) {
      take(text, text.length);
    } else take(text, text.lastIndexOf(" ") + 1);
  }
  printed.push(line.length === 0 ? "" : [...t.decode(line, skipSpecial)].slice(done).join(""));
  return printed;
}

test("a token costs the same late in a long text", () => {
  const [t] = tokenizers;
  const ids = Array.from({ length: 40_000 }, (_, i) =>
    i % 3 === 0 ? 264 : (t.tokenToId("<0xED>") ?? 0),
  );
  const decoder = new StreamDecoder(t, { skipSpecial: false });
  const start = performance.now();
  let length = 0;
  for (const id of ids) length += decoder.put([id]).length;
  length += decoder.end().length;
  expect(performance.now() - start).toBeLessThan(1500);
  expect(length).toBe([...t.decode(ids, false)].length);
});

test.each([
  ["ByteLevel", { type: "ByteLevel" }, ["Ġa", "Ċ", "ĠĠb", "ì", "Ń", "ĲĊ", "Ġc"]],
  ["Metaspace", { type: "Metaspace", replacement: "▁" }, ["▁a\n", "▁", "▁b\n", "\n", "▁c"]],
])("%s: a whole text in pieces keeps the space at the begin of its lines", (_, value, tokens) => {
  const decoder = readDecoder(value, "decoder");
  const t = { decoder, idToToken: (id: number) => tokens[id], isSpecial: () => false };
  const whole = new StreamDecoder(t as unknown as TextTokenizer, {
    ...{ skipSpecial: false, wholeText: true },
  });
  const pieces = tokens.map((_token, id) => whole.put([id]));
  expect(pieces.join("") + whole.end()).toBe(decoder.decode(tokens));
});
