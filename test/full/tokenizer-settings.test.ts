// Folders with random settings in all files that say something of special tokens, padding and templates: the same ids, texts, roles and
// names as Transformers (bench/.venv has it) makes of them.

import { execFileSync } from "node:child_process";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { AutoTokenizer } from "../../src/api/tokenizer/auto-tokenizer.ts";
import type { PreTrainedTokenizer } from "../../src/api/tokenizer/tokenizer.ts";
import { goldenPath } from "../golden-files.ts";

const python = join(import.meta.dirname, "../../bench/.venv/bin/python");
const script = join(import.meta.dirname, "tokenizer_settings.py");

type Right = { ids: number[][]; batch: number[][] | null };
type Oracle = { texts: string[]; roles: string[]; cases: { folder: string; right: Right }[] };

test("150 folders", { timeout: 600_000 }, async () => {
  expect(existsSync(python), `${python} is missing: bash bench/setup.sh`).toBe(true);
  const out = mkdtempSync(join(tmpdir(), "settings-"));
  onTestFinished(() => rmSync(out, { recursive: true }));
  const output = execFileSync(python, [script, goldenPath("tokenizers"), "31", "150", out], {
    encoding: "utf8",
    maxBuffer: 2 ** 28,
    stdio: ["ignore", "pipe", "ignore"],
  });
  const { texts, roles, cases } = JSON.parse(output) as Oracle;
  expect(cases.length).toBeGreaterThan(100);
  const differences: object[] = [];
  for (const { folder, right } of cases) {
    const ours = answersOf(await AutoTokenizer.from_pretrained(folder), texts, roles, right);
    for (const [name, theirs] of Object.entries(right)) {
      const own = ours[name];
      if (JSON.stringify(own) !== JSON.stringify(theirs))
        differences.push({ folder, name, own, theirs });
    }
  }
  expect(differences.slice(0, 10)).toEqual([]);
});

function answersOf(
  t: PreTrainedTokenizer,
  texts: string[],
  roles: string[],
  right: Right,
): Record<string, unknown> {
  const named = t as unknown as Record<string, unknown>;
  const messages = [{ role: "user", content: "Hi" }];
  return {
    ids: texts.map((text) => t(text).input_ids),
    plain: texts.map((text) => t(text, { add_special_tokens: false }).input_ids),
    decoded: right.ids.map((row) => t.decode(row)),
    skipped: right.ids.map((row) => t.decode(row, { skip_special_tokens: true })),
    roles: roles.map((role) => named[role]),
    role_ids: roles.map((role) => named[`${role}_id`]),
    sides: [t.padding_side, t.truncation_side, Math.min(t.model_max_length, 2 ** 50)],
    length: [t.length, t.vocab_size],
    special: t.all_special_tokens.toSorted(),
    keys: Object.keys(t("a")).toSorted(),
    pair: t("a b", { text_pair: "c" }).input_ids,
    batch: right.batch && t(["a", "b c d e f g h"], { padding: true }).input_ids,
    cut: t("a b c d e f g h i", { truncation: true, max_length: 5 }).input_ids,
    chat: t.apply_chat_template(messages, { tokenize: false, add_generation_prompt: true }),
  };
}
