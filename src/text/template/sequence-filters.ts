// The built-in filters of Jinja2 3.1 on sequences and mappings. Those that are generators in Jinja are lazy here.

import { TemplateError } from "../../errors.ts";
import { binary } from "./arithmetic.ts";
import { attributeGetter, attributesGetter } from "./attribute-path.ts";
import { ownAttribute, pairs } from "./attributes.ts";
import { bind, type Given } from "./bind.ts";
import { equals, ordered, sorted } from "./compare.ts";
import { asIndex, asList, elementAt, iterate, lengthOf, reversed } from "./iteration.ts";
import { intArgument, joinTexts, textArgument } from "./string-methods.ts";
import { str } from "./python-text.ts";
import type { Filter, Runtime } from "./runtime.ts";
import {
  Arguments,
  defined,
  Dict,
  isText,
  isTrue,
  keyOf,
  Lazy,
  missingAttribute,
  PyObject,
  textLike,
  Tuple,
  typeName,
  Undefined,
  type Value,
} from "./values.ts";

const filter =
  (
    name: string,
    parameters: readonly string[],
    run: (value: Value, given: Given, runtime: Runtime) => Value,
  ): Filter =>
  (value, args, runtime) =>
    run(value, bind(`do_${name}`, parameters, args), runtime);

const flag = (value: Value | undefined): boolean => value !== undefined && isTrue(value);

const length = filter("length", [], (value) => {
  const count = lengthOf(value);
  if (count === undefined)
    throw new TemplateError(`object of type '${typeName(value)}' has no len()`);
  return count;
});

const first = filter("first", [], (value, _given, { budget }) => {
  const { value: item, done } = iterate(value, budget).next();
  return done === true ? new Undefined("No first item, sequence was empty.") : (item as Value);
});

const last = filter("last", [], (value, _given, { budget }) => {
  const count = lengthOf(value);
  if (count === undefined) throw new TemplateError(`'${typeName(value)}' object is not reversible`);
  if (count === 0) return new Undefined("No last item, sequence was empty.");
  const item = value instanceof Dict ? undefined : elementAt(value, -1, budget);
  return item === undefined ? asList(value, budget)[count - 1] : item;
});

const reverse = filter("reverse", [], (value, _given, { budget }) => {
  const items = reversed(value, budget) ?? asList(value, budget).toReversed();
  if (isText(value)) return textLike(value, joinTexts("", items as string[], budget));
  return lengthOf(value) === undefined
    ? items
    : new Lazy(items[Symbol.iterator](), `${typeName(value)}_reverseiterator`);
});

const join = filter(
  "join",
  ["d?", "attribute?"],
  (value, [separator = "", attribute], { budget }) => {
    const get = attributeGetter(attribute, budget);
    const texts = Array.from(iterate(value, budget), (item) => str(get(item), budget));
    budget.elements(texts.length);
    return joinTexts(str(separator, budget), texts, budget);
  },
);

const sort = filter(
  "sort",
  ["reverse?", "case_sensitive?", "attribute?"],
  (value, [backwards, caseSensitive, attribute], { budget }) =>
    sorted(
      asList(value, budget),
      attributesGetter(attribute, budget, !flag(caseSensitive)),
      intArgument(backwards, 0) !== 0,
      budget,
    ),
);

const dictsort = filter(
  "dictsort",
  ["case_sensitive?", "by?", "reverse?"],
  (value, [caseSensitive, by = "key", backwards], { budget }) => {
    if (by !== "key" && by !== "value")
      throw new TemplateError('You can only sort by either "key" or "value"');
    const get = attributeGetter(by === "key" ? 0 : 1, budget, !flag(caseSensitive));
    return sorted(
      Array.from(pairsOf(defined(value))),
      get,
      intArgument(backwards, 0) !== 0,
      budget,
    );
  },
);

function pairsOf(value: Value): Iterable<Value> {
  if (value instanceof Dict) return pairs(value);
  throw new TemplateError("Can only get item pairs from a mapping.");
}

const extreme = (name: string, operator: "<" | ">"): Filter =>
  filter(
    name,
    ["case_sensitive?", "attribute?"],
    (value, [caseSensitive, attribute], { budget }) => {
      const get = attributeGetter(attribute, budget, !flag(caseSensitive));
      let best: Value | undefined;
      let bestKey: Value = null;
      for (const item of iterate(value, budget)) {
        const key = get(item);
        if (best === undefined || ordered(operator, key, bestKey, budget))
          [best, bestKey] = [item, key];
      }
      return best === undefined ? new Undefined("No aggregated item, sequence was empty.") : best;
    },
  );

const sum = filter("sum", ["attribute?", "start?"], (value, [attribute, start = 0], { budget }) => {
  if (isText(start)) throw new TemplateError("sum() can't sum strings [use ''.join(seq) instead]");
  const get = attributeGetter(attribute, budget);
  let total: Value = start;
  for (const item of iterate(value, budget)) total = binary("+", total, get(item), budget);
  return total;
});

const unique = filter(
  "unique",
  ["case_sensitive?", "attribute?"],
  (value, [caseSensitive, attribute], { budget }) => {
    const get = attributeGetter(attribute, budget, !flag(caseSensitive));
    return lazily(function* () {
      const seen = new Set<unknown>();
      for (const item of iterate(value, budget)) {
        const key = keyOf(get(item), budget);
        if (seen.has(key)) continue;
        budget.elements(1);
        seen.add(key);
        yield item;
      }
    });
  },
);

const lazily = (generate: () => Generator<Value>): Lazy => new Lazy(generate());

const groupby = filter(
  "groupby",
  ["attribute", "default?", "case_sensitive?"],
  (value, [attribute, otherwise = null, caseSensitive], { budget }) => {
    const key = attributeGetter(attribute, budget, !flag(caseSensitive), otherwise);
    const shownKey = attributeGetter(attribute, budget, false, otherwise);
    const groups: { key: Value; items: Value[] }[] = [];
    for (const item of sorted(asList(value, budget), key, false, budget)) {
      const itemKey = key(item);
      const group = groups.at(-1);
      if (group !== undefined && equals(group.key, itemKey, budget)) group.items.push(item);
      else groups.push({ key: itemKey, items: [item] });
    }
    return groups.map(({ items }) => new Tuple([shownKey(items[0]), items], ["grouper", "list"]));
  },
);

function countArgument(value: Value | undefined): number {
  const count = value === undefined ? undefined : asIndex(value);
  if (count === undefined)
    throw new TemplateError(
      `'${typeName(value ?? null)}' object cannot be interpreted as an integer`,
    );
  return count;
}

const batch = filter(
  "batch",
  ["linecount", "fill_with?"],
  (value, [linecount, fill = null], { budget }) =>
    lazily(function* () {
      const size = linecount ?? null;
      let row: Value[] = [];
      for (const item of iterate(value, budget)) {
        if (equals(row.length, size, budget)) {
          yield row;
          row = [];
        }
        budget.elements(1);
        row.push(item);
      }
      if (row.length === 0) return;
      const isShort = fill !== null && ordered("<", row.length, size, budget);
      const missing = isShort ? countArgument(size) - row.length : 0;
      budget.elements(missing);
      yield row.concat(Array.from({ length: missing }, () => fill));
    }),
);

const slices = filter(
  "slice",
  ["slices", "fill_with?"],
  (value, [slicesGiven, fill = null], { budget }) =>
    lazily(function* () {
      const items = asList(value, budget);
      const count = countArgument(slicesGiven);
      if (count === 0) throw new TemplateError("integer division or modulo by zero");
      const size = Math.floor(items.length / count);
      const larger = items.length - size * count;
      let start = 0;
      for (let i = 0; i < count; i++) {
        const end = start + size + (i < larger ? 1 : 0);
        budget.elements(end - start + 1);
        yield i >= larger && fill !== null
          ? [...items.slice(start, end), fill]
          : items.slice(start, end);
        start = end;
      }
    }),
);

const map: Filter = (value, args, runtime) =>
  lazily(function* () {
    if (!isTrue(value)) return;
    const apply = mapper(args, runtime);
    for (const item of iterate(value, runtime.budget)) yield apply(item);
  });

function mapper(args: Arguments, runtime: Runtime): (item: Value) => Value {
  const [name] = args.positional;
  if (name === undefined && args.keywords.has("attribute")) {
    const extra = [...args.keywords.keys()].find((key) => key !== "attribute" && key !== "default");
    if (extra !== undefined) throw new TemplateError(`Unexpected keyword argument '${extra}'`);
    return attributeGetter(
      args.keywords.get("attribute"),
      runtime.budget,
      false,
      args.keywords.get("default") ?? null,
    );
  }
  if (name === undefined) throw new TemplateError("map requires a filter argument");
  const rest = args.after(1);
  return (item) => runtime.filter(str(name, runtime.budget), item, rest);
}

/** select, reject and their …attr forms: elements whose test (or truth) is `wanted`. */
const selector =
  (wanted: boolean, byAttribute: boolean): Filter =>
  (value, args, runtime) =>
    lazily(function* () {
      if (!isTrue(value)) return;
      if (byAttribute && args.positional.length === 0)
        throw new TemplateError("Missing parameter for attribute name");
      const get = byAttribute
        ? attributeGetter(args.positional[0], runtime.budget)
        : (item: Value): Value => item;
      const [name, ...rest] = args.positional.slice(byAttribute ? 1 : 0);
      const testArgs = new Arguments(rest, args.keywords);
      for (const item of iterate(value, runtime.budget)) {
        const seen = get(item);
        const holds =
          name === undefined
            ? isTrue(seen)
            : runtime.test(str(name, runtime.budget), seen, testArgs);
        if (holds === wanted) yield item;
      }
    });

const attr = filter("attr", ["name"], (value, [name = null], { budget }) => {
  const text = textArgument("attr: the name", name);
  if (value instanceof Undefined) throw new TemplateError(value.message);
  const attribute = ownAttribute(value, text, budget);
  return attribute === undefined ? missingAttribute(value, text) : attribute;
});

const random = filter("random", [], (value, _given, { budget }) => {
  const count = lengthOf(value);
  if (count === undefined || (value instanceof PyObject && value.item === undefined)) {
    throw new TemplateError(`object of type '${typeName(value)}' has no len()`);
  }
  if (count === 0) return new Undefined("No random item, sequence was empty.");
  return asList(value, budget)[Math.floor(Math.random() * count)];
});

export const SEQUENCE_FILTERS: Readonly<Record<string, Filter>> = {
  attr,
  batch,
  count: length,
  dictsort,
  first,
  groupby,
  items: filter("items", [], (value) =>
    lazily(function* () {
      if (!(value instanceof Undefined)) yield* pairsOf(value);
    }),
  ),
  join,
  last,
  length,
  list: filter("list", [], (value, _given, { budget }) => asList(value, budget)),
  map,
  max: extreme("max", ">"),
  min: extreme("min", "<"),
  random,
  reject: selector(false, false),
  rejectattr: selector(false, true),
  reverse,
  select: selector(true, false),
  selectattr: selector(true, true),
  slice: slices,
  sort,
  sum,
  unique,
};
