// Text for HTML and URLs, and wrapping: what the filters escape, striptags, urlencode, xmlattr and wordwrap make.

import { TemplateError } from "../../errors.ts";
import type { Budget } from "./budget.ts";
import { codePointLength, codePointSlice, offsetOf } from "./code-points.ts";
import { joinTexts } from "./string-methods.ts";
import { repr, str } from "./python-text.ts";
import { Dict, typeName, Undefined, type Value } from "./values.ts";

const ENTITIES: Readonly<Record<string, string>> = {
  "&": "&amp;",
  "<": "&lt;",
  ">": "&gt;",
  "'": "&#39;",
  '"': "&#34;",
};

export const escapedHtml = (text: string): string =>
  text.replace(/[&<>'"]/g, (char) => ENTITIES[char]);

/** The text without comments and tags. A run of white space becomes a space; the entities of `escapedHtml`, and &quot;, characters. */
export function stripTags(text: string): string {
  const bare = without(without(text, "<!--", "-->"), "<", ">");
  const joined = bare
    .split(/\s+/)
    .filter((word) => word !== "")
    .join(" ");
  return joined.replace(/&(?:lt|gt|quot|#39|#34|amp);/g, (entity) => PLAIN[entity]);
}

const PLAIN: Readonly<Record<string, string>> = {
  "&lt;": "<",
  "&gt;": ">",
  "&quot;": '"',
  "&#39;": "'",
  "&#34;": '"',
  "&amp;": "&",
};

function without(text: string, open: string, close: string): string {
  const kept: string[] = [];
  let at = 0;
  for (let start = text.indexOf(open); start !== -1; start = text.indexOf(open, at)) {
    const end = text.indexOf(close, start);
    if (end === -1) break;
    kept.push(text.slice(at, start));
    at = end + close.length;
  }
  return kept.join("") + text.slice(at);
}

/** Percent-encoded UTF-8; letters, digits, `_.-~` and `safe` stay. */
export function urlQuoted(text: string, safe: string, budget: Budget): string {
  budget.build(3 * text.length);
  return encodeURIComponent(text.toWellFormed())
    .replace(/[!'()*]/g, (char) => `%${char.charCodeAt(0).toString(16).toUpperCase()}`)
    .replace(/%2F/g, safe === "/" ? "/" : "%2F");
}

/** ` key="value"` for each entry that is neither none nor undefined. */
export function xmlAttributes(value: Value, autospace: boolean, budget: Budget): string {
  if (!(value instanceof Dict))
    throw new TemplateError(`'${typeName(value)} object' has no attribute 'items'`);
  const attributes: string[] = [];
  for (const [key, item] of value.entries()) {
    if (item === null || item instanceof Undefined) continue;
    const name = str(key, budget);
    if (/[\t-\r />=]/.test(name))
      throw new TemplateError(`Invalid character in attribute name: ${repr(key, budget)}`);
    const text = str(item, budget);
    budget.build(6 * (name.length + text.length));
    attributes.push(`${escapedHtml(name)}="${escapedHtml(text)}"`);
  }
  return (autospace && attributes.length > 0 ? " " : "") + joinTexts(" ", attributes, budget);
}

export type WrapStyle = { width: number; breakLong: boolean; hyphens: boolean };

/** Lines of at most `width` characters, as textwrap.wrap makes them of one paragraph. */
export function wrapped(paragraph: string, style: WrapStyle, budget: Budget): string[] {
  budget.walk(2 * paragraph.length);
  const chunks = chunksOf(paragraph, style.hyphens).toReversed();
  const lines: string[] = [];
  while (chunks.length > 0) {
    budget.spend();
    if (lines.length > 0 && chunks.at(-1)?.trim() === "") chunks.pop();
    const line: string[] = [];
    let length = 0;
    for (
      let chunk = chunks.at(-1);
      chunk !== undefined && length + codePointLength(chunk) <= style.width;
      chunk = chunks.at(-1)
    ) {
      line.push(chunk);
      length += codePointLength(chunk);
      chunks.pop();
    }
    const next = chunks.at(-1);
    if (next !== undefined && codePointLength(next) > style.width)
      breakLongWord(chunks, line, length, next, style);
    if (line.at(-1)?.trim() === "") line.pop();
    if (line.length > 0) lines.push(line.join(""));
  }
  return lines;
}

function breakLongWord(
  chunks: string[],
  line: string[],
  length: number,
  word: string,
  style: WrapStyle,
): void {
  const space = Math.max(1, style.width - length);
  if (style.breakLong) {
    const head = codePointSlice(word, 0, space);
    const hyphen = style.hyphens ? head.slice(0, offsetOf(head, space)).lastIndexOf("-") : -1;
    const cut = hyphen > 0 && /[^-]/.test(head.slice(0, hyphen)) ? hyphen + 1 : head.length;
    line.push(word.slice(0, cut));
    chunks[chunks.length - 1] = word.slice(cut);
  } else if (line.length === 0) {
    line.push(word);
    chunks.pop();
  }
}

/** Words, runs of whitespace and, where hyphens may break, the parts of words that end with one. */
function chunksOf(paragraph: string, hyphens: boolean): string[] {
  const chunks = paragraph.split(/(\s+)/).filter((chunk) => chunk !== "");
  if (!hyphens) return chunks;
  return chunks.flatMap((chunk) =>
    chunk.split(
      /(?<=[\p{L}_]-)(?=[\p{L}_]{2})|(?<=[\p{L}\p{N}_])(?=-{2,}[\p{L}\p{N}_])|(?<=\p{L}--+)(?=\p{L})/u,
    ),
  );
}
