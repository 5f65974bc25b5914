// Attributes and methods of int, bool and float. Knows nothing of templates.

import { TemplateError } from "../../errors.ts";
import { bind } from "./bind.ts";
import { bitsOf, int, type Int, intText } from "./integers.ts";
import { type Arguments, Float, Tuple, type Value } from "./values.ts";

type Method = (args: Arguments) => Value;

/** The attribute, or a method as a function; undefined where there is none, or the value is no number. */
export function numberAttribute(value: Value, name: string): Value | Method | undefined {
  const given = value instanceof Float ? floatAttribute(value, name) : wholeAttribute(value, name);
  if (typeof given !== "function") return given;
  return (args) => {
    bind(name, [], args);
    return given();
  };
}

function floatAttribute(float: Float, name: string): Value | (() => Value) | undefined {
  const { value } = float;
  if (name === "real") return float;
  if (name === "imag") return new Float(0);
  if (name === "conjugate") return () => float;
  if (name === "is_integer") return () => Number.isInteger(value);
  if (name === "hex") return () => hexText(value);
  return name === "as_integer_ratio" ? () => ratio(value) : undefined;
}

function wholeAttribute(value: Value, name: string): Value | (() => Value) | undefined {
  if (typeof value !== "number" && typeof value !== "bigint" && typeof value !== "boolean")
    return undefined;
  const whole: Int = typeof value === "boolean" ? Number(value) : value;
  if (name === "real" || name === "numerator") return whole;
  if (name === "imag") return 0;
  if (name === "denominator") return 1;
  if (name === "conjugate") return () => whole;
  if (name === "bit_length") return () => bitsOf(whole);
  if (name === "bit_count") return () => onesOf(whole);
  return name === "as_integer_ratio" ? () => new Tuple([whole, 1]) : undefined;
}

const onesOf = (value: Int): number => BigInt(value).toString(2).replaceAll(/[^1]/g, "").length;

/** An exact fraction. @throws TemplateError it is infinite or no number */
function ratio(value: number): Tuple {
  if (!Number.isFinite(value))
    throw new TemplateError(
      `cannot convert ${Number.isNaN(value) ? "NaN" : "Infinity"} to integer ratio`,
    );
  let [numerator, denominator] = [value, 1n];
  while (!Number.isInteger(numerator)) {
    numerator *= 2; // exact: only the exponent changes
    denominator *= 2n;
  }
  return new Tuple([int(BigInt(numerator)), int(denominator)]);
}

/** float.hex(): sign, 0x1., the 52 bits behind the point, and the power of two. */
function hexText(value: number): string {
  if (!Number.isFinite(value)) return Number.isNaN(value) ? "nan" : value > 0 ? "inf" : "-inf";
  const view = new DataView(new ArrayBuffer(8));
  view.setFloat64(0, value);
  const bits = view.getBigUint64(0);
  const sign = bits >> 63n === 1n ? "-" : "";
  if (value === 0) return `${sign}0x0.0p+0`;
  const exponent = Number((bits >> 52n) & 0x7ffn);
  const fraction = (bits & 0xfffffffffffffn).toString(16).padStart(13, "0");
  const power = Math.max(exponent, 1) - 1023;
  return `${sign}0x${exponent === 0 ? 0 : 1}.${fraction}p${power < 0 ? "-" : "+"}${intText(Math.abs(power))}`;
}
