// The built-in filters of Jinja2 3.1 on text, and Transformers' `tojson`.
// Contract: a result that may be long is charged to the budget before it is made. `safe` and `escape` give Markup, which escapes
// what is joined to it later, although a chat template's output is not escaped.

import { TemplateError } from "../../errors.ts";
import { compareNumbers, numeric } from "./compare.ts";
import { binary } from "./arithmetic.ts";
import { bind, type Given } from "./bind.ts";
import type { Budget } from "./budget.ts";
import { capitalize, SPACE, splitLines, splitSpace, strip } from "./case-text.ts";
import { codePointSlice } from "./code-points.ts";
import { stripTags, urlQuoted, xmlAttributes } from "./html-text.ts";
import { asIndex, isIterable, iterate, lengthOf } from "./iteration.ts";
import { jsonStyle, jsonText } from "./json-text.ts";
import { addTexts, escaped, joinAll } from "./markup.ts";
import { percentFormat } from "./percent-format.ts";
import { prettyPrinted } from "./pretty-print.ts";
import { str } from "./python-text.ts";
import type { Filter, Runtime } from "./runtime.ts";
import { centered, intArgument, joinTexts, replaceText, textArgument } from "./string-methods.ts";
import { urlized } from "./urlize.ts";
import {
  defined,
  Dict,
  isText,
  isTrue,
  Markup,
  type Text,
  textLike,
  textOf,
  Tuple,
  typeName,
  Undefined,
  type Value,
} from "./values.ts";
import { wrapped } from "./word-wrap.ts";

const filter =
  (
    name: string,
    parameters: readonly string[],
    run: (value: Value, given: Given, runtime: Runtime) => Value,
  ): Filter =>
  (value, args, runtime) =>
    run(value, bind(`do_${name}`, parameters, args), runtime);

/** The value as it is where it is a text, else printed. */
const soft = (value: Value, budget: Budget): Text => (isText(value) ? value : str(value, budget));

/** A filter from text to text, which keeps Markup; other values are printed first. */
const textFilter = (
  name: string,
  parameters: readonly string[],
  convert: (text: string, given: Given, budget: Budget) => string,
): Filter =>
  filter(name, parameters, (value, given, { budget }) => {
    const text = str(value, budget);
    budget.build(text.length);
    return textLike(value, convert(text, given, budget));
  });

const flag = (value: Value | undefined): boolean => value !== undefined && isTrue(value);

/** The text of a value that must be one. */
function requireText(value: Value): Text {
  if (isText(value)) return value;
  throw new TemplateError(
    `'${typeName(defined(value))}' object is not text; use the filter "string" first`,
  );
}

const WORD_BEGINNINGS = new RegExp(`([-${SPACE}({[<]+)`);

const titled = (text: string): string =>
  text
    .split(WORD_BEGINNINGS)
    .map((word) => {
      const first = String.fromCodePoint(word.codePointAt(0) ?? 32).slice(0, word.length);
      return first.toUpperCase() + word.slice(first.length).toLowerCase();
    })
    .join("");

const orDefault = filter(
  "default",
  ["default_value?", "boolean?"],
  (value, [otherwise = "", boolean]) =>
    value instanceof Undefined || (flag(boolean) && !isTrue(value)) ? otherwise : value,
);

const replace = filter(
  "replace",
  ["old", "new", "count?"],
  (value, [old = null, replacement = null, count], { budget }) =>
    replaceText(
      str(value, budget),
      str(old, budget),
      str(replacement, budget),
      count === null ? -1 : intArgument(count, -1),
      budget,
    ),
);

const indent = filter(
  "indent",
  ["width?", "first?", "blank?"],
  (value, [width = 4, first, blank], { budget }) => {
    const text = requireText(value);
    const given = isText(width) ? width : indentionOf(intArgument(width, 4), budget);
    const [indention, newline] =
      text instanceof Markup
        ? [new Markup(textOf(given)), new Markup("\n")]
        : [given, "\n" as const];
    budget.walk(textOf(text).length);
    const lines = splitLines(`${textOf(text)}\n`).map((line) => textLike(text, line));
    budget.elements(lines.length);
    const add = (a: Text, b: Text): Text => addTexts(a, b, budget);
    const [head = "", ...rest] = lines;
    let indented: Text;
    if (flag(blank)) indented = joinAll(add(newline, indention), lines, budget);
    else {
      const shown = rest.map((line) => (isTrue(line) ? add(indention, line) : line));
      indented =
        rest.length === 0 ? head : add(add(head, newline), joinAll(newline, shown, budget));
    }
    return flag(first) ? add(indention, indented) : indented;
  },
);

function indentionOf(width: number, budget: Budget): string {
  budget.build(Math.max(0, width));
  return " ".repeat(Math.max(0, width));
}

/** A length that is only compared: any number. */
function limitArgument(name: string, value: Value): number | bigint {
  const number = numeric(defined(value));
  if (number === undefined)
    throw new TemplateError(`truncate: ${name} must be a number, not ${typeName(value)}`);
  return number;
}

/** len(value) @throws TemplateError it has none */
function requireLength(value: Value): number {
  const count = lengthOf(value);
  if (count !== undefined) return count;
  throw new TemplateError(`object of type '${typeName(value)}' has no len()`);
}

const truncate = filter(
  "truncate",
  ["length?", "killwords?", "end?", "leeway?"],
  (value, [length = 255, killwords, end = "...", leeway = null], { budget }) => {
    const limit = limitArgument("length", length);
    const slack = leeway === null ? 5 : limitArgument("leeway", leeway);
    const endLength = requireLength(end);
    if (!(limit >= endLength))
      throw new TemplateError(`expected length >= ${endLength}, got ${limit}`);
    if (!(slack >= 0)) throw new TemplateError(`expected leeway >= 0, got ${slack}`);
    const most = binary("+", length, leeway ?? 5, budget);
    if (compareNumbers(requireLength(value), numeric(most) ?? 0) <= 0) return value;
    const text = requireText(value);
    budget.scan(textOf(text).length);
    const cut = codePointSlice(textOf(text), 0, intArgument(length, 0) - endLength);
    const space = flag(killwords) ? -1 : cut.lastIndexOf(" ");
    return addTexts(
      textLike(text, space === -1 ? cut : cut.slice(0, space)),
      requireText(end),
      budget,
    );
  },
);

const format: Filter = (value, args, { budget }) => {
  if (args.positional.length > 0 && args.keywords.size > 0) {
    throw new TemplateError("can't handle positional and keyword arguments at the same time");
  }
  const values = args.keywords.size > 0 ? new Dict(args.keywords) : new Tuple(args.positional);
  return percentFormat(soft(value, budget), values, budget);
};

const tojson = filter(
  "tojson",
  ["ensure_ascii?", "indent?", "separators?", "sort_keys?"],
  (value, given, { budget }) => {
    const [ensureAscii, indentation = null, separators = null, sortKeys] = given;
    return jsonText(
      value,
      jsonStyle(value, flag(ensureAscii), indentation, separators, flag(sortKeys), budget),
      budget,
    );
  },
);

const urlencode = filter("urlencode", [], (value, _given, { budget }) => {
  if (isText(value) || !isIterable(value)) return urlQuoted(str(value, budget), "/", budget);
  const entries =
    value instanceof Dict
      ? value.entries()
      : Array.from(iterate(value, budget), (pair) => pairOf(pair, budget));
  const query = (text: Value): string =>
    urlQuoted(str(text, budget), "", budget).replaceAll("%20", "+");
  return joinTexts(
    "&",
    Array.from(entries, ([key, item]) => `${query(key)}=${query(item)}`),
    budget,
  );
});

function pairOf(value: Value, budget: Budget): [Value, Value] {
  const [key, item, ...more] = iterate(value, budget);
  if (key === undefined || item === undefined || more.length > 0)
    throw new TemplateError("urlencode: the sequence must hold (key, value) pairs");
  return [key, item];
}

const urlize = filter(
  "urlize",
  ["trim_url_limit?", "nofollow?", "target?", "rel?", "extra_schemes?"],
  (value, [limit = null, nofollow, target = null, rel = null, schemes = null], { budget }) => {
    const words =
      rel === null || !isTrue(rel) ? [] : splitSpace(textArgument("rel", rel), -1, false);
    if (flag(nofollow)) words.push("nofollow");
    words.push("noopener");
    return urlized(
      value,
      {
        limit,
        rel: [...new Set(words)].toSorted().join(" "),
        target: target === null || !isTrue(target) ? "" : escaped(target, budget).text,
        schemes:
          schemes === null
            ? []
            : Array.from(iterate(schemes, budget), (one) => textArgument("scheme", one)),
      },
      budget,
    );
  },
);

/** Any number above 0, though one that is no int cannot break a long word. */
function wrapWidth(value: Value): { width: number; isInt: boolean } {
  const number = numeric(defined(value));
  if (number === undefined || !(number > 0))
    throw new TemplateError("wordwrap: the width must be a number above 0");
  return { width: Number(number), isInt: asIndex(value) !== undefined };
}

const wordwrap = filter(
  "wordwrap",
  ["width?", "break_long_words?", "wrapstring?", "break_on_hyphens?"],
  (value, [width, breakLong = true, wrapstring = null, hyphens = true], { budget }) => {
    const newline = wrapstring === null ? "\n" : requireText(wrapstring);
    const paragraphs = splitLines(textOf(requireText(value))).map((line) => {
      const style = {
        ...wrapWidth(width ?? 79),
        breakLong: isTrue(breakLong),
        splitHyphens: hyphens === true,
        breakHyphens: isTrue(hyphens),
      };
      return joinAll(newline, wrapped(line, style, budget), budget);
    });
    return joinAll(newline, paragraphs, budget);
  },
);

const wordcount = filter("wordcount", [], (value, _given, { budget }) => {
  const text = str(value, budget);
  budget.scan(8 * text.length);
  return text.match(/[\p{L}\p{N}_]+/gu)?.length ?? 0;
});

const escape = filter("escape", [], (value, _given, { budget }) => escaped(value, budget));

export const TEXT_FILTERS: Readonly<Record<string, Filter>> = {
  capitalize: textFilter("capitalize", [], capitalize),
  center: textFilter("center", ["width?"], (text, [width], budget) =>
    centered(text, intArgument(width, 80), " ", budget),
  ),
  d: orDefault,
  default: orDefault,
  e: escape,
  escape,
  forceescape: filter("forceescape", [], (value, _given, { budget }) =>
    escaped(str(value, budget), budget),
  ),
  format,
  indent,
  lower: textFilter("lower", [], (text) => text.toLowerCase()),
  pprint: filter("pprint", [], (value, _given, { budget }) => prettyPrinted(value, budget)),
  replace,
  safe: filter("safe", [], (value, _given, { budget }) => new Markup(str(value, budget))),
  string: filter("string", [], (value, _given, { budget }) => soft(value, budget)),
  striptags: filter("striptags", [], (value, _given, { budget }) =>
    stripTags(str(value, budget), budget),
  ),
  title: filter("title", [], (value, _given, { budget }) => {
    const text = str(value, budget);
    budget.walk(text.length);
    return titled(text);
  }),
  tojson,
  trim: textFilter("trim", ["chars?"], (text, [chars = null], budget) => {
    const kept = strip(text, chars === null ? null : textArgument("strip arg", chars), "both");
    budget.walk(text.length - kept.length);
    return kept;
  }),
  truncate,
  upper: textFilter("upper", [], (text) => text.toUpperCase()),
  urlencode,
  urlize,
  wordcount,
  wordwrap,
  xmlattr: filter("xmlattr", ["autospace?"], (value, [autospace = true], { budget }) =>
    xmlAttributes(value, isTrue(autospace), budget),
  ),
};
