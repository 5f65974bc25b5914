// The examples run as they are written, on the embedded model.

import { execFile } from "node:child_process";
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { expect, test } from "vitest";

const folder = join(import.meta.dirname, "../../examples");

/** What each must print. */
const prints: Readonly<Record<string, RegExp>> = {
  "batch.ts":
    /^One day, a boy named Tim found \w[^]+\n\nIt was raining. Anna \w[^]+\n\nOnce there was a bear\W[^]+\n\n$/,
  "chat.ts": /^\n> Tell me .+\nOnce [^]+\n\n> Tell me another .+\n\w[^]+\n$/,
  "embeddings.ts": /^(-?\d+\.\d  (Who lived|What did).+\n){4}$/,
  "hello.ts": /^Once upon a time\W[^]{100,}\n$/,
  "next-words.ts": /^(\w+ 0\.\d+\n){3}$/,
};

test("every example is checked", () => {
  const files = readdirSync(folder).filter((name) => name.endsWith(".ts"));
  expect(files.toSorted()).toEqual(Object.keys(prints));
});

test.each(Object.entries(prints))("%s", async (name, output) => {
  const { stdout, stderr } = await promisify(execFile)(process.execPath, [join(folder, name)]);
  expect(stdout).toMatch(output);
  expect(stderr).toBe("");
});
