// `attribute="name.first"` of filters: how map, sort, groupby and others look into their elements. Knows no filter.

import { itemOf } from "./attributes.ts";
import type { Budget } from "./budget.ts";
import { textOf, Undefined, type Value } from "./values.ts";

export type Getter = (item: Value) => Value;

const ignoreCase = (value: Value, budget: Budget): Value => {
  const text = textOf(value);
  if (text === undefined) return value;
  budget.build(text.length);
  return text.toLowerCase();
};

/**
 * A function that follows a dotted path into an item (digits are indices), or gives the item itself where there is no path.
 * `caseless`: texts in lower case. `otherwise`: replaces undefined parts, unless it is null.
 */
export function attributeGetter(
  path: Value | undefined,
  budget: Budget,
  caseless = false,
  otherwise: Value = null,
): Getter {
  const parts = pathParts(path, budget);
  return (item) => {
    let value = item;
    for (const part of parts) {
      budget.spend();
      value = itemOf(value, part, budget);
      if (otherwise !== null && value instanceof Undefined) value = otherwise;
    }
    return caseless ? ignoreCase(value, budget) : value;
  };
}

/** The same for several paths, separated by commas: gives a list to sort by. */
export function attributesGetter(
  paths: Value | undefined,
  budget: Budget,
  caseless: boolean,
): Getter {
  const text = paths === undefined ? undefined : textOf(paths);
  budget.walk(text?.length ?? 0);
  const split = text?.split(",") ?? [paths];
  const getters = split.map((path) => attributeGetter(path, budget, caseless));
  return (item) => {
    budget.elements(getters.length);
    return getters.map((get) => get(item));
  };
}

function pathParts(path: Value | undefined, budget: Budget): Value[] {
  if (path === undefined || path === null) return [];
  const text = textOf(path);
  if (text === undefined) return [path];
  budget.walk(text.length);
  return text.split(".").map((part) => (/^\d+$/.test(part) ? Number(part) : part));
}
