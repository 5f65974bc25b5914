// The files around tokenizer.json: which of them decides what, as in Transformers 5.23, from which the values come
// (AutoTokenizer on the same folders, model_type mistral).

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import {
  AutoTokenizer,
  type TokenizerLoadOptions,
} from "../../src/api/tokenizer/auto-tokenizer.ts";
import type { PreTrainedTokenizer } from "../../src/api/tokenizer/tokenizer.ts";
import { folder } from "../checkpoint/craft.ts";
import { goldenPath } from "../golden-files.ts";
import { flagsOf, load, undeclared, type Json } from "./tokenizer-folder.ts";

const chatml = { "<|im_end|>": 32000, "<|im_start|>": 32001 };
const chat = "a<|im_start|>user\nHi<|im_end|>\n";
const ids = (t: PreTrainedTokenizer, text: string): unknown => t(text).input_ids;

describe("added_tokens.json", () => {
  const files = { "added_tokens.json": chatml };
  const right = [1, 264, 32001, 1838, 13, 23809, 32000, 13];

  test.each([[undefined], [true as const]])(
    "gives two tokens; tokenizer.model alone: %s",
    async (pieces) => {
      const t = await load({ config: undeclared, files, pieces });
      expect(ids(t, chat)).toEqual(right);
      expect([t.length, t.vocab_size]).toEqual([32002, 32000]);
      expect(t.decode(right, { skip_special_tokens: true })).toBe(chat);
      expect(flagsOf(t, 32000)).toMatchObject({ special: false, normalized: true });
    },
  );

  test("a token that special_tokens_map.json names is special", async () => {
    const map = { eos_token: "<|im_end|>", image_token: "<image>" };
    const t = await load({
      config: undeclared,
      files: {
        ...files,
        "special_tokens_map.json": { ...map, additional_special_tokens: ["<|im_start|>"] },
      },
    });
    expect(ids(t, chat)).toEqual(right);
    expect([t.eos_token, t.eos_token_id, t.length]).toEqual(["<|im_end|>", 32000, 32003]);
    expect(t.decode([22557, 32000], { skip_special_tokens: true })).toBe("Hello");
    expect(t.special_tokens_map).toMatchObject(map);
    expect(flagsOf(t, 32000)).toMatchObject({ special: true, normalized: false });
    // The empty `additional_special_tokens` of tokenizer_config.json hides that of the map.
    expect(flagsOf(t, 32001)).toMatchObject({ special: false, normalized: true });
  });

  test("what tokenizer.json says of a token goes before it; a token with a role is special", async () => {
    const plain = { lstrip: false, rstrip: false, single_word: false, normalized: false };
    const added = [
      { id: 32000, content: "<|im_end|>", ...plain, special: true },
      { id: 32001, content: "<|im_start|>", ...plain, rstrip: true, special: false },
    ];
    const json = (root: Json): void => void (root.added_tokens as object[]).push(...added);
    const t = await load({ config: undeclared, files, json });
    expect(flagsOf(t, 32000)).toMatchObject({ special: true, normalized: false });
    expect(flagsOf(t, 32001)).toMatchObject({ rstrip: true, special: false });
    expect(t.decode(right, { skip_special_tokens: true })).toBe("a<|im_start|>user\nHi\n");
    const named = (config: Json): void => (
      undeclared(config),
      void (config.sep_token = "<|im_start|>")
    );
    const other = await load({ config: named, files, json });
    expect(flagsOf(other, 32001)).toMatchObject({ rstrip: true, special: true });
  });

  test("is not read when tokenizer_config.json declares added tokens", async () => {
    const t = await load({ files });
    expect([t.length, (ids(t, chat) as number[]).length]).toEqual([32000, 20]);
  });

  test("ids follow the order of its ids, and a token of the vocabulary keeps its own", async () => {
    const odd = { "<|im_end|>": 32005, "<|im_start|>": 32001, Hi: 3 };
    const t = await load({ config: undeclared, files: { "added_tokens.json": odd } });
    expect(ids(t, chat)).toEqual([1, 264, 32000, 1838, 13, 23809, 32001, 13]);
    expect(t.get_added_vocab()).toEqual(
      new Map([
        ["<unk>", 0],
        ["<s>", 1],
        ["</s>", 2],
        ["Hi", 23809],
        ["<|im_start|>", 32000],
        ["<|im_end|>", 32001],
      ]),
    );
  });

  test("an id that is no number is refused, with the file's name", async () => {
    const wrong = load({ config: undeclared, files: { "added_tokens.json": { "<x>": "7" } } });
    await expect(wrong).rejects.toThrow(/added_tokens\.json: <x> is "7"; expected a number/);
  });
});

describe("padding and truncation of tokenizer.json", () => {
  const padding = {
    strategy: "BatchLongest",
    direction: "Left",
    pad_to_multiple_of: null,
    pad_id: 0,
    pad_type_id: 0,
    pad_token: "<unk>",
  };
  const truncation = { direction: "Left", max_length: 12, strategy: "LongestFirst", stride: 0 };
  const json = (root: Json): void => void Object.assign(root, { padding, truncation });
  const unpadded = (config: Json): void => void delete config.pad_token;

  test("give pad token and sides, and nothing is cut or padded unasked", async () => {
    const t = await load({ config: unpadded, json });
    expect([t.pad_token, t.padding_side, t.truncation_side]).toEqual(["<unk>", "left", "left"]);
    expect(t(["a", "b c d e"], { padding: true }).input_ids).toEqual([
      [0, 0, 0, 1, 264],
      [1, 287, 277, 281, 317],
    ]);
    expect(t(["a b c d e f g h i j k l m n", "a"]).input_ids).toEqual([
      [1, 264, 287, 277, 281, 317, 285, 319, 295, 613, 461, 446, 305, 290, 307],
      [1, 264],
    ]);
  });

  test("tokenizer_config.json wins, also if it says null", async () => {
    const t = await load({ config: (c) => void (c.padding_side = "right"), json });
    expect([t.pad_token, t.padding_side, t.truncation_side]).toEqual([null, "right", "left"]);
  });

  test("a pad token that is no token yet is added", async () => {
    const t = await load({
      config: unpadded,
      json: (root) => void Object.assign(root, { padding: { ...padding, pad_token: "[PAD]" } }),
    });
    expect([t.pad_token_id, t.length]).toEqual([32000, 32001]);
  });
});

describe("special tokens of any name", () => {
  const config = (settings: Json): void =>
    void Object.assign(settings, {
      sep_token: "<sep>",
      image_token: "<img>",
      mask_token: "<mask>",
      extra_special_tokens: { video_token: "<vid>", boi: "<boi>" },
    });
  const text = "a<sep>b<img> <boi>";
  const right = [1, 264, 32000, 28726, 32002, 28705, 32004];

  async function expectNames(t: PreTrainedTokenizer): Promise<void> {
    expect(ids(t, text)).toEqual(right);
    expect(t.decode(right, { skip_special_tokens: true })).toBe("ab ");
    const named = t as unknown as Record<string, unknown>;
    expect([t.sep_token, t.sep_token_id, t.mask_token_id, t.cls_token]).toEqual([
      "<sep>",
      32000,
      32001,
      null,
    ]);
    expect([named.image_token, named.image_token_id, named.boi, named.boi_id]).toEqual([
      "<img>",
      32002,
      "<boi>",
      32004,
    ]);
    expect(t.all_special_tokens).toEqual([
      "<s>",
      "</s>",
      "<unk>",
      "<sep>",
      "<mask>",
      "<img>",
      "<vid>",
      "<boi>",
    ]);
    const messages = [{ role: "user", content: "x" }];
    const chat_template = "{{ sep_token }}{{ image_token }}{{ boi }}";
    expect(t.apply_chat_template(messages, { tokenize: false, chat_template })).toBe(
      "<sep><img><boi>",
    );
  }

  test("are special, skipped, properties, and seen by templates; saved and loaded again", async () => {
    const t = await load({ config });
    await expectNames(t);
    const dir = join(folder({}), "saved");
    await t.save_pretrained(dir);
    await expectNames(await AutoTokenizer.from_pretrained(dir));
  });

  test("one of an object goes before the key of the same name", async () => {
    const t = await load({
      config: (c) => void (c.extra_special_tokens = { eos_token: "<k>", pad_token: "<p>" }),
    });
    expect([t.eos_token, t.pad_token, t.extra_special_tokens]).toEqual(["<k>", "<p>", []]);
  });

  test("the list of special_tokens_map.json is added to that of tokenizer_config.json", async () => {
    const t = await load({
      config: (c) => void (undeclared(c), (c.extra_special_tokens = ["<q>"])),
      files: { "special_tokens_map.json": { extra_special_tokens: ["<r>", { content: "<u>" }] } },
    });
    expect(t.extra_special_tokens).toEqual(["<q>", "<r>", "<u>"]);
    expect(ids(t, "a<q><r>")).toEqual([1, 264, 32000, 32001]);
  });

  test("additional_special_tokens counts where extra_special_tokens is empty", async () => {
    const both =
      (extra: string[]) =>
      (c: Json): void =>
        void Object.assign(c, { extra_special_tokens: extra, additional_special_tokens: ["<r>"] });
    expect((await load({ config: both([]) })).extra_special_tokens).toEqual(["<r>"]);
    expect((await load({ config: both(["<q>"]) })).extra_special_tokens).toEqual(["<q>"]);
  });

  test("options, special_tokens_map.json, tokenizer_config.json, in this order", async () => {
    const t = await load({
      config: (c) => void (undeclared(c), (c.eos_token = "<e1>")),
      files: { "special_tokens_map.json": { eos_token: "<e2>", pad_token: "<p1>" } },
      options: { pad_token: "<p2>" },
    });
    expect([t.eos_token, t.pad_token, t.length]).toEqual(["<e2>", "<p2>", 32002]);
  });

  test("flags that added_tokens_decoder says win over those of tokenizer.json", async () => {
    const token = {
      content: "<s>",
      lstrip: true,
      rstrip: false,
      normalized: false,
      single_word: false,
      special: true,
    };
    const t = await load({
      config: (c) =>
        void Object.assign(c.added_tokens_decoder as Json, {
          1: token,
          5: { ...token, content: "<five>" },
        }),
    });
    expect(ids(t, "a  <s> b<five>")).toEqual([1, 264, 1, 287, 32000]);
  });

  test("a name that is already a method is refused", async () => {
    const wrong = load({ config: (c) => void (c.extra_special_tokens = { decode: "<d>" }) });
    await expect(wrong).rejects.toThrow(/"decode" is already a member/);
  });
});

describe("added tokens on the ids of placeholders in tokenizer.model", () => {
  const flags = { lstrip: false, rstrip: false, normalized: false, single_word: false };
  const model = (): Buffer => readFileSync(goldenPath("tokenizers/mistral-v3/tokenizer.model"));

  test("take their places, with their own flags", async () => {
    const added_tokens_decoder = {
      10: { content: "<|im_start|>", ...flags, special: true },
      11: { content: "<tool>", ...flags, special: false },
      12: { content: "</s>", ...flags, special: true }, // a piece already
    };
    const config = JSON.stringify({ added_tokens_decoder });
    const files = { "tokenizer.model": model(), "tokenizer_config.json": config };
    const t = await AutoTokenizer.from_pretrained(folder(files));
    expect(t.convert_ids_to_tokens([10, 11, 12])).toEqual([
      "<|im_start|>",
      "<tool>",
      "[control_10]",
    ]);
    const given = t("a<|im_start|>b<tool>[control_8]").input_ids as number[];
    expect(given.slice(2)).toEqual([10, 29494, 11, 29560, 6244, 29498, 29551, 29561]);
    expect(t.decode(given, { skip_special_tokens: true })).toBe("ab<tool>[control_8]");
    expect(t.length).toBe(32768);
  });

  test("also those of added_tokens.json", async () => {
    const files = { "tokenizer.model": model(), "added_tokens.json": '{"<|im_start|>": 10}' };
    const t = await AutoTokenizer.from_pretrained(folder(files));
    expect((t("a<|im_start|>b").input_ids as number[]).slice(2)).toEqual([10, 29494]);
  });
});

describe("an error names its source", () => {
  const options: [string, TokenizerLoadOptions, RegExp][] = [
    [
      "padding_side",
      { padding_side: "lft" as "left" },
      /^AutoTokenizer.from_pretrained: padding_side is "lft"; expected "left" or "right"$/,
    ],
    [
      "model_max_length",
      { model_max_length: -1 },
      /^AutoTokenizer.from_pretrained: model_max_length is -1/,
    ],
    [
      "a token",
      { eos_token: 5 as unknown as string },
      /^AutoTokenizer.from_pretrained: eos_token is 5; expected a token/,
    ],
    [
      "a flag",
      { split_special_tokens: "x" as unknown as boolean },
      /^AutoTokenizer.from_pretrained: split_special_tokens is "x"/,
    ],
  ];
  test.each(options)("the option %s", async (_, given, message) => {
    await expect(load({ options: given })).rejects.toThrow(
      expect.objectContaining({ name: "InputError", message: expect.stringMatching(message) }),
    );
  });

  test("a file", async () => {
    await expect(load({ config: (c) => void (c.padding_side = "lft") })).rejects.toThrow(
      expect.objectContaining({
        name: "CheckpointError",
        message: expect.stringMatching(/tokenizer_config\.json: padding_side is "lft"/),
      }),
    );
  });
});

test("adding a token again changes its flags; a special one stays special", async () => {
  const t = await load({});
  expect(t.add_tokens({ content: "<x>", normalized: false })).toBe(1);
  expect(t.add_tokens({ content: "<x>", normalized: false, lstrip: true })).toBe(1);
  expect(t.add_tokens({ content: "<x>", normalized: false, lstrip: true })).toBe(0);
  expect(t.length).toBe(32001);
  expect(t.tokenize("a  <x> b")).toEqual(["▁a", "  <x>", "▁b"]);
  t.add_tokens({ content: "</s>", normalized: true });
  expect(t.decode([2], { skip_special_tokens: true })).toBe("");
});
