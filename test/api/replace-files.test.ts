// Complete files take the place of older ones: all of them, or none.

import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { replaceFiles } from "../../src/api/model/replace-files.ts";

let dir = "";
let fresh = "";
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "replace-files-"));
  fresh = join(dir, "fresh");
  mkdirSync(fresh);
  for (const name of ["a", "b", "old-1", "mine"]) writeFileSync(join(dir, name), `old ${name}`);
  for (const name of ["a", "b", "c"]) writeFileSync(join(fresh, name), `new ${name}`);
});
afterEach(() => rmSync(dir, { recursive: true }));

const isObsolete = (file: string): boolean => file.startsWith("old-");
const content = (): Record<string, string> =>
  Object.fromEntries(
    readdirSync(dir, { withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map(({ name }) => [name, readFileSync(join(dir, name), "utf8")]),
  );

test("files of the same names and obsolete ones go, others stay", async () => {
  await replaceFiles(dir, fresh, isObsolete);
  expect(content()).toEqual({ a: "new a", b: "new b", c: "new c", mine: "old mine" });
  expect(readdirSync(dir)).not.toContain("fresh");
});

test("one file cannot be replaced: every file stays as it was", async () => {
  const before = content();
  mkdirSync(join(dir, "c")); // a folder is in the way of the last file
  await expect(replaceFiles(dir, fresh, isObsolete)).rejects.toThrow(/cannot be replaced \(\w+\)/);
  expect(content()).toEqual(before);
  expect(readdirSync(dir)).not.toContain("fresh");
});
