// sanitize_control_tokens of apply_chat_template: control tokens within messages are enclosed in marks before the template runs, and
// encoded as plain text after it. The marks are two private-use characters; if the input has them, they are removed from it.
// Does not know templates.

import { InputError } from "../../errors.ts";
import type { BatchEncoding } from "./batch-encoding.ts";
import type { ChatTokenizer } from "./chat-tokenizer.ts";
import { encodingOfRows } from "./id-rows.ts";
import type { TokenizerOptions } from "./tokenizer-options.ts";

const START = "\u{f0000}";
const END = "\u{f0001}";
const MARKS = /[\u{f0000}\u{f0001}]/gu;

/** A copy in which every control token of every string is marked, but not in the names of fields. */
export function markControlTokens<T>(value: T, tokens: readonly string[]): T {
  const longestFirst = [...tokens].filter((token) => token !== "").toSorted(byLength);
  const pattern = longestFirst.map((token) => RegExp.escape(token)).join("|");
  const found = pattern === "" ? undefined : new RegExp(pattern, "gu");
  const mark = (part: unknown): unknown => {
    if (typeof part === "string") {
      const clean = part.replaceAll(MARKS, "");
      return found === undefined ? clean : clean.replaceAll(found, (token) => START + token + END);
    }
    if (Array.isArray(part)) return part.map(mark);
    // instances of classes, such as Float, stay as they are
    if (part === null || typeof part !== "object" || !isPlain(part)) return part;
    return Object.fromEntries(Object.entries(part).map(([name, field]) => [name, mark(field)]));
  };
  return mark(value) as T;
}

/** Encodes texts with marks. @throws InputError options that cannot be combined with it; a token that is one token also as plain text */
export function encodeMarked(
  tokenizer: ChatTokenizer,
  texts: readonly string[],
  batched: boolean,
  options: TokenizerOptions,
): BatchEncoding {
  const rows = texts.map((text) => encodeText(tokenizer, text));
  return encodingOfRows("apply_chat_template", tokenizer, rows, batched, options);
}

function encodeText(tokenizer: ChatTokenizer, text: string): number[] {
  const added = [...tokenizer.backend_tokenizer.added.values()].map((token) => token.content);
  const names = added.toSorted(byLength).map((token) => RegExp.escape(token));
  const marks = new RegExp(`${START}(${names.join("|")})${END}|[${START}${END}]`, "u");
  // text, marked token, text, …; undefined for a mark without its partner
  const pieces: (string | undefined)[] = text.split(marks);
  const ids = tokenizer.encode(pieces[0] ?? "", { add_special_tokens: false });
  pieces.slice(1).forEach((piece, i) => {
    if (piece === undefined || piece === "") return;
    const plain = i % 2 === 0;
    const own = encodePiece(tokenizer, piece, plain);
    if (plain && own.includes(tokenizer.backend_tokenizer.tokenToId(piece) ?? -1)) {
      throw new InputError(
        `apply_chat_template: sanitize_control_tokens: ${JSON.stringify(piece)} is one token also as plain text`,
      );
    }
    ids.push(...own);
  });
  return ids;
}

/** Encodes a piece from the middle of a text. A line end goes before it and is cut off again, so that no space is put before the piece. */
function encodePiece(tokenizer: ChatTokenizer, piece: string, plain: boolean): number[] {
  const encode = (text: string): number[] =>
    plain
      ? Array.from(tokenizer.backend_tokenizer.encodePlain(text))
      : tokenizer.encode(text, { add_special_tokens: false });
  const newline = tokenizer.encode("\n", { add_special_tokens: false });
  const ids = encode(`\n${piece}`);
  return newline.every((id, i) => ids[i] === id) ? ids.slice(newline.length) : encode(piece);
}

function byLength(a: string, b: string): number {
  return b.length - a.length;
}

function isPlain(value: object): boolean {
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === Object.prototype || prototype === null;
}
