// The reference data that the project carries is what scripts/make-goldens.ts makes of the whole data.

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { carriedFiles, manifestOf } from "../../scripts/make-goldens.ts";

test("test/goldens is made of the whole data, and up to date", () => {
  const manifest = readFileSync(join(import.meta.dirname, "../goldens/MANIFEST.json"), "utf8");
  expect(manifestOf(carriedFiles())).toBe(manifest);
});
