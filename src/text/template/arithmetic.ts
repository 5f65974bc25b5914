// + - * / // % ** and the signs, with Python's types: ints never overflow, / gives a float, // rounds down, sequences repeat.
// Contract: whatever may become large is charged to the budget before it is made.

import { TemplateError } from "../../errors.ts";
import type { Budget } from "./budget.ts";
import { numeric } from "./compare.ts";
import { bitsOf, int, type Int, toFloat, trueQuotient } from "./integers.ts";
import { asIndex } from "./iteration.ts";
import { addTexts } from "./markup.ts";
import { percentFormat } from "./percent-format.ts";
import {
  defined,
  Float,
  isText,
  type Text,
  textLike,
  textOf,
  Tuple,
  typeName,
  Undefined,
  type Value,
} from "./values.ts";

export type BinaryOperator = "+" | "-" | "*" | "/" | "//" | "%" | "**";

const MAX_INT_BITS = 65_536; // Python has no limit

/** The two values joined by the operator. @throws TemplateError where Python raises an error; an int of more than 65,536 bits */
export function binary(operator: BinaryOperator, a: Value, b: Value, budget: Budget): Value {
  if (operator === "%" && isText(a)) return percentFormat(a, b, budget);
  const [left, right] = [defined(a), defined(b)];
  const [x, y] = [numeric(left), numeric(right)];
  if (x !== undefined && y !== undefined) {
    const floats = left instanceof Float || right instanceof Float;
    return floats
      ? floatOperation(operator, toFloat(x), toFloat(y))
      : intOperation(operator, x, y, budget);
  }
  if (operator === "+") return concatenate(left, right, budget);
  if (operator === "*" && isSequence(left)) return repeat(left, right, budget);
  if (operator === "*" && isSequence(right)) return repeat(right, left, budget);
  throw unsupported(operator === "**" ? "** or pow()" : operator, left, right);
}

const unsupported = (operator: string, a: Value, b: Value): TemplateError =>
  new TemplateError(
    `unsupported operand type(s) for ${operator}: '${typeName(a)}' and '${typeName(b)}'`,
  );

function concatenate(a: Value, b: Value, budget: Budget): Value {
  if (isText(a) && isText(b)) return addTexts(a, b, budget);
  if (Array.isArray(a) && Array.isArray(b)) {
    budget.elements(a.length + b.length);
    return a.concat(b);
  }
  if (a instanceof Tuple && b instanceof Tuple) {
    budget.elements(a.items.length + b.items.length);
    return new Tuple(a.items.concat(b.items));
  }
  if (!isSequence(a)) throw unsupported("+", a, b);
  throw new TemplateError(
    `can only concatenate ${typeName(a)} (not "${typeName(b)}") to ${typeName(a)}`,
  );
}

const isSequence = (value: Value): value is Text | Value[] | Tuple =>
  isText(value) || Array.isArray(value) || value instanceof Tuple;

function repeat(sequence: Text | Value[] | Tuple, times: Value, budget: Budget): Value {
  const count = asIndex(times);
  if (count === undefined)
    throw new TemplateError(`can't multiply sequence by non-int of type '${typeName(times)}'`);
  if (typeof times === "bigint" && bitsOf(times) > 63)
    throw new TemplateError("cannot fit 'int' into an index-sized integer");
  const copies = Math.max(0, count);
  if (isText(sequence)) {
    const text = textOf(sequence);
    budget.build(text.length * copies);
    return text === "" ? sequence : textLike(sequence, text.repeat(copies));
  }
  const items = sequence instanceof Tuple ? sequence.items : sequence;
  budget.elements(items.length * copies);
  const repeated = items.length === 0 ? [] : Array.from({ length: copies }, () => items).flat();
  return sequence instanceof Tuple ? new Tuple(repeated) : repeated;
}

function floatOperation(operator: BinaryOperator, x: number, y: number): Float {
  if (operator === "+") return new Float(x + y);
  if (operator === "-") return new Float(x - y);
  if (operator === "*") return new Float(x * y);
  if (operator === "**") return new Float(floatPower(x, y));
  if (y === 0) {
    const what = {
      "/": "float division by zero",
      "//": "float floor division by zero",
      "%": "float modulo",
    };
    throw new TemplateError(what[operator]);
  }
  if (operator === "/") return new Float(x / y);
  const [quotient, remainder] = floatDivmod(x, y);
  return new Float(operator === "%" ? remainder : quotient);
}

function floatDivmod(x: number, y: number): [number, number] {
  let remainder = x % y;
  let quotient = (x - remainder) / y;
  if (remainder === 0) remainder = y < 0 ? -0 : 0;
  else if (remainder < 0 !== y < 0) {
    remainder += y;
    quotient -= 1;
  }
  if (quotient === 0) return [x / y < 0 ? -0 : 0, remainder];
  const floor = Math.floor(quotient);
  return [quotient - floor > 0.5 ? floor + 1 : floor, remainder];
}

function floatPower(x: number, y: number): number {
  if (x === 0 && y < 0) throw new TemplateError("0.0 cannot be raised to a negative power");
  if (x < 0 && Number.isFinite(y) && !Number.isInteger(y)) {
    throw new TemplateError(
      "a negative number to a fractional power is complex; chat templates have no complex numbers",
    );
  }
  if (x === 1 || (x === -1 && !Number.isFinite(y) && !Number.isNaN(y))) return 1;
  const power = x ** y;
  if (!Number.isFinite(power) && Number.isFinite(x) && Number.isFinite(y)) {
    throw new TemplateError("(34, 'Numerical result out of range')");
  }
  return power;
}

function intOperation(operator: BinaryOperator, x: Int, y: Int, budget: Budget): Value {
  if (operator === "**") return intPower(x, y, budget);
  if (operator === "/") {
    if (Number(y) === 0) throw new TemplateError("division by zero");
    return new Float(trueQuotient(x, y));
  }
  if (typeof x === "number" && typeof y === "number") {
    const small = smallOperation(operator, x, y);
    if (Number.isSafeInteger(small)) return small + 0;
  }
  const [a, b] = [BigInt(x), BigInt(y)];
  budget.scan(Math.max(a.toString(16).length, b.toString(16).length));
  if (operator === "+") return int(a + b);
  if (operator === "-") return int(a - b);
  if (operator === "*") return int(limited(a * b));
  if (b === 0n) throw new TemplateError("integer division or modulo by zero");
  const remainder = ((a % b) + b) % b;
  return int(operator === "%" ? remainder : (a - remainder) / b);
}

function smallOperation(operator: "+" | "-" | "*" | "//" | "%", x: number, y: number): number {
  if (operator === "+") return x + y;
  if (operator === "-") return x - y;
  if (operator === "*") return x * y;
  if (y === 0) {
    throw new TemplateError(
      operator === "%" ? "integer modulo by zero" : "integer division or modulo by zero",
    );
  }
  const remainder = ((x % y) + y) % y;
  return operator === "%" ? remainder : (x - remainder) / y;
}

function intPower(base: Int, exponent: Int, budget: Budget): Value {
  if (exponent < 0) return floatOperation("**", toFloat(base), toFloat(exponent));
  const a = BigInt(base);
  const bits = a >= -1n && a <= 1n ? 1 : a.toString(16).length * 4 * Number(exponent);
  if (bits > MAX_INT_BITS + 64) throw tooLarge();
  budget.spend(bits >>> 3);
  const odd = BigInt(exponent) % 2n;
  return int(
    bits === 1
      ? a === -1n && odd === 0n
        ? 1n
        : exponent === 0
          ? 1n
          : a
      : limited(a ** BigInt(exponent)),
  );
}

function limited(value: bigint): bigint {
  if (value >> BigInt(MAX_INT_BITS) > 0n || -value >> BigInt(MAX_INT_BITS) > 0n) throw tooLarge();
  return value;
}

const tooLarge = (): TemplateError =>
  new TemplateError(
    `chat template: an int of more than ${MAX_INT_BITS} bits; templates may not compute with larger ones`,
  );

/** -value or +value */
export function signed(sign: "+" | "-", value: Value): Value {
  const number = numeric(defined(value));
  if (number === undefined)
    throw new TemplateError(`bad operand type for unary ${sign}: '${typeName(value)}'`);
  if (value instanceof Float) return sign === "-" ? new Float(-value.value) : value;
  return sign === "-" ? int(-number) : int(number);
}

/** abs(value) */
export function absolute(value: Value): Value {
  if (value instanceof Undefined)
    throw new TemplateError("bad operand type for abs(): 'Undefined'");
  const number = numeric(value);
  if (number === undefined)
    throw new TemplateError(`bad operand type for abs(): '${typeName(value)}'`);
  if (value instanceof Float) return new Float(Math.abs(value.value));
  return int(number < 0 ? -number : number);
}
