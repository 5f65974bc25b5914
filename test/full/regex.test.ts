// Regular expressions against Rust `tokenizers` (bench/.venv has it): 200 written ones and random ones, on random texts of all scripts.
// An expression that takes too long for our budget is the only difference allowed; at most one in a thousand texts.

import { execFileSync } from "node:child_process";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { differences, type RegexCase } from "../text/regex-cases.ts";

/** Each text is tried by the matcher that the expression gets, and by our own. */
const MATCHERS = 2;
const python = join(import.meta.dirname, "../../bench/.venv/bin/python");

test.each([11, 12, 13])("600 random expressions, seed %i", { timeout: 600_000 }, (seed) => {
  expect(existsSync(python), `${python} is missing: bash bench/setup.sh`).toBe(true);
  const script = join(import.meta.dirname, "regex_splits.py");
  const output = execFileSync(python, [script, String(seed), "600", "8"], {
    encoding: "utf8",
    maxBuffer: 2 ** 29,
    stdio: ["ignore", "pipe", "ignore"],
  });
  const cases = JSON.parse(output) as RegexCase[];
  const found = differences(cases);
  const slow = found.filter((difference) => difference.includes("takes too long"));
  expect(found.filter((difference) => !slow.includes(difference))).toEqual([]);
  expect(slow.length / MATCHERS).toBeLessThan((600 * 8) / 1000);
});
