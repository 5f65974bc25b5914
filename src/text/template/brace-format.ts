// `'{} {name!r:>8}'.format(…)`: Python's str.format and its specifications of str, int and float.
// Attributes and items of fields (`{0.name[key]}`) are looked up by functions that the caller passes.

import { TemplateError } from "../../errors.ts";
import type { Budget } from "./budget.ts";
import { codePointSlice } from "./code-points.ts";
import { numeric } from "./compare.ts";
import { floatDigits, intDigits, padded, signText } from "./number-format.ts";
import { floatText, repr, str } from "./python-text.ts";
import { Arguments, Dict, Float, typeName, type Value } from "./values.ts";

/** How `value.name` and `value[key]` are looked up. */
export type LookUp = {
  attribute(value: Value, name: string, budget: Budget): Value;
  item(value: Value, key: Value, budget: Budget): Value;
};

type Fields = { args: Arguments; next: number; lookUp: LookUp };

/** `template.format(*args)` */
export function braceFormat(
  template: string,
  args: Arguments,
  lookUp: LookUp,
  budget: Budget,
): string {
  return expand(template, { args, next: 0, lookUp }, 2, budget);
}

/** `template.format_map(mapping)` @throws TemplateError `mapping` is no dict */
export function braceFormatMap(
  template: string,
  mapping: Value | undefined,
  lookUp: LookUp,
  budget: Budget,
): string {
  if (!(mapping instanceof Dict))
    throw new TemplateError("format_map() argument must be a mapping");
  const names = [...mapping.entries()].filter(
    (entry): entry is [string, Value] => typeof entry[0] === "string",
  );
  return braceFormat(template, new Arguments([], new Map(names)), lookUp, budget);
}

function expand(template: string, fields: Fields, levels: number, budget: Budget): string {
  if (levels === 0) throw new TemplateError("Max string recursion exceeded");
  budget.scan(template.length);
  let text = "";
  const append = (piece: string): void => {
    budget.build(text.length + piece.length);
    text += piece;
  };
  let at = 0;
  while (at < template.length) {
    const brace = nextBrace(template, at);
    if (brace > at) append(template.slice(at, brace));
    if (brace === template.length) break;
    const char = template[brace];
    if (template[brace + 1] === char) {
      append(char);
      at = brace + 2;
      continue;
    }
    if (char === "}") throw new TemplateError("Single '}' encountered in format string");
    const end = fieldEnd(template, brace + 1);
    append(field(template.slice(brace + 1, end), fields, levels, budget));
    at = end + 1;
  }
  return text;
}

function nextBrace(template: string, from: number): number {
  for (let i = from; i < template.length; i++)
    if (template[i] === "{" || template[i] === "}") return i;
  return template.length;
}

function fieldEnd(template: string, from: number): number {
  let open = 1;
  for (let i = from; i < template.length; i++) {
    if (template[i] === "{") open++;
    else if (template[i] === "}" && --open === 0) return i;
  }
  const alone = from === template.length;
  throw new TemplateError(
    alone ? "Single '{' encountered in format string" : "expected '}' before end of string",
  );
}

function field(source: string, fields: Fields, levels: number, budget: Budget): string {
  const [, name, conversion, spec] = /^([^!:]*)(?:!([^:]*))?(?::([\s\S]*))?$/.exec(source) ?? [
    "",
    source,
  ];
  let value = fieldValue(name, fields, budget);
  if (conversion !== undefined) {
    if (!["r", "s", "a"].includes(conversion))
      throw new TemplateError(`Unknown conversion specifier ${conversion}`);
    value = conversion === "s" ? str(value, budget) : repr(value, budget);
  }
  return formatValue(
    value,
    spec === undefined ? "" : expand(spec, fields, levels - 1, budget),
    budget,
  );
}

function fieldValue(name: string, fields: Fields, budget: Budget): Value {
  const first = /^[^.[]*/.exec(name)?.[0] ?? "";
  let value = firstValue(first, fields);
  for (const [, attribute, item] of name.slice(first.length).matchAll(/\.([^.[]*)|\[([^\]]*)\]/g)) {
    value =
      attribute === undefined
        ? fields.lookUp.item(value, /^\d+$/.test(item) ? Number(item) : item, budget)
        : fields.lookUp.attribute(value, attribute, budget);
  }
  return value;
}

function firstValue(first: string, fields: Fields): Value {
  if (first === "" || /^\d+$/.test(first)) {
    const value = fields.args.positional[first === "" ? fields.next++ : Number(first)];
    if (value !== undefined) return value;
    throw new TemplateError("tuple index out of range");
  }
  const value = fields.args.keywords.get(first);
  if (value === undefined) throw new TemplateError(`'${first}'`);
  return value;
}

const SPEC = /^(?:(.)?([<>=^]))?([-+ ])?(#)?(0)?(\d+)?([,_])?(?:\.(\d+))?([a-zA-Z%])?$/su;

/** format(value, spec) */
export function formatValue(value: Value, spec: string, budget: Budget): string {
  if (spec === "") return str(value, budget);
  const match = SPEC.exec(spec);
  if (match === null)
    throw new TemplateError(
      `Invalid format specifier '${spec}' for object of type '${typeName(value)}'`,
    );
  const [
    ,
    fillChar,
    alignChar,
    signFlag = "",
    alternate,
    zero,
    widthText,
    grouping = "",
    precisionText,
    letter,
  ] = match;
  const width = Number(widthText ?? 0);
  const precision = precisionText === undefined ? undefined : Number(precisionText);
  const fill = fillChar ?? (zero !== undefined ? "0" : " ");
  const number = numeric(value);
  if (typeof value === "string") {
    if (letter !== undefined && letter !== "s") throw unknownCode(letter, value);
    const shown = precision === undefined ? value : codePointSlice(value, 0, precision);
    return padded(shown, "", width, alignChar ?? "<", fill, budget);
  }
  if (number === undefined || (typeof value === "boolean" && letter === undefined)) {
    throw new TemplateError(`unsupported format string passed to ${typeName(value)}.__format__`);
  }
  const align = alignChar ?? (zero !== undefined ? "=" : ">");
  const negative = Number(number) < 0 || Object.is(number, -0);
  const digits = numberDigits(value, number, letter, precision, alternate !== undefined, grouping);
  return padded(digits, signText(negative, signFlag), width, align, fill, budget);
}

function numberDigits(
  value: Value,
  number: number | bigint,
  letter: string | undefined,
  precision: number | undefined,
  alternate: boolean,
  grouping: string,
): string {
  const isFloat = value instanceof Float;
  if (!isFloat && (letter === undefined || "bdoxXn".includes(letter))) {
    return grouped(intDigits(number, letter ?? "d", alternate), grouping);
  }
  if (letter === undefined) {
    const text =
      precision === undefined
        ? floatText(Math.abs(Number(number)))
        : floatDigits(Number(number), "g", precision, alternate);
    return grouped(text, grouping);
  }
  if (letter === "%")
    return `${grouped(floatDigits(Number(number) * 100, "f", precision ?? 6, alternate), grouping)}%`;
  if (!"eEfFgGn".includes(letter)) throw unknownCode(letter, value);
  return grouped(
    floatDigits(Number(number), letter === "n" ? "g" : letter, precision ?? 6, alternate),
    grouping,
  );
}

const unknownCode = (letter: string, value: Value): TemplateError =>
  new TemplateError(`Unknown format code '${letter}' for object of type '${typeName(value)}'`);

function grouped(digits: string, separator: string): string {
  if (separator === "") return digits;
  const whole = /^\d+/.exec(digits)?.[0] ?? "";
  return whole.replace(/\B(?=(\d{3})+$)/g, separator) + digits.slice(whole.length);
}
