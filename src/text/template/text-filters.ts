// The built-in filters of Jinja2 3.1 on text and numbers, and Transformers' `tojson`.
// Contract: a result that may be long is charged to the budget before it is made. `safe` gives plain text, since chat templates do
// not escape.

import { TemplateError } from "../../errors.ts";
import { absolute, int, toFloat } from "./arithmetic.ts";
import { bind, type Given } from "./bind.ts";
import type { Budget } from "./budget.ts";
import { capitalize, splitLines, strip } from "./case-text.ts";
import { numeric } from "./compare.ts";
import { codePointLength, codePointSlice } from "./code-points.ts";
import { fixed, roundedFloat } from "./decimal.ts";
import { escapedHtml, stripTags, urlQuoted, wrapped, xmlAttributes } from "./markup-text.ts";
import { iterate } from "./iteration.ts";
import { jsonStyle, jsonText } from "./json-text.ts";
import { parsedFloat, parsedInt } from "./number-parse.ts";
import { percentFormat } from "./percent-format.ts";
import { repr, str } from "./python-text.ts";
import type { Filter, Runtime } from "./runtime.ts";
import { centered, intArgument, joinTexts, replaceText, textArgument } from "./string-methods.ts";
import { Dict, Float, isTrue, Tuple, typeName, Undefined, type Value } from "./values.ts";

const filter =
  (
    name: string,
    parameters: readonly string[],
    run: (value: Value, given: Given, runtime: Runtime) => Value,
  ): Filter =>
  (value, args, runtime) =>
    run(value, bind(`do_${name}`, parameters, args), runtime);

/** A filter from text to text; other values are printed first. */
const textFilter = (name: string, convert: (text: string) => string): Filter =>
  filter(name, [], (value, _given, { budget }) => {
    const text = str(value, budget);
    budget.build(text.length);
    return convert(text);
  });

const flag = (value: Value | undefined): boolean => value !== undefined && isTrue(value);

const titled = (text: string): string =>
  text
    .split(/([-\s({[<]+)/)
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

function requireText(value: Value): string {
  if (typeof value === "string") return value;
  if (value instanceof Undefined) throw new TemplateError(value.message);
  throw new TemplateError(`'${typeName(value)}' object is not text; use the filter "string" first`);
}

const indent = filter(
  "indent",
  ["width?", "first?", "blank?"],
  (value, [width = 4, first, blank], { budget }) => {
    const indention =
      typeof width === "string" ? width : indentionOf(intArgument(width, 4), budget);
    const text = requireText(value);
    budget.walk(text.length);
    const lines = splitLines(`${text}\n`);
    budget.elements(lines.length);
    const [head = "", ...rest] = lines;
    const shown = rest.map((line) => (line !== "" || flag(blank) ? [indention, line] : [line]));
    const pieces = [
      flag(first) ? indention : "",
      head,
      ...shown.flatMap((line) => ["\n", ...line]),
    ];
    return joinTexts("", pieces, budget);
  },
);

function indentionOf(width: number, budget: Budget): string {
  budget.build(Math.max(0, width));
  return " ".repeat(Math.max(0, width));
}

const truncate = filter(
  "truncate",
  ["length?", "killwords?", "end?", "leeway?"],
  (value, [length, killwords, end = "...", leeway]) => {
    const text = requireText(value);
    const [limit, ending] = [intArgument(length, 255), textArgument("end", end)];
    const slack = leeway === null ? 5 : intArgument(leeway, 5);
    const endLength = codePointLength(ending);
    if (limit < endLength) throw new TemplateError(`expected length >= ${endLength}, got ${limit}`);
    if (slack < 0) throw new TemplateError(`expected leeway >= 0, got ${slack}`);
    if (codePointLength(text) <= limit + slack) return text;
    const cut = codePointSlice(text, 0, limit - endLength);
    const space = flag(killwords) ? -1 : cut.lastIndexOf(" ");
    return (space === -1 ? cut : cut.slice(0, space)) + ending;
  },
);

const toInt = filter("int", ["default?", "base?"], (value, [otherwise = 0, base]) => {
  if (typeof value === "string") {
    const whole = parsedInt(value, intArgument(base, 10)) ?? truncated(parsedFloat(value));
    return whole === undefined ? otherwise : int(whole);
  }
  if (value instanceof Undefined) throw new TemplateError(value.message);
  const number = numeric(value);
  const whole = value instanceof Float ? truncated(value.value) : number;
  return whole === undefined ? otherwise : int(whole);
});

const truncated = (value: number | undefined): number | bigint | undefined =>
  value === undefined || !Number.isFinite(value) ? undefined : BigInt(Math.trunc(value));

const toFloatFilter = filter("float", ["default?"], (value, [otherwise = new Float(0)]) => {
  if (value instanceof Undefined) throw new TemplateError(value.message);
  const number = typeof value === "string" ? parsedFloat(value) : numeric(value);
  return number === undefined ? otherwise : new Float(toFloat(number));
});

const round = filter(
  "round",
  ["precision?", "method?"],
  (value, [precision, method = "common"], { budget }) => {
    if (method !== "common" && method !== "ceil" && method !== "floor")
      throw new TemplateError("method must be common, ceil or floor");
    const digits = intArgument(precision, 0);
    const number = value instanceof Undefined ? undefined : numeric(value);
    if (number === undefined)
      throw new TemplateError(`type ${typeName(value)} doesn't define __round__ method`);
    budget.spend(1 + Math.min(1000, Math.abs(digits)));
    if (method === "common")
      return value instanceof Float
        ? new Float(roundedFloat(value.value, digits))
        : roundedInt(number, digits);
    const scaled = toFloat(number) * 10 ** digits;
    return new Float((method === "ceil" ? Math.ceil(scaled) : Math.floor(scaled)) / 10 ** digits);
  },
);

function roundedInt(value: number | bigint, digits: number): Value {
  if (digits >= 0) return int(value);
  if (digits < -400) return 0;
  const unit = 10n ** BigInt(-digits);
  const [big, half] = [BigInt(value), unit / 2n];
  const floor = (((big % unit) + unit) % unit) as bigint;
  const down = big - floor;
  const up = floor > half || (floor === half && (down / unit) % 2n !== 0n);
  return int(up ? down + unit : down);
}

const filesizeformat = filter("filesizeformat", ["binary?"], (value, [binary]) => {
  const number = typeof value === "string" ? parsedFloat(value) : numeric(value);
  if (number === undefined)
    throw new TemplateError(`could not convert to float: '${typeName(value)}'`);
  const bytes = Number(number);
  const base = flag(binary) ? 1024 : 1000;
  if (bytes === 1) return "1 Byte";
  if (bytes < base) return `${Math.trunc(bytes)} Bytes`;
  const prefixes = flag(binary)
    ? ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB", "ZiB", "YiB"]
    : ["kB", "MB", "GB", "TB", "PB", "EB", "ZB", "YB"];
  const power = prefixes.findIndex((_, i) => bytes < base ** (i + 2));
  const used = power === -1 ? prefixes.length - 1 : power;
  return `${fixed((base * bytes) / base ** (used + 2), 1)} ${prefixes[used]}`;
});

const format: Filter = (value, args, { budget }) => {
  if (args.positional.length > 0 && args.keywords.size > 0) {
    throw new TemplateError("can't handle positional and keyword arguments at the same time");
  }
  const values = args.keywords.size > 0 ? new Dict(args.keywords) : new Tuple(args.positional);
  return percentFormat(str(value, budget), values, budget);
};

const tojson = filter(
  "tojson",
  ["ensure_ascii?", "indent?", "separators?", "sort_keys?"],
  (value, given, { budget }) => {
    const [ensureAscii, indentation = null, separators = null, sortKeys] = given;
    return jsonText(
      value,
      jsonStyle(flag(ensureAscii), indentation, separators, flag(sortKeys), budget),
      budget,
    );
  },
);

const urlencode = filter("urlencode", [], (value, _given, { budget }) => {
  if (
    typeof value === "string" ||
    (!(value instanceof Dict) && !Array.isArray(value) && !(value instanceof Tuple))
  ) {
    return urlQuoted(str(value, budget), "/", budget);
  }
  const entries =
    value instanceof Dict ? value.entries() : Array.from(iterate(value, budget), pairOf);
  const query = (text: Value): string =>
    urlQuoted(str(text, budget), "", budget).replaceAll("%20", "+");
  return joinTexts(
    "&",
    Array.from(entries, ([key, item]) => `${query(key)}=${query(item)}`),
    budget,
  );
});

function pairOf(value: Value): [Value, Value] {
  const items = value instanceof Tuple ? value.items : value;
  if (Array.isArray(items) && items.length === 2) return [items[0], items[1]];
  throw new TemplateError("urlencode: the list must hold (key, value) pairs");
}

const wordwrap = filter(
  "wordwrap",
  ["width?", "break_long_words?", "wrapstring?", "break_on_hyphens?"],
  (value, given, { budget }) => {
    const [width, breakLong = true, wrapstring = null, hyphens = true] = given;
    const newline = wrapstring === null ? "\n" : textArgument("wrapstring", wrapstring);
    const style = {
      width: intArgument(width, 79),
      breakLong: isTrue(breakLong),
      hyphens: isTrue(hyphens),
    };
    if (style.width <= 0) throw new TemplateError(`invalid width ${style.width} (must be > 0)`);
    const paragraphs = splitLines(requireText(value)).map((line) =>
      joinTexts(newline, wrapped(line, style, budget), budget),
    );
    return joinTexts(newline, paragraphs, budget);
  },
);

export const TEXT_FILTERS: Readonly<Record<string, Filter>> = {
  abs: filter("abs", [], (value) => absolute(value)),
  capitalize: textFilter("capitalize", capitalize),
  center: filter("center", ["width?"], (value, [width], { budget }) =>
    centered(str(value, budget), intArgument(width, 80), " ", budget),
  ),
  d: orDefault,
  default: orDefault,
  e: textFilter("escape", escapedHtml),
  escape: textFilter("escape", escapedHtml),
  filesizeformat,
  float: toFloatFilter,
  forceescape: textFilter("forceescape", escapedHtml),
  format,
  indent,
  int: toInt,
  lower: textFilter("lower", (text) => text.toLowerCase()),
  pprint: filter("pprint", [], (value, _given, { budget }) => repr(value, budget)),
  replace,
  round,
  safe: filter("safe", [], (value, _given, { budget }) => str(value, budget)),
  string: filter("string", [], (value, _given, { budget }) => str(value, budget)),
  striptags: textFilter("striptags", stripTags),
  title: filter("title", [], (value, _given, { budget }) => {
    const text = str(value, budget);
    budget.walk(text.length);
    return titled(text);
  }),
  tojson,
  trim: filter("trim", ["chars?"], (value, [chars = null], { budget }) => {
    const text = str(value, budget);
    const kept = strip(text, chars === null ? null : textArgument("strip arg", chars), "both");
    budget.walk(text.length - kept.length);
    return kept;
  }),
  truncate,
  upper: textFilter("upper", (text) => text.toUpperCase()),
  urlencode,
  wordcount: filter("wordcount", [], (value, _given, { budget }) => {
    const text = str(value, budget);
    budget.scan(8 * text.length);
    return text.match(/[\p{L}\p{N}_]+/gu)?.length ?? 0;
  }),
  wordwrap,
  xmlattr: filter("xmlattr", ["autospace?"], (value, [autospace = true], { budget }) =>
    xmlAttributes(value, isTrue(autospace), budget),
  ),
};
