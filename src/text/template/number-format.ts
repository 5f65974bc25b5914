// Numbers under a printf or format() specification: sign, width, zero padding, precision, base.
// Contract: the width is charged to the budget before a number is padded.

import type { Budget } from "./budget.ts";
import { codePointLength } from "./code-points.ts";
import { fixed, scientific } from "./decimal.ts";
import { type Int, intText } from "./integers.ts";
import { exponentText } from "./python-text.ts";

const MOST_DECIMALS = 1100; // a double has at most 1,074 decimals; zeros follow

/**
 * Digits and point of |value| in style e, f or g, without a sign. `alternate` keeps the zeros of g, and a point where no decimals
 * follow. Style r is g with at least one decimal.
 */
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
  const lower = style.toLowerCase();
  const text =
    lower === "f"
      ? pointedIf(
          alternate,
          zerosBehind(fixed(value, Math.min(precision, MOST_DECIMALS)), precision),
        )
      : lower === "e"
        ? withExponent(value, precision, alternate)
        : general(value, precision, alternate, lower === "r");
  return upper ? text.toUpperCase() : text;
}

const zerosBehind = (digits: string, precision: number): string =>
  digits + "0".repeat(Math.max(0, precision - MOST_DECIMALS));

const pointedIf = (alternate: boolean, digits: string): string =>
  alternate && !digits.includes(".") ? `${digits}.` : digits;

function withExponent(value: number, precision: number, alternate: boolean): string {
  const [digits, exponent] = scientific(value, Math.min(precision, MOST_DECIMALS));
  const mantissa = pointedIf(alternate, pointed(zerosBehind(digits, precision), 1));
  return `${mantissa}e${exponentText(exponent)}`;
}

function general(
  value: number,
  precision: number,
  alternate: boolean,
  withDecimal: boolean,
): string {
  const significant = Math.max(1, precision);
  const [exact, exponent] = scientific(value, Math.min(significant - 1, MOST_DECIMALS));
  const digits = alternate ? zerosBehind(exact, significant - 1) : exact;
  const short = (text: string): string => {
    if (alternate) return pointedIf(true, text);
    return text.includes(".") ? text.replace(/0+$/, "").replace(/\.$/, "") : text;
  };
  if (exponent < -4 || exponent >= significant - (withDecimal ? 1 : 0))
    return `${short(pointed(digits, 1))}e${exponentText(exponent)}`;
  const text =
    exponent < 0
      ? short(`0.${"0".repeat(-exponent - 1)}${digits}`)
      : short(pointed(digits, exponent + 1));
  if (!withDecimal || text.includes(".")) return text;
  return `${text}.0`;
}

const pointed = (digits: string, at: number): string =>
  digits.length > at ? `${digits.slice(0, at)}.${digits.slice(at)}` : digits;

/** `0b`, `0o`, `0x` or `0X` for such a letter. */
export const basePrefix = (letter: string): string => ("boxX".includes(letter) ? `0${letter}` : "");

/** |value| in base 2, 8, 10 or 16 by its letter b, o, d, x or X. */
export function intDigits(value: Int, letter: string): string {
  const base = { b: 2, o: 8, x: 16 }[letter.toLowerCase()] ?? 10;
  const magnitude = value < 0 ? -value : value;
  const digits = base === 10 ? intText(magnitude) : magnitude.toString(base);
  return letter === "X" ? digits.toUpperCase() : digits;
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
