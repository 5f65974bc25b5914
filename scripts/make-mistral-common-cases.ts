// Makes test/text/mistral-common: a small tekken.json, and what mistral-common gives for 80 random requests in every version:
//   node scripts/make-mistral-common-cases.ts
// bench/.venv holds mistral-common (bash bench/setup.sh). Knows no test.

import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { brotliCompressSync } from "node:zlib";

const root = join(import.meta.dirname, "..");
const target = join(root, "test/text/mistral-common");
const SEED = "12";
const COUNT = "80";

function python(...args: string[]): string {
  const script = join(root, "test/full/mistral_common_cases.py");
  return execFileSync(join(root, "bench/.venv/bin/python"), [script, ...args], {
    encoding: "utf8",
    maxBuffer: 2 ** 28,
  });
}

mkdirSync(target, { recursive: true });
const tekken = join(target, "tekken.json");
writeFileSync(tekken, python("--small-tekken"));
const folder = mkdtempSync(join(tmpdir(), "mistral-common-"));
try {
  const cases = python(folder, SEED, COUNT, join(root, "test/goldens/tokenizers"), tekken);
  const packed = brotliCompressSync(cases);
  writeFileSync(join(target, "cases.json.br"), packed);
  process.stdout.write(`${COUNT} cases, ${packed.length} bytes\n`);
} finally {
  rmSync(folder, { recursive: true });
}
