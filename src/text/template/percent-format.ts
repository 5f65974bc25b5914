// `'%s: %d' % values`: Python's printf-style formatting of str.
// Contract: a width is charged to the budget before its value is padded.

import { TemplateError } from "../../errors.ts";
import type { Budget } from "./budget.ts";
import { codePointSlice } from "./code-points.ts";
import { numeric } from "./compare.ts";
import { floatDigits, intDigits, padded, signText } from "./number-format.ts";
import { repr, str } from "./python-text.ts";
import { Dict, Float, Tuple, typeName, type Value } from "./values.ts";

const DIRECTIVE = /%(?:\(([^)]*)\))?([-+ #0]*)(\*|\d+)?(?:\.(\*|\d+)?)?[hlL]?(.)?/gsu;

export function percentFormat(template: string, values: Value, budget: Budget): string {
  budget.scan(template.length);
  const items = values instanceof Tuple ? values.items : [values];
  let used = 0;
  const next = (): Value => {
    if (used >= items.length) throw new TemplateError("not enough arguments for format string");
    return items[used++];
  };
  const nextWidth = (text: string | undefined): number | undefined => {
    if (text !== "*") return text === undefined ? undefined : Number(text);
    const width = next();
    if (typeof width !== "number") throw new TemplateError("* wants int");
    return width;
  };
  let text = "";
  let end = 0;
  let named = false;
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
      value = mappingItem(values, name);
    } else if (letter !== "%") value = next();
    const formatted =
      letter === "%" ? "%" : directive(value, letter, flags, width, precision, budget);
    budget.build(text.length + literal.length + formatted.length);
    text += literal + formatted;
  }
  if (
    !named &&
    used < items.length &&
    !(values instanceof Dict) &&
    !(Array.isArray(values) && used === 0)
  ) {
    throw new TemplateError("not all arguments converted during string formatting");
  }
  return text + template.slice(end);
}

function mappingItem(values: Value, name: string): Value {
  if (!(values instanceof Dict)) throw new TemplateError("format requires a mapping");
  const item = values.get(name);
  if (item === undefined) throw new TemplateError(`'${name}'`);
  return item;
}

function directive(
  value: Value,
  letter: string,
  flags: string,
  width: number,
  precision: number | undefined,
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
    const text = letter === "s" ? str(value, budget) : repr(value, budget);
    return field(precision === undefined ? text : codePointSlice(text, 0, precision), "", false);
  }
  if (letter === "c") return field(charOf(value), "", false);
  const number = numeric(value);
  if ("diuxXo".includes(letter)) {
    const whole =
      value instanceof Float && "diu".includes(letter) ? Math.trunc(value.value) : number;
    if (whole === undefined || (value instanceof Float && !"diu".includes(letter))) {
      const wanted = "diu".includes(letter)
        ? "a real number is required"
        : "an integer is required";
      throw new TemplateError(`%${letter} format: ${wanted}, not ${typeName(value)}`);
    }
    const integer =
      typeof whole === "number" && !Number.isSafeInteger(whole) ? bigIntOf(whole) : whole;
    return field(
      intDigits(integer, letter, flags.includes("#")).padStart(clampDigits(precision, budget), "0"),
      signText(integer < 0, signFlag),
      true,
    );
  }
  if (!"eEfFgG".includes(letter))
    throw new TemplateError(`unsupported format character '${letter}'`);
  if (number === undefined) throw new TemplateError(`must be real number, not ${typeName(value)}`);
  const float = Number(number);
  const digits = floatDigits(float, letter, precision ?? 6, flags.includes("#"));
  return field(digits, signText(float < 0 || Object.is(float, -0), signFlag), true);
}

function clampDigits(precision: number | undefined, budget: Budget): number {
  budget.build(precision ?? 0);
  return precision ?? 0;
}

function bigIntOf(value: number): bigint {
  if (!Number.isFinite(value))
    throw new TemplateError("cannot convert float infinity or NaN to integer");
  return BigInt(value);
}

function charOf(value: Value): string {
  if (typeof value === "string" && Array.from(value).length === 1) return value;
  if (typeof value === "number" && value >= 0 && value <= 0x10ffff)
    return String.fromCodePoint(value);
  throw new TemplateError("%c requires int or char");
}
