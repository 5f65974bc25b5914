// ==, <, in: Python's equality and order of values.
// Contract: each compared pair of elements is charged to the budget, since lists that hold the same list many times make very many.

import { TemplateError } from "../../errors.ts";
import type { Budget } from "./budget.ts";
import { compareCodePoints } from "./code-points.ts";
import { asList, iterate, lengthOf } from "./iteration.ts";
import {
  defined,
  Dict,
  Float,
  isHashable,
  keyOf,
  PyObject,
  Range,
  textOf,
  Tuple,
  typeName,
  Undefined,
  type Value,
} from "./values.ts";

export type Ordering = "<" | "<=" | ">" | ">=";

/** The JavaScript number or bigint of a bool, int or float; undefined for anything else. */
export function numeric(value: Value): number | bigint | undefined {
  if (typeof value === "number" || typeof value === "bigint") return value;
  if (typeof value === "boolean") return Number(value);
  return value instanceof Float ? value.value : undefined;
}

const sameNumber = (a: number | bigint, b: number | bigint): boolean =>
  typeof a === typeof b
    ? a === b
    : Number.isInteger(Number(a)) && Number.isInteger(Number(b)) && BigInt(a) === BigInt(b);

/** Negative, 0 or positive; NaN if one of them is. */
export const compareNumbers = (x: number | bigint, y: number | bigint): number =>
  x < y ? -1 : x > y ? 1 : sameNumber(x, y) ? 0 : Number.NaN;

export function equals(a: Value, b: Value, budget: Budget): boolean {
  budget.spend();
  const [text, other] = [textOf(a), textOf(b)];
  if (text !== undefined && other !== undefined) {
    if (text.length === other.length) budget.scan(text.length);
    return text === other;
  }
  const [x, y] = [numeric(a), numeric(b)];
  if (x !== undefined && y !== undefined) return sameNumber(x, y);
  if (a === b) return true;
  if (a instanceof Undefined) return b instanceof Undefined;
  budget.enter();
  const same = equalContainers(a, b, budget);
  budget.leave();
  return same;
}

function equalContainers(a: Value, b: Value, budget: Budget): boolean {
  if (Array.isArray(a) && Array.isArray(b)) return equalItems(a, b, budget);
  if (a instanceof Tuple && b instanceof Tuple) return equalItems(a.items, b.items, budget);
  if (a instanceof Range && b instanceof Range)
    return equalItems(asList(a, budget), asList(b, budget), budget);
  if (a instanceof PyObject && b instanceof PyObject && a.isSetLike && b.isSetLike)
    return (
      lengthOf(a) === lengthOf(b) && asList(a, budget).every((item) => contains(b, item, budget))
    );
  if (!(a instanceof Dict && b instanceof Dict) || a.size !== b.size) return false;
  for (const [key, value] of a.entries()) {
    const other = b.get(key, budget);
    if (other === undefined || !equals(value, other, budget)) return false;
  }
  return true;
}

function equalItems(a: Value[], b: Value[], budget: Budget): boolean {
  return a.length === b.length && a.every((item, i) => equals(item, b[i], budget));
}

/** a < b, a <= b, a > b, a >= b. @throws TemplateError the two have no order */
export function ordered(operator: Ordering, a: Value, b: Value, budget: Budget): boolean {
  const order = orderOf(defined(a), defined(b), budget);
  if (order === undefined) {
    throw new TemplateError(
      `'${operator}' not supported between instances of '${typeName(a)}' and '${typeName(b)}'`,
    );
  }
  if (operator === "<") return order < 0;
  if (operator === "<=") return order <= 0;
  return operator === ">" ? order > 0 : order >= 0;
}

/** Negative, 0 or positive; NaN where no comparison holds, as with nan; undefined where the types have no order. */
export function orderOf(a: Value, b: Value, budget: Budget): number | undefined {
  budget.spend();
  const [text, other] = [textOf(a), textOf(b)];
  if (text !== undefined && other !== undefined) {
    budget.scan(Math.min(text.length, other.length));
    return compareCodePoints(text, other);
  }
  const [x, y] = [numeric(a), numeric(b)];
  if (x !== undefined && y !== undefined) return compareNumbers(x, y);
  const [left, right] = [itemsOf(a), itemsOf(b)];
  if (left === undefined || right === undefined || Array.isArray(a) !== Array.isArray(b))
    return undefined;
  budget.enter();
  const length = Math.min(left.length, right.length);
  let at = 0;
  while (at < length && equals(left[at], right[at], budget)) at++;
  const order =
    at < length ? compareItems(left[at], right[at], budget) : left.length - right.length;
  budget.leave();
  return order;
}

function compareItems(a: Value, b: Value, budget: Budget): number {
  const order = orderOf(defined(a), defined(b), budget);
  if (order !== undefined) return order;
  throw new TemplateError(
    `'<' not supported between instances of '${typeName(a)}' and '${typeName(b)}'`,
  );
}

const itemsOf = (value: Value): Value[] | undefined =>
  Array.isArray(value) ? value : value instanceof Tuple ? value.items : undefined;

/** item in container */
export function contains(container: Value, item: Value, budget: Budget): boolean {
  const whole = textOf(container);
  if (whole !== undefined) {
    const part = textOf(item);
    if (part === undefined) {
      throw new TemplateError(
        `'in <string>' requires string as left operand, not ${typeName(item)}`,
      );
    }
    budget.scan(whole.length);
    return whole.includes(part);
  }
  if (container instanceof Dict) {
    if (!isHashable(item)) throw new TemplateError(`unhashable type: '${typeName(item)}'`);
    return container.get(item, budget) !== undefined;
  }
  if (
    !(container instanceof PyObject) &&
    itemsOf(container) === undefined &&
    !(container instanceof Undefined)
  ) {
    throw new TemplateError(`argument of type '${typeName(container)}' is not iterable`);
  }
  if (container instanceof PyObject && container.type === "dict_keys") keyOf(item, budget); // fails where Python finds a value unhashable
  for (const candidate of iterate(container, budget)) {
    if (equals(candidate, item, budget)) return true;
  }
  return false;
}

/** sorted(items, key=…): stable, `<` alone decides. */
export function sorted(
  items: Value[],
  key: (item: Value) => Value,
  reverse: boolean,
  budget: Budget,
): Value[] {
  budget.elements(items.length);
  const keyed = items.map((item) => ({ item, key: key(item) }));
  const less = (a: Value, b: Value): boolean => ordered("<", a, b, budget);
  keyed.sort((a, b) => {
    const [x, y] = reverse ? [b.key, a.key] : [a.key, b.key];
    return less(x, y) ? -1 : less(y, x) ? 1 : 0;
  });
  return keyed.map(({ item }) => item);
}
