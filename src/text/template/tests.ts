// The built-in tests of Jinja2 3.1: `value is defined`, `value is eq 1`.
// Contract: a test has no effect and reads no more than its value and arguments.

import { binary } from "./arithmetic.ts";
import { bind } from "./bind.ts";
import { CHARACTER_TESTS } from "./case-text.ts";
import { contains, equals, numeric, ordered, type Ordering } from "./compare.ts";
import { isIterable, lengthOf } from "./iteration.ts";
import { str } from "./python-text.ts";
import type { Runtime, Test } from "./runtime.ts";
import { Dict, Float, isText, Markup, PyObject, Tuple, Undefined, type Value } from "./values.ts";

const plain =
  (name: string, holds: (value: Value, runtime: Runtime) => boolean): Test =>
  (value, args, runtime) => {
    bind(`test_${name}`, [], args);
    return holds(value, runtime);
  };

const withOther =
  (
    name: string,
    holds: (value: Value, other: Value, runtime: Runtime) => boolean,
    parameter = "other/",
  ): Test =>
  (value, args, runtime) => {
    const [other = null] = bind(`test_${name}`, [parameter], args);
    return holds(value, other, runtime);
  };

const remainder = (value: Value, divisor: Value, { budget }: Runtime): Value =>
  binary("%", value, divisor, budget);
const equal = withOther("eq", (value, other, { budget }) => equals(value, other, budget));
const unequal = withOther("ne", (value, other, { budget }) => !equals(value, other, budget));
const order = (operator: Ordering): Test =>
  withOther(operator, (value, other, { budget }) => ordered(operator, value, other, budget));
const isInt = (value: Value): boolean => typeof value === "number" || typeof value === "bigint";
const isSequence = (value: Value): boolean =>
  lengthOf(value) !== undefined && (!(value instanceof PyObject) || value.item !== undefined);

/** All tests but REGISTRY_TESTS, which the evaluator answers. */
export const TESTS: ReadonlyMap<string, Test> = new Map<string, Test>([
  [
    "odd",
    plain("odd", (value, runtime) => equals(remainder(value, 2, runtime), 1, runtime.budget)),
  ],
  [
    "even",
    plain("even", (value, runtime) => equals(remainder(value, 2, runtime), 0, runtime.budget)),
  ],
  [
    "divisibleby",
    withOther(
      "divisibleby",
      (value, divisor, runtime) => equals(remainder(value, divisor, runtime), 0, runtime.budget),
      "num",
    ),
  ],
  ["defined", plain("defined", (value) => !(value instanceof Undefined))],
  ["undefined", plain("undefined", (value) => value instanceof Undefined)],
  ["none", plain("none", (value) => value === null)],
  ["boolean", plain("boolean", (value) => typeof value === "boolean")],
  ["false", plain("false", (value) => value === false)],
  ["true", plain("true", (value) => value === true)],
  ["integer", plain("integer", isInt)],
  ["float", plain("float", (value) => value instanceof Float)],
  ["lower", plain("lower", (value, { budget }) => CHARACTER_TESTS.islower(str(value, budget)))],
  ["upper", plain("upper", (value, { budget }) => CHARACTER_TESTS.isupper(str(value, budget)))],
  ["string", plain("string", isText)],
  ["mapping", plain("mapping", (value) => value instanceof Dict)],
  ["number", plain("number", (value) => numeric(value) !== undefined)],
  ["sequence", plain("sequence", isSequence)],
  ["sameas", withOther("sameas", isSame, "other")],
  ["iterable", plain("iterable", isIterable)],
  [
    "callable",
    plain(
      "callable",
      (value) =>
        value instanceof Undefined || (value instanceof PyObject && value.call !== undefined),
    ),
  ],
  ["escaped", plain("escaped", (value) => value instanceof Markup)],
  [
    "in",
    withOther("in", (value, container, { budget }) => contains(container, value, budget), "seq"),
  ],
  ["==", equal],
  ["eq", equal],
  ["equalto", equal],
  ["!=", unequal],
  ["ne", unequal],
  [">", order(">")],
  ["gt", order(">")],
  ["greaterthan", order(">")],
  [">=", order(">=")],
  ["ge", order(">=")],
  ["<", order("<")],
  ["lt", order("<")],
  ["lessthan", order("<")],
  ["<=", order("<=")],
  ["le", order("<=")],
]);

/** Python's `is`: the empty tuple and equal small constants are one object. */
function isSame(a: Value, b: Value): boolean {
  return (
    a === b || (a instanceof Tuple && b instanceof Tuple && a.items.length + b.items.length === 0)
  );
}
