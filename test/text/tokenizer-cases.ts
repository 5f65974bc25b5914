// Compares tokenizers with what Rust `tokenizers` makes of the same tokenizer.json (test/full/tokenizer_styles.py writes such cases).

import { readTokenizerJson } from "../../src/text/tokenizer-json.ts";
import { TextTokenizer } from "../../src/text/tokenizer.ts";

export type StyleRow = {
  text: string;
  pair?: string;
  special: boolean;
  ids: number[];
  offsets: number[];
  words: number[];
  types: number[];
  /** With special tokens, without them, and of the ids in another order */
  decoded: string[];
  shuffled: number[];
};
export type StyleCase = { name: string; json: object; rows: StyleRow[] };

export function loadStyle({ json }: StyleCase): TextTokenizer {
  const bytes = new TextEncoder().encode(JSON.stringify(json));
  return new TextTokenizer(readTokenizerJson(bytes, "tokenizer.json"), "tokenizer.json");
}

/** What the tokenizer makes of the text of a row. */
export function resultOf(t: TextTokenizer, row: StyleRow): StyleRow {
  const options = { details: true, splitSpecial: false };
  const second = row.pair === undefined ? undefined : t.encodeText(row.pair, options);
  const e = t.assemble(t.encodeText(row.text, options), second, row.special);
  const plain = t.encodeText(row.text, { ...options, details: false });
  const short = t.encodeText(row.text, options);
  if (plain.ids.join() !== short.ids.join())
    throw new Error("ids depend on whether details are wanted");
  return {
    text: row.text,
    ...(row.pair !== undefined && { pair: row.pair }),
    special: row.special,
    ids: [...e.ids],
    offsets: [...(e.details?.offsets ?? [])],
    words: [...(e.details?.words ?? [])],
    types: e.column("typeId"),
    decoded: [t.decode(e.ids, false), t.decode(e.ids, true), t.decode(row.shuffled, false)],
    shuffled: row.shuffled,
  };
}
