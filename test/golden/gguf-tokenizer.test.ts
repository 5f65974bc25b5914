// goldens/tokenization through GGUF files that are made from the tokenizer.model of the same vocabulary: exact ids, texts and
// pieces. What a GGUF file cannot say is said by options: the older form of the prefix (`legacy`), and a padding token.

import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { AutoTokenizer } from "../../src/api/tokenizer/auto-tokenizer.ts";
import type { PreTrainedTokenizer } from "../../src/api/tokenizer/tokenizer.ts";
import { folder } from "../checkpoint/craft.ts";
import { bool, craftGguf, text, type Typed, u32 } from "../checkpoint/craft-gguf.ts";
import { tokenizerMetadata } from "../checkpoint/craft-gguf-tokenizer.ts";
import { goldenPath, goldenJson } from "../golden-files.ts";

type Goldens = {
  special: Record<string, number | null>;
  encode: { text: string; ids: number[]; offsets: number[]; decoded: string }[];
  decode: { ids: number[]; text: string; skip_special: string; tokens: string[] }[];
  stream: { ids: number[]; chunks: string[] }[];
};

function load(
  name: string,
  more: readonly [string, Typed][] = [],
  options: Parameters<typeof AutoTokenizer.from_pretrained>[1] = {},
): Promise<PreTrainedTokenizer> {
  const model = readFileSync(goldenPath(`tokenizers/${name}/tokenizer.model`));
  const metadata = [...tokenizerMetadata(model), ...more];
  const dir = folder({ "vocab.gguf": craftGguf({ metadata }) });
  return AutoTokenizer.from_pretrained(dir, { gguf_file: "vocab.gguf", ...options });
}

describe.each([
  { goldens: "mistral-v1", vocabulary: "mistral-v1", options: {} },
  { goldens: "mistral-v3", vocabulary: "mistral-v3", options: {} },
  { goldens: "tiny", vocabulary: "tiny", options: { pad_token: "<unk>" } },
  { goldens: "mistral-v1-prepend", vocabulary: "mistral-v1", options: { legacy: true } },
])("$goldens", ({ goldens: name, vocabulary, options }) => {
  const goldens = goldenJson<Goldens>(`tokenization/${name}.json`);

  test("names, 500 texts with offsets, id lists, streams", async () => {
    const t = await load(vocabulary, [], options);
    const { bos_token_id: bos, eos_token_id: eos, unk_token_id: unk, pad_token_id: pad } = t;
    expect({ bos, eos, unk, pad, vocab_size: t.vocab_size, length: t.length }).toEqual(
      goldens.special,
    );
    expect(goldens.encode).toHaveLength(500);
    const rows = goldens.encode.map(({ text: given, ids }) => {
      const detailed = t(given, { return_offsets_mapping: true });
      const offsets = (detailed.offset_mapping as [number, number][]).flat();
      return { text: given, ids: detailed.input_ids, offsets, decoded: t.decode(ids) };
    });
    expect(rows).toEqual(
      goldens.encode.map(({ text: given, ids, offsets, decoded }) => {
        return { text: given, ids, offsets, decoded };
      }),
    );
    for (const { ids, text: wanted, skip_special, tokens } of goldens.decode) {
      expect([t.decode(ids), t.decode(ids, { skip_special_tokens: true })]).toEqual([
        wanted,
        skip_special,
      ]);
      expect(t.convert_ids_to_tokens(ids)).toEqual(tokens);
    }
    for (const { ids, chunks } of goldens.stream) {
      const decoder = t.stream_decoder({ skip_special_tokens: false });
      expect([...ids.map((id) => decoder.put([id])), decoder.end()]).toEqual(chunks);
    }
  });
});

test("what is added to a text, and padding, come from the file; options go before it", async () => {
  const keys: [string, Typed][] = [
    ["tokenizer.ggml.add_bos_token", bool(false)],
    ["tokenizer.ggml.add_eos_token", bool(true)],
    ["tokenizer.ggml.padding_token_id", u32(2)],
  ];
  const t = await load("tiny", keys);
  const bare = t("hello", { add_special_tokens: false }).input_ids as number[];
  expect(t("hello").input_ids).toEqual([...bare, 2]);
  expect([t.pad_token, t.padding_side]).toEqual(["</s>", "right"]);
  const other = await load("tiny", keys, { add_bos_token: true, padding_side: "left" });
  expect(other("hello").input_ids).toEqual([1, ...bare, 2]);
  expect(other.padding_side).toBe("left");
  const unspaced = await load("tiny", [["tokenizer.ggml.add_space_prefix", bool(false)]]);
  expect(unspaced.decode(unspaced(" hello").input_ids as number[])).toBe("<s> hello");
});

test("chat templates: one, several, none", async () => {
  const { chat_template } = goldenJson<{ chat_template: string }>(
    "tokenizers/mistral-v3/tokenizer_config.json",
  );
  const chat = [{ role: "user", content: "Hi" }];
  const one = await load("mistral-v3", [["tokenizer.chat_template", text(chat_template)]]);
  expect(one.apply_chat_template(chat, { tokenize: false })).toBe("<s>[INST] Hi[/INST]");
  const two = await load("mistral-v3", [
    ["tokenizer.chat_template", text("{{ 'plain' }}")],
    ["tokenizer.chat_template.tool_use", text("{{ 'tools' }}")],
  ]);
  const named = (name: string): unknown =>
    two.apply_chat_template(chat, { tokenize: false, chat_template: name });
  expect([named("default"), named("tool_use")]).toEqual(["plain", "tools"]);
  const none = await load("mistral-v3");
  expect(none.chat_template).toBeNull();
  const own = await load("mistral-v3", [], { chat_template: "{{ 'own' }}" });
  expect(own.apply_chat_template(chat, { tokenize: false })).toBe("own");
});
