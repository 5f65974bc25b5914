// Whether a value is a JSON schema of Draft 7, by that draft's own schema of schemas, as mistral-common asks of a tool's parameters.
// The syntax of regular expressions (`pattern`) is not checked: no expression of a tool is run here. Knows nothing of tools.

import { Dict, Float, type Value } from "../template/values.ts";

/** What is wrong with a value, or undefined; `path` is where it stands, such as "properties.unit". */
type Check = (value: Value, path: string) => string | undefined;

const MAX_DEPTH = 500;

/** The first thing that keeps `value` from being a schema, or undefined. */
export function schemaProblem(value: Value): string | undefined {
  return schema(value, "", 0);
}

function schema(value: Value, path: string, depth: number): string | undefined {
  if (typeof value === "boolean") return undefined;
  if (!(value instanceof Dict)) return `${path || "it"} is no object and no boolean`;
  if (depth > MAX_DEPTH) return `it is nested deeper than ${MAX_DEPTH} levels`;
  const known = checks(depth);
  for (const [key, item] of named(value)) {
    const problem = known.get(key)?.(item, path === "" ? key : `${path}.${key}`);
    if (problem !== undefined) return problem;
  }
  return undefined;
}

/** The entries of a dict that came from JSON: all its keys are strings. */
function named(dict: Dict): [string, Value][] {
  return [...dict.entries()].flatMap(([key, value]) =>
    typeof key === "string" ? [[key, value] as [string, Value]] : [],
  );
}

const typed =
  (expected: string, test: (value: Value) => boolean): Check =>
  (value, path) =>
    test(value) ? undefined : `${path} is not ${expected}`;

const number = (value: Value): number | undefined =>
  value instanceof Float
    ? value.value
    : typeof value === "number" || typeof value === "bigint"
      ? Number(value)
      : undefined;

const isString = (value: Value): value is string => typeof value === "string";
const isBoolean = (value: Value): boolean => typeof value === "boolean";
const isUnique = (list: readonly Value[]): boolean => new Set(list).size === list.length;

const aString = typed("a string", isString);
const aBoolean = typed("a boolean", isBoolean);
const aNumber = typed("a number", (value) => number(value) !== undefined);
const aPositive = typed("a number above 0", (value) => (number(value) ?? 0) > 0);
const aCount = typed("an integer of 0 or more", (value) => {
  const count = number(value) ?? -1;
  return Number.isInteger(count) && count >= 0;
});
const anArray = typed("an array", Array.isArray);
const uniqueStrings = typed(
  "an array of different strings",
  (value) => Array.isArray(value) && value.every(isString) && isUnique(value),
);
const TYPES = ["array", "boolean", "integer", "null", "number", "object", "string"];
const isType = (value: Value): boolean => isString(value) && TYPES.includes(value);
const typeNames = typed(`one of ${TYPES.join(", ")}, or an array of different ones`, (value) =>
  Array.isArray(value) ? value.length > 0 && value.every(isType) && isUnique(value) : isType(value),
);

const SIMPLE: readonly (readonly [Check, string])[] = [
  [aString, "$id $schema $ref $comment title description pattern format"],
  [aString, "contentMediaType contentEncoding"],
  [aBoolean, "readOnly uniqueItems"],
  [aNumber, "maximum exclusiveMaximum minimum exclusiveMinimum"],
  [aPositive, "multipleOf"],
  [aCount, "maxLength minLength maxItems minItems maxProperties minProperties"],
  [anArray, "examples enum"],
  [uniqueStrings, "required"],
  [typeNames, "type"],
];
const ONE_SCHEMA = "additionalItems contains additionalProperties propertyNames if then else not";

/** The check of each keyword; `depth` of the schema that has them. */
function checks(depth: number): ReadonlyMap<string, Check> {
  const one: Check = (value, path) => schema(value, path, depth + 1);
  const several: Check = (value, path) => {
    if (!Array.isArray(value) || value.length === 0) return `${path} is no array of schemas`;
    return firstOf(
      value.map((item, i): [string, Value] => [String(i), item]),
      path,
      one,
    );
  };
  const each =
    (check: Check): Check =>
    (value, path) =>
      value instanceof Dict ? firstOf(named(value), path, check) : `${path} is no object`;
  const all: [Check, string][] = [
    [one, ONE_SCHEMA],
    [several, "allOf anyOf oneOf"],
    [each(one), "definitions properties patternProperties"],
    [(value, path) => (Array.isArray(value) ? several : one)(value, path), "items"],
    [
      each((value, path) => (Array.isArray(value) ? uniqueStrings : one)(value, path)),
      "dependencies",
    ],
  ];
  return new Map(
    [...SIMPLE, ...all].flatMap(([check, names]) =>
      names.split(" ").map((name): [string, Check] => [name, check]),
    ),
  );
}

function firstOf(
  entries: Iterable<readonly [string, Value]>,
  path: string,
  check: Check,
): string | undefined {
  for (const [key, value] of entries) {
    const problem = check(value, `${path}.${key}`);
    if (problem !== undefined) return problem;
  }
  return undefined;
}
