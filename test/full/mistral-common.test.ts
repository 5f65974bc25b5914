// Random requests, texts and ids against mistral-common itself, in every version of its encodings, with SentencePiece and with Tekken:
// bench/.venv holds it (bash bench/setup.sh). What mistral-common refuses is an InputError here; all else is equal.

import { execFileSync } from "node:child_process";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { MistralCommonBackend } from "../../src/api/tokenizer/mistral-common-backend.ts";
import { parseWithFloats } from "../json-with-floats.ts";
import { ours, type StoredCases, theirs } from "../mistral-common-cases.ts";

const python = join(import.meta.dirname, "../../bench/.venv/bin/python");
const MODES = ["test", "serving", "finetuning", "agnostic"] as const;

test.each([1, 2])("1,000 random requests, seed %i", { timeout: 900_000 }, async (seed) => {
  expect(existsSync(python), `${python} is missing: bash bench/setup.sh`).toBe(true);
  const folder = mkdtempSync(join(tmpdir(), "mistral-common-"));
  try {
    const script = join(import.meta.dirname, "mistral_common_cases.py");
    const output = execFileSync(python, [script, folder, String(seed), "1000"], {
      encoding: "utf8",
      maxBuffer: 2 ** 29,
      stdio: ["ignore", "pipe", "ignore"],
    });
    const { tokenizers, cases } = parseWithFloats<StoredCases>(output);
    expect(cases).toHaveLength(1000);
    for (const name of tokenizers) {
      for (const mode of MODES) {
        const t = await MistralCommonBackend.from_pretrained(join(folder, name), { mode });
        for (const one of cases.filter((each) => each.mode === mode)) {
          expect({ name, one: one.request, ...ours(t, one, name) }).toEqual({
            name,
            one: one.request,
            ...theirs(one, name),
          });
        }
      }
    }
  } finally {
    rmSync(folder, { recursive: true });
  }
});
