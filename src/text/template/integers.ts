// Python's ints, which have no largest one: how they are stored, read as floats, divided and printed. Knows nothing of templates.

import { TemplateError } from "../../errors.ts";

export type Int = number | bigint;

const LARGEST_SHOWN = 10n ** 4300n; // Python, too, refuses to print more digits

/** An int as it is stored: a number where that is exact, else a bigint. */
export function int(value: Int): Int {
  if (typeof value === "number" && Number.isSafeInteger(value)) return value + 0; // no -0
  const big = BigInt(value);
  return big >= -9007199254740991n && big <= 9007199254740991n ? Number(big) : big;
}

/** float(value) @throws TemplateError beyond the largest double */
export function toFloat(value: Int): number {
  const float = Number(value);
  if (typeof value === "bigint" && !Number.isFinite(float))
    throw new TemplateError("int too large to convert to float");
  return float;
}

/** x / y, rounded once. @throws TemplateError the result is beyond the largest double */
export function trueQuotient(x: Int, y: Int): number {
  const [a, b] = [Number(x), Number(y)];
  if (Number.isSafeInteger(a) && Number.isSafeInteger(b)) return a / b;
  const [top, bottom] = [absolute(BigInt(x)), absolute(BigInt(y))];
  const shift = bitsOf(top) - bitsOf(bottom) - 66; // a quotient of 66 or 67 bits, and whether anything is left
  const [n, d] = shift >= 0 ? [top, bottom << BigInt(shift)] : [top << BigInt(-shift), bottom];
  const quotient = ((n / d) << 1n) | (n % d === 0n ? 0n : 1n);
  const scale = shift - 1;
  // below 2^-1074 bits are lost: they must be gone before the only rounding
  const lost = Math.max(0, -1076 - scale);
  const kept = quotient >> BigInt(lost);
  const sticky = kept << BigInt(lost) === quotient ? kept : kept | 1n;
  const half = Math.trunc((scale + lost) / 2);
  const float = Number(sticky) * 2 ** half * 2 ** (scale + lost - half);
  if (!Number.isFinite(float))
    throw new TemplateError("integer division result too large for a float");
  return BigInt(x) < 0n !== BigInt(y) < 0n ? -float : float;
}

const absolute = (value: bigint): bigint => (value < 0n ? -value : value);

/** How many bits the magnitude has. */
export function bitsOf(value: Int): number {
  const hex = absolute(BigInt(value)).toString(16);
  return hex === "0" ? 0 : 4 * hex.length - Math.clz32(Number.parseInt(hex[0], 16)) + 28;
}

/** The decimal digits, with a sign where it is negative. @throws TemplateError more than 4,300 digits */
export function intText(value: Int): string {
  if (typeof value === "bigint" && absolute(value) >= LARGEST_SHOWN)
    throw new TemplateError("Exceeds the limit (4300 digits) for integer string conversion");
  return String(value);
}
