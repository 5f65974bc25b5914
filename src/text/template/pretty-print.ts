// The filter pprint: a value as Python's pprint shows it, in lines of at most 80 columns where it can, keys of dicts in order.
// Contract: every repr that is tried is charged to the budget.

import type { Budget } from "./budget.ts";
import { SPACE, splitLines } from "./case-text.ts";
import { codePointLength } from "./code-points.ts";
import { orderOf } from "./compare.ts";
import { repr } from "./python-text.ts";
import { joinTexts } from "./string-methods.ts";
import { Dict, Markup, Tuple, typeName, Undefined, type Value } from "./values.ts";

const WIDTH = 80;
const WORD = new RegExp(`[^${SPACE}]*[${SPACE}]+|[^${SPACE}]+$`, "g"); // with the white space behind it

export function prettyPrinted(value: Value, budget: Budget): string {
  const parts: string[] = [];
  new Printer(parts, budget).format(value, 0, 0, 1);
  return joinTexts("", parts, budget);
}

class Printer {
  readonly #parts: string[];
  readonly #budget: Budget;

  constructor(parts: string[], budget: Budget) {
    this.#parts = parts;
    this.#budget = budget;
  }

  /** Writes a value at column `indent`; `allowance` columns are needed behind it. */
  format(value: Value, indent: number, allowance: number, level: number): void {
    const whole = sortedRepr(value, this.#budget);
    this.#budget.enter();
    if (codePointLength(whole) <= WIDTH - indent - allowance) this.#parts.push(whole);
    else if (typeof value === "string" && value !== "")
      this.#text(value, indent, allowance, level, whole);
    else if (value instanceof Dict) this.#dict(value, indent, allowance + 1, level);
    else if (Array.isArray(value)) this.#items(value, "[", "]", indent, allowance, level);
    else if (isPlainTuple(value)) {
      const close = value.items.length === 1 ? ",)" : ")";
      this.#items(value.items, "(", close, indent, allowance, level);
    } else this.#parts.push(whole);
    this.#budget.leave();
  }

  #dict(dict: Dict, indent: number, allowance: number, level: number): void {
    this.#parts.push("{");
    const entries = sortedEntries(dict, this.#budget);
    for (const [i, [key, item]] of entries.entries()) {
      const shown = sortedRepr(key, this.#budget);
      const isLast = i === entries.length - 1;
      this.#parts.push(`${i === 0 ? "" : this.#newLine(indent + 1, ",")}${shown}: `);
      const column = indent + 1 + codePointLength(shown) + 2;
      this.format(item, column, isLast ? allowance : 1, level + 1);
    }
    this.#parts.push("}");
  }

  #items(
    items: Value[],
    open: string,
    close: string,
    indent: number,
    allowance: number,
    level: number,
  ): void {
    this.#parts.push(open);
    for (const [i, item] of items.entries()) {
      if (i > 0) this.#parts.push(this.#newLine(indent + 1, ","));
      const behind = i === items.length - 1 ? allowance + close.length : 1;
      this.format(item, indent + 1, behind, level + 1);
    }
    this.#parts.push(close);
  }

  #newLine(indent: number, before = ""): string {
    this.#budget.build(indent + 2);
    return `${before}\n${" ".repeat(indent)}`;
  }

  /** A string that is too long for its line: in pieces that end where its lines and words do. */
  #text(text: string, indent: number, allowance: number, level: number, whole: string): void {
    const outermost = level === 1;
    const column = outermost ? indent + 1 : indent;
    const last = outermost ? allowance + 1 : allowance;
    const pieces = this.#pieces(text, WIDTH - column, last);
    if (pieces.length === 1) {
      this.#parts.push(whole);
      return;
    }
    const shown = pieces.map((piece, i) => (i === 0 ? piece : this.#newLine(column) + piece));
    this.#parts.push(...(outermost ? ["(", ...shown, ")"] : shown));
  }

  #pieces(text: string, width: number, lastAllowance: number): string[] {
    const budget = this.#budget;
    const lines = splitLines(text, true);
    budget.elements(lines.length);
    const pieces: string[] = [];
    for (const [i, line] of lines.entries()) {
      const isLast = i === lines.length - 1;
      const shown = repr(line, budget);
      if (codePointLength(shown) <= width - (isLast ? lastAllowance : 0)) pieces.push(shown);
      else pieces.push(...this.#words(line, width, isLast ? lastAllowance : 0));
    }
    return pieces;
  }

  #words(line: string, width: number, lastAllowance: number): string[] {
    const words = line.match(WORD) ?? [];
    const pieces: string[] = [];
    let current = "";
    for (const [i, word] of words.entries()) {
      const most = width - (i === words.length - 1 ? lastAllowance : 0);
      const longer = repr(current + word, this.#budget);
      if (codePointLength(longer) <= most) {
        current += word;
        continue;
      }
      if (current !== "") pieces.push(repr(current, this.#budget));
      current = word;
    }
    if (current !== "") pieces.push(repr(current, this.#budget));
    return pieces;
  }
}

/** Tuples of `groupby` print as what they are, without lines of their own. */
const isPlainTuple = (value: Value): value is Tuple =>
  value instanceof Tuple && value.fields.length === 0;

/** repr, but keys of dicts in order. */
function sortedRepr(value: Value, budget: Budget): string {
  const isContainer = Array.isArray(value) || isPlainTuple(value) || value instanceof Dict;
  if (!isContainer) return repr(value, budget);
  budget.enter();
  const parts =
    value instanceof Dict
      ? sortedEntries(value, budget).map(
          ([key, item]) => `${sortedRepr(key, budget)}: ${sortedRepr(item, budget)}`,
        )
      : (Array.isArray(value) ? value : value.items).map((item) => sortedRepr(item, budget));
  budget.leave();
  const [open, close] = value instanceof Dict ? "{}" : Array.isArray(value) ? "[]" : "()";
  const comma = isPlainTuple(value) && parts.length === 1 ? "," : "";
  return open + joinTexts(", ", parts, budget) + comma + close;
}

/** Keys by `<`; keys that have no order, by the names of their types. */
function sortedEntries(dict: Dict, budget: Budget): [Value, Value][] {
  budget.elements(2 * dict.size);
  return [...dict.entries()].toSorted(([a], [b]) => {
    const undefinedKey = a instanceof Undefined || b instanceof Undefined;
    const order = undefinedKey ? undefined : orderOf(a, b, budget);
    if (order !== undefined) return order || 0;
    const [x, y] = [className(a), className(b)];
    return x < y ? -1 : x > y ? 1 : 0;
  });
}

/** As str(type(value)) begins. */
function className(value: Value): string {
  const module =
    value instanceof Markup ? "markupsafe." : value instanceof Undefined ? "jinja2.runtime." : "";
  return `${module}${typeName(value)}'`;
}
