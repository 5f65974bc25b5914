// The text of ids as SentencePiece's own decoder gives it, and mistral-common with it: bytes that are no UTF-8 become U+FFFD one by
// one, where tokenizer.json's decoder replaces the whole run. Knows nothing of files.

import { byteOfToken } from "./decoder.ts";
import type { TextTokenizer } from "./tokenizer.ts";

const MARK = "▁";
const UNKNOWN = " ⁇ ";

/** @param tokenizer one that was read from a SentencePiece model that puts a space before texts */
export function decodeAsSentencePiece(tokenizer: TextTokenizer, ids: Iterable<number>): string {
  const { unk } = tokenizer.model;
  let text = "";
  let bytes: number[] = [];
  let stripped = false;
  // only the first piece of a text can lose the space that was put before the text
  let begins = true;
  const flush = (): void => {
    text += utf8(bytes);
    bytes = [];
  };
  for (const id of ids) {
    const token = tokenizer.idToToken(id);
    if (token === undefined) continue;
    const byte = byteOfToken(token);
    if (byte >= 0) {
      bytes.push(byte);
      continue;
    }
    flush();
    if (stripped || text !== "") begins = false;
    stripped = false;
    if (id === unk) text += UNKNOWN;
    else if (!tokenizer.isSpecial(token)) {
      stripped = begins && token.startsWith(MARK);
      text += (stripped ? token.slice(MARK.length) : token).replaceAll(MARK, " ");
    }
  }
  flush();
  return text;
}

/** The text of bytes; each that belongs to no character is a U+FFFD of its own. */
function utf8(bytes: readonly number[]): string {
  let text = "";
  for (let at = 0; at < bytes.length;) {
    const first = bytes[at];
    const length = first < 0x80 ? 1 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
    let character: string | undefined;
    try {
      const whole = Uint8Array.from(bytes.slice(at, at + length));
      character = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(whole);
    } catch {
      character = undefined;
    }
    text += character ?? "\u{fffd}";
    at += character === undefined ? 1 : length;
  }
  return text;
}
