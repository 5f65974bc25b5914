// Special tokens without a role: which list of which file counts, and what an object says of a token, as in Transformers 5.23, from which
// the values come (AutoTokenizer on the same folders, model_type mistral).

import { describe, expect, test } from "vitest";
import { flagsOf, load, undeclared, type Json } from "./tokenizer-folder.ts";

describe("special tokens without a name", () => {
  const object = (content: string, more: Json = {}): Json => ({
    ...{ __type: "AddedToken", content, lstrip: false, rstrip: false, normalized: false },
    ...{ single_word: false, ...more },
  });
  const map = (value: Json): Record<string, Json> => ({ "special_tokens_map.json": value });
  const declared = (config: Json, value: Json): void =>
    void Object.assign(config, { added_tokens_decoder: {}, ...value });
  const old = (config: Json, value: Json): void => (
    undeclared(config),
    void Object.assign(config, value)
  );

  test("one that is written as an object is special only if the object says so", async () => {
    const list = [object("<a>"), "<b>", object("<c>", { special: true })];
    for (const name of ["additional_special_tokens", "extra_special_tokens"]) {
      const t = await load({ config: (c) => declared(c, { [name]: list }) });
      const special = [32000, 32001, 32002].map((id) => t.backend_tokenizer.added.get(id)?.special);
      expect(special).toEqual([false, true, true]);
      expect(t.all_special_tokens.slice(3)).toEqual(["<a>", "<b>", "<c>"]);
    }
  });

  const a = ["<a>"];
  test.each([
    // tokenizer_config.json, special_tokens_map.json, extra_special_tokens in the end
    [{ additional_special_tokens: [] }, { additional_special_tokens: a }, []],
    [{ additional_special_tokens: null }, { additional_special_tokens: a }, []],
    [{ additional_special_tokens: undefined }, { additional_special_tokens: a }, a],
    [
      { extra_special_tokens: ["<b>"] },
      { extra_special_tokens: ["<b>", "<a>"], additional_special_tokens: ["<c>"] },
      ["<b>", "<a>"],
    ],
    [{ extra_special_tokens: ["<b>"], additional_special_tokens: a }, {}, ["<b>"]],
    [{ additional_special_tokens: ["<b>"] }, { extra_special_tokens: a }, ["<b>", "<a>"]],
    [{ extra_special_tokens: { x: "<b>" }, additional_special_tokens: a }, {}, a],
    [{ extra_special_tokens: {}, additional_special_tokens: a }, {}, a],
    [
      { additional_special_tokens: ["<c>"] },
      { extra_special_tokens: { boi: "<b>" }, additional_special_tokens: a },
      a,
    ],
  ])("%j with a map of %j: %j", async (settings, ofMap, right) => {
    const t = await load({ config: (c) => old(c, settings), files: map(ofMap) });
    expect(t.extra_special_tokens).toEqual(right);
    expect(right.every((token) => t.backend_tokenizer.isSpecial(token))).toBe(true);
  });

  test("of two descriptions of one token that is new, the last counts", async () => {
    const sep_token = object("<a>", { lstrip: true, rstrip: true });
    const first = await load({
      config: (c) => declared(c, { sep_token, extra_special_tokens: a }),
    });
    expect(flagsOf(first, 32000)).toMatchObject({ lstrip: false, special: true });
    const extra_special_tokens = [object("<a>", { lstrip: true })];
    const other = await load({
      config: (c) => declared(c, { sep_token: "<a>", extra_special_tokens }),
    });
    expect(flagsOf(other, 32000)).toMatchObject({ lstrip: true, special: true });
    const third = await load({
      config: (c) => old(c, { additional_special_tokens: [object("<a>"), "<b>"] }),
      files: map({ extra_special_tokens: a }),
    });
    expect(flagsOf(third, 32000)).toMatchObject({ content: "<a>", special: true });
  });

  test("a name that only this tokenizer has is taken from tokenizer_config.json first", async () => {
    const t = await load({
      config: (c) => old(c, { image_token: "<a>" }),
      files: map({ image_token: "<b>" }),
    });
    expect(t.special_tokens_map).toMatchObject({ image_token: "<a>" });
    expect(t.length).toBe(32001);
  });
});
