// Numbers under a printf or format() specification: sign, width, zero padding, precision, base.
// Contract: the width is charged to the budget before a number is padded.

import { TemplateError } from "../../errors.ts";
import type { Budget } from "./budget.ts";
import { codePointLength } from "./code-points.ts";
import { fixed, scientific } from "./decimal.ts";
import { exponentText } from "./python-text.ts";

const MAX_PRECISION = 1000; // a double has at most 1,074 decimals

/** Digits and point of |value| in style e, f or g, without a sign. `alternate` keeps the zeros of g. */
export function floatDigits(
  value: number,
  style: string,
  precision: number,
  alternate: boolean,
): string {
  const upper = style === style.toUpperCase();
  if (!Number.isFinite(value)) {
    const name = Number.isNaN(value) ? "nan" : "inf";
    return upper ? name.toUpperCase() : name;
  }
  if (precision > MAX_PRECISION)
    throw new TemplateError(`precision ${precision} is over ${MAX_PRECISION} digits`);
  const lower = style.toLowerCase();
  const text =
    lower === "f"
      ? fixed(value, precision)
      : lower === "e"
        ? withExponent(value, precision)
        : general(value, precision, alternate);
  return upper ? text.toUpperCase() : text;
}

function withExponent(value: number, precision: number): string {
  const [digits, exponent] = scientific(value, precision);
  return `${pointed(digits, 1)}e${exponentText(exponent)}`;
}

function general(value: number, precision: number, alternate: boolean): string {
  const significant = Math.max(1, precision);
  const [digits, exponent] = scientific(value, significant - 1);
  const short = (text: string): string =>
    alternate || !text.includes(".") ? text : text.replace(/0+$/, "").replace(/\.$/, "");
  if (exponent < -4 || exponent >= significant)
    return `${short(pointed(digits, 1))}e${exponentText(exponent)}`;
  if (exponent < 0) return short(`0.${"0".repeat(-exponent - 1)}${digits}`);
  return short(pointed(digits, exponent + 1));
}

const pointed = (digits: string, at: number): string =>
  digits.length > at ? `${digits.slice(0, at)}.${digits.slice(at)}` : digits;

/** |value| in base 2, 8, 10 or 16 by its letter b, o, d, x or X, with the prefix where `alternate`. */
export function intDigits(value: number | bigint, letter: string, alternate: boolean): string {
  const base = { b: 2, o: 8, x: 16 }[letter.toLowerCase()] ?? 10;
  const digits = (value < 0 ? -value : value).toString(base);
  const text = alternate && base !== 10 ? `0${letter.toLowerCase()}${digits}` : digits;
  return letter === "X" ? text.toUpperCase() : text;
}

export const signText = (negative: boolean, flag: string): string =>
  negative ? "-" : flag === "+" || flag === " " ? flag : "";

/** `text` in a field of `width` characters. `=` puts the fill between sign and digits. */
export function padded(
  text: string,
  sign: string,
  width: number,
  align: string,
  fill: string,
  budget: Budget,
): string {
  const length = codePointLength(text) + sign.length;
  const missing = Math.max(0, width - length);
  budget.build(text.length + sign.length + missing * fill.length);
  if (missing === 0) return sign + text;
  const pad = (count: number): string => fill.repeat(count);
  if (align === "=") return sign + pad(missing) + text;
  if (align === ">") return pad(missing) + sign + text;
  if (align === "^") return pad(missing >> 1) + sign + text + pad(missing - (missing >> 1));
  return sign + text + pad(missing);
}
