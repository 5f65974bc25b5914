// Regular expressions of tokenizer files mean what they mean to Oniguruma: against Rust `tokenizers` 0.23.3, whose results are in
// regex-splits.json (test/full/regex_splits.py 7 60 2), and what has no counterpart.

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test, vi } from "vitest";
import { regexPattern } from "../../src/text/pattern.ts";
import { differences, type RegexCase } from "./regex-cases.ts";

const cases = JSON.parse(
  readFileSync(join(import.meta.dirname, "regex-splits.json"), "utf8"),
) as RegexCase[];

test("expressions cut texts as Rust `tokenizers` does, by either matcher", () => {
  expect(cases.length).toBeGreaterThan(230);
  expect(differences(cases)).toEqual([]);
});

test("a wrong result would be seen", () => {
  const [one] = cases.filter(({ rows }) => (rows ?? []).some(({ matches }) => matches.length > 2));
  const rows = one.rows?.map((row) => ({ ...row, matches: row.matches.slice(2) }));
  expect(differences([{ ...one, rows }]).length).toBeGreaterThan(0);
});

const matched = (source: string, text: string): string[] =>
  regexPattern(source, "x")
    .find(text)
    .map(([from, to]) => text.slice(from, to));

test.each<[string, string, string[]]>([
  ["\\d", "෩1x", ["෩", "1"]],
  ["\\w", "镇!", ["镇"]],
  ["\\bfox\\b", "foxﾔ fox", ["fox"]],
  [".", "\r\n", ["\r"]],
  ["\\p{L}", "\u{323b5}\ua7ce\u1c89", ["\u1c89"]], // two letters of Unicode 17, one of Unicode 16
  ["\\p{Ll}", "ʕ", ["ʕ"]], // not lower case any more in Unicode 17
  ["(?i:ss)", "ß", ["ß"]],
  ["(a|aa)+$", "a".repeat(1000), ["a".repeat(1000)]],
])("%s in %j", (source, text, wanted) => {
  expect(matched(source, text)).toEqual(wanted);
});

describe("refused with the reason", () => {
  test.each([
    ["\\X", /\\X \(a grapheme\) has no counterpart/],
    ["\\g<1>(a)", /a call of a group \(\\g\) has no counterpart/],
    ["(?~ab)", /\(\?~…\) has no counterpart/],
    ["(a)(?(1)b|c)", /\(\?\(…\) has no counterpart/],
    ["(?W:\\w)", /\(\?W…\) has no counterpart/],
    ["(*FAIL)", /\(\*…\) has no counterpart/],
    ["\\p{In_Basic_Latin}", /blocks are not known; use a range/],
    ["\\p{Nonsense}", /the property "Nonsense" is not known/],
    ["[[:nonsense:]]", /\[:nonsense:\] is not known/],
    ["(a", /"\(" has no "\)"/],
    ["a)", /"\)" has no "\("/],
    ["[a", /"\]" is missing/],
    ["[]", /a class is empty/],
    ["[z-a]", /a range of characters is empty/],
    ["[a-\\d]", /ends in a set/],
    ["*a", /nothing before \* to repeat/],
    ["\\b+", /what matches no text cannot be repeated/],
    ["\\9", /group 9 does not exist/],
    ["\\k<n>", /no group "n"/],
    ["\\u12", /four hexadecimal digits/],
    ["\\xff", /not text in UTF-8/],
    ["\\x{110000}", /U\+110000 is no character/],
    ["a{100001}", /more than 100000 repetitions/],
    ["(?:a{500}){500}a{9}b+c+", /too long when its repetitions are written out/],
    [`${"(".repeat(60)}${")".repeat(60)}`, /nested too deeply/],
    ["(?i:ssssssssssss)", /too many letters/],
    ["a\\", /a backslash stands at the end/],
    [`a${"{1}".repeat(50_000)}`, /too many quantifiers follow each other/],
  ])("%s", (source, message) => {
    expect(() => regexPattern(source, "tokenizer.json: pattern")).toThrow(
      expect.objectContaining({ name: "CheckpointError", message: expect.stringMatching(message) }),
    );
  });
});

// 17 ways a repetition: JavaScript's own matcher, which cannot be stopped, would take hours
test.each([`${"a{0,16}".repeat(8)}b`, `${"a{0,16}".repeat(4)}a*b`, `${"[ab]?".repeat(30)}b$`])(
  "an expression with many small choices is stopped: %s",
  (source) => {
    const text = `${"a".repeat(300)}c`;
    expect(() => regexPattern(source, "x").find(text)).toThrow(/takes too long on this text/);
  },
);

test("a machine that sleeps while a text is cut takes no time from the limit", () => {
  let hours = 0;
  const clock = vi.spyOn(performance, "now").mockImplementation(() => hours++ * 3_600_000);
  try {
    const pattern = regexPattern(String.raw`\w+|(?=x)`, "x");
    expect(pattern.find("a ".repeat(200))).toHaveLength(200);
    expect(clock.mock.calls.length).toBeGreaterThan(3);
  } finally {
    clock.mockRestore();
  }
});
