// What a caller passes to a template, as template values: plain objects and Maps become dicts, arrays lists, whole numbers ints;
// functions and instances of classes become their name, such as `<Date>`, as in Transformers.
// Contract: copies own data properties only; getters are not run, prototypes not read.

import { TemplateError } from "../../errors.ts";
import { int } from "./integers.ts";
import { Dict, Float, type Value } from "./values.ts";

const MAX_DEPTH = 500; // Python's own limit for such data is about 1,000

/** @throws TemplateError the data contain themselves or nest too deeply */
export function fromJavaScript(
  input: unknown,
  seen: Map<object, Value> = new Map(),
  depth = 0,
): Value {
  if (input === null || input === undefined) return null;
  if (typeof input === "string" || typeof input === "boolean") return input;
  if (typeof input === "bigint") return int(input);
  if (typeof input === "number") return Number.isInteger(input) ? int(input) : new Float(input);
  if (typeof input !== "object") return `<${typeof input}>`;
  if (input instanceof Float) return input;
  const known = seen.get(input);
  if (known !== undefined) return known;
  if (depth > MAX_DEPTH) {
    throw new TemplateError(
      `chat template variables: nested deeper than ${MAX_DEPTH} levels, or containing themselves; pass plain data`,
    );
  }
  const value = containerValue(input, seen, depth + 1);
  seen.set(input, value);
  return value;
}

function containerValue(input: object, seen: Map<object, Value>, depth: number): Value {
  if (Array.isArray(input))
    return Array.from(input, (item: unknown) => fromJavaScript(item, seen, depth));
  if (input instanceof Map) {
    const dict = new Dict();
    for (const [key, value] of input as Map<unknown, unknown>) {
      dict.set(fromJavaScript(key, seen, depth), fromJavaScript(value, seen, depth));
    }
    return dict;
  }
  const prototype: unknown = Object.getPrototypeOf(input);
  if (
    prototype !== null &&
    prototype !== Object.prototype &&
    Object.getPrototypeOf(prototype) !== null
  )
    return placeholder(prototype);
  if (prototype !== null && prototype !== Object.prototype && !isForeignPlain(prototype))
    return placeholder(prototype);
  const dict = new Dict();
  for (const [name, property] of Object.entries(Object.getOwnPropertyDescriptors(input))) {
    if (property.enumerable === true && "value" in property && property.value !== undefined) {
      dict.set(name, fromJavaScript(property.value, seen, depth));
    }
  }
  return dict;
}

/** The Object.prototype of another realm (a worker's or a frame's plain object). */
const isForeignPlain = (prototype: unknown): boolean =>
  Object.hasOwn(prototype as object, "hasOwnProperty") &&
  Object.hasOwn(prototype as object, "isPrototypeOf");

function placeholder(prototype: unknown): string {
  const made = Object.getOwnPropertyDescriptor(prototype as object, "constructor")
    ?.value as unknown;
  return `<${typeof made === "function" && made.name !== "" ? made.name : "object"}>`;
}
