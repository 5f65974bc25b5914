// Tokenizers in the style of published ones against Rust `tokenizers` 0.23.3: words cut in all ways, normalizers with the spans that they
// give, decoders, trimmed offsets, added tokens. Its results are in tokenizer-styles.json.br, 8 texts for each of 54 tokenizers: what
// test/full/tokenizer_styles.py writes for seed 5, without the tokenizers of test/goldens, compressed by brotli.

import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { readGolden } from "../golden-files.ts";
import { writeTokenizerJson } from "../../src/text/write-tokenizer-json.ts";
import { loadStyle, resultOf, type StyleCase } from "./tokenizer-cases.ts";

const file = readGolden(join(import.meta.dirname, "tokenizer-styles.json"));
const cases = JSON.parse(file.toString("utf8")) as StyleCase[];

test("there are many", () => {
  expect(cases.length).toBeGreaterThan(50);
  expect(cases.every(({ rows }) => rows.length === 8)).toBe(true);
});

describe.each(cases)("$name", (one) => {
  test("ids, offsets, words, types and texts", () => {
    const t = loadStyle(one);
    expect(one.rows.map((row) => resultOf(t, row))).toEqual(one.rows);
  });

  test("written as tokenizer.json and read again, it is the same", () => {
    const json = JSON.parse(writeTokenizerJson(loadStyle(one))) as object;
    const again = loadStyle({ ...one, json });
    expect(one.rows.map((row) => resultOf(again, row))).toEqual(one.rows);
  });
});
