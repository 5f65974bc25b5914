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
import { asIndex, elementAt, iterate } from "./iteration.ts";
import { padded } from "./number-format.ts";
import { isPrintable } from "./python-text.ts";
import { type Arguments, Dict, Range, textOf, Tuple, typeName, type Value } from "./values.ts";

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
  const text = value === undefined ? undefined : textOf(value);
  if (text !== undefined) return text;
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
  method(name, ["chars/?"], (text, [chars], budget) => {
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
  method(name, ["prefix/", "start/?", "end/?"], (text, [affix, start, end]) => {
    const [part] = bounded(text, start, end);
    const affixes = affix instanceof Tuple ? affix.items : [affix];
    return affixes.some((one) => test(part, textArgument(`${name} first arg`, one)));
  });

const finder = (name: string, last: boolean, strict: boolean): StringMethod =>
  method(name, ["sub/", "start/?", "end/?"], (text, [sub, start, end]) => {
    const [part, offset] = bounded(text, start, end);
    const sought = textArgument("argument", sub);
    const found = last ? part.lastIndexOf(sought) : part.indexOf(sought);
    if (found === -1 && strict) throw new TemplateError("substring not found");
    return found === -1 ? -1 : indexAt(text, offset + found);
  });

const aligner = (name: string, align: string): StringMethod =>
  method(name, ["width/", "fillchar/?"], (text, [width, fill], budget) => {
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
  method(name, ["sep/"], (text, [separator]) => {
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
  method(name, ["affix/"], (text, [value]) => {
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
    count: method("count", ["sub/", "start/?", "end/?"], (text, [sub, start, end]) => {
      const [part] = bounded(text, start, end);
      const sought = textArgument("argument", sub);
      return sought === "" ? codePointLength(part) + 1 : part.split(sought).length - 1;
    }),
    endswith: affixTest("endswith", (text, affix) => text.endsWith(affix)),
    expandtabs: method("expandtabs", ["tabsize?"], expandTabs),
    find: finder("find", false, false),
    index: finder("index", false, true),
    join: method("join", ["iterable/"], (text, [iterable], budget) => {
      const texts = Array.from(iterate(iterable ?? null, budget), (item, at) => {
        const part = textOf(item);
        if (part !== undefined) return part;
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
      ["old/", "new/", "count/?"],
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
      const lines = splitLines(text, intArgument(keepEnds, 0) !== 0);
      budget.elements(lines.length);
      return lines;
    }),
    startswith: affixTest("startswith", (text, affix) => text.startsWith(affix)),
    strip: stripper("strip", "both"),
    swapcase: method("swapcase", [], (text) => swapCase(text)),
    title: method("title", [], (text) => title(text)),
    translate: method("translate", ["table/"], translated),
    maketrans: (_text, args) => translationTable(args),
    upper: method("upper", [], (text) => text.toUpperCase()),
    zfill: method("zfill", ["width/"], zeroFilled),
  }),
);

/** str.maketrans: a dict from code points to texts, code points or None. */
function translationTable(args: Arguments): Value {
  const [x = null, y, z] = bind("maketrans", ["x/", "y/?", "z/?"], args);
  const table = new Dict();
  if (y === undefined) {
    if (!(x instanceof Dict))
      throw new TemplateError("if you give only one argument to maketrans it must be a dict");
    for (const [key, value] of x.entries()) {
      const text = textOf(key);
      if (text !== undefined && codePointLength(text) !== 1)
        throw new TemplateError("string keys in translate table must be of length 1");
      if (text === undefined && !isInt(key))
        throw new TemplateError("keys in translate table must be strings or integers");
      table.set(text === undefined ? key : (text.codePointAt(0) ?? 0), value);
    }
    return table;
  }
  const [from, to] = [textArgument("maketrans argument 1", x), textArgument("argument 2", y)];
  const [keys, values] = [Array.from(from, pointOf), Array.from(to, pointOf)];
  if (keys.length !== values.length)
    throw new TemplateError("the first two maketrans arguments must have equal length");
  for (const [i, key] of keys.entries()) table.set(key, values[i]);
  if (z !== undefined)
    for (const char of textArgument("argument 3", z)) table.set(pointOf(char), null);
  return table;
}

const pointOf = (char: string): number => char.codePointAt(0) ?? 0;
const isInt = (value: Value): boolean =>
  typeof value === "number" || typeof value === "bigint" || typeof value === "boolean";

/** str.translate: each character as the table's item at its code point says; without one it stays. */
function translated(text: string, [table = null]: Given, budget: Budget): string {
  const items = table instanceof Tuple ? table.items : table;
  const isTable = items instanceof Dict || Array.isArray(items) || items instanceof Range;
  if (!isTable && textOf(items) === undefined && text !== "")
    throw new TemplateError(`'${typeName(table)}' object is not subscriptable`);
  const chars = Array.from(text, (char) => {
    const point = pointOf(char);
    const item = items instanceof Dict ? items.get(point) : elementAt(items, point, budget);
    if (item === undefined) return char;
    const part = item === null ? "" : (textOf(item) ?? charOf(item));
    budget.build(part.length);
    return part;
  });
  return joinTexts("", chars, budget);
}

function charOf(value: Value): string {
  const point = asIndex(value);
  if (point === undefined || typeof value === "bigint")
    throw new TemplateError("character mapping must return integer, None or str");
  if (point < 0 || point > 0x10ffff)
    throw new TemplateError("character mapping must be in range(0x110000)");
  return String.fromCodePoint(point);
}

/** Methods that look at the characters of their text one by one; `format` is in attributes.ts. */
export const WALKING_METHODS: ReadonlySet<string> = new Set(
  "capitalize expandtabs istitle isprintable rsplit split splitlines swapcase title translate".split(
    " ",
  ),
);
