// The byte level alphabet of GPT-2 (Radford et al. 2019): 256 printable characters that stand for the bytes of UTF-8 text.
// Tokenizers without byte fallback work on text rewritten in it. Knows nothing of tokens.

import type { AlignedText } from "./aligned-text.ts";

const toCharacter: readonly string[] = alphabet();
const toByte: ReadonlyMap<string, number> = new Map(toCharacter.map((c, byte) => [c, byte]));

/** How GPT-2 cuts text into words. */
export const GPT2_WORDS =
  "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+";

/** The text rewritten byte by byte; the bytes of a character all have the character's span. */
export function toByteLevel(text: AlignedText): AlignedText {
  const encoder = new TextEncoder();
  return text.mapPieces(/[\s\S]/gu, (character) =>
    Array.from(encoder.encode(character), (byte) => toCharacter[byte]).join(""),
  );
}

/** The text that tokens of this alphabet stand for; broken UTF-8 becomes U+FFFD as in the WHATWG decoder. */
export function fromByteLevel(tokens: readonly string[]): string {
  const encoder = new TextEncoder();
  const bytes: number[] = [];
  for (const token of tokens) {
    const codes = Array.from(token, (character) => toByte.get(character));
    // a token outside the alphabet, such as an added one, is plain text
    if (codes.every((code) => code !== undefined)) bytes.push(...codes);
    else for (const byte of encoder.encode(token)) bytes.push(byte);
  }
  return new TextDecoder("utf-8", { ignoreBOM: true }).decode(Uint8Array.from(bytes));
}

function alphabet(): string[] {
  let next = 256;
  return Array.from({ length: 256 }, (_, byte) => {
    const printable =
      (byte >= 0x21 && byte <= 0x7e) || (byte >= 0xa1 && byte <= 0xac) || byte >= 0xae;
    return String.fromCharCode(printable ? byte : next++);
  });
}
