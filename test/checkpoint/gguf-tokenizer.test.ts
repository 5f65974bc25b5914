import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { readGgufHeader } from "../../src/checkpoint/gguf-header.ts";
import { CheckpointError } from "../../src/errors.ts";
import { type GgufTokenizer, readGgufTokenizer } from "../../src/text/gguf-tokenizer.ts";
import { goldenPath } from "../golden-files.ts";
import { source } from "./craft.ts";
import { bool, craftGguf, f32, i32, list, text, type Typed, u32, u8 } from "./craft-gguf.ts";
import { tokenizerMetadata } from "./craft-gguf-tokenizer.ts";

const tiny = tokenizerMetadata(readFileSync(goldenPath("tokenizers/tiny/tokenizer.model")));

/** The tokenizer of a small vocabulary with keys of "tokenizer.ggml." changed, or left out where they are undefined. */
async function changed(keys: Readonly<Record<string, Typed | undefined>>): Promise<GgufTokenizer> {
  const metadata = new Map<string, Typed>([
    ["tokenizer.ggml.model", text("llama")],
    ["tokenizer.ggml.tokens", list(8, ["<unk>", "<s>", "</s>", "a", "b", "ab"])],
    ["tokenizer.ggml.scores", list(6, [0, 0, 0, -1, -2, -3])],
    ["tokenizer.ggml.token_type", list(5, [2, 3, 3, 1, 1, 1])],
  ]);
  for (const [key, value] of Object.entries(keys)) {
    if (value === undefined) metadata.delete(`tokenizer.ggml.${key}`);
    else metadata.set(`tokenizer.ggml.${key}`, value);
  }
  return tokenizerOf([...metadata]);
}

async function tokenizerOf(
  metadata: readonly (readonly [string, Typed])[],
): Promise<GgufTokenizer> {
  const header = await readGgufHeader("x.gguf", source(craftGguf({ metadata })));
  return readGgufTokenizer(header.metadata, "x.gguf", { legacy: false });
}

test("named tokens are those of the usual places when the file names none", async () => {
  const { settings, parts } = await changed({});
  expect(settings).toEqual({ bos_token: "<s>", eos_token: "</s>", unk_token: "<unk>" });
  expect(parts.template.single).toEqual([
    { ids: [1], typeId: 0 },
    { sequence: 0, typeId: 0 },
  ]);
  const untyped = await changed({ token_type: undefined });
  expect(untyped.settings).toEqual({});
  const named = await changed({
    token_type: undefined,
    bos_token_id: u32(1),
    unknown_token_id: u32(0),
  });
  expect(named.settings).toEqual({ bos_token: "<s>", unk_token: "<unk>" });
  expect(named.parts.added.map(({ id }) => id)).toEqual([0, 1]);
});

test("a whole tokenizer.json goes before the pieces, also for kinds that have no pieces here", async () => {
  const json = readFileSync(goldenPath("tokenizers/tiny/tokenizer.json"), "utf8");
  const rest = tiny.filter(([key]) => key !== "tokenizer.ggml.model");
  const { parts, settings } = await tokenizerOf([
    ...rest,
    ["tokenizer.ggml.model", text("gpt2")],
    ["tokenizer.huggingface.json", text(json)],
  ]);
  const pieces = await tokenizerOf(tiny);
  expect(parts.model.vocab).toEqual(pieces.parts.model.vocab);
  expect(parts.model.merges).toEqual(pieces.parts.model.merges);
  expect(settings).toEqual(pieces.settings);
  await expect(tokenizerOf([...tiny, ["tokenizer.huggingface.json", text("{")]])).rejects.toThrow(
    /x.gguf: tokenizer.huggingface.json: the file is not JSON/,
  );
});

test.each<[string, Readonly<Record<string, Typed | undefined>>, RegExp]>([
  [
    "no tokens",
    { tokens: undefined },
    /tokens is missing; expected a list of strings; is it a file of a whole model/,
  ],
  [
    "tokens that are numbers",
    { tokens: list(5, [1]) },
    /tokens is a list of 1; expected a list of strings/,
  ],
  [
    "another kind",
    { model: text("bert") },
    /model is "bert", expected "llama" \(SentencePiece\) or "gpt2" \(bytes\); put the model's tokenizer.json/,
  ],
  ["no kind", { model: undefined }, /model is missing/],
  ["no scores", { scores: undefined }, /scores is missing; expected a list of 6 numbers/],
  [
    "too few scores",
    { scores: list(6, [0]) },
    /scores is a list of 1; expected a list of 6 numbers/,
  ],
  ["scores as texts", { scores: list(8, ["", "", "", "", "", ""]) }, /scores is a list of 6/],
  [
    "a score that is no number",
    { scores: list(6, [0, 0, 0, NaN, 0, 0]) },
    /score of token 3 is not a number/,
  ],
  [
    "a type of 7",
    { token_type: list(5, [2, 3, 3, 1, 7, 1]) },
    /token 4 has type 7; expected 1 to 6/,
  ],
  [
    "a token without text",
    { tokens: list(8, ["<unk>", "<s>", "</s>", "", "b", "ab"]) },
    /token 3 has no text/,
  ],
  [
    "a token twice",
    { tokens: list(8, ["<unk>", "<s>", "</s>", "b", "b", "ab"]) },
    /"b" is piece 3 and 4/,
  ],
  [
    "a bos outside the vocabulary",
    { bos_token_id: u32(6) },
    /bos_token_id is 6; expected the id of one of 6 tokens/,
  ],
  ["an eos of -1", { eos_token_id: i32(-1) }, /eos_token_id is -1/],
  ["half an id", { padding_token_id: f32(0.5) }, /padding_token_id is 0.5/],
  [
    "add_bos_token as a number",
    { add_bos_token: u8(1) },
    /add_bos_token is 1; expected true or false/,
  ],
  ["white space removed", { remove_extra_whitespaces: bool(true) }, /removes extra white space/],
  ["a table", { precompiled_charsmap: list(0, [1]) }, /normalizes text by a table/],
  [
    "tokens of a megabyte",
    { tokens: list(8, ["<unk>", "<s>", "</s>", "a", "b", "ab".repeat(50_000)]) },
    /too many tokens or too long ones/,
  ],
])("%s", async (_, keys, message) => {
  const failed = changed(keys);
  await expect(failed).rejects.toThrow(CheckpointError);
  await expect(failed).rejects.toThrow(message);
});
