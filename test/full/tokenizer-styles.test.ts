// 2,000 texts in many scripts with each of 60 tokenizers in the style of published ones, against Rust `tokenizers` (bench/.venv has it):
// ids, offsets, words, types, texts with and without special tokens, texts of ids in any order.

import { execFileSync } from "node:child_process";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { goldenPath } from "../golden-files.ts";
import { loadStyle, resultOf, type StyleCase } from "../text/tokenizer-cases.ts";

const python = join(import.meta.dirname, "../../bench/.venv/bin/python");
const script = join(import.meta.dirname, "tokenizer_styles.py");

const NAMED = [
  "mistral-v1",
  "mistral-v1-prepend",
  "mistral-v3",
  "mistral-v1 with ChatML",
  "nemo",
].concat(
  ["gpt-2", "gpt-2 with a prefix", "llama-3", "o200k, NFC", "deepseek", "digits, punctuation"],
  ["byte-level normalizer", "metaspace", "metaspace first", "metaspace never, NFKC"],
  ["prepend, strip, unknown", "lower, no accents", "whitespace", "words"],
);

test.each(NAMED)("%s", { timeout: 120_000 }, (name) => {
  expect(differences("21", "2000", name)).toEqual([]);
});

test("normalizers and ways to cut, each alone", { timeout: 600_000 }, () => {
  expect(differences("22", "300")).toEqual([]);
});

/** Rows that differ, ours and theirs; of a hundred thousand at most the first ten. */
function differences(seed: string, count: string, ...names: string[]): object[] {
  expect(existsSync(python), `${python} is missing: bash bench/setup.sh`).toBe(true);
  const output = execFileSync(python, [script, goldenPath("tokenizers"), seed, count, ...names], {
    encoding: "utf8",
    maxBuffer: 2 ** 29,
    stdio: ["ignore", "pipe", "ignore"],
  });
  const cases = JSON.parse(output) as StyleCase[];
  expect(cases.length).toBeGreaterThan(0);
  return cases
    .flatMap((one) => {
      const t = loadStyle(one);
      return one.rows.map((row) => ({ name: one.name, ours: resultOf(t, row), theirs: row }));
    })
    .filter(({ ours, theirs }) => JSON.stringify(ours) !== JSON.stringify(theirs))
    .slice(0, 10);
}
