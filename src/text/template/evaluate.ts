// Expressions → values, by walking the syntax tree. Each node is charged to the budget.
// Contract: evaluating changes nothing but namespaces, cyclers and iterators. Knows nothing of statements or output.

import { TemplateError } from "../../errors.ts";
import { binary, signed } from "./arithmetic.ts";
import { attributeOf, itemOf } from "./attributes.ts";
import { bind } from "./bind.ts";
import type { Budget } from "./budget.ts";
import { contains, equals, ordered } from "./compare.ts";
import { iterate, slice } from "./iteration.ts";
import { str } from "./python-text.ts";
import type { Filter, Runtime, Test } from "./runtime.ts";
import type { Scope } from "./scope.ts";
import type { CallArguments, Comparison, Expression } from "./syntax.ts";
import {
  Arguments,
  defined,
  Dict,
  isTrue,
  keyOf,
  PyObject,
  textOf,
  Tuple,
  typeName,
  Undefined,
  type Value,
} from "./values.ts";

export type Builtins = { filters: ReadonlyMap<string, Filter>; tests: ReadonlyMap<string, Test> };

export class Evaluator implements Runtime {
  readonly budget: Budget;
  readonly #builtins: Builtins;

  constructor(budget: Budget, builtins: Builtins) {
    this.budget = budget;
    this.#builtins = builtins;
  }

  /** `blockText`: the text of a `{% filter %}` or `{% set %}` block, to which the block's filters apply. */
  evaluate(node: Expression, scope: Scope, blockText = ""): Value {
    this.budget.spend();
    if (node.kind === "constant") return node.value;
    if (node.kind === "name") {
      const value = scope.get(node.name);
      return value === undefined ? new Undefined(`'${node.name}' is undefined`) : value;
    }
    this.budget.enter();
    const value = this.#compound(node, scope, blockText);
    this.budget.leave();
    return value;
  }

  #compound(
    node: Exclude<Expression, { kind: "constant" | "name" }>,
    scope: Scope,
    blockText: string,
  ): Value {
    switch (node.kind) {
      case "attribute":
        return attributeOf(this.evaluate(node.of, scope, blockText), node.name, this.budget);
      case "item":
        return itemOf(
          this.evaluate(node.of, scope, blockText),
          this.evaluate(node.key, scope),
          this.budget,
        );
      case "slice": {
        const bounds = node.bounds.map((bound) => bound && this.evaluate(bound, scope));
        return slice(this.evaluate(node.of, scope), bounds, this.budget);
      }
      case "call":
        return this.call(this.evaluate(node.callee, scope, blockText), this.args(node.args, scope));
      case "filter": {
        const of = node.of === undefined ? blockText : this.evaluate(node.of, scope, blockText);
        this.#require("filter", node.name);
        return this.filter(node.name, of, this.args(node.args, scope));
      }
      case "test":
        this.#require("test", node.name);
        return this.test(node.name, this.evaluate(node.of, scope), this.args(node.args, scope));
      case "binary":
        return binary(
          node.operator,
          this.evaluate(node.left, scope),
          this.evaluate(node.right, scope),
          this.budget,
        );
      case "sign":
        return signed(node.operator, this.evaluate(node.of, scope));
      case "not":
        return !isTrue(this.evaluate(node.of, scope));
      case "and":
      case "or": {
        const left = this.evaluate(node.left, scope);
        return isTrue(left) === (node.kind === "or") ? left : this.evaluate(node.right, scope);
      }
      case "condition": {
        const branch = isTrue(this.evaluate(node.test, scope)) ? node.value : node.otherwise;
        return branch === undefined
          ? new Undefined(
              "the inline if-expression evaluated to false and no else section was defined.",
            )
          : this.evaluate(branch, scope);
      }
      case "concat":
        return this.#concat(node.parts, scope);
      case "compare":
        return this.#compare(node.first, node.rest, scope);
      case "list":
      case "tuple": {
        this.budget.elements(node.items.length);
        const items = node.items.map((item) => this.evaluate(item, scope));
        return node.kind === "list" ? items : new Tuple(items);
      }
      case "dict": {
        this.budget.elements(2 * node.entries.length);
        const dict = new Dict();
        for (const [key, value] of node.entries)
          dict.set(this.evaluate(key, scope), this.evaluate(value, scope), this.budget);
        return dict;
      }
    }
  }

  #concat(parts: Expression[], scope: Scope): string {
    const texts = parts.map((part) => str(this.evaluate(part, scope), this.budget));
    this.budget.build(texts.reduce((length, text) => length + text.length, 0));
    return texts.reduce((joined, text) => joined + text, "");
  }

  #compare(first: Expression, rest: [Comparison, Expression][], scope: Scope): boolean {
    let left = this.evaluate(first, scope);
    for (const [operator, operand] of rest) {
      const right = this.evaluate(operand, scope);
      if (!this.#holds(operator, left, right)) return false;
      left = right;
    }
    return true;
  }

  #holds(operator: Comparison, left: Value, right: Value): boolean {
    if (operator === "==") return equals(left, right, this.budget);
    if (operator === "!=") return !equals(left, right, this.budget);
    if (operator === "in") return contains(right, left, this.budget);
    if (operator === "not in") return !contains(right, left, this.budget);
    return ordered(operator, left, right, this.budget);
  }

  /** Evaluates the arguments of a call. `caller`: the body of a call block, which is passed under this name. */
  args(
    { positional, keywords, spread, spreadMapping }: CallArguments,
    scope: Scope,
    caller?: Value,
  ): Arguments {
    if (positional.length + keywords.length === 0 && !spread && !spreadMapping && !caller)
      return NO_ARGUMENTS;
    const values = positional.map((argument) => this.evaluate(argument, scope));
    if (spread !== undefined)
      for (const value of iterate(this.evaluate(spread, scope), this.budget)) values.push(value);
    const named = new Map<string, Value>();
    const add = (name: string, value: Value): void => {
      if (named.has(name))
        throw new TemplateError(`got multiple values for keyword argument '${name}'`);
      named.set(name, value);
    };
    for (const [name, argument] of keywords) add(name, this.evaluate(argument, scope));
    if (caller !== undefined) add("caller", caller);
    if (spreadMapping !== undefined) {
      const mapping = defined(this.evaluate(spreadMapping, scope));
      if (!(mapping instanceof Dict))
        throw new TemplateError(`argument after ** must be a mapping, not ${typeName(mapping)}`);
      for (const [key, value] of mapping.entries()) {
        const name = textOf(key);
        if (name === undefined) throw new TemplateError("keywords must be strings");
        add(name, value);
      }
    }
    return new Arguments(values, named);
  }

  call(callee: Value, args: Arguments): Value {
    if (callee instanceof Undefined) throw new TemplateError(callee.message);
    if (!(callee instanceof PyObject) || callee.call === undefined)
      throw new TemplateError(`'${typeName(callee)}' object is not callable`);
    return callee.call(args);
  }

  filter(name: string, value: Value, args: Arguments): Value {
    const apply = this.#builtins.filters.get(name);
    if (apply === undefined) throw new TemplateError(`No filter named '${name}'.`);
    this.budget.scan(textOf(value)?.length ?? 0);
    return apply(value, args, this);
  }

  test(name: string, value: Value, args: Arguments): boolean {
    if (name === "filter" || name === "test") {
      bind(`test_${name}`, [], args);
      return this.#isKnown(name, value);
    }
    const holds = this.#builtins.tests.get(name);
    if (holds === undefined) throw new TemplateError(`No test named '${name}'.`);
    this.budget.spend();
    return holds(value, args, this);
  }

  #require(kind: "filter" | "test", name: string): void {
    if (!this.#isKnown(kind, name)) throw new TemplateError(`No ${kind} named '${name}' found.`);
  }

  #isKnown(kind: "filter" | "test", name: Value): boolean {
    keyOf(name, this.budget); // fails where Python finds a value unhashable
    const text = textOf(name);
    if (text === undefined) return false;
    return this.#builtins[`${kind}s`].has(text) || (kind === "test" && REGISTRY_TESTS.has(text));
  }
}

/** Tests for whether a filter or test is built in, such as `'upper' is filter`: the evaluator answers them itself. */
export const REGISTRY_TESTS: ReadonlySet<string> = new Set(["filter", "test"]);

const NO_ARGUMENTS = new Arguments();
