// Offsets without the white space at the ends of tokens. (Whole tokenizers against Rust `tokenizers`: tokenizer-styles.test.ts.)

import { expect, test } from "vitest";
import { Encoding } from "../../src/text/encoding.ts";
import { trimOffsets } from "../../src/text/trim-offsets.ts";

function trimmed(token: string, keepFirst = false): number[] {
  const details = { words: Int32Array.of(0), offsets: Int32Array.of(0, token.length) };
  const encoding = Encoding.of(Int32Array.of(7), details);
  const { details: after } = trimOffsets(encoding, { keepFirst, before: true }, () => token);
  return Array.from(after?.offsets ?? []);
}

test.each<[string, number[]]>([
  ["word", [0, 4]],
  ["Ġword", [1, 5]],
  [" \u3000a b\t", [2, 5]],
  ["ĠĠĠ", [3, 3]],
])("%j", (token, expected) => {
  expect(trimmed(token)).toEqual(expected);
});

test("one space in front of a text's first token may stay", () => {
  expect([trimmed("Ġa", true), trimmed("ĠĠa", true)]).toEqual([
    [0, 2],
    [2, 3],
  ]);
});

test("a long row of spaces before an added token, which takes them in, costs no more than its length", () => {
  const spaces = 300_000; // with a search from each of them it took minutes
  expect(trimmed(`${" ".repeat(spaces)}<mask>`)).toEqual([spaces, spaces + 6]);
});
