// json.dumps of Python, as Transformers' `tojson` calls it: no HTML escapes, Python's spacing and floats.
// Contract: every piece is charged to the budget when it is written.

import { TemplateError } from "../../errors.ts";
import type { Budget } from "./budget.ts";
import { sorted } from "./compare.ts";
import { intText } from "./integers.ts";
import { asIndex, iterate } from "./iteration.ts";
import { floatText, repr } from "./python-text.ts";
import { Dict, Float, isText, textOf, Tuple, typeName, type Value } from "./values.ts";

export type JsonStyle = {
  ensureAscii: boolean;
  /** What one level is indented by; null writes one line. */
  indent: string | null;
  itemSeparator: string;
  keySeparator: string;
  sortKeys: boolean;
};

/** The style for the arguments of `tojson`; an indent of n means n spaces, which a string alone does not need. */
export function jsonStyle(
  value: Value,
  ensureAscii: boolean,
  indent: Value,
  separators: Value,
  sortKeys: boolean,
  budget: Budget,
): JsonStyle {
  const given: Value[] =
    separators === null
      ? [indent === null ? ", " : ",", ": "]
      : Array.from(iterate(separators, budget));
  if (given.length !== 2)
    throw new TemplateError("tojson: separators must be a pair (item separator, key separator)");
  const isPlain = indent === null || isText(value);
  const spaces = isPlain ? null : (textOf(indent) ?? indentOf(indent, budget));
  const [itemSeparator, keySeparator] = given.map((separator) => textOf(separator));
  if (isText(value))
    return { ensureAscii, indent: null, itemSeparator: "", keySeparator: "", sortKeys };
  if (itemSeparator === undefined || keySeparator === undefined)
    throw new TemplateError("tojson: separators must be strings");
  return { ensureAscii, indent: spaces, itemSeparator, keySeparator, sortKeys };
}

function indentOf(indent: Value, budget: Budget): string {
  const count = asIndex(indent);
  if (count === undefined)
    throw new TemplateError(`can't multiply sequence by non-int of type '${typeName(indent)}'`);
  budget.build(Math.max(0, count));
  return " ".repeat(Math.max(0, count));
}

export function jsonText(value: Value, style: JsonStyle, budget: Budget): string {
  const parts: string[] = [];
  const write = (part: string): void => {
    budget.build(part.length);
    parts.push(part);
  };
  writeJson(value, style, "\n", write, budget);
  return parts.join("");
}

function writeJson(
  value: Value,
  style: JsonStyle,
  newline: string,
  write: (part: string) => void,
  budget: Budget,
): void {
  const scalar = scalarText(value, style);
  if (scalar !== undefined) return write(scalar);
  const list = value instanceof Tuple ? value.items : value;
  if (!Array.isArray(list) && !(list instanceof Dict))
    throw new TemplateError(`Object of type ${typeName(value)} is not JSON serializable`);
  const entries = Array.isArray(list)
    ? list.map((item): [undefined, Value] => [undefined, item])
    : dictEntries(list, style, budget);
  const [open, close] = Array.isArray(list) ? "[]" : "{}";
  if (entries.length === 0) return write(open + close);
  const inner = style.indent === null ? "" : newline + style.indent;
  budget.enter();
  write(open);
  for (const [index, [key, item]] of entries.entries()) {
    write((index === 0 ? "" : style.itemSeparator) + inner);
    if (key !== undefined) write(quoted(keyText(key, budget), style) + style.keySeparator);
    writeJson(item, style, inner, write, budget);
  }
  write((style.indent === null ? "" : newline) + close);
  budget.leave();
}

function scalarText(value: Value, style: JsonStyle): string | undefined {
  if (value === null) return "null";
  if (typeof value === "boolean") return String(value);
  if (typeof value === "number" || typeof value === "bigint") return intText(value);
  if (value instanceof Float) return jsonFloat(value.value);
  const text = textOf(value);
  return text === undefined ? undefined : quoted(text, style);
}

const jsonFloat = (value: number): string =>
  Number.isFinite(value)
    ? floatText(value)
    : Number.isNaN(value)
      ? "NaN"
      : value > 0
        ? "Infinity"
        : "-Infinity";

function dictEntries(dict: Dict, style: JsonStyle, budget: Budget): [Value, Value][] {
  budget.elements(dict.size);
  const entries = [...dict.entries()];
  if (!style.sortKeys) return entries;
  const byKey = sorted(
    entries.map(([key, item]) => new Tuple([key, item])),
    (entry) => (entry as Tuple).items[0],
    false,
    budget,
  );
  return byKey.map((entry) => (entry as Tuple).items as [Value, Value]);
}

function keyText(key: Value, budget: Budget): string {
  const text = textOf(key);
  if (text !== undefined) return text;
  if (key === null) return "null";
  if (typeof key === "boolean") return String(key);
  if (key instanceof Float) return jsonFloat(key.value);
  if (typeof key === "number" || typeof key === "bigint") return repr(key, budget);
  throw new TemplateError(`keys must be str, int, float, bool or None, not ${typeName(key)}`);
}

const ESCAPES: ReadonlyMap<string, string> = new Map([
  ['"', '\\"'],
  ["\\", "\\\\"],
  ["\n", "\\n"],
  ["\r", "\\r"],
  ["\t", "\\t"],
  ["\f", "\\f"],
  ["\b", "\\b"],
]);

function quoted(text: string, style: JsonStyle): string {
  const escapable = style.ensureAscii ? /["\\]|[^ -~]/g : /["\\\p{Cc}]/gu;
  return `"${text.replace(escapable, (unit) => escaped(unit, style))}"`;
}

function escaped(unit: string, style: JsonStyle): string {
  const code = unit.charCodeAt(0);
  if (!style.ensureAscii && code >= 0x7f) return unit; // C1 controls, which only ASCII output escapes
  return ESCAPES.get(unit) ?? `\\u${code.toString(16).padStart(4, "0")}`;
}
