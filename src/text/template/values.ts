// The values of a template, as Python has them: None, bool, int (a number or, beyond 2^53, a bigint), float, str, Markup, list, tuple,
// dict, Undefined and objects, and the arguments of a call.
// Contract: templates cannot change a list or dict, so they may be shared. Nothing here comes from a JavaScript prototype.
// Knows nothing of syntax or rendering.

import { TemplateError } from "../../errors.ts";
import type { Budget } from "./budget.ts";

export type Value =
  | null
  | boolean
  | number
  | bigint
  | string
  | Value[]
  | Markup
  | Float
  | Tuple
  | Dict
  | Undefined
  | PyObject;

/** A text that counts as HTML already: Markup of MarkupSafe, a subclass of str. What is joined to it is escaped. */
export class Markup {
  readonly text: string;

  constructor(text: string) {
    this.text = text;
  }
}

export type Text = string | Markup;

export const isText = (value: Value): value is Text =>
  typeof value === "string" || value instanceof Markup;

/** The characters of a str or Markup; undefined for any other value. */
export function textOf(value: Text): string;
export function textOf(value: Value): string | undefined;
export function textOf(value: Value): string | undefined {
  if (typeof value === "string") return value;
  return value instanceof Markup ? value.text : undefined;
}

/** `text` as Markup where `model` is Markup. */
export const textLike = (model: Value, text: string): Text =>
  model instanceof Markup ? new Markup(text) : text;

/** A Python float: `new Float(2)` prints as `2.0` in a template, where the number 2 is an int and prints as `2`. */
export class Float {
  readonly value: number;

  constructor(value: number) {
    this.value = value;
  }

  valueOf(): number {
    return this.value;
  }

  toJSON(): number {
    return this.value;
  }
}

export class Tuple {
  readonly items: Value[];
  /** Names of the items where it is a named tuple. */
  readonly fields: readonly string[];

  constructor(items: Value[], fields: readonly string[] = []) {
    this.items = items;
    this.fields = fields;
  }
}

/** The value of a name, attribute or item that does not exist. It prints as nothing and iterates as empty; other uses raise `message`. */
export class Undefined {
  readonly message: string;

  constructor(message: string) {
    this.message = message;
  }
}

/** The arguments of a call: those given by their place, and those given by name. */
export class Arguments {
  readonly positional: Value[];
  readonly keywords: ReadonlyMap<string, Value>;

  constructor(positional: Value[] = [], keywords: ReadonlyMap<string, Value> = new Map()) {
    this.positional = positional;
    this.keywords = keywords;
  }

  /** Without the first `count` positional ones. */
  after(count: number): Arguments {
    return new Arguments(this.positional.slice(count), this.keywords);
  }
}

/** Anything else: functions, loops, namespaces, ranges, iterators. */
export abstract class PyObject {
  /** As type(x).__name__ gives it. */
  abstract readonly type: string;
  /** Whether it is equal to others with the same elements, in any order, and cannot be a key. */
  readonly isSetLike: boolean = false;

  /** The public attribute, or undefined. */
  attribute(_name: string): Value | undefined {
    return undefined;
  }

  call?(args: Arguments): Value;
  iterator?(): Iterator<Value>;
  length?(): number;
  /** The item at an index that lies in [0, length). */
  item?(index: number): Value;
  /** Its repr; without it, `<type object>`. */
  repr?(budget: Budget): string;
}

export class Callable extends PyObject {
  readonly type: string;
  readonly name: string;
  readonly #run: (args: Arguments) => Value;

  constructor(name: string, run: (args: Arguments) => Value, type = "function") {
    super();
    this.name = name;
    this.type = type;
    this.#run = run;
  }

  override call(args: Arguments): Value {
    return this.#run(args);
  }

  override repr(_budget: Budget): string {
    return `<${this.type === "function" ? "function" : "built-in method"} ${this.name}>`;
  }
}

/** A generator or iterator: goes forward once, has no length. */
export class Lazy extends PyObject {
  readonly type: string;
  readonly #iterator: Iterator<Value>;

  constructor(iterator: Iterator<Value>, type = "generator") {
    super();
    this.type = type;
    this.#iterator = iterator;
  }

  override iterator(): Iterator<Value> {
    return this.#iterator;
  }
}

export class Range extends PyObject {
  readonly type = "range";
  readonly start: number;
  readonly stop: number;
  readonly step: number;

  constructor(start: number, stop: number, step: number) {
    super();
    this.start = start;
    this.stop = stop;
    this.step = step;
  }

  override length(): number {
    return Math.max(0, Math.ceil((this.stop - this.start) / this.step));
  }

  override item(index: number): Value {
    return this.start + index * this.step;
  }

  override *iterator(): Iterator<Value> {
    for (let i = 0; i < this.length(); i++) yield this.item(i);
  }

  override repr(): string {
    return `range(${this.start}, ${this.stop}${this.step === 1 ? "" : `, ${this.step}`})`;
  }

  override attribute(name: string): Value | undefined {
    return name === "start" || name === "stop" || name === "step" ? this[name] : undefined;
  }

  /** Where the number lies in it; −1: nowhere. */
  indexOf(number: number | bigint): number {
    const index = (Number(number) - this.start) / this.step;
    return typeof number === "number" &&
      Number.isInteger(index) &&
      index >= 0 &&
      index < this.length()
      ? index
      : -1;
  }
}

type Key = string | number | bigint | null | PyObject;

/** A dict in the order of insertion. Keys are equal as in Python: 1, 1.0 and True are one key. */
export class Dict {
  readonly #entries: Map<Key, [key: Value, value: Value]> = new Map();

  constructor(entries: Iterable<readonly [Value, Value]> = []) {
    for (const [key, value] of entries) this.set(key, value);
  }

  get size(): number {
    return this.#entries.size;
  }

  /** Only for whoever builds the dict. A template's key is charged to `budget`. @throws TemplateError the key cannot be hashed */
  set(key: Value, value: Value, budget?: Budget): void {
    const hash = keyOf(key, budget);
    const entry = this.#entries.get(hash);
    if (entry === undefined) this.#entries.set(hash, [key, value]);
    else entry[1] = value;
  }

  /** A template's key is charged to `budget`. @throws TemplateError the key cannot be hashed */
  get(key: Value, budget?: Budget): Value | undefined {
    return this.#entries.get(keyOf(key, budget))?.[1];
  }

  copy(): Dict {
    const dict = new Dict();
    for (const [hash, [key, value]] of this.#entries) dict.#entries.set(hash, [key, value]);
    return dict;
  }

  entries(): IterableIterator<[Value, Value]> {
    return this.#entries.values();
  }

  *keys(): Generator<Value> {
    for (const [key] of this.#entries.values()) yield key;
  }

  *values(): Generator<Value> {
    for (const [, value] of this.#entries.values()) yield value;
  }
}

/** Whether the value can be a key; the items of a tuple are not looked at. */
export const isHashable = (value: Value): boolean =>
  !Array.isArray(value) &&
  !(value instanceof Dict) &&
  !(value instanceof PyObject && value.isSetLike);

const MAX_KEY_BIGINT = 65_536; // bits, see arithmetic.ts
const MAX_KEY_ITEMS = 256; // in a tuple that is a key, those of inner tuples included

/**
 * One key of a JavaScript Map for all values that Python finds equal. Its texts are charged to `budget`.
 * @throws TemplateError for a list or dict
 */
export function keyOf(value: Value, budget?: Budget): Key {
  if (value instanceof Tuple) return tupleKey(value, { items: MAX_KEY_ITEMS }, budget);
  if (isText(value)) budget?.scan(textOf(value).length);
  if (typeof value === "bigint") budget?.scan(MAX_KEY_BIGINT);
  return plainKey(value);
}

function plainKey(value: Exclude<Value, Tuple>): Key {
  if (typeof value === "string") return `s${value}`;
  if (value instanceof Markup) return `s${value.text}`;
  if (typeof value === "boolean") return Number(value);
  if (value instanceof Float) {
    const number = value.value;
    return Number.isInteger(number) && !Number.isSafeInteger(number) ? BigInt(number) : number;
  }
  if (value instanceof Undefined) return "u";
  if (!isHashable(value)) throw new TemplateError(`unhashable type: '${typeName(value)}'`);
  return value as Key;
}

function tupleKey(tuple: Tuple, room: { items: number }, budget?: Budget): string {
  room.items -= tuple.items.length + 1;
  if (room.items < 0) {
    throw new TemplateError(
      `chat template: a tuple of more than ${MAX_KEY_ITEMS} items as a key; use shorter ones`,
    );
  }
  const parts = tuple.items.map((item) => {
    const key = item instanceof Tuple ? tupleKey(item, room, budget) : keyOf(item, budget);
    if (key instanceof PyObject)
      throw new TemplateError(`unhashable type: '${key.type}' in a tuple`);
    const text = String(key);
    return `${typeof key === "string" ? "s" : "n"}${text.length}:${text}`;
  });
  return `t${parts.join("")}`;
}

/** type(value).__name__ */
export function typeName(value: Value): string {
  if (value === null) return "NoneType";
  if (typeof value === "boolean") return "bool";
  if (typeof value === "number" || typeof value === "bigint") return "int";
  if (typeof value === "string") return "str";
  if (Array.isArray(value)) return "list";
  if (value instanceof Float) return "float";
  if (value instanceof Markup) return "Markup";
  if (value instanceof Tuple) return "tuple";
  if (value instanceof Dict) return "dict";
  return value instanceof Undefined ? "Undefined" : value.type;
}

export const missingAttribute = (value: Value, name: string): Undefined =>
  new Undefined(
    `'${value === null ? "None" : `${typeName(value)} object`}' has no attribute '${name}'`,
  );

export function isTrue(value: Value): boolean {
  if (value === null || typeof value === "boolean") return value === true;
  if (typeof value === "string" || Array.isArray(value)) return value.length > 0;
  if (typeof value === "number" || typeof value === "bigint") return Number(value) !== 0;
  if (value instanceof Float) return value.value !== 0;
  if (value instanceof Markup) return value.text !== "";
  if (value instanceof Tuple) return value.items.length > 0;
  if (value instanceof Dict) return value.size > 0;
  if (value instanceof Undefined) return false;
  return value.length === undefined || value.length() > 0;
}

/** Raises what an undefined value raises when it is used; other values pass. */
export function defined(value: Value): Exclude<Value, Undefined> {
  if (value instanceof Undefined) throw new TemplateError(value.message);
  return value;
}
