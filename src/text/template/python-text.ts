// str() and repr() of Python: quotes and escapes of strings, shortest digits of floats, lists, dicts.
// Contract: what may be long is charged to the budget before it is printed.

import type { Budget } from "./budget.ts";
import { intText } from "./integers.ts";
import {
  Dict,
  Float,
  isText,
  Markup,
  PyObject,
  textOf,
  Tuple,
  Undefined,
  type Value,
} from "./values.ts";

/** str(value) */
export function str(value: Value, budget: Budget): string {
  if (isText(value)) return textOf(value);
  if (typeof value === "number") return String(value);
  if (value instanceof Undefined) return "";
  return repr(value, budget);
}

/** repr(value) */
export function repr(value: Value, budget: Budget): string {
  budget.spend();
  if (value === null) return "None";
  if (typeof value === "boolean") return value ? "True" : "False";
  if (typeof value === "number") return String(value);
  if (typeof value === "bigint") return intText(value);
  if (typeof value === "string") return quoted(value, budget);
  if (value instanceof Markup) return `Markup(${quoted(value.text, budget)})`;
  if (value instanceof Float) return floatText(value.value);
  if (value instanceof Undefined) return "Undefined";
  budget.enter();
  const text = containerText(value, budget);
  budget.leave();
  return text;
}

/** ascii(value): repr with characters beyond ASCII as escapes. */
export function asciiRepr(value: Value, budget: Budget): string {
  const text = repr(value, budget);
  budget.walk(text.length);
  return text.replace(/[^\0-\x7f]/gu, escapedChar);
}

function containerText(value: Value[] | Tuple | Dict | PyObject, budget: Budget): string {
  if (value instanceof PyObject) return value.repr?.(budget) ?? `<${value.type} object>`;
  if (value instanceof Dict) {
    const entries: string[] = [];
    for (const [key, item] of value.entries())
      entries.push(`${repr(key, budget)}: ${repr(item, budget)}`);
    return joined(entries, "{", "}", budget);
  }
  if (Array.isArray(value))
    return joined(
      value.map((item) => repr(item, budget)),
      "[",
      "]",
      budget,
    );
  const items = value.items.map((item) => repr(item, budget));
  return joined(items, "(", items.length === 1 ? ",)" : ")", budget);
}

function joined(items: string[], open: string, close: string, budget: Budget): string {
  let length = 0;
  for (const item of items) length += item.length + 2;
  budget.build(length);
  return open + items.join(", ") + close;
}

/** repr of a float: the shortest digits that read back, `1e-07`, `1e+16`, `2.0`, `inf`, `nan`. */
export function floatText(value: number): string {
  if (Number.isNaN(value)) return "nan";
  if (!Number.isFinite(value)) return value > 0 ? "inf" : "-inf";
  const sign = value < 0 || Object.is(value, -0) ? "-" : "";
  const [mantissa, power] = Math.abs(value).toExponential().split("e");
  const digits = mantissa.replace(".", "");
  const exponent = Number(power);
  if (exponent < -4 || exponent >= 16) {
    const fraction = digits.length > 1 ? `.${digits.slice(1)}` : "";
    return `${sign}${digits[0]}${fraction}e${exponentText(exponent)}`;
  }
  if (exponent < 0) return `${sign}0.${"0".repeat(-exponent - 1)}${digits}`;
  const whole = digits.slice(0, exponent + 1).padEnd(exponent + 1, "0");
  return `${sign}${whole}.${digits.slice(exponent + 1) || "0"}`;
}

/** `+16`, `-07`: at least two digits, as C prints them. */
export const exponentText = (exponent: number): string =>
  (exponent < 0 ? "-" : "+") + String(Math.abs(exponent)).padStart(2, "0");

const UNPRINTABLE = /[\p{C}\p{Z}]/u;
const NEEDS_ESCAPE = /[\\'\p{C}\p{Z}]/u;

export const isPrintable = (text: string): boolean => !UNPRINTABLE.test(text.replaceAll(" ", ""));

function quoted(text: string, budget: Budget): string {
  budget.build(text.length + 2);
  if (!NEEDS_ESCAPE.test(text.replaceAll(" ", ""))) return `'${text}'`;
  budget.walk(text.length);
  const quote = text.includes("'") && !text.includes('"') ? '"' : "'";
  let escaped = "";
  for (const char of text) {
    if (char === quote || char === "\\") escaped += `\\${char}`;
    else if (char === " " || !UNPRINTABLE.test(char)) escaped += char;
    else escaped += escapedChar(char);
  }
  budget.build(escaped.length);
  return quote + escaped + quote;
}

function escapedChar(char: string): string {
  if (char === "\n") return "\\n";
  if (char === "\r") return "\\r";
  if (char === "\t") return "\\t";
  const code = char.codePointAt(0) ?? 0;
  if (code < 0x100) return `\\x${code.toString(16).padStart(2, "0")}`;
  return code < 0x10000
    ? `\\u${code.toString(16).padStart(4, "0")}`
    : `\\U${code.toString(16).padStart(8, "0")}`;
}
