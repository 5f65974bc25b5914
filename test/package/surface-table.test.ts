// docs/reference/surface.md is what the code says today.

import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { surfaceTable, tablePath } from "../../scripts/surface-table.ts";

test("the table of Transformers' names is up to date: node scripts/surface-table.ts", async () => {
  expect(await surfaceTable()).toBe(readFileSync(tablePath, "utf8"));
});
