// int('…') and float('…') of Python: signs, underscores between digits, prefixes of a base, inf and nan.
// Knows nothing of templates.

import { strip } from "./case-text.ts";

const MAX_DIGITS = 4300; // Python's own limit for ints from text

const BASES: Readonly<Record<number, string>> = { 2: "0b", 8: "0o", 16: "0x" };

/** int(text, base), or undefined where Python raises ValueError. */
export function parsedInt(text: string, base: number): number | bigint | undefined {
  const [, sign = "", unsigned = ""] =
    /^([+-]?)(.*)$/s.exec(strip(text, null, "both").toLowerCase()) ?? [];
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
  if (body.length > MAX_DIGITS || !/^[\da-z]+(?:_[\da-z]+)*$/.test(body)) return undefined;
  let value = 0n;
  for (const digit of body.replaceAll("_", "")) {
    const weight = Number.parseInt(digit, 36);
    if (!(weight < radix)) return undefined;
    value = value * BigInt(radix) + BigInt(weight);
  }
  return sign === "-" ? -value : value;
}

const FLOAT = /^[+-]?(?:\d+(?:_\d+)*\.?(?:\d+(?:_\d+)*)?|\.\d+(?:_\d+)*)(?:e[+-]?\d+(?:_\d+)*)?$/i;

/** float(text), or undefined where Python raises ValueError. */
export function parsedFloat(text: string): number | undefined {
  const trimmed = strip(text, null, "both");
  if (FLOAT.test(trimmed)) return Number(trimmed.replaceAll("_", ""));
  const [, sign, name] = /^([+-]?)(inf|infinity|nan)$/i.exec(trimmed) ?? [];
  if (name === undefined) return undefined;
  const value = name.toLowerCase() === "nan" ? Number.NaN : Number.POSITIVE_INFINITY;
  return sign === "-" ? -value : value;
}
