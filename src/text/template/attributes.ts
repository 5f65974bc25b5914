// Attributes and items as Jinja's immutable sandbox gives them: methods of str, list and dict that change nothing, and no names that
// begin with an underscore.
// Contract: only the tables here and the template's own data can be reached, never a JavaScript property.

import { TemplateError } from "../../errors.ts";
import { bind } from "./bind.ts";
import { braceFormat, braceFormatMap, type LookUp } from "./brace-format.ts";
import type { Budget } from "./budget.ts";
import { equals, numeric } from "./compare.ts";
import { asIndex, asList, elementAt, iterate, lengthOf } from "./iteration.ts";
import { repr } from "./python-text.ts";
import { markupMethod } from "./markup-methods.ts";
import { numberAttribute } from "./number-attributes.ts";
import { intArgument, STRING_METHODS, WALKING_METHODS } from "./string-methods.ts";
import {
  type Arguments,
  Callable,
  defined,
  Dict,
  isHashable,
  isText,
  Markup,
  missingAttribute,
  PyObject,
  Range,
  type Text,
  textOf,
  Tuple,
  typeName,
  Undefined,
  type Value,
} from "./values.ts";

const MUTATORS: Readonly<Record<string, ReadonlySet<string>>> = {
  dict: new Set(["clear", "pop", "popitem", "setdefault", "update"]),
  list: new Set(["append", "clear", "pop", "reverse", "insert", "sort", "extend", "remove"]),
};

/** Attributes of every Python object. Reading one gives an undefined value, whose use raises the sandbox's refusal. */
const OBJECT_ATTRIBUTES: ReadonlySet<string> = new Set(
  (
    "class delattr dir doc eq format ge getattribute gt hash init init_subclass le lt ne new reduce reduce_ex repr setattr sizeof str " +
    "subclasshook"
  )
    .split(" ")
    .map((name) => `__${name}__`),
);
const CONTAINER_ATTRIBUTES: ReadonlySet<string> = new Set([
  "__len__",
  "__getitem__",
  "__iter__",
  "__contains__",
  "__add__",
  "__mul__",
  "__rmul__",
]);
const FUNCTION_ATTRIBUTES: ReadonlySet<string> = new Set([
  "__call__",
  "__code__",
  "__globals__",
  "__closure__",
  "__dict__",
  "__module__",
  "__name__",
]);

function isForbidden(value: Value, name: string): boolean {
  if (MUTATORS[typeName(value)]?.has(name)) return true;
  if (!name.startsWith("__")) return false;
  if (OBJECT_ATTRIBUTES.has(name)) return true;
  if (value instanceof PyObject) return FUNCTION_ATTRIBUTES.has(name);
  return lengthOf(value) !== undefined && CONTAINER_ATTRIBUTES.has(name);
}

const refusal = (value: Value, name: string): Undefined =>
  new Undefined(`access to attribute '${name}' of '${typeName(value)}' object is unsafe.`);

/** getattr(value, name): what exists on the type, or undefined. */
export function ownAttribute(value: Value, name: string, budget: Budget): Value | undefined {
  if (value instanceof PyObject) {
    const attribute = name.startsWith("_") ? undefined : value.attribute(name);
    if (attribute !== undefined) return attribute;
    if (value instanceof Range) return rangeMethod(value, name, budget);
  }
  if (isForbidden(value, name)) return refusal(value, name);
  if (isText(value)) return textMethod(value, name, budget);
  if (value instanceof Dict) return dictMethod(value, name, budget);
  if (Array.isArray(value)) return sequenceMethod(value, value, name, budget);
  if (value instanceof Tuple) {
    const field = value.fields.indexOf(name);
    return field === -1 ? sequenceMethod(value, value.items, name, budget) : value.items[field];
  }
  const number = numberAttribute(value, name);
  return typeof number === "function" ? bound(name, value, number) : number;
}

function textMethod(value: Text, name: string, budget: Budget): Value | undefined {
  if (name === "format") {
    return bound(name, value, (args) => braceFormat(value, args, lookUp, budget));
  }
  if (name === "format_map") {
    return bound(name, value, (args) => {
      const [mapping = null] = bind(name, ["mapping/"], args);
      return braceFormatMap(value, mapping, lookUp, budget);
    });
  }
  const method = STRING_METHODS.get(name);
  const run = value instanceof Markup ? markupMethod(name, method) : method;
  if (run === undefined) return undefined;
  const text = textOf(value);
  return bound(name, value, (args) => {
    if (WALKING_METHODS.has(name)) budget.walk(text.length);
    return payFor(run(text, payForArguments(text, args, budget), budget), budget);
  });
}

/** Fields of a format string, such as `{0.name[key]}`, see what the template itself sees. */
const lookUp: LookUp = { attribute: attributeOf, item: itemOf };

/** value.name in a template: the attribute, else the item, else Undefined. */
export function attributeOf(value: Value, name: string, budget: Budget): Value {
  const known = defined(value);
  const attribute = ownAttribute(known, name, budget);
  if (attribute !== undefined) return attribute;
  const item = subscript(known, name, budget);
  return item === undefined ? missingAttribute(known, name) : item;
}

/** value[key] in a template: the item, else for a text the attribute, else Undefined. */
export function itemOf(value: Value, key: Value, budget: Budget): Value {
  const known = defined(value);
  const item = subscript(known, key, budget);
  if (item !== undefined) return item;
  const name = textOf(key);
  if (name !== undefined) {
    const attribute = ownAttribute(known, name, budget);
    return attribute === undefined ? missingAttribute(known, name) : attribute;
  }
  return new Undefined(
    `${value === null ? "None" : `${typeName(value)} object`} has no element ${repr(key, budget)}`,
  );
}

function subscript(value: Value, key: Value, budget: Budget): Value | undefined {
  if (value instanceof Dict) return isHashable(key) ? value.get(key, budget) : undefined;
  const index = asIndex(key);
  return index === undefined ? undefined : elementAt(value, index, budget);
}

const bound = (name: string, self: Value, run: (args: Arguments) => Value): Callable =>
  self instanceof Markup
    ? new MarkupMethod(name, self, run)
    : new Callable(`${name} of ${typeName(self)} object`, run, "builtin_function_or_method");

/** Markup's methods are written in Python, which shows them in another way. */
class MarkupMethod extends Callable {
  readonly #self: Markup;

  constructor(name: string, self: Markup, run: (args: Arguments) => Value) {
    super(name, run, "method");
    this.#self = self;
  }

  override repr(budget: Budget): string {
    const self = this.name === "escape" ? "<class 'markupsafe.Markup'>" : repr(this.#self, budget);
    return `<bound method Markup.${this.name} of ${self}>`;
  }
}

function payForArguments(self: string, args: Arguments, budget: Budget): Arguments {
  budget.scan(self.length);
  for (const value of args.positional) budget.scan(textOf(value)?.length ?? 0);
  return args;
}

function payFor(result: Value, budget: Budget): Value {
  budget.build(textOf(result)?.length ?? 0);
  return result;
}

/** What dict.keys(), values() and items() return. */
class DictView extends PyObject {
  readonly type: string;
  override readonly isSetLike: boolean;
  readonly #dict: Dict;
  readonly #iterate: () => Iterator<Value>;

  constructor(type: string, dict: Dict, start: () => Iterator<Value>) {
    super();
    this.type = type;
    this.isSetLike = type !== "dict_values";
    this.#dict = dict;
    this.#iterate = start;
  }

  override iterator(): Iterator<Value> {
    return this.#iterate();
  }

  override length(): number {
    return this.#dict.size;
  }

  override repr(budget: Budget): string {
    return `${this.type}(${repr(asList(this, budget), budget)})`;
  }
}

/** The (key, value) pairs of a dict. */
export function* pairs(dict: Dict): Generator<Value> {
  for (const [key, value] of dict.entries()) yield new Tuple([key, value]);
}

function dictMethod(dict: Dict, name: string, budget: Budget): Value | undefined {
  const views: Readonly<Record<string, () => Iterator<Value>>> = {
    keys: () => dict.keys(),
    values: () => dict.values(),
    items: () => pairs(dict),
  };
  const iterateView = Object.hasOwn(views, name) ? views[name] : undefined;
  if (iterateView !== undefined) {
    return bound(name, dict, (args) => {
      bind(name, [], args);
      return new DictView(`dict_${name}`, dict, iterateView);
    });
  }
  if (name === "get") {
    return bound(name, dict, (args) => {
      const [key = null, otherwise = null] = bind("get", ["key/", "default/?"], args);
      const item = dict.get(key, budget);
      return item === undefined ? otherwise : item;
    });
  }
  if (name === "fromkeys") return bound(name, dict, (args) => dictFromKeys(args, budget));
  if (name !== "copy") return undefined;
  return bound(name, dict, (args) => {
    bind(name, [], args);
    budget.elements(2 * dict.size);
    return dict.copy();
  });
}

/** dict.fromkeys(iterable, value) */
export function dictFromKeys(args: Arguments, budget: Budget): Dict {
  const [keys = null, value = null] = bind("fromkeys", ["iterable/", "value/?"], args);
  const dict = new Dict();
  for (const key of iterate(keys, budget)) {
    budget.elements(2);
    dict.set(key, value, budget);
  }
  return dict;
}

function rangeMethod(range: Range, name: string, budget: Budget): Value | undefined {
  if (name !== "count" && name !== "index") return undefined;
  return bound(name, range, (args) => {
    const [sought = null] = bind(name, ["value/"], args);
    const number = numeric(sought);
    const at = number === undefined ? -1 : range.indexOf(number);
    if (name === "count") return at === -1 ? 0 : 1;
    if (at === -1) throw new TemplateError(`${repr(sought, budget)} is not in range`);
    return at;
  });
}

function sequenceMethod(
  self: Value[] | Tuple,
  items: Value[],
  name: string,
  budget: Budget,
): Value | undefined {
  if (name === "count") {
    return bound(name, self, (args) => {
      const [sought = null] = bind("count", ["value/"], args);
      return items.filter((item) => equals(item, sought, budget)).length;
    });
  }
  if (name === "index") {
    return bound(name, self, (args) => {
      const [sought = null, start, stop] = bind("index", ["value/", "start/?", "stop/?"], args);
      const limit = (given: Value | undefined, otherwise: number): number => {
        const at = intArgument(given, otherwise);
        return at < 0 ? Math.max(0, at + items.length) : at;
      };
      const [from, to] = [limit(start, 0), limit(stop, items.length)];
      const at = items.findIndex((item, i) => i >= from && i < to && equals(item, sought, budget));
      if (at === -1) throw new TemplateError(`${repr(sought, budget)} is not in ${typeName(self)}`);
      return at;
    });
  }
  if (name !== "copy" || !Array.isArray(self)) return undefined;
  return bound(name, self, (args) => {
    bind(name, [], args);
    return self;
  });
}
