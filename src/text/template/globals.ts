// The global functions of a chat template: range, dict, namespace, cycler, joiner, raise_exception, strftime_now.
// Contract: a namespace is the only value whose attributes a template can set.

import { TemplateError } from "../../errors.ts";
import { dictFromKeys } from "./attributes.ts";
import { bind } from "./bind.ts";
import type { Budget } from "./budget.ts";
import { asIndex, iterate } from "./iteration.ts";
import { repr, str } from "./python-text.ts";
import { strftime } from "./strftime.ts";
import {
  type Arguments,
  Callable,
  defined,
  Dict,
  PyObject,
  Range,
  textOf,
  Tuple,
  typeName,
  type Value,
} from "./values.ts";

const MAX_RANGE = 100_000; // the sandbox's own limit

export class Namespace extends PyObject {
  readonly type = "TemplateNamespace";
  readonly #values: Map<string, Value> = new Map();

  override attribute(name: string): Value | undefined {
    return this.#values.get(name);
  }

  set(name: string, value: Value): void {
    if (name.startsWith("_")) {
      throw new TemplateError(
        `Chat templates cannot store underscore-prefixed attributes on a namespace, but got '${name}'. Please rename the attribute.`,
      );
    }
    this.#values.set(name, value);
  }

  override repr(budget: Budget): string {
    return `<Namespace ${repr(new Dict(this.#values), budget)}>`;
  }
}

const withoutArguments = (name: string, run: () => Value): Callable =>
  new Callable(name, (args) => {
    bind(name, [], args);
    return run();
  });

class Cycler extends PyObject {
  readonly type = "Cycler";
  readonly #items: Value[];
  #position = 0;

  constructor(items: Value[]) {
    super();
    if (items.length === 0) throw new TemplateError("at least one item has to be provided");
    this.#items = items;
  }

  override attribute(name: string): Value | undefined {
    if (name === "current") return this.#items[this.#position];
    if (name === "items") return new Tuple(this.#items);
    if (name === "pos") return this.#position;
    if (name === "next") return withoutArguments(name, () => this.#next());
    return name === "reset" ? withoutArguments(name, () => this.#reset()) : undefined;
  }

  #next(): Value {
    const item = this.#items[this.#position];
    this.#position = (this.#position + 1) % this.#items.length;
    return item;
  }

  #reset(): null {
    this.#position = 0;
    return null;
  }
}

/** The arguments of a function that takes any number of them, but none by name. */
function positionalOnly(where: string, { positional, keywords }: Arguments): Value[] {
  const [name] = keywords.keys();
  if (name === undefined) return positional;
  throw new TemplateError(`${where}() got an unexpected keyword argument '${name}'`);
}

function joiner(args: Arguments): Callable {
  const [separator = ", "] = bind("Joiner", ["sep?"], args);
  let used = false;
  return withoutArguments("joiner", () => {
    if (used) return separator;
    used = true;
    return "";
  });
}

function range(args: Arguments): Range {
  const bounds = positionalOnly("range", args).map((value) => {
    const index = asIndex(value);
    if (index === undefined)
      throw new TemplateError(`'${typeName(value)}' object cannot be interpreted as an integer`);
    return index;
  });
  if (bounds.length === 0 || bounds.length > 3)
    throw new TemplateError(`range expected 1 to 3 arguments, got ${bounds.length}`);
  const [start, stop, step] =
    bounds.length === 1 ? [0, bounds[0], 1] : [bounds[0], bounds[1], bounds[2] ?? 1];
  if (step === 0) throw new TemplateError("range() arg 3 must not be zero");
  const made = new Range(start, stop, step);
  if (made.length() > MAX_RANGE) {
    throw new TemplateError(
      `Range too big. The sandbox blocks ranges larger than MAX_RANGE (${MAX_RANGE}).`,
    );
  }
  return made;
}

/** The global `dict`: a function, and its method fromkeys. */
class DictFunction extends Callable {
  readonly #budget: Budget;

  constructor(budget: Budget) {
    super("dict", (args) => dictOf(args, budget));
    this.#budget = budget;
  }

  override attribute(name: string): Value | undefined {
    if (name !== "fromkeys") return undefined;
    return new Callable("fromkeys", (args) => dictFromKeys(args, this.#budget));
  }
}

/** dict(mapping or pairs, **entries) */
function dictOf(args: Arguments, budget: Budget): Dict {
  if (args.positional.length > 1)
    throw new TemplateError(`dict expected at most 1 argument, got ${args.positional.length}`);
  const dict = new Dict();
  const [source] = args.positional;
  if (source !== undefined) defined(source);
  if (source instanceof Dict) for (const [key, value] of source.entries()) set(key, value);
  else if (source !== undefined)
    for (const pair of iterate(source, budget)) set(...pairOf(pair, budget));
  for (const [name, value] of args.keywords) set(name, value);
  return dict;

  function set(key: Value, value: Value): void {
    budget.elements(2);
    dict.set(key, value, budget);
  }
}

function pairOf(value: Value, budget: Budget): [Value, Value] {
  const [key, item, ...more] = iterate(value, budget);
  if (key === undefined || item === undefined || more.length > 0) {
    throw new TemplateError("dictionary update sequence element has a length that is not 2");
  }
  return [key, item];
}

export function globals(budget: Budget): Map<string, Value> {
  const functions: Readonly<Record<string, (args: Arguments) => Value>> = {
    range,
    namespace: (args) => {
      const namespace = new Namespace();
      for (const [name, value] of dictOf(args, budget).entries())
        namespace.set(str(name, budget), value);
      return namespace;
    },
    cycler: (args) => new Cycler(positionalOnly("Cycler.__init__", args)),
    joiner,
    raise_exception: (args) => {
      const [message = null] = bind("raise_exception", ["message"], args);
      throw new TemplateError(str(message, budget));
    },
    strftime_now: (args) => {
      const [given = null] = bind("strftime_now", ["format"], args);
      const format = textOf(given);
      if (format === undefined)
        throw new TemplateError(`strftime() argument 1 must be str, not ${typeName(given)}`);
      budget.build(32 * format.length);
      return strftime(new Date(), format);
    },
  };
  const named = Object.entries(functions).map(([name, run]): [string, Value] => [
    name,
    new Callable(name, run),
  ]);
  return new Map<string, Value>([...named, ["dict", new DictFunction(budget)]]);
}
