// Iterating, measuring, indexing and slicing of values, as Python does it.
// Contract: every element that is read is charged to the budget.

import { TemplateError } from "../../errors.ts";
import type { Budget } from "./budget.ts";
import { codePointLength, codePointSlice } from "./code-points.ts";
import {
  Dict,
  Float,
  isText,
  PyObject,
  Range,
  textLike,
  textOf,
  Tuple,
  typeName,
  Undefined,
  type Value,
} from "./values.ts";

/** A fresh iterator, or undefined where Python says "not iterable". */
function iteratorOf(value: Value): Iterator<Value> | undefined {
  if (isText(value)) return textOf(value)[Symbol.iterator](); // characters of a Markup are str
  if (Array.isArray(value)) return value[Symbol.iterator]();
  if (value instanceof Tuple) return value.items[Symbol.iterator]();
  if (value instanceof Dict) return value.keys();
  if (value instanceof Undefined) return [][Symbol.iterator]();
  if (value instanceof PyObject) return value.iterator?.();
  return undefined;
}

export const isIterable = (value: Value): boolean => iteratorOf(value) !== undefined;

/** iter(value): fails at once, not at the first step. A generator is not closed when the caller stops early. */
export function iterate(
  value: Value,
  budget: Budget,
): Iterable<Value> & { next: () => IteratorResult<Value> } {
  const iterator = iteratorOf(value);
  if (iterator === undefined)
    throw new TemplateError(`'${typeName(value)}' object is not iterable`);
  const steps = {
    next: (): IteratorResult<Value> => {
      budget.spend();
      return iterator.next();
    },
    [Symbol.iterator]: () => steps,
  };
  return steps;
}

/** list(value) */
export function asList(value: Value, budget: Budget): Value[] {
  const known = lengthOf(value);
  if (known !== undefined) budget.elements(known);
  const items: Value[] = [];
  for (const item of iterate(value, budget)) {
    if (known === undefined) budget.elements(1);
    items.push(item);
  }
  return items;
}

/** len(value), or undefined where there is none. */
export function lengthOf(value: Value): number | undefined {
  if (isText(value)) return codePointLength(textOf(value));
  if (Array.isArray(value)) return value.length;
  if (value instanceof Tuple) return value.items.length;
  if (value instanceof Dict) return value.size;
  if (value instanceof Undefined) return 0;
  return value instanceof PyObject ? value.length?.() : undefined;
}

/** The elements from last to first, or undefined where Python says "not reversible". */
export function reversed(value: Value, budget: Budget): Value[] | undefined {
  const length = lengthOf(value);
  return length === undefined ? undefined : asList(value, budget).toReversed();
}

/** The int that may serve as an index, or undefined. */
export function asIndex(value: Value): number | undefined {
  if (typeof value === "boolean" || typeof value === "number") return Number(value);
  if (typeof value === "bigint")
    return value > 0n ? Number.MAX_SAFE_INTEGER : -Number.MAX_SAFE_INTEGER;
  return undefined;
}

/** value[index] of a sequence, or undefined where Python raises IndexError or TypeError. */
export function elementAt(value: Value, index: number, budget: Budget): Value | undefined {
  if (isText(value)) {
    const text = textOf(value);
    budget.scan(text.length);
    const length = codePointLength(text);
    const at = index < 0 ? index + length : index;
    return at < 0 || at >= length ? undefined : textLike(value, codePointSlice(text, at, at + 1));
  }
  if (Array.isArray(value)) return value.at(index);
  if (value instanceof Tuple) return value.items.at(index);
  if (!(value instanceof PyObject) || value.item === undefined) return undefined;
  const length = value.length?.() ?? 0;
  const at = index < 0 ? index + length : index;
  return at < 0 || at >= length ? undefined : value.item(at);
}

/** value[start:stop:step] */
export function slice(value: Value, bounds: (Value | undefined)[], budget: Budget): Value {
  if (value instanceof Undefined) throw new TemplateError(value.message);
  const sliceable =
    isText(value) || Array.isArray(value) || value instanceof Tuple || value instanceof Range;
  if (!sliceable) {
    const why =
      value instanceof Dict
        ? "unhashable type: 'slice'"
        : `'${typeName(value)}' object is not subscriptable`;
    throw new TemplateError(why);
  }
  if (isText(value)) budget.scan(textOf(value).length);
  const [start, stop, step] = sliceIndices(bounds, lengthOf(value) ?? 0);
  const count = Math.max(0, Math.ceil((stop - start) / step));
  if (isText(value))
    return textLike(value, sliceText(textOf(value), start, stop, step, count, budget));
  if (value instanceof Range) {
    return new Range(
      value.start + start * value.step,
      value.start + stop * value.step,
      value.step * step,
    );
  }
  budget.elements(count);
  const items = value instanceof Tuple ? value.items : value;
  const picked = Array.from({ length: count }, (_, i) => items[start + i * step]);
  return value instanceof Tuple ? new Tuple(picked) : picked;
}

function sliceText(
  text: string,
  start: number,
  stop: number,
  step: number,
  count: number,
  budget: Budget,
): string {
  budget.build(count);
  if (step === 1) return codePointSlice(text, start, stop);
  budget.elements(text.length);
  const chars = Array.from(text);
  return Array.from({ length: count }, (_, i) => chars[start + i * step]).join("");
}

function sliceIndices(
  bounds: (Value | undefined)[],
  length: number,
): [start: number, stop: number, step: number] {
  const [start, stop, step] = bounds.map((bound) => {
    if (bound === undefined || bound === null) return undefined;
    const index = asIndex(bound);
    if (index === undefined || bound instanceof Float) {
      throw new TemplateError("slice indices must be integers or None or have an __index__ method");
    }
    return index;
  });
  const by = step ?? 1;
  if (by === 0) throw new TemplateError("slice step cannot be zero");
  const [lowest, highest] = by > 0 ? [0, length] : [-1, length - 1];
  const clamp = (index: number | undefined, otherwise: number): number => {
    if (index === undefined) return otherwise;
    return Math.min(highest, Math.max(lowest, index < 0 ? index + length : index));
  };
  return by > 0
    ? [clamp(start, 0), clamp(stop, length), by]
    : [clamp(start, length - 1), clamp(stop, -1), by];
}
