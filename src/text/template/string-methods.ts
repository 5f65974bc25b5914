// The methods of str that a template may call, except format and format_map, which attributes.ts adds: they look up attributes.
// Contract: the caller has charged the budget for reading the arguments; a method charges what may be longer, before it is made.

import { TemplateError } from "../../errors.ts";
import { bind, type Given } from "./bind.ts";
import type { Budget } from "./budget.ts";
import {
  capitalize,
  CHARACTER_TESTS,
  splitLines,
  splitSpace,
  strip,
  swapCase,
  title,
} from "./case-text.ts";
import { codePointLength, indexAt, offsetOf } from "./code-points.ts";
import { asIndex, iterate } from "./iteration.ts";
import { padded } from "./number-format.ts";
import { isPrintable } from "./python-text.ts";
import { type Arguments, isTrue, Tuple, typeName, type Value } from "./values.ts";

/** Runs on a text, with arguments that it binds to its parameters itself. */
export type StringMethod = (text: string, args: Arguments, budget: Budget) => Value;

const method =
  (
    name: string,
    parameters: readonly string[],
    run: (text: string, given: Given, budget: Budget) => Value,
  ): StringMethod =>
  (text, args, budget) =>
    run(text, bind(name, parameters, args), budget);

export function textArgument(where: string, value: Value | undefined): string {
  if (typeof value === "string") return value;
  throw new TemplateError(
    `${where} must be str, not ${value === undefined ? "missing" : typeName(value)}`,
  );
}

export function intArgument(value: Value | undefined, otherwise: number): number {
  if (value === undefined) return otherwise;
  const index = asIndex(value);
  if (index === undefined)
    throw new TemplateError(`'${typeName(value)}' object cannot be interpreted as an integer`);
  return index;
}

const charsOrNull = (name: string, value: Value | undefined): string | null =>
  value === undefined || value === null ? null : textArgument(`${name} arg`, value);

const stripper = (name: string, ends: "both" | "left" | "right"): StringMethod =>
  method(name, ["chars?"], (text, [chars], budget) => {
    const kept = strip(text, charsOrNull(name, chars), ends);
    budget.walk(text.length - kept.length);
    return kept;
  });

const splitter = (name: string, fromRight: boolean): StringMethod =>
  method(name, ["sep?", "maxsplit?"], (text, [separator, maxsplit], budget) => {
    const limit = intArgument(maxsplit, -1);
    const parts =
      separator === undefined || separator === null
        ? splitSpace(text, limit, fromRight)
        : splitOn(text, textArgument("sep", separator), limit, fromRight);
    budget.elements(parts.length);
    return parts;
  });

function splitOn(text: string, separator: string, limit: number, fromRight: boolean): string[] {
  if (separator === "") throw new TemplateError("empty separator");
  const parts = text.split(separator);
  if (limit < 0 || parts.length <= limit + 1) return parts;
  const cut = fromRight ? parts.length - limit : limit;
  return fromRight
    ? [parts.slice(0, cut).join(separator), ...parts.slice(cut)]
    : [...parts.slice(0, cut), parts.slice(cut).join(separator)];
}

/** str.replace; count −1 replaces all. */
export function replaceText(
  text: string,
  old: string,
  replacement: string,
  count: number,
  budget: Budget,
): string {
  if (count === 0) return text;
  if (old === "") budget.walk(text.length);
  const parts = old === "" ? ["", ...Array.from(text), ""] : text.split(old);
  budget.elements(parts.length);
  const replaced = count < 0 ? parts.length - 1 : Math.min(count, parts.length - 1);
  budget.build(text.length + replaced * replacement.length);
  return (
    parts.slice(0, replaced + 1).join(replacement) +
    parts
      .slice(replaced + 1)
      .map((part) => old + part)
      .join("")
  );
}

/** str.join */
export function joinTexts(separator: string, texts: string[], budget: Budget): string {
  let length = separator.length * Math.max(0, texts.length - 1);
  for (const text of texts) length += text.length;
  budget.build(length);
  return texts.join(separator);
}

/** The part of `text` between two code point bounds that may be negative, and where it begins. */
function bounded(
  text: string,
  start: Value | undefined,
  end: Value | undefined,
): [part: string, offset: number] {
  if (start === undefined && end === undefined) return [text, 0];
  const length = codePointLength(text);
  const clamp = (value: Value | undefined, otherwise: number): number => {
    const index = value === null ? otherwise : intArgument(value, otherwise);
    return Math.min(length, Math.max(0, index < 0 ? index + length : index));
  };
  const from = offsetOf(text, clamp(start, 0));
  return [text.slice(from, Math.max(from, offsetOf(text, clamp(end, length)))), from];
}

const affixTest = (name: string, test: (text: string, affix: string) => boolean): StringMethod =>
  method(name, ["prefix", "start?", "end?"], (text, [affix, start, end]) => {
    const [part] = bounded(text, start, end);
    const affixes = affix instanceof Tuple ? affix.items : [affix];
    return affixes.some((one) => test(part, textArgument(`${name} first arg`, one)));
  });

const finder = (name: string, last: boolean, strict: boolean): StringMethod =>
  method(name, ["sub", "start?", "end?"], (text, [sub, start, end]) => {
    const [part, offset] = bounded(text, start, end);
    const sought = textArgument("argument", sub);
    const found = last ? part.lastIndexOf(sought) : part.indexOf(sought);
    if (found === -1 && strict) throw new TemplateError("substring not found");
    return found === -1 ? -1 : indexAt(text, offset + found);
  });

const aligner = (name: string, align: string): StringMethod =>
  method(name, ["width", "fillchar?"], (text, [width, fill], budget) => {
    const char = fill === undefined ? " " : textArgument("The fill character", fill);
    if (codePointLength(char) !== 1)
      throw new TemplateError("The fill character must be exactly one character long");
    return align === "^"
      ? centered(text, intArgument(width, 0), char, budget)
      : padded(text, "", intArgument(width, 0), align, char, budget);
  });

/** str.center: where the padding is odd, the extra character goes left if the width is odd. */
export function centered(text: string, width: number, fill: string, budget: Budget): string {
  const missing = Math.max(0, width - codePointLength(text));
  budget.build(text.length + missing * fill.length);
  const left = (missing >> 1) + (missing & width & 1);
  return fill.repeat(left) + text + fill.repeat(missing - left);
}

const partitioner = (name: string, last: boolean): StringMethod =>
  method(name, ["sep"], (text, [separator]) => {
    const sep = textArgument("sep", separator);
    if (sep === "") throw new TemplateError("empty separator");
    const at = last ? text.lastIndexOf(sep) : text.indexOf(sep);
    if (at === -1) return new Tuple(last ? ["", "", text] : [text, "", ""]);
    return new Tuple([text.slice(0, at), sep, text.slice(at + sep.length)]);
  });

function expandTabs(text: string, [tabsize]: Given, budget: Budget): string {
  const size = intArgument(tabsize, 8);
  budget.build(text.length + (text.split("\t").length - 1) * Math.max(0, size));
  let column = 0;
  let expanded = "";
  for (const char of text) {
    const piece = char === "\t" ? " ".repeat(size > 0 ? size - (column % size) : 0) : char;
    column = char === "\n" || char === "\r" ? 0 : column + (char === "\t" ? piece.length : 1);
    expanded += piece;
  }
  return expanded;
}

function zeroFilled(text: string, [width]: Given, budget: Budget): string {
  const sign = /^[+-]/.exec(text)?.[0] ?? "";
  return padded(text.slice(sign.length), sign, intArgument(width, 0), "=", "0", budget);
}

const affixRemover = (name: string, atStart: boolean): StringMethod =>
  method(name, ["affix"], (text, [value]) => {
    const affix = textArgument(`${name}() argument`, value);
    if (affix === "" || !(atStart ? text.startsWith(affix) : text.endsWith(affix))) return text;
    return atStart ? text.slice(affix.length) : text.slice(0, -affix.length);
  });

export const STRING_METHODS: ReadonlyMap<string, StringMethod> = new Map(
  Object.entries<StringMethod>({
    ...Object.fromEntries(
      Object.entries(CHARACTER_TESTS).map(([name, test]) => [
        name,
        method(name, [], (text) => test(text)),
      ]),
    ),
    isprintable: method("isprintable", [], (text) => isPrintable(text)),
    capitalize: method("capitalize", [], (text) => capitalize(text)),
    casefold: method("casefold", [], (text) => text.toLowerCase().replaceAll("ß", "ss")),
    center: aligner("center", "^"),
    count: method("count", ["sub", "start?", "end?"], (text, [sub, start, end]) => {
      const [part] = bounded(text, start, end);
      const sought = textArgument("argument", sub);
      return sought === "" ? codePointLength(part) + 1 : part.split(sought).length - 1;
    }),
    endswith: affixTest("endswith", (text, affix) => text.endsWith(affix)),
    expandtabs: method("expandtabs", ["tabsize?"], expandTabs),
    find: finder("find", false, false),
    index: finder("index", false, true),
    join: method("join", ["iterable"], (text, [iterable], budget) => {
      const texts = Array.from(iterate(iterable ?? null, budget), (item, at) => {
        if (typeof item === "string") return item;
        throw new TemplateError(
          `sequence item ${at}: expected str instance, ${typeName(item)} found`,
        );
      });
      return joinTexts(text, texts, budget);
    }),
    ljust: aligner("ljust", "<"),
    lower: method("lower", [], (text) => text.toLowerCase()),
    lstrip: stripper("lstrip", "left"),
    partition: partitioner("partition", false),
    removeprefix: affixRemover("removeprefix", true),
    removesuffix: affixRemover("removesuffix", false),
    replace: method(
      "replace",
      ["old", "new", "count?"],
      (text, [old, replacement, count], budget) =>
        replaceText(
          text,
          textArgument("replace() argument 1", old),
          textArgument("replace() argument 2", replacement),
          intArgument(count, -1),
          budget,
        ),
    ),
    rfind: finder("rfind", true, false),
    rindex: finder("rindex", true, true),
    rjust: aligner("rjust", ">"),
    rpartition: partitioner("rpartition", true),
    rsplit: splitter("rsplit", true),
    rstrip: stripper("rstrip", "right"),
    split: splitter("split", false),
    splitlines: method("splitlines", ["keepends?"], (text, [keepEnds], budget) => {
      const lines = splitLines(text, keepEnds !== undefined && isTrue(keepEnds));
      budget.elements(lines.length);
      return lines;
    }),
    startswith: affixTest("startswith", (text, affix) => text.startsWith(affix)),
    strip: stripper("strip", "both"),
    swapcase: method("swapcase", [], (text) => swapCase(text)),
    title: method("title", [], (text) => title(text)),
    upper: method("upper", [], (text) => text.toUpperCase()),
    zfill: method("zfill", ["width"], zeroFilled),
  }),
);

/** Methods that look at the characters of their text one by one; `format` is in attributes.ts. */
export const WALKING_METHODS: ReadonlySet<string> = new Set(
  "expandtabs format istitle rsplit split splitlines swapcase title".split(" "),
);
