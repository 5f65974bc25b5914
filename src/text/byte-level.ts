// The byte level alphabet of GPT-2 (Radford et al. 2019): 256 printable characters that stand for the bytes of UTF-8 text.
// Tokenizers without byte fallback work on text rewritten in it. Knows nothing of tokens.

import type { AlignedText } from "./aligned-text.ts";

/** The character of each byte. */
export const BYTE_ALPHABET: readonly string[] = alphabet();
const toByte: ReadonlyMap<string, number> = new Map(BYTE_ALPHABET.map((c, byte) => [c, byte]));

/** How GPT-2 cuts text into words. */
export const GPT2_WORDS =
  "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+";

/** The text rewritten byte by byte; the bytes of a character all have the character's span. */
export function toByteLevel(text: AlignedText): AlignedText {
  // printable ASCII characters stand for themselves
  return text.mapCharacters(/[^!-~]/gu, byteLevelText);
}

const encoder = new TextEncoder();
// of characters of one UTF-16 unit, made when they are first met
const texts: (string | undefined)[] = [];

function byteLevelText(character: string): string {
  const unit = character.charCodeAt(0);
  const known = character.length === 1 ? texts[unit] : undefined;
  if (known !== undefined) return known;
  const text = Array.from(encoder.encode(character), (byte) => BYTE_ALPHABET[byte]).join("");
  if (character.length === 1) texts[unit] = text;
  return text;
}

/** The text that tokens of this alphabet stand for; broken UTF-8 becomes U+FFFD as in the WHATWG decoder. */
export function fromByteLevel(tokens: readonly string[]): string {
  const bytes = tokens.flatMap(byteLevelBytes);
  return new TextDecoder("utf-8", { ignoreBOM: true }).decode(Uint8Array.from(bytes));
}

/** The bytes that a token of this alphabet stands for. A token with any other character, such as an added one, is plain text. */
export function byteLevelBytes(token: string): number[] {
  const codes = Array.from(token, (character) => toByte.get(character));
  if (codes.every((code) => code !== undefined)) return codes;
  return Array.from(new TextEncoder().encode(token));
}

function alphabet(): string[] {
  let next = 256;
  return Array.from({ length: 256 }, (_, byte) => {
    const printable =
      (byte >= 0x21 && byte <= 0x7e) || (byte >= 0xa1 && byte <= 0xac) || byte >= 0xae;
    return String.fromCharCode(printable ? byte : next++);
  });
}
