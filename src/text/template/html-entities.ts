// HTML's character references → characters, by the rules of HTML 5 as Python's html.unescape has them: `&lt;`, `&#60;`, `&#x3c;`,
// old names without a semicolon. Knows nothing of templates.

import type { Budget } from "./budget.ts";
import { HTML_ENTITY_NAMES } from "./html-entity-names.ts";

const REFERENCE = /&(#[0-9]+;?|#[xX][0-9a-fA-F]+;?|[^\t\n\f <&#;]{1,32};?)/gu;

/** The text with the characters that its references mean; what is no reference stays. */
export function unescapedHtml(text: string, budget: Budget): string {
  if (!text.includes("&")) return text;
  budget.walk(2 * text.length);
  return text.replace(REFERENCE, (_whole, reference: string) =>
    reference.startsWith("#") ? numbered(reference.slice(1)) : named(reference),
  );
}

/** Windows-1252, which numbers from 128 to 159 mean in old pages; 13 stays. */
const WINDOWS = "€\x81‚ƒ„…†‡ˆ‰Š‹Œ\x8dŽ\x8f\x90‘’“”•–—˜™š›œ\x9džŸ";

function numbered(reference: string): string {
  const digits = reference.replace(/;$/, "");
  const code = /^x/i.test(digits)
    ? Number.parseInt(digits.slice(1), 16)
    : Number.parseInt(digits, 10);
  if (code >= 0x80 && code <= 0x9f) return WINDOWS[code - 0x80];
  if (code === 0 || (code >= 0xd800 && code <= 0xdfff) || code > 0x10ffff) return "\ufffd";
  return isInvalid(code) ? "" : String.fromCodePoint(code);
}

/** Control characters and non-characters, which HTML drops. */
const isInvalid = (code: number): boolean =>
  (code < 0x20 && ![0x09, 0x0a, 0x0c, 0x0d].includes(code)) ||
  code === 0x7f ||
  (code >= 0xfdd0 && code <= 0xfdef) ||
  (code & 0xfffe) === 0xfffe;

let names: ReadonlyMap<string, string> | undefined; // read when they are first needed

function readNames(): ReadonlyMap<string, string> {
  const read = new Map<string, string>();
  for (const [, name, kind, codes] of HTML_ENTITY_NAMES.matchAll(/(\w+)([=!])(\S+)/g)) {
    const points = codes.split("+").map((code) => Number.parseInt(code, 16));
    const text = String.fromCodePoint(...points);
    read.set(`${name};`, text);
    if (kind === "!") read.set(name, text);
  }
  return read;
}

function named(reference: string): string {
  names ??= readNames();
  const whole = names.get(reference);
  if (whole !== undefined) return whole;
  for (let end = reference.length - 1; end > 1; end--) {
    const text = names.get(reference.slice(0, end));
    if (text !== undefined) return text + reference.slice(end);
  }
  return `&${reference}`;
}
