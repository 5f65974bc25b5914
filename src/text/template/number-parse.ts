// int('…') and float('…') of Python: signs, digits of every script, underscores between them, prefixes of a base, inf and nan.
// Knows nothing of templates.

import { TemplateError } from "../../errors.ts";
import { strip } from "./case-text.ts";

const MAX_DIGITS = 4300; // Python's own limit for ints from text, unless the base is a power of two
const MAX_COMPUTED_DIGITS = 16_384;

const BASES: Readonly<Record<number, string>> = { 2: "0b", 8: "0o", 16: "0x" };

/** The text without white space at its ends, in lower case, with decimal digits of every script as 0 to 9. */
const readable = (text: string): string =>
  strip(text, null, "both")
    .toLowerCase()
    .replace(/(?![0-9])\p{Nd}/gu, digitOf);

/** Digits of a script lie side by side, from 0 to 9. */
function digitOf(digit: string): string {
  const point = digit.codePointAt(0) ?? 0;
  let first = point;
  while (/^\p{Nd}/u.test(String.fromCodePoint(first - 1))) first--;
  return String((point - first) % 10);
}

/** int(text, base), or undefined where Python raises ValueError. @throws TemplateError more digits than a template may compute with */
export function parsedInt(text: string, base: number): number | bigint | undefined {
  const [, sign = "", unsigned = ""] = /^([+-]?)(.*)$/s.exec(readable(text)) ?? [];
  if (base !== 0 && !(base >= 2 && base <= 36)) return undefined;
  const detected =
    base === 0
      ? (Object.entries(BASES).find(([, prefix]) => unsigned.startsWith(prefix))?.[0] ?? 10)
      : base;
  const radix = Number(detected);
  const prefix = BASES[radix];
  const body =
    prefix !== undefined && unsigned.startsWith(prefix)
      ? unsigned.slice(2).replace(/^_/, "")
      : unsigned;
  if (!/^[\da-z]+(?:_[\da-z]+)*$/.test(body)) return undefined;
  if (base === 0 && radix === 10 && /^0[\d_]*[1-9]/.test(body)) return undefined;
  const digits = body.replaceAll("_", "");
  if ((radix & (radix - 1)) !== 0 && digits.length > MAX_DIGITS) return undefined;
  if (digits.length > MAX_COMPUTED_DIGITS)
    throw new TemplateError(`chat template: an int of ${digits.length} digits; use shorter ones`);
  const value = valueOf(digits, radix);
  return value === undefined || sign !== "-" ? value : -value;
}

const CHUNK = 9; // 36^9 is exact in a double

function valueOf(digits: string, radix: number): bigint | undefined {
  let value = 0n;
  for (let at = 0; at < digits.length; at += CHUNK) {
    const chunk = digits.slice(at, at + CHUNK);
    for (const digit of chunk) if (!(Number.parseInt(digit, 36) < radix)) return undefined;
    value = value * BigInt(radix ** chunk.length) + BigInt(Number.parseInt(chunk, radix));
  }
  return value;
}

const FLOAT = /^[+-]?(?:\d+(?:_\d+)*\.?(?:\d+(?:_\d+)*)?|\.\d+(?:_\d+)*)(?:e[+-]?\d+(?:_\d+)*)?$/;

/** float(text), or undefined where Python raises ValueError. */
export function parsedFloat(text: string): number | undefined {
  const trimmed = readable(text);
  if (FLOAT.test(trimmed)) return Number(trimmed.replaceAll("_", ""));
  const [, sign, name] = /^([+-]?)(inf|infinity|nan)$/.exec(trimmed) ?? [];
  if (name === undefined) return undefined;
  const value = name === "nan" ? Number.NaN : Number.POSITIVE_INFINITY;
  return sign === "-" ? -value : value;
}
