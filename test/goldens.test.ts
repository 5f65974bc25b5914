// test/goldens holds what its MANIFEST.json lists, byte for byte: a file that was lost, edited, or changed at its line ends is seen
// here first, and not as a strange difference in another test.

import { createHash } from "node:crypto";
import { readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { readGolden } from "./golden-files.ts";

const root = join(import.meta.dirname, "goldens");
type Entry = { bytes: number; sha256: string };
const manifest = JSON.parse(readFileSync(join(root, "MANIFEST.json"), "utf8")) as Record<
  string,
  Entry
>;
const paths = readdirSync(root, { recursive: true, encoding: "utf8" })
  .map((path) => path.replaceAll("\\", "/"))
  .filter((path) => statSync(join(root, path)).isFile());

test("every file is there, and no other", () => {
  const data = paths.filter((path) => !/^(README\.md|MANIFEST\.json|generate\/.*)$/.test(path));
  expect(data.map((path) => path.replace(/\.br$/, "")).toSorted()).toEqual(
    Object.keys(manifest).toSorted(),
  );
});

test("every file has the bytes that it had", () => {
  for (const [path, entry] of Object.entries(manifest)) {
    const bytes = readGolden(join(root, path));
    const sha256 = createHash("sha256").update(bytes).digest("hex");
    expect({ bytes: bytes.length, sha256 }, path).toEqual(entry);
  }
});

test("all of it takes at most 30 MB", () => {
  const total = paths.reduce((sum, path) => sum + statSync(join(root, path)).size, 0);
  expect(total).toBeLessThan(30e6);
});
