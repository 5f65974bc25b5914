// Files of the cache that another process takes away while they are read.

import { mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Worker } from "node:worker_threads";
import { afterAll, expect, test } from "vitest";
import { readIfThere } from "../../src/hub/read-if-there.ts";

const root = mkdtempSync(join(tmpdir(), "read-if-there-"));
afterAll(() => rmSync(root, { recursive: true }));

test("nothing, a link, a folder, a file that is too large: undefined", async () => {
  const file = join(root, "file");
  writeFileSync(file, "abc");
  symlinkSync(file, join(root, "link"));
  expect(await readIfThere(file)).toBe("abc");
  expect(await readIfThere(file, 2)).toBeUndefined();
  for (const name of ["none", "link", "."])
    expect(await readIfThere(join(root, name))).toBeUndefined();
});

test("a file that comes and goes: its text, or undefined", async () => {
  const [here, away] = [join(root, "here"), join(root, "away")];
  writeFileSync(here, "text");
  const mover = new Worker(
    `const { renameSync } = require("node:fs"); const { here, away } = require("node:worker_threads").workerData;
     for (;;) { renameSync(here, away); renameSync(away, here); }`,
    { eval: true, workerData: { here, away } },
  );
  const found = new Set<string | undefined>();
  const end = performance.now() + 5000;
  while (found.size < 2 && performance.now() < end) found.add(await readIfThere(here));
  for (let i = 0; i < 500; i++) found.add(await readIfThere(here));
  await mover.terminate();
  expect(found).toEqual(new Set(["text", undefined]));
});
