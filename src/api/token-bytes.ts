// The bytes that each token adds to a text. The engine, which knows no tokenizer, finds stop strings with them. Knows no stop strings.

import type { TokenBytesTable } from "../engine/messages.ts";

/** What this file needs of a tokenizer. */
export type TokenSource = {
  get_vocab(): Map<string, number> | Record<string, number>;
};

const tables = new WeakMap<object, TokenBytesTable>();

/** The bytes of every token. The table is kept until the tokenizer's vocabulary has another size. */
export function tokenBytesTable(tokenizer: TokenSource): TokenBytesTable {
  const vocabulary = tokenizer.get_vocab();
  const entries = vocabulary instanceof Map ? [...vocabulary] : Object.entries(vocabulary);
  const size = entries.reduce((max, [, id]) => Math.max(max, id + 1), 0);
  const known = tables.get(tokenizer);
  if (known !== undefined && known.ends.length === size) return known;

  const encoder = new TextEncoder();
  const tokens: Uint8Array[] = Array.from({ length: size }, () => new Uint8Array());
  for (const [token, id] of entries) {
    const byte = /^<0x([0-9A-F]{2})>$/.exec(token);
    tokens[id] = byte
      ? Uint8Array.of(parseInt(byte[1], 16))
      : encoder.encode(token.replaceAll("▁", " "));
  }
  const ends = new Int32Array(size);
  const bytes = new Uint8Array(tokens.reduce((sum, token) => sum + token.length, 0));
  let end = 0;
  tokens.forEach((token, id) => {
    bytes.set(token, end);
    end += token.length;
    ends[id] = end;
  });
  const table = { ends, bytes };
  tables.set(tokenizer, table);
  return table;
}
