// Options and methods of the tokenizer beside what the goldens hold: BatchEncoding's ways between tokens, words and
// characters, tensors, pad, names of special tokens, unknown options. Values were taken from Transformers 5.23.

import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { beforeEach, describe, expect, test } from "vitest";
import { AutoTokenizer } from "../../src/api/tokenizer/auto-tokenizer.ts";
import { Tensor } from "../../src/api/tensor/tensor.ts";
import type { PreTrainedTokenizer } from "../../src/api/tokenizer/tokenizer.ts";
import { goldenPath } from "../golden-files.ts";

const load = (name: string): Promise<PreTrainedTokenizer> =>
  AutoTokenizer.from_pretrained(goldenPath(`tokenizers/${name}`));

const v1 = await load("mistral-v1");
const v3 = await load("mistral-v3");
/** What a tokenizer is set to. */
const state = (x: PreTrainedTokenizer): unknown[] => [
  x.get_vocab(),
  x.special_tokens_map,
  x.all_special_tokens,
  x.padding_side,
  x.chat_template,
  x.model_max_length,
  x.add_bos_token,
  x.add_eos_token,
];

beforeEach(() => {
  v1.pad_token = "<unk>";
  v3.pad_token = "<unk>";
});

test("split_special_tokens takes special tokens in the text as text", () => {
  const split = { split_special_tokens: true };
  expect(v3("<s>", split).input_ids).toEqual([1, 1291, 29481, 29535]);
  expect(v3("[INST] Hi [/INST]", split).input_ids).toEqual([
    1, 1501, 17057, 29561, 16127, 1501, 29516, 17057, 29561,
  ]);
  expect(v1("<unk><unk> <unk>", split).input_ids).toEqual([
    1, 523, 2060, 3409, 2060, 28767, 523, 2060, 28767,
  ]);
  expect(v3("[INST]").input_ids).toEqual([1, 3]);
});

describe("BatchEncoding", () => {
  test("tokens, words, sequences and characters of a padded batch", () => {
    const e = v1(["one", "two three four"], { padding: true });
    expect(e.tokens(0)).toEqual(["<s>", "▁one", "<unk>", "<unk>"]);
    expect(e.word_ids(0)).toEqual([null, 0, null, null]);
    expect(e.sequence_ids(1)).toEqual([null, 0, 0, 0]);
    expect(e.char_to_token(1, 5)).toBe(2);
    expect(e.token_to_chars(1, 2)).toEqual({ start: 3, end: 9 });
    expect(e.word_to_tokens(1, 0)).toEqual({ start: 1, end: 4 });
    expect(e.token_to_word(1, 2)).toBe(0);
    expect(e.char_to_word(1, 3)).toBe(0);
    expect(e.word_to_chars(1, 0)).toEqual({ start: 0, end: 14 });
    expect(e.token_to_sequence(1, 1)).toBe(0);
    expect(e.token_to_chars(0, 3)).toBeNull();
    expect(e.char_to_token(0, 99)).toBeNull();
    expect(() => e.tokens(2)).toThrow(/row 2 of 2/);
  });

  test("two texts, cut with overflow", () => {
    const e = v1("one two three four five six", {
      text_pair: "seven eight nine ten eleven twelve",
      truncation: true,
      max_length: 9,
      stride: 1,
      padding: true,
      return_overflowing_tokens: true,
      return_token_type_ids: true,
    });
    expect(e.input_ids).toEqual([
      [1, 624, 989, 1712, 1, 6671, 5435, 9542, 3095],
      [1, 1712, 2308, 3359, 1, 6671, 5435, 9542, 3095],
      [1, 1712, 2308, 3359, 1, 3095, 19806, 13153, 0],
      [1, 3359, 3522, 1, 6671, 5435, 9542, 3095, 0],
      [1, 3359, 3522, 1, 3095, 19806, 13153, 0, 0],
      [1, 624, 989, 1712, 1, 3095, 19806, 13153, 0],
    ]);
    expect((e.token_type_ids as unknown as number[][])[3]).toEqual([0, 0, 0, 1, 1, 1, 1, 1, 0]);
    expect(e.sequence_ids(4)).toEqual([null, 0, 0, null, 1, 1, 1, null, null]);
    expect(e.overflow_to_sample_mapping).toEqual([0, 0, 0, 0, 0, 0]);
  });

  test("words, and added tokens that take spaces along", async () => {
    const t = await load("mistral-v1");
    t.add_tokens(["new_token", { content: "<ls>", lstrip: true, normalized: false }]);
    const e = t("a  <ls> b", { return_offsets_mapping: true });
    expect(e.tokens()).toEqual(["<s>", "▁a", "  <ls>", "▁b"]);
    expect(e.offset_mapping).toEqual([
      [0, 0],
      [0, 1],
      [1, 7],
      [7, 9],
    ]);
    const words = t(["one two", "", "three"], { is_split_into_words: true });
    expect(words.input_ids).toEqual([1, 624, 989, 1712]);
    expect(words.word_ids()).toEqual([null, 0, 0, 2]);
  });

  test("offsets count code points, not UTF-16 units", () => {
    const e = v1("😀 a", { return_offsets_mapping: true });
    expect((e.offset_mapping as [number, number][]).at(-1)).toEqual([1, 3]);
    expect(e.char_to_token(2)).toBe(e.input_ids.length - 1);
  });
});

describe("tensors", () => {
  test.each([["pt"], ["np"], ["ts"], [true]] as const)("return_tensors: %s", (return_tensors) => {
    const e = v1(["a", "a b c"], { padding: true, return_tensors });
    expect(e.input_ids).toBeInstanceOf(Tensor);
    expect([e.input_ids.dims, e.input_ids.dtype]).toEqual([[2, 4], "int32"]);
    expect(e.attention_mask.tolist()).toEqual([
      [1, 1, 0, 0],
      [1, 1, 1, 1],
    ]);
  });

  test("one text is a batch of one", () => {
    expect(v1("a b", { return_tensor: true }).input_ids.tolist()).toEqual([[1, 264, 287]]);
  });

  test("rows of different lengths", () => {
    expect(() => v1(["a", "a b"], { return_tensors: "pt" })).toThrow(/pad.*\{ padding: true \}/);
  });
});

test("pad", () => {
  const masks = { input_ids: [[1, 2, 3], [4]] };
  expect({ ...v3.pad(masks) }).toEqual({
    input_ids: [
      [1, 2, 3],
      [4, 0, 0],
    ],
    attention_mask: [
      [1, 1, 1],
      [1, 0, 0],
    ],
  });
  const one = v3.pad({ input_ids: [1, 2] }, { padding: "max_length", max_length: 4 });
  expect({ ...one }).toEqual({ input_ids: [1, 2, 0, 0], attention_mask: [1, 1, 0, 0] });
  const rows = [
    { input_ids: [1, 2], token_type_ids: [0, 0] },
    { input_ids: [1], token_type_ids: [0] },
  ];
  expect({ ...v3.pad(rows, { return_attention_mask: false, padding_side: "left" }) }).toEqual({
    input_ids: [
      [1, 2],
      [0, 1],
    ],
    token_type_ids: [
      [0, 0],
      [0, 0],
    ],
  });
});

describe("special tokens", () => {
  test("names, ids and assignment", async () => {
    const t = await load("mistral-v3");
    expect([t.bos_token, t.eos_token_id, t.unk_token_id, t.pad_token, t.pad_token_id]).toEqual([
      "<s>",
      2,
      0,
      null,
      null,
    ]);
    expect(() => t("a", { padding: true })).toThrow(/tokenizer.pad_token = tokenizer.eos_token/);
    t.pad_token = t.eos_token;
    expect(t.pad_token_id).toBe(2);
    t.pad_token_id = 10;
    expect(t.pad_token).toBe("[control_8]");
    expect(() => (t.pad_token = "[PAD]")).toThrow(/no token.*add_special_tokens/);
    expect(t.add_special_tokens({ extra_special_tokens: ["[A]", "[INST]"] })).toBe(1);
    expect(t.all_special_tokens).toEqual(["<s>", "</s>", "<unk>", "[control_8]", "[A]", "[INST]"]);
    expect(t.get_added_vocab().get("[A]")).toBe(32768);
    expect(t.length).toBe(32769);
  });

  test("add_eos_token", async () => {
    const t = await load("mistral-v3");
    expect([t.add_bos_token, t.add_eos_token, t.num_special_tokens_to_add({ pair: true })]).toEqual(
      [true, false, 2],
    );
    t.add_eos_token = true;
    expect(t("a", { text_pair: "b" }).input_ids).toEqual([1, 1032, 2, 1, 1055, 2]);
    t.add_bos_token = false;
    expect(t("a").input_ids).toEqual([1032, 2]);
  });

  test("a normalized token reads as its normalized text", async () => {
    const t = await load("mistral-v1-prepend");
    t.add_tokens("new_token");
    expect(t.convert_ids_to_tokens(32000)).toBe("▁new_token");
    expect(t.convert_tokens_to_ids("new_token")).toBe(32000);
  });
});

test.each(["mistral-v1", "mistral-v1-prepend", "tiny"])("%s saved and loaded", async (name) => {
  const dir = await mkdtemp(join(tmpdir(), "tokenizer-saved-"));
  const t = await load(name);
  t.add_tokens(["new_token", { content: "<x>", lstrip: true }]);
  t.add_special_tokens({ pad_token: "[PAD]", extra_special_tokens: ["[E]"] });
  Object.assign(t, { padding_side: "left", add_eos_token: true, model_max_length: 77 });
  const paths = await t.save_pretrained(join(dir, "new"));
  const again = await AutoTokenizer.from_pretrained(join(dir, "new"));
  await rm(dir, { recursive: true });
  expect(paths.map((path) => path.slice(dir.length + 5))).toContain("tokenizer.json");
  const texts = ["a new_token  <x>b[E]", "x</s> 한 ▁▁", "", "😀"];
  const call = { padding: true, return_offsets_mapping: true } as const;
  expect({ ...again(texts, call) }).toEqual({ ...t(texts, call) });
  expect(state(again)).toEqual(state(t));
});

test("tokens and ids", () => {
  expect(v1.tokenize("Hello wor한")).toEqual(["▁Hello", "▁wor", "한"]);
  expect(v1.convert_tokens_to_ids(["▁Hello", "zzz"])).toEqual([22557, 0]);
  expect(v1.convert_ids_to_tokens([1, 2, 99_999])).toEqual(["<s>", "</s>", null]);
  expect(v1.convert_tokens_to_string(["▁Hello", "▁wor", "<0xED>"])).toBe("Hello wor\u{fffd}");
  expect(v1.get_special_tokens_mask([1, 5, 2], { already_has_special_tokens: true })).toEqual([
    1, 0, 1,
  ]);
  expect(v1.get_vocab().size).toBe(32000);
  expect(v1.decode([[1, 2], [3]])).toEqual(["<s></s>", "\u0000"]);
  expect(v1.batch_decode([1, 2])).toEqual(["<s></s>"]);
  expect(v1.decode(Tensor.from([[1, 22557]]), { skip_special_tokens: true })).toEqual(["Hello"]);
  expect(v1.decode(22557)).toBe("Hello");
  expect(v1.decode(BigInt64Array.of(22557n))).toBe("Hello");
  expect(v1("a", { text_target: "b" }).labels).toEqual([1, 287]);
});

describe("wrong use says what to do", () => {
  const wrong: [string, () => unknown, RegExp][] = [
    ["an option", () => v1("a", { paddin: true } as object), /did you mean "padding"/],
    ["a padding", () => v1("a", { padding: "longer" as "longest" }), /did you mean "longest"/],
    ["a side", () => v1("a", { padding_side: "up" as "left" }), /expected "left" or "right"/],
    ["a length", () => v1("a", { max_length: -3 }), /max_length is -3; expected an integer/],
    ["room", () => v1("a", { text_pair: "b", truncation: true, max_length: 1 }), /no room/],
    ["stride", () => v1("a", { truncation: true, max_length: 4, stride: 4 }), /stride 4/],
    [
      "a multiple",
      () => v1("a", { padding: true, truncation: true, max_length: 7, pad_to_multiple_of: 4 }),
      /not a multiple/,
    ],
    ["tensors of", () => v1("a", { return_tensors: "tf" as "pt" }), /expected "pt", "np", "ts"/],
    ["a number", () => v1(5 as unknown as string), /a text is a number/],
    ["null", () => v1(null as unknown as string), /text is null/],
    ["words", () => v1([["a", "b", "c"]]), /is_split_into_words/],
    ["pairs", () => v1(["a", "b"], { text_pair: ["c"] }), /1 texts for a batch of 2/],
    ["an id", () => v1.decode([1.5]), /id 0 is 1.5; expected an integer/],
    [
      "a flag",
      () => v1.add_tokens({ content: "x", strip: true } as { content: string }),
      /"lstrip"/,
    ],
    ["a name", () => v1.add_special_tokens({ pad: "x" } as object), /unknown option "pad"/],
    [
      "a template",
      () => v1.apply_chat_template([{ role: "user", content: "a" }], { tokenize: false }),
      /no chat_template/,
    ],
  ];
  test.each(wrong)("%s", (_, run, message) => {
    expect(run).toThrow(
      expect.objectContaining({ name: "InputError", message: expect.stringMatching(message) }),
    );
  });

  test("loading", async () => {
    const dir = goldenPath("tokenizers/tiny");
    const options = { padding_sid: "left" } as object;
    await expect(AutoTokenizer.from_pretrained(dir, options)).rejects.toThrow(/"padding_side"/);
    await expect(AutoTokenizer.from_pretrained("/no/such")).rejects.toThrow(/no such folder/);
    const empty = AutoTokenizer.from_pretrained(goldenPath("models/base-f32"));
    await expect(empty).rejects.toThrow(/no tokenizer.json, no tekken.json and no tokenizer.model/);
  });
});

test("control tokens that users write can be taken as text", () => {
  const conversation = [{ role: "user", content: "hi [INST] <s> x" }];
  const ids = [1, 3, 12782, 29473, 29560, 17057, 29561, 29473, 29557, 29481, 29535, 2086, 4];
  const sanitize_control_tokens = true;
  const out = v3.apply_chat_template(conversation, { sanitize_control_tokens });
  expect({ ...(out as object) }).toEqual({ input_ids: ids, attention_mask: ids.map(() => 1) });
  expect(v3.apply_chat_template(conversation, { return_dict: false })).toEqual([
    1, 3, 12782, 29473, 3, 29473, 1, 2086, 4,
  ]);
});

test("the ids of one message behind others", async () => {
  const t = await load("mistral-v3");
  const history = [
    { role: "user", content: "hi" },
    { role: "assistant", content: "x" },
  ];
  const message = { role: "user", content: "y" };
  const ids = (messages: object[]): unknown =>
    t.apply_chat_template(messages as typeof history, { return_dict: false });
  const before = ids(history) as number[];
  expect(before.concat(t.encode_message_with_chat_template(message, history))).toEqual(
    ids([...history, message]),
  );
  expect(t.encode_message_with_chat_template(message)).toEqual(ids([message]));
});

test("several templates by name", async () => {
  const t = await load("tiny");
  const talk = [{ role: "user", content: "a" }];
  t.chat_template = { default: "D{{ messages[0].content }}", tool_use: "T{{ tools | length }}" };
  const tokenize = false;
  expect(t.apply_chat_template(talk, { tokenize })).toBe("Da");
  expect(t.apply_chat_template(talk, { tokenize, tools: [{}] })).toBe("T1");
  expect(t.apply_chat_template(talk, { tokenize, chat_template: "tool_use", tools: [] })).toBe(
    "T0",
  );
  expect(
    t.apply_chat_template([talk, talk], { tokenize, chat_template: "x{{ y }}", y: 2 }),
  ).toEqual(["x2", "x2"]);
  t.chat_template = { other: "" };
  expect(() => t.apply_chat_template(talk)).toThrow(/none is the default.*\(other\)/);
});
