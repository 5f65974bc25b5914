// The bytes that each token adds to a text. The engine, which knows no tokenizer, finds stop strings with them. Knows no stop strings.

import type { TokenBytesTable } from "../../engine/messages.ts";
import { BYTE_ALPHABET, byteLevelBytes } from "../../text/byte-level.ts";
import { byteOfToken } from "../../text/decoder.ts";
import type { TextTokenizer } from "../../text/tokenizer.ts";

/** What this file needs of a tokenizer. One of another library may have only `get_vocab`. */
export type TokenSource = {
  get_vocab(): Map<string, number> | Record<string, number>;
  readonly backend_tokenizer?: Pick<TextTokenizer, "decoder" | "idToToken">;
};

const tables = new WeakMap<object, TokenBytesTable>();

/** The bytes of every token. The table is kept until the tokenizer's vocabulary has another size. */
export function tokenBytesTable(tokenizer: TokenSource): TokenBytesTable {
  const vocabulary = tokenizer.get_vocab();
  const entries = vocabulary instanceof Map ? [...vocabulary] : Object.entries(vocabulary);
  const size = entries.reduce((max, [, id]) => Math.max(max, id + 1), 0);
  const known = tables.get(tokenizer);
  if (known !== undefined && known.ends.length === size) return known;

  const backend = tokenizer.backend_tokenizer;
  const byName = bytesByName(new Set(entries.map(([token]) => token)));
  const tokens: Uint8Array[] = Array.from({ length: size }, () => new Uint8Array());
  for (const [token, id] of entries) {
    tokens[id] = backend?.decoder.bytesOf(backend.idToToken(id) ?? token) ?? byName(token);
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

/** For a tokenizer that does not say how it decodes: its vocabulary is written in GPT-2's alphabet, or has byte tokens and ▁. */
function bytesByName(vocabulary: ReadonlySet<string>): (token: string) => Uint8Array {
  if (BYTE_ALPHABET.every((character) => vocabulary.has(character))) {
    return (token) => Uint8Array.from(byteLevelBytes(token));
  }
  const encoder = new TextEncoder();
  return (token) => {
    const byte = byteOfToken(token);
    return byte >= 0 ? Uint8Array.of(byte) : encoder.encode(token.replaceAll("▁", " "));
  };
}
