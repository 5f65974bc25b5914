// Text for HTML and URLs: what the filters striptags, urlencode and xmlattr make.

import { TemplateError } from "../../errors.ts";
import type { Budget } from "./budget.ts";
import { splitSpace } from "./case-text.ts";
import { unescapedHtml } from "./html-entities.ts";
import { escaped } from "./markup.ts";
import { joinTexts } from "./string-methods.ts";
import { repr } from "./python-text.ts";
import { defined, Dict, textOf, typeName, Undefined, type Value } from "./values.ts";

/** The text without comments and tags; a run of white space becomes a space, entities their characters. */
export function stripTags(text: string, budget: Budget): string {
  budget.walk(text.length);
  const kept: string[] = [];
  let at = 0;
  for (let start = text.indexOf("<"); start !== -1; start = text.indexOf("<", at)) {
    const isComment = text.startsWith("<!--", start);
    const end = isComment ? text.indexOf("-->", start + 4) : text.indexOf(">", start);
    if (end === -1) break;
    kept.push(text.slice(at, start));
    at = end + (isComment ? 3 : 1);
  }
  kept.push(text.slice(at));
  return unescapedHtml(splitSpace(kept.join(""), -1, false).join(" "), budget);
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
    throw new TemplateError(`'${typeName(defined(value))} object' has no attribute 'items'`);
  const attributes: string[] = [];
  for (const [key, item] of value.entries()) {
    if (item === null || item instanceof Undefined) continue;
    const name = textOf(key);
    if (name === undefined)
      throw new TemplateError(`xmlattr: a name must be str, not ${typeName(key)}`);
    if (/[\t-\r />=]/.test(name))
      throw new TemplateError(`Invalid character in attribute name: ${repr(key, budget)}`);
    attributes.push(`${escaped(key, budget).text}="${escaped(item, budget).text}"`);
  }
  return (autospace && attributes.length > 0 ? " " : "") + joinTexts(" ", attributes, budget);
}
