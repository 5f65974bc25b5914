// GGUF files with a vocabulary in GPT-2's byte alphabet against Transformers 5.23, whose results are in gguf-byte-level.json
// (made by test/full/gguf_byte_level.py). Transformers adds a token "<|endoftext|>" behind a vocabulary that has none; here there is none.

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { AutoTokenizer } from "../../src/api/tokenizer/auto-tokenizer.ts";
import type { PreTrainedTokenizer } from "../../src/api/tokenizer/tokenizer.ts";
import { bool, craftGguf, list, text, type Typed, u32 } from "../checkpoint/craft-gguf.ts";
import { folder } from "../checkpoint/craft.ts";

type Row = { text: string; ids: number[]; offsets: [number, number][]; decoded: string[] };
type Case = { pre: string | null; add_bos: boolean; names: Record<string, string>; rows: Row[] };
const data = JSON.parse(
  readFileSync(join(import.meta.dirname, "gguf-byte-level.json"), "utf8"),
) as { tokens: string[]; types: number[]; merges: string[]; cases: Case[] };

function load(changes: Record<string, Typed | undefined>): Promise<PreTrainedTokenizer> {
  const keys: Record<string, Typed | undefined> = {
    model: text("gpt2"),
    tokens: list(8, data.tokens),
    token_type: list(5, data.types),
    merges: list(8, data.merges),
    unknown_token_id: u32(0),
    bos_token_id: u32(1),
    eos_token_id: u32(2),
    padding_token_id: u32(data.tokens.length - 1),
    ...changes,
  };
  const metadata = Object.entries(keys).flatMap(([key, value]): [string, Typed][] =>
    value === undefined ? [] : [[`tokenizer.ggml.${key}`, value]],
  );
  const dir = folder({ "x.gguf": craftGguf({ metadata }) });
  return AutoTokenizer.from_pretrained(dir, { gguf_file: "x.gguf" });
}

test.each(data.cases)("words of $pre, bos: $add_bos", async ({ pre, add_bos, names, rows }) => {
  const t = await load({
    pre: pre === null ? undefined : text(pre),
    add_bos_token: bool(add_bos),
  });
  expect([t.special_tokens_map, t.length]).toEqual([names, data.tokens.length]);
  const ours = rows.map(({ text: given, ids }) => {
    const e = t(given, { return_offsets_mapping: true });
    const decoded = [t.decode(ids), t.decode(ids, { skip_special_tokens: true })];
    return { text: given, ids: e.input_ids, offsets: e.offset_mapping, decoded };
  });
  expect(ours).toEqual(rows);
});

test("a saved one is the same tokenizer", async () => {
  const t = await load({ pre: text("tekken"), add_bos_token: bool(true) });
  const dir = folder({});
  await t.save_pretrained(dir);
  const again = await AutoTokenizer.from_pretrained(dir);
  for (const { text: given } of data.cases[0].rows) {
    expect({ ...again(given) }).toEqual({ ...t(given) });
  }
});

describe("refused", () => {
  test.each<[string, Record<string, Typed | undefined>, RegExp]>([
    ["no merges", { merges: undefined }, /merges is missing; expected a list of strings/],
    ["empty merges", { merges: list(8, []) }, /merges is empty/],
    ["a merge of unknown tokens", { merges: list(8, ["a ☃"]) }, /needs the token "☃"/],
    ["another kind", { model: text("t5") }, /"t5", expected "llama" \(SentencePiece\) or "gpt2"/],
  ])("%s", async (_, changes, message) => {
    await expect(load(changes)).rejects.toThrow(
      expect.objectContaining({ name: "CheckpointError", message: expect.stringMatching(message) }),
    );
  });
});
