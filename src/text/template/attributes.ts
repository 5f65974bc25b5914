// Attributes and items as Jinja's immutable sandbox gives them: methods of str, list and dict that change nothing, and no names that
// begin with an underscore.
// Contract: only the tables here and the template's own data can be reached, never a JavaScript property.

import { TemplateError } from "../../errors.ts";
import { bind } from "./bind.ts";
import { braceFormat, braceFormatMap, type LookUp } from "./brace-format.ts";
import type { Budget } from "./budget.ts";
import { equals } from "./compare.ts";
import { asIndex, asList, elementAt, lengthOf } from "./iteration.ts";
import { repr } from "./python-text.ts";
import { STRING_METHODS, type StringMethod, WALKING_METHODS } from "./string-methods.ts";
import {
  type Arguments,
  Callable,
  defined,
  Dict,
  Float,
  isHashable,
  missingAttribute,
  PyObject,
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
  }
  if (isForbidden(value, name)) return refusal(value, name);
  if (typeof value === "string") {
    const run = STRING_METHODS.get(name) ?? FORMAT_METHODS.get(name);
    if (run === undefined) return undefined;
    return bound(name, value, (args) => {
      if (WALKING_METHODS.has(name)) budget.walk(value.length);
      return payFor(run(value, payForArguments(value, args, budget), budget), budget);
    });
  }
  if (value instanceof Dict) return dictMethod(value, name, budget);
  if (Array.isArray(value)) return sequenceMethod(value, value, name, budget);
  if (value instanceof Tuple) {
    const field = value.fields.indexOf(name);
    return field === -1 ? sequenceMethod(value, value.items, name, budget) : value.items[field];
  }
  return numberAttribute(value, name);
}

/** Fields of a format string, such as `{0.name[key]}`, see what the template itself sees. */
const lookUp: LookUp = { attribute: attributeOf, item: itemOf };

const FORMAT_METHODS: ReadonlyMap<string, StringMethod> = new Map(
  Object.entries<StringMethod>({
    format: (text, args, budget) => braceFormat(text, args, lookUp, budget),
    format_map(text, args, budget) {
      const [mapping] = bind("format_map", ["mapping"], args);
      return braceFormatMap(text, mapping, lookUp, budget);
    },
  }),
);

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
  if (typeof key === "string") {
    const attribute = ownAttribute(known, key, budget);
    return attribute === undefined ? missingAttribute(known, key) : attribute;
  }
  return new Undefined(
    `${value === null ? "None" : `${typeName(value)} object`} has no element ${repr(key, budget)}`,
  );
}

function subscript(value: Value, key: Value, budget: Budget): Value | undefined {
  if (value instanceof Dict) return isHashable(key) ? value.get(key) : undefined;
  const index = asIndex(key);
  return index === undefined ? undefined : elementAt(value, index, budget);
}

const bound = (name: string, self: Value, run: (args: Arguments) => Value): Callable =>
  new Callable(`${name} of ${typeName(self)} object`, run, "builtin_function_or_method");

function payForArguments(self: string, args: Arguments, budget: Budget): Arguments {
  budget.scan(self.length);
  for (const value of args.positional) if (typeof value === "string") budget.scan(value.length);
  return args;
}

function payFor(result: Value, budget: Budget): Value {
  if (typeof result === "string") budget.build(result.length);
  return result;
}

/** What dict.keys(), values() and items() return. */
class DictView extends PyObject {
  readonly type: string;
  readonly #dict: Dict;
  readonly #iterate: () => Iterator<Value>;

  constructor(type: string, dict: Dict, iterate: () => Iterator<Value>) {
    super();
    this.type = type;
    this.#dict = dict;
    this.#iterate = iterate;
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
      const [key = null, otherwise = null] = bind("get", ["key", "default?"], args);
      const item = dict.get(key);
      return item === undefined ? otherwise : item;
    });
  }
  if (name !== "copy") return undefined;
  return bound(name, dict, () => {
    budget.elements(2 * dict.size);
    return new Dict(dict.entries());
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
      const [sought = null] = bind("count", ["value"], args);
      return items.filter((item) => equals(item, sought, budget)).length;
    });
  }
  if (name === "index") {
    return bound(name, self, (args) => {
      const [sought = null, start = 0] = bind("index", ["value", "start?"], args);
      const from = asIndex(start) ?? 0;
      const at = items.findIndex(
        (item, i) => i >= (from < 0 ? from + items.length : from) && equals(item, sought, budget),
      );
      if (at === -1) throw new TemplateError(`${repr(sought, budget)} is not in ${typeName(self)}`);
      return at;
    });
  }
  return name === "copy" && Array.isArray(self) ? bound(name, self, () => self) : undefined;
}

function numberAttribute(value: Value, name: string): Value | undefined {
  if (value instanceof Float) {
    if (name === "is_integer") return bound(name, value, () => Number.isInteger(value.value));
    return name === "real" ? value : undefined;
  }
  if (typeof value !== "number" && typeof value !== "bigint" && typeof value !== "boolean")
    return undefined;
  if (name === "real" || name === "numerator")
    return typeof value === "boolean" ? Number(value) : value;
  if (name === "imag") return 0;
  if (name === "denominator") return 1;
  if (name === "bit_length") return bound(name, value, () => bitLength(value));
  return undefined;
}

function bitLength(value: number | bigint | boolean): number {
  const magnitude = BigInt(value) < 0n ? -BigInt(value) : BigInt(value);
  return magnitude === 0n ? 0 : magnitude.toString(2).length;
}
