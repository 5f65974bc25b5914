// `'{} {name!r:>8}'.format(…)`: Python's str.format and str.format_map, and those of Markup, which escape what they insert.
// Attributes and items of fields (`{0.name[key]}`) are looked up by functions that the caller passes.

import { TemplateError } from "../../errors.ts";
import type { Budget } from "./budget.ts";
import { formatValue } from "./format-value.ts";
import { escapedHtml } from "./markup.ts";
import { asciiRepr, repr, str } from "./python-text.ts";
import { joinTexts } from "./string-methods.ts";
import {
  type Arguments,
  Dict,
  Markup,
  type Text,
  textLike,
  textOf,
  typeName,
  type Value,
} from "./values.ts";

/** How `value.name` and `value[key]` are looked up. */
export type LookUp = {
  attribute(value: Value, name: string, budget: Budget): Value;
  item(value: Value, key: Value, budget: Budget): Value;
};

/** What the fields of a format take their values from. */
type Sources = { positional: Value[]; named: (name: string) => Value; lookUp: LookUp };

/** `format.format(*args)` */
export function braceFormat(format: Text, args: Arguments, lookUp: LookUp, budget: Budget): Text {
  const named = (name: string): Value => {
    const value = args.keywords.get(name);
    if (value === undefined) throw new TemplateError(`'${name}'`);
    return value;
  };
  return new BraceFormat(format, { positional: args.positional, named, lookUp }, budget).run();
}

/** `format.format_map(mapping)` */
export function braceFormatMap(format: Text, mapping: Value, lookUp: LookUp, budget: Budget): Text {
  const named = (name: string): Value => {
    const value = mapping instanceof Dict ? mapping.get(name, budget) : undefined;
    if (value === undefined) throw new TemplateError(`'${name}' of a ${typeName(mapping)}`);
    return value;
  };
  return new BraceFormat(format, { positional: [], named, lookUp }, budget).run();
}

const DEPTH = 2; // formats within specifications within specifications

type Field = { name: string; conversion: string | undefined; spec: string; end: number };

class BraceFormat {
  readonly #format: Text;
  readonly #sources: Sources;
  readonly #budget: Budget;
  #length = 0;
  #next: number | "manual" = 0; // the next field without a number, if fields have none

  constructor(format: Text, sources: Sources, budget: Budget) {
    this.#format = format;
    this.#sources = sources;
    this.#budget = budget;
  }

  run(): Text {
    return textLike(this.#format, this.#expand(textOf(this.#format), DEPTH));
  }

  #expand(template: string, depth: number): string {
    if (depth < 0) throw new TemplateError("Max string recursion exceeded");
    this.#budget.walk(template.length);
    const parts: string[] = [];
    const append = (piece: string): void => {
      this.#length += piece.length;
      this.#budget.hold(this.#length);
      parts.push(piece);
    };
    let at = 0;
    while (at < template.length) {
      const brace = nextBrace(template, at);
      append(template.slice(at, brace));
      if (brace === template.length) break;
      const char = template[brace];
      if (template[brace + 1] === char) {
        append(char);
        at = brace + 2;
        continue;
      }
      if (char === "}") throw new TemplateError("Single '}' encountered in format string");
      const field = readField(template, brace + 1);
      append(this.#value(field, depth));
      at = field.end;
    }
    return joinTexts("", parts, this.#budget);
  }

  #value({ name, conversion, spec }: Field, depth: number): string {
    const budget = this.#budget;
    let value = this.#lookUp(this.#numbered(name));
    if (conversion === "r") value = repr(value, budget);
    else if (conversion === "a") value = asciiRepr(value, budget);
    else if (conversion === "s") value = str(value, budget);
    else if (conversion !== undefined)
      throw new TemplateError(`Unknown conversion specifier ${conversion}`);
    const expanded = this.#expand(spec, depth - 1);
    if (typeof this.#format === "string") return formatValue(value, expanded, budget);
    if (!(value instanceof Markup))
      return escapedHtml(formatValue(value, expanded, budget), budget);
    if (expanded === "") return value.text;
    throw new TemplateError("Unsupported format specification for Markup.");
  }

  /** The name with a number for `{}`. */
  #numbered(name: string): string {
    if (name !== "" && !/^\p{Nd}+$/u.test(name)) return name;
    const automatic = name === "";
    if (automatic ? this.#next === "manual" : this.#next !== "manual" && this.#next > 0) {
      const [from, to] = automatic ? ["manual", "automatic"] : ["automatic", "manual"];
      throw new TemplateError(`cannot switch from ${from} field numbering to ${to} one`);
    }
    if (!automatic || this.#next === "manual") {
      this.#next = "manual";
      return name;
    }
    return String(this.#next++);
  }

  #lookUp(name: string): Value {
    const { positional, named, lookUp } = this.#sources;
    const first = /^[^.[]*/.exec(name)?.[0] ?? "";
    const index = /^\p{Nd}+$/u.test(first) ? Number(first) : undefined;
    let value = index === undefined ? named(first) : positional[index];
    if (value === undefined)
      throw new TemplateError("Replacement index out of range for positional args tuple");
    let rest = name.slice(first.length);
    while (rest !== "") {
      const [step, attribute, item] = /^\.([^.[]*)|^\[([^\]]*)\]/.exec(rest) ?? [];
      if (step === undefined || (attribute ?? item) === "")
        throw new TemplateError(`Empty attribute, or a missing bracket, in format string: ${name}`);
      this.#budget.spend();
      value =
        attribute === undefined
          ? lookUp.item(value, /^\d+$/.test(item) ? Number(item) : item, this.#budget)
          : lookUp.attribute(value, attribute, this.#budget);
      rest = rest.slice(step.length);
      if (attribute === undefined && rest !== "" && !/^[.[]/.test(rest))
        throw new TemplateError("Only '.' or '[' may follow ']' in format field specifier");
    }
    return value;
  }
}

function nextBrace(template: string, from: number): number {
  for (let i = from; i < template.length; i++)
    if (template[i] === "{" || template[i] === "}") return i;
  return template.length;
}

/** The field that begins behind a brace. `end`: behind the brace that closes it. */
function readField(template: string, from: number): Field {
  if (from === template.length) throw new TemplateError("Single '{' encountered in format string");
  let at = from;
  while (at < template.length && !"{}:!".includes(template[at])) {
    const close = template[at] === "[" ? template.indexOf("]", at) : at;
    at = close === -1 ? template.length : close + 1;
  }
  if (template[at] === "{") throw new TemplateError("unexpected '{' in field name");
  if (at >= template.length) throw new TemplateError("expected '}' before end of string");
  const name = template.slice(from, at);
  if (template[at] === "}") return { name, conversion: undefined, spec: "", end: at + 1 };
  let conversion: string | undefined;
  if (template[at] === "!") {
    const point = template.codePointAt(at + 1);
    if (point === undefined)
      throw new TemplateError("end of string while looking for conversion specifier");
    conversion = String.fromCodePoint(point);
    at += 1 + conversion.length;
    if (template[at] === "}") return { name, conversion, spec: "", end: at + 1 };
    if (at < template.length && template[at] !== ":")
      throw new TemplateError("expected ':' after conversion specifier");
  }
  const start = at + 1;
  let open = 1;
  for (let i = start; i < template.length; i++) {
    if (template[i] === "{") open++;
    else if (template[i] === "}" && --open === 0)
      return { name, conversion, spec: template.slice(start, i), end: i + 1 };
  }
  throw new TemplateError("unmatched '{' in format spec");
}
