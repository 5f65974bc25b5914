// Escaping for HTML, and how texts and Markup join: Markup escapes a plain text that is joined to it, on either side, as MarkupSafe
// does. A chat template meets this where it uses `safe` or `escape`, although nothing else in it is escaped.

import type { Budget } from "./budget.ts";
import { str } from "./python-text.ts";
import { Markup, type Text, textOf, type Value } from "./values.ts";

const ENTITIES: Readonly<Record<string, string>> = {
  "&": "&amp;",
  "<": "&lt;",
  ">": "&gt;",
  "'": "&#39;",
  '"': "&#34;",
};
const SPECIAL = /[&<>'"]/g;

/** The text with &, <, >, ' and " as entities. */
export function escapedHtml(text: string, budget: Budget): string {
  let length = text.length;
  for (const [char] of text.matchAll(SPECIAL)) length += ENTITIES[char].length - 1;
  if (length === text.length) return text;
  budget.walk(text.length);
  budget.build(length);
  return text.replace(SPECIAL, (char) => ENTITIES[char]);
}

/** The value as Markup: Markup as it is, anything else printed and escaped. */
export const escaped = (value: Value, budget: Budget): Markup =>
  value instanceof Markup ? value : new Markup(escapedHtml(str(value, budget), budget));

/** a + b of two texts. */
export function addTexts(a: Text, b: Text, budget: Budget): Text {
  if (typeof a === "string" && typeof b === "string") {
    budget.build(a.length + b.length);
    return a + b;
  }
  const [left, right] = [escaped(a, budget).text, escaped(b, budget).text];
  budget.build(left.length + right.length);
  return new Markup(left + right);
}

/** separator.join(texts): Markup if the separator is, which then escapes the texts. */
export function joinAll(separator: Text, texts: readonly Text[], budget: Budget): Text {
  const isMarkup = separator instanceof Markup;
  const between = textOf(separator);
  let length = between.length * Math.max(0, texts.length - 1);
  const parts = texts.map((text) => {
    const part = isMarkup ? escaped(text, budget).text : textOf(text);
    length += part.length;
    return part;
  });
  budget.build(length);
  const joined = parts.join(between);
  return isMarkup ? new Markup(joined) : joined;
}
