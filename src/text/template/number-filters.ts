// The built-in filters of Jinja2 3.1 that give or show numbers: abs, int, float, round, filesizeformat.

import { TemplateError } from "../../errors.ts";
import { absolute, binary } from "./arithmetic.ts";
import { bind, type Given } from "./bind.ts";
import { numeric } from "./compare.ts";
import { fixed, roundedFloat } from "./decimal.ts";
import { type Int, int, intText, toFloat } from "./integers.ts";
import { asIndex } from "./iteration.ts";
import { parsedFloat, parsedInt } from "./number-parse.ts";
import type { Filter, Runtime } from "./runtime.ts";
import { defined, Float, isTrue, textOf, typeName, type Value } from "./values.ts";

const filter =
  (
    name: string,
    parameters: readonly string[],
    run: (value: Value, given: Given, runtime: Runtime) => Value,
  ): Filter =>
  (value, args, runtime) =>
    run(value, bind(`do_${name}`, parameters, args), runtime);

const toInt = filter("int", ["default?", "base?"], (value, [otherwise = 0, base = 10], runtime) => {
  const text = textOf(defined(value));
  if (text === undefined) {
    const number = numeric(value);
    if (number === undefined || Number.isNaN(number)) return otherwise;
    return value instanceof Float ? wholePart(value.value) : int(number);
  }
  runtime.budget.walk(text.length);
  const whole = asIndex(base) === undefined ? undefined : parsedInt(text, Number(asIndex(base)));
  if (whole !== undefined) return int(whole);
  const float = parsedFloat(text);
  return float === undefined || !Number.isFinite(float) ? otherwise : wholePart(float);
});

/** int(value) of a float. @throws TemplateError it is infinite */
function wholePart(value: number): Int {
  if (Number.isFinite(value)) return int(BigInt(Math.trunc(value)));
  throw new TemplateError("cannot convert float infinity to integer");
}

const toFloatFilter = filter(
  "float",
  ["default?"],
  (value, [otherwise = new Float(0)], runtime) => {
    const text = textOf(defined(value));
    runtime.budget.walk(text?.length ?? 0);
    const number = text === undefined ? numeric(value) : parsedFloat(text);
    return number === undefined ? otherwise : new Float(toFloat(number));
  },
);

const ROUNDING = { ceil: Math.ceil, floor: Math.floor };
const MOST_DIGITS = 20_000; // of an int that a template may compute with

const round = filter(
  "round",
  ["precision?", "method?"],
  (value, [precision = 0, method = "common"], { budget }) => {
    const way = textOf(method);
    if (way !== "common" && way !== "ceil" && way !== "floor")
      throw new TemplateError("method must be common, ceil or floor");
    const number = numeric(defined(value));
    if (number === undefined)
      throw new TemplateError(`type ${typeName(value)} doesn't define __round__ method`);
    if (way !== "common") {
      const scale = binary("**", 10, precision, budget);
      const scaled = binary("*", value, scale, budget);
      const whole = scaled instanceof Float ? wholePart(ROUNDING[way](finite(scaled))) : scaled;
      return binary("/", whole, scale, budget);
    }
    if (precision === null) {
      if (!(value instanceof Float)) return int(number);
      return wholePart(roundedFloat(finite(value), 0));
    }
    const digits = asIndex(precision);
    if (digits === undefined)
      throw new TemplateError(
        `'${typeName(precision)}' object cannot be interpreted as an integer`,
      );
    budget.spend(1 + Math.min(1000, Math.abs(digits)));
    if (!(value instanceof Float)) return roundedInt(number, digits);
    const rounded = roundedFloat(value.value, digits);
    if (!Number.isFinite(rounded) && Number.isFinite(value.value))
      throw new TemplateError("rounded value too large to represent");
    return new Float(rounded);
  },
);

function finite({ value }: Float): number {
  if (Number.isFinite(value)) return value;
  throw new TemplateError(
    `cannot convert float ${Number.isNaN(value) ? "NaN" : "infinity"} to integer`,
  );
}

function roundedInt(value: Int, digits: number): Value {
  if (digits >= 0) return int(value);
  if (digits < -MOST_DIGITS) return 0;
  const unit = 10n ** BigInt(-digits);
  const [big, half] = [BigInt(value), unit / 2n];
  const above = ((big % unit) + unit) % unit;
  const down = big - above;
  const up = above > half || (above === half && (down / unit) % 2n !== 0n);
  return int(up ? down + unit : down);
}

const UNITS = ["", "k", "M", "G", "T", "P", "E", "Z", "Y"];

const filesizeformat = filter("filesizeformat", ["binary?"], (value, [inBinary]) => {
  const text = textOf(defined(value));
  const number = text === undefined ? numeric(value) : parsedFloat(text);
  if (number === undefined)
    throw new TemplateError(`could not convert to float: '${typeName(value)}'`);
  const bytes = toFloat(number);
  const isBinary = inBinary !== undefined && isTrue(inBinary);
  const base = isBinary ? 1024 : 1000;
  if (bytes === 1) return "1 Byte";
  if (bytes < base) return `${intText(wholePart(bytes))} Bytes`;
  let power = 1;
  while (power < UNITS.length - 1 && !(bytes < Number(BigInt(base) ** BigInt(power + 1)))) power++;
  const shown = (base * bytes) / Number(BigInt(base) ** BigInt(power + 1));
  const prefix = isBinary ? `${UNITS[power].toUpperCase()}i` : UNITS[power];
  const digits = Number.isNaN(shown) ? "nan" : Number.isFinite(shown) ? fixed(shown, 1) : "inf";
  return `${digits} ${prefix}B`;
});

export const NUMBER_FILTERS: Readonly<Record<string, Filter>> = {
  abs: filter("abs", [], (value) => absolute(value)),
  filesizeformat,
  float: toFloatFilter,
  int: toInt,
  round,
};
