// Decimal digits of a float, exact and rounded half to even as C and Python print them (toFixed rounds ties up).
// Knows nothing of templates.

import { TemplateError } from "../../errors.ts";

/** |value| with `digits` decimals; value is finite, 0 ≤ digits ≤ 1100. */
export function fixed(value: number, digits: number): string {
  const [numerator, denominator] = fraction(Math.abs(value));
  const rounded = divideHalfEven(numerator * 10n ** BigInt(digits), denominator)
    .toString()
    .padStart(digits + 1, "0");
  return digits === 0 ? rounded : `${rounded.slice(0, -digits)}.${rounded.slice(-digits)}`;
}

/** The digits of |value|, `digits` after the first, and the power of ten of the first. */
export function scientific(value: number, digits: number): [mantissa: string, exponent: number] {
  if (value === 0) return ["0".repeat(digits + 1), 0];
  const [numerator, denominator] = fraction(Math.abs(value));
  let exponent = Number(Math.abs(value).toExponential().split("e")[1]);
  const shift = digits - exponent;
  const scaled =
    shift >= 0
      ? [numerator * 10n ** BigInt(shift), denominator]
      : [numerator, denominator * 10n ** BigInt(-shift)];
  let text = divideHalfEven(scaled[0], scaled[1]).toString();
  if (text.length > digits + 1) {
    exponent++;
    text = text.slice(0, -1);
  }
  return [text, exponent];
}

/** round(value, digits) of Python for a float: the nearest double to the rounded decimal. */
export function roundedFloat(value: number, digits: number): number {
  if (!Number.isFinite(value) || digits > 322) return value;
  if (digits < -308) return value < 0 ? -0 : 0;
  if (digits >= 0)
    return (Object.is(value, -0) || value < 0 ? -1 : 1) * Number(fixed(value, digits));
  const [numerator, denominator] = fraction(Math.abs(value));
  const scale = 10n ** BigInt(-digits);
  return Math.sign(value) * Number(divideHalfEven(numerator, denominator * scale) * scale);
}

export function divideHalfEven(numerator: bigint, denominator: bigint): bigint {
  const quotient = numerator / denominator;
  const twice = 2n * (numerator - quotient * denominator);
  return twice > denominator || (twice === denominator && quotient % 2n === 1n)
    ? quotient + 1n
    : quotient;
}

/** A finite double ≥ 0 as an exact fraction. @throws TemplateError it is not finite */
function fraction(value: number): [numerator: bigint, denominator: bigint] {
  if (!Number.isFinite(value)) throw new TemplateError(`${value} has no digits`);
  let [numerator, shift] = [value, 0];
  while (!Number.isInteger(numerator)) {
    numerator *= 2; // exact: only the exponent changes
    shift++;
  }
  return [BigInt(numerator), 1n << BigInt(shift)];
}
