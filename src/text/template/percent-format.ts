// `'%s: %d' % values`: Python's printf-style formatting of str, and of Markup, which escapes the values.
// Contract: a width is charged to the budget before its value is padded.

import { TemplateError } from "../../errors.ts";
import type { Budget } from "./budget.ts";
import { codePointLength, codePointSlice } from "./code-points.ts";
import { numeric } from "./compare.ts";
import { bitsOf, int, toFloat } from "./integers.ts";
import { escaped } from "./markup.ts";
import { basePrefix, floatDigits, intDigits, padded, signText } from "./number-format.ts";
import { parsedFloat, parsedInt } from "./number-parse.ts";
import { asciiRepr, repr, str } from "./python-text.ts";
import { joinTexts } from "./string-methods.ts";
import {
  defined,
  Dict,
  Float,
  Markup,
  Range,
  type Text,
  textLike,
  textOf,
  Tuple,
  typeName,
  Undefined,
  type Value,
} from "./values.ts";

const DIRECTIVE = /%(?:\(([^)]*)\))?([-+ #0]*)(\*|\d+)?(?:\.(\*|\d+)?)?[hlL]?(.)?/gsu;

/** Text, or Markup if `format` is. */
export function percentFormat(format: Text, values: Value, budget: Budget): Text {
  const template = textOf(format);
  const convert = format instanceof Markup ? MARKUP : PLAIN;
  budget.walk(template.length);
  const items = values instanceof Tuple ? values.items : [values];
  let used = 0;
  const next = (): Value => {
    if (used >= items.length) throw new TemplateError("not enough arguments for format string");
    return items[used++];
  };
  const nextWidth = (text: string | undefined): number | undefined => {
    if (text !== "*") return text === undefined ? undefined : Number(text);
    const width = next();
    if (typeof width === "boolean" && format === template) return Number(width);
    if (typeof width !== "number" || format !== template) throw new TemplateError("* wants int");
    return width;
  };
  const parts: string[] = [];
  let end = 0;
  let named = false;
  let length = 0;
  for (const match of template.matchAll(DIRECTIVE)) {
    const [whole, name, flags, widthText, precisionText, letter] = match;
    const literal = template.slice(end, match.index);
    end = match.index + whole.length;
    const width = nextWidth(widthText) ?? 0;
    const precision =
      whole.includes(".") && letter !== "." && precisionText === undefined
        ? 0
        : nextWidth(precisionText);
    if (letter === undefined) throw new TemplateError("incomplete format");
    let value: Value = null;
    if (name !== undefined) {
      named = true;
      value = mappingItem(values, name, budget);
    } else if (letter !== "%") value = next();
    const formatted =
      letter === "%" ? "%" : directive(value, letter, flags, width, precision, convert, budget);
    parts.push(literal, formatted);
    length += literal.length + formatted.length;
    budget.hold(length);
  }
  if (!named && used < items.length && !(hasItems(values) && used === 0)) {
    throw new TemplateError("not all arguments converted during string formatting");
  }
  parts.push(template.slice(end));
  return textLike(format, joinTexts("", parts, budget));
}

/** Values that may stay unused: those that `%(name)s` could look into. */
const hasItems = (value: Value): boolean =>
  value instanceof Dict ||
  Array.isArray(value) ||
  value instanceof Range ||
  value instanceof Undefined;

function mappingItem(values: Value, name: string, budget: Budget): Value {
  if (!(values instanceof Dict)) throw new TemplateError("format requires a mapping");
  const item = values.get(name, budget);
  if (item === undefined) throw new TemplateError(`'${name}'`);
  return item;
}

function directive(
  value: Value,
  letter: string,
  flags: string,
  width: number,
  precision: number | undefined,
  convert: Conversions,
  budget: Budget,
): string {
  const [left, zero] = [flags.includes("-") || width < 0, flags.includes("0")];
  const signFlag = flags.includes("+") ? "+" : flags.includes(" ") ? " " : "";
  const field = (text: string, sign: string, digits: boolean): string =>
    padded(
      text,
      sign,
      Math.abs(width),
      left ? "<" : digits && zero ? "=" : ">",
      digits && zero && !left ? "0" : " ",
      budget,
    );
  if ("sra".includes(letter)) {
    const text = convert.text(value, letter, budget);
    return field(precision === undefined ? text : codePointSlice(text, 0, precision), "", false);
  }
  if (letter === "c") return field(convert.char(value), "", false);
  if ("diuxXo".includes(letter)) {
    const integer = convert.int(value, letter);
    budget.scan(bitsOf(integer));
    const prefix = flags.includes("#") ? basePrefix(letter) : "";
    return field(
      intDigits(integer, letter).padStart(clampDigits(precision, budget), "0"),
      signText(integer < 0, signFlag) + prefix,
      true,
    );
  }
  if (!"eEfFgG".includes(letter))
    throw new TemplateError(`unsupported format character '${letter}'`);
  const float = convert.float(value);
  budget.walk(precision ?? 6);
  const digits = floatDigits(float, letter, precision ?? 6, flags.includes("#"));
  return field(digits, signText(float < 0 || Object.is(float, -0), signFlag), true);
}

/** What a value is to the directives: text for s, r and a, an int for d, x and others, and so on. */
type Conversions = {
  text(value: Value, letter: string, budget: Budget): string;
  char(value: Value): string;
  int(value: Value, letter: string): number | bigint;
  float(value: Value): number;
};

const notInt = (value: Value, letter: string): TemplateError =>
  new TemplateError(
    `%${letter} format: ${"diu".includes(letter) ? "a real number is required" : "an integer is required"}, not ${typeName(value)}`,
  );

const PLAIN: Conversions = {
  text(value, letter, budget) {
    if (letter === "s") return str(value, budget);
    return letter === "r" ? repr(value, budget) : asciiRepr(value, budget);
  },
  char: charOf,
  int(value, letter) {
    const whole = numeric(value);
    if (whole === undefined || (value instanceof Float && !"diu".includes(letter)))
      throw notInt(value, letter);
    return value instanceof Float ? bigIntOf(value.value) : whole;
  },
  float(value) {
    const number = numeric(defined(value));
    if (number === undefined)
      throw new TemplateError(`must be real number, not ${typeName(value)}`);
    return toFloat(number);
  },
};

/** In Markup, values are wrapped so that text is escaped; the wrapper also reads numbers from text, and is no character. */
const MARKUP: Conversions = {
  text: (value, letter, budget) =>
    letter === "s"
      ? escaped(value, budget).text
      : PLAIN.text(escaped(repr(value, budget), budget).text, "s", budget),
  char() {
    throw new TemplateError("%c requires int or char");
  },
  int(value, letter) {
    const text = textOf(value);
    const number = text === undefined ? undefined : parsedInt(text, 10);
    if (!"diu".includes(letter)) throw notInt(value, letter);
    return number ?? PLAIN.int(value, letter);
  },
  float(value) {
    const text = textOf(value);
    const number = text === undefined ? undefined : parsedFloat(text);
    return number ?? PLAIN.float(value);
  },
};

function clampDigits(precision: number | undefined, budget: Budget): number {
  budget.build(precision ?? 0);
  return precision ?? 0;
}

function bigIntOf(value: number): number | bigint {
  if (!Number.isFinite(value))
    throw new TemplateError("cannot convert float infinity or NaN to integer");
  return int(BigInt(Math.trunc(value)));
}

function charOf(value: Value): string {
  const text = textOf(value);
  if (text !== undefined && codePointLength(text) === 1) return text;
  const code = typeof value === "boolean" ? Number(value) : value;
  if (typeof code === "number" && code >= 0 && code <= 0x10ffff) return String.fromCodePoint(code);
  throw new TemplateError("%c requires int or char");
}
