// Lines broken between words, however the text is cut into pieces.

import * as fc from "fast-check";
import { expect, test } from "vitest";
import { WordWrap } from "../../src/cli/word-wrap.ts";

const wrapped = (pieces: readonly string[], columns: number): string => {
  const wrap = new WordWrap(() => columns);
  return pieces.map((piece) => wrap.put(piece)).join("") + wrap.end();
};

test.each([
  ["breaks before the word that does not fit", ["aaa bbb ccc"], 7, "aaa bbb\nccc"],
  ["a line may be full to the last column", ["aaaa bbb", " c"], 8, "aaaa bbb\nc"],
  ["newlines of the text start lines anew", ["aaa\nbbb ccc d"], 7, "aaa\nbbb ccc\nd"],
  ["empty lines stay", ["a\n\nb"], 7, "a\n\nb"],
  ["a word in two pieces is one word", ["the dra", "gon flew"], 7, "the\ndragon\nflew"],
  ["Chinese and Japanese are broken anywhere", ["中文中文 か"], 5, "中文\n中文\nか"],
  [
    "colours take no room",
    ["\u001b[2maaa\u001b[22m bbb ccc"],
    7,
    "\u001b[2maaa\u001b[22m bbb\nccc",
  ],
  ["a word longer than a line is left to the terminal", ["x aaaaaaaaaa b"], 4, "x\naaaaaaaaaa b"],
  ["wide characters take two columns", ["안녕 세계 a"], 9, "안녕 세계\na"],
  ["marks take none", ["e\u0301e\u0301e\u0301 bbb c"], 7, "e\u0301e\u0301e\u0301 bbb\nc"],
  ["tabs count to their stop", ["a\tb ccccccc"], 16, "a\tb\nccccccc"],
])("%s", (_what, pieces, columns, expected) => {
  expect(wrapped(pieces, columns)).toBe(expected);
});

test("no line is wider than the terminal, no word is lost, and pieces cut at words give the same lines", () => {
  const word = fc.stringMatching(/^[a-z]{1,8}$/);
  fc.assert(
    fc.property(
      fc.array(word, { minLength: 1 }),
      fc.integer({ min: 8, max: 30 }),
      (words, columns) => {
        const whole = wrapped([words.join(" ")], columns);
        for (const line of whole.split("\n")) expect(line.length).toBeLessThanOrEqual(columns);
        expect(whole.split(/\s/)).toEqual(words);
        expect(
          wrapped(
            words.map((each, i) => (i === 0 ? each : ` ${each}`)),
            columns,
          ),
        ).toBe(whole);
      },
    ),
  );
});

test("a word that may go on waits, but not one that is longer than a line, nor Chinese", () => {
  const wrap = new WordWrap(() => 6);
  expect(wrap.put("ab cd")).toBe("ab");
  expect(wrap.put("e")).toBe("");
  expect(wrap.put(" f")).toBe(" cde");
  expect(wrap.put("fffffff")).toBe("\nffffffff");
  expect(wrap.put(" 中")).toBe(" 中");
  expect(wrap.put("x")).toBe("");
  expect(wrap.end()).toBe("x");
});

test("parts of a word keep their colours", () => {
  const wrap = new WordWrap(() => 6);
  expect(wrap.put("The dra", (part) => `<${part}>`)).toBe("<The>");
  expect(wrap.put("gon ")).toBe("\n<dra>gon");
});
