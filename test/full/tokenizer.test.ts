// Random calls against Transformers itself: bench/.venv holds it (bash bench/setup.sh, or only the transformers of its
// requirements). What Transformers refuses, or panics at, is an InputError here; all else is equal.

import { execFileSync } from "node:child_process";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { AutoTokenizer } from "../../src/api/tokenizer/auto-tokenizer.ts";
import type { AddedTokenInput } from "../../src/api/tokenizer/special-tokens.ts";
import type { PreTrainedTokenizer } from "../../src/api/tokenizer/tokenizer.ts";
import { goldenPath } from "../golden-files.ts";

const python = join(import.meta.dirname, "../../bench/.venv/bin/python");

type Call = {
  tokenizer: string;
  added: boolean;
  truncation_side: "left" | "right";
  inputs: [string | string[], (string | string[])?];
  kwargs: object;
  result?: object;
  rows?: object[];
  decoded?: [string, string];
  ids?: number[];
  error?: string;
};

test.each([1, 2, 3])("5,000 random calls, seed %i", { timeout: 300_000 }, async (seed) => {
  expect(existsSync(python), `${python} is missing: bash bench/setup.sh`).toBe(true);
  const script = join(import.meta.dirname, "tokenizer_calls.py");
  const output = execFileSync(python, [script, goldenPath("tokenizers"), String(seed), "5000"], {
    encoding: "utf8",
    maxBuffer: 2 ** 29,
    stdio: ["ignore", "pipe", "ignore"],
  });
  const { added, calls } = JSON.parse(output) as { added: AddedTokenInput[]; calls: Call[] };
  const loaded = new Map<string, PreTrainedTokenizer>();
  for (const call of calls) {
    const key = `${call.tokenizer} ${call.added}`;
    const t = loaded.get(key) ?? (await load(call, added));
    loaded.set(key, t);
    expect(ours(t, call)).toEqual(theirs(call));
  }
});

async function load(
  { tokenizer, added }: Call,
  tokens: AddedTokenInput[],
): Promise<PreTrainedTokenizer> {
  const t = await AutoTokenizer.from_pretrained(goldenPath(`tokenizers/${tokenizer}`));
  if (added) {
    t.add_special_tokens({ pad_token: "[PAD]" });
    t.add_tokens(tokens);
  } else t.pad_token = "<unk>";
  return t;
}

function ours(t: PreTrainedTokenizer, { truncation_side, inputs, kwargs, ids = [] }: Call): object {
  t.truncation_side = truncation_side;
  const [text, text_pair = null] = inputs;
  try {
    const e = t(text as string, { ...kwargs, text_pair });
    const rows = Array.isArray(e.input_ids[0]) ? e.input_ids.length : 1;
    return {
      call: { inputs, kwargs, truncation_side },
      result: { ...e },
      rows: Array.from({ length: rows }, (_, i) => ({
        words: e.word_ids(i),
        sequences: e.sequence_ids(i),
        tokens: e.tokens(i),
        token: e.char_to_token(i, 3),
        chars: e.word_to_chars(i, 1),
      })),
      decoded: [t.decode(ids), t.decode(ids, { skip_special_tokens: true })],
    };
  } catch (error) {
    return { error: (error as Error).name };
  }
}

function theirs({ error, inputs, kwargs, truncation_side, result, rows, decoded }: Call): object {
  if (error !== undefined) return { error: "InputError" };
  return { call: { inputs, kwargs, truncation_side }, result, rows, decoded };
}
