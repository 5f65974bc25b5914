// format(value, specification) of Python for str, int, bool and float: fill, sign, width, grouping, precision.
// Contract: width and precision are charged to the budget before anything is padded.

import { TemplateError } from "../../errors.ts";
import type { Budget } from "./budget.ts";
import { codePointSlice } from "./code-points.ts";
import { numeric } from "./compare.ts";
import { bitsOf, type Int, toFloat } from "./integers.ts";
import { basePrefix, floatDigits, intDigits, padded, signText } from "./number-format.ts";
import { floatText, str } from "./python-text.ts";
import { Float, textOf, typeName, type Value } from "./values.ts";

type Specification = {
  fill: string;
  align: string | undefined;
  sign: string;
  positiveZero: boolean;
  alternate: boolean;
  width: number;
  grouping: string;
  precision: number | undefined;
  letter: string | undefined;
};

const SPECIFICATION = /^(?:(.)?([<>=^]))?([-+ ])?(z)?(#)?(0)?(\d+)?([,_])?(?:\.(\d+))?([^\d])?$/su;

/** @throws TemplateError a wrong specification, or one that does not suit the value */
export function formatValue(value: Value, source: string, budget: Budget): string {
  if (source === "") return str(value, budget);
  const text = textOf(value);
  const number = numeric(value);
  if (text === undefined && number === undefined)
    throw new TemplateError(`unsupported format string passed to ${typeName(value)}.__format__`);
  const spec = read(source, value, text === undefined);
  if (text !== undefined) return formatText(text, spec, budget);
  return formatNumber(value, number as Int, spec, budget);
}

function read(source: string, value: Value, isNumber: boolean): Specification {
  const match = SPECIFICATION.exec(source);
  if (match === null) {
    throw new TemplateError(
      `Invalid format specifier '${source}' for object of type '${typeName(value)}'`,
    );
  }
  const [, fill, align, sign = "", z, alternate, zero, width, grouping = "", precision, letter] =
    match;
  const zeros = zero !== undefined && align === undefined && isNumber;
  return {
    fill: fill ?? (zero === undefined ? " " : "0"),
    align: align ?? (zeros ? "=" : undefined),
    sign,
    positiveZero: z !== undefined,
    alternate: alternate !== undefined,
    width: Number(width ?? 0),
    grouping,
    precision: precision === undefined ? undefined : Number(precision),
    letter,
  };
}

function formatText(text: string, spec: Specification, budget: Budget): string {
  if (spec.letter !== undefined && spec.letter !== "s") throw unknownCode(spec.letter, text);
  const isForNumbers =
    spec.sign !== "" || spec.positiveZero || spec.alternate || spec.align === "=";
  if (isForNumbers || spec.grouping !== "")
    throw new TemplateError("Sign, '=', '#', 'z' or ',' not allowed in string format specifier");
  const shown = spec.precision === undefined ? text : codePointSlice(text, 0, spec.precision);
  return padded(shown, "", spec.width, spec.align ?? "<", spec.fill, budget);
}

function formatNumber(value: Value, number: Int, spec: Specification, budget: Budget): string {
  const { letter, align = ">" } = spec;
  const isInt = !(value instanceof Float) && (letter === undefined || "bcdoxXn".includes(letter));
  if (!isInt && letter !== undefined && !"eEfFgGn%".includes(letter))
    throw unknownCode(letter, value);
  if (isInt && letter === "c") return formatChar(number, spec, budget);
  const digits = isInt ? intBody(number, spec, budget) : floatBody(number, spec, budget);
  const isZero = /^[^1-9a-z]*(?:e.*)?%?$/i.test(digits) && spec.positiveZero;
  const negative = (number < 0 || Object.is(number, -0)) && !isZero;
  const sign = signText(negative, spec.sign);
  const prefix = isInt && spec.alternate ? basePrefix(letter ?? "d") : "";
  const full = zeroFilled(digits, sign.length + prefix.length, spec, budget);
  return padded(full, sign + prefix, spec.width, align, spec.fill, budget);
}

function formatChar(number: Int, spec: Specification, budget: Budget): string {
  if (spec.sign !== "" || spec.alternate || spec.precision !== undefined || spec.grouping !== "")
    throw new TemplateError("Sign or '#' not allowed with integer format specifier 'c'");
  if (number < 0 || number > 0x10ffff) throw new TemplateError("%c arg not in range(0x110000)");
  const char = String.fromCodePoint(Number(number));
  return padded(char, "", spec.width, spec.align ?? ">", spec.fill, budget);
}

function intBody(number: Int, spec: Specification, budget: Budget): string {
  const { letter = "d", grouping } = spec;
  if (spec.precision !== undefined)
    throw new TemplateError("Precision not allowed in integer format specifier");
  if (spec.positiveZero)
    throw new TemplateError("Negative zero coercion (z) not allowed in format specifier");
  if ((grouping === "," && "boxX".includes(letter)) || (grouping !== "" && letter === "n"))
    throw new TemplateError(`Cannot specify '${grouping}' with '${letter}'.`);
  budget.walk(bitsOf(number));
  const digits = intDigits(number, letter === "n" ? "d" : letter);
  return grouped(digits, grouping, "boxX".includes(letter) ? 4 : 3);
}

function floatBody(number: Int, spec: Specification, budget: Budget): string {
  const { letter, precision, alternate, grouping } = spec;
  if (grouping !== "" && letter === "n")
    throw new TemplateError(`Cannot specify '${grouping}' with 'n'.`);
  const float = toFloat(number);
  budget.walk(precision ?? 6);
  if (letter === undefined && precision === undefined) {
    const shortest = floatText(Math.abs(float));
    const shown = alternate && !shortest.includes(".") ? shortest.replace("e", ".e") : shortest;
    return grouped(shown, grouping, 3);
  }
  if (letter === "%")
    return `${grouped(floatDigits(float * 100, "f", precision ?? 6, alternate), grouping, 3)}%`;
  const style = letter === undefined ? "r" : letter === "n" ? "g" : letter;
  return grouped(floatDigits(float, style, precision ?? 6, alternate), grouping, 3);
}

const unknownCode = (letter: string, value: Value): TemplateError =>
  new TemplateError(`Unknown format code '${letter}' for object of type '${typeName(value)}'`);

function grouped(digits: string, separator: string, size: number): string {
  if (separator === "") return digits;
  const whole = /^[\da-f]+/i.exec(digits)?.[0] ?? "";
  if (!/^\d/.test(digits) && size === 3) return digits; // inf, nan
  const groups: string[] = [];
  for (let end = whole.length; end > 0; end -= size)
    groups.unshift(whole.slice(Math.max(0, end - size), end));
  return groups.join(separator) + digits.slice(whole.length);
}

/** Digits with groups, with zeros in groups in front up to the width, where the fill is zeros behind the sign. */
function zeroFilled(digits: string, taken: number, spec: Specification, budget: Budget): string {
  if (spec.grouping === "" || spec.fill !== "0" || spec.align !== "=") return digits;
  const size = "boxX".includes(spec.letter ?? "d") ? 4 : 3;
  const whole = /^[\da-f,_]+/i.exec(digits)?.[0] ?? "";
  if (whole === "" || !/^\d/.test(whole.replace(/^[a-f]/i, "0"))) return digits;
  const room = spec.width - taken - (digits.length - whole.length);
  budget.build(Math.max(0, room));
  budget.walk(Math.max(0, room));
  const plain = whole.replaceAll(spec.grouping, "");
  let count = Math.max(plain.length, room - Math.floor(room / (size + 1)));
  while (count + Math.floor((count - 1) / size) < room) count++;
  return grouped(plain.padStart(count, "0"), spec.grouping, size) + digits.slice(whole.length);
}
