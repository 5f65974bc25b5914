// Statements → text, with the ranges of `generation` blocks.
// Contract: a renderer renders once and holds all state of that rendering.

import { TemplateError } from "../../errors.ts";
import { type Builtins, Evaluator } from "./evaluate.ts";
import type { Budget } from "./budget.ts";
import { globals, Namespace } from "./globals.ts";
import { isIterable, iterate, lengthOf } from "./iteration.ts";
import { Loop } from "./loop.ts";
import { Macro } from "./macro.ts";
import { str } from "./python-text.ts";
import { Scope } from "./scope.ts";
import type { Expression, Statement, Target } from "./syntax.ts";
import { isTrue, typeName, type Value } from "./values.ts";

export type Rendered = { text: string; generation: [start: number, end: number][] };

type For = Extract<Statement, { kind: "for" }>;
/** How a statement ended: `break` and `continue` leave the statements around it, up to their loop. */
type Flow = "next" | "break" | "continue";

class Output {
  readonly #budget: Budget;
  readonly #parts: string[] = [];
  length = 0;

  constructor(budget: Budget) {
    this.#budget = budget;
  }

  write(text: string): void {
    this.length += text.length;
    this.#budget.hold(this.length);
    this.#budget.build(text.length);
    this.#parts.push(text);
  }

  text(): string {
    return this.#parts.join("");
  }
}

export class Renderer {
  readonly #evaluator: Evaluator;
  readonly #budget: Budget;
  readonly #page: Output; // the whole text
  readonly #generation: [number, number][] = [];
  #output: Output; // the page, or the text of a macro or block
  #at = 0;

  constructor(budget: Budget, builtins: Builtins) {
    this.#budget = budget;
    this.#evaluator = new Evaluator(budget, builtins);
    this.#page = new Output(budget);
    this.#output = this.#page;
  }

  /** The offset of the statement that is being rendered, to say where an error happened. */
  get at(): number {
    return this.#at;
  }

  render(statements: Statement[], variables: Map<string, Value>): Rendered {
    const scope = new Scope(new Scope(new Scope(undefined, globals(this.#budget)), variables));
    this.#statements(statements, scope);
    return { text: this.#page.text(), generation: this.#generation };
  }

  #evaluate(node: Expression, scope: Scope, blockText?: string): Value {
    return this.#evaluator.evaluate(node, scope, blockText);
  }

  #statements(statements: Statement[], scope: Scope): Flow {
    this.#budget.enter();
    for (const statement of statements) {
      this.#at = statement.at;
      const flow = this.#statement(statement, scope);
      if (flow !== "next") {
        this.#budget.leave();
        return flow;
      }
    }
    this.#budget.leave();
    return "next";
  }

  #statement(node: Statement, scope: Scope): Flow {
    this.#budget.spend();
    switch (node.kind) {
      case "text":
        this.#output.write(node.text);
        return "next";
      case "print":
        this.#output.write(str(this.#evaluate(node.value, scope), this.#budget));
        return "next";
      case "if": {
        const taken = node.branches.find(([test]) => isTrue(this.#evaluate(test, scope)));
        return this.#statements(taken?.[1] ?? node.otherwise, scope);
      }
      case "for":
        return this.#for(node, this.#evaluate(node.over, scope), scope, 0);
      case "break":
      case "continue":
        return node.kind;
      case "set":
        this.#assign(node.target, this.#evaluate(node.value, scope), scope);
        return "next";
      case "setBlock":
        return this.#block(node.body, scope, (text) => {
          this.#assign(
            node.target,
            node.filter ? this.#evaluate(node.filter, scope, text) : text,
            scope,
          );
        });
      case "filterBlock":
        return this.#block(node.body, scope, (text) => {
          this.#output.write(str(this.#evaluate(node.filter, scope, text), this.#budget));
        });
      case "with": {
        const inner = new Scope(scope);
        for (const [index, target] of node.targets.entries())
          this.#assign(target, this.#evaluate(node.values[index], scope), inner);
        return this.#statements(node.body, inner);
      }
      case "scope":
        return this.#statements(node.body, new Scope(scope));
      case "macro":
        scope.set(node.name, new Macro(node.name, node.macro, scope, this.#macroRuntime));
        return "next";
      case "callBlock": {
        const callee = this.#evaluate(node.call.callee, scope);
        const caller = new Macro("caller", node.macro, scope, this.#macroRuntime);
        const text = this.#evaluator.call(
          callee,
          this.#evaluator.args(node.call.args, scope, caller),
        );
        this.#output.write(str(text, this.#budget));
        return "next";
      }
      case "generation": {
        const text = this.#capture(node.body, new Scope(scope));
        // As in Transformers, the range begins where the page ends now: inside a macro that is before the macro's own text.
        this.#generation.push([this.#page.length, this.#page.length + text.length]);
        this.#output.write(text);
        return "next";
      }
    }
  }

  readonly #macroRuntime = {
    evaluate: (node: Expression, scope: Scope): Value => this.#evaluate(node, scope),
    capture: (body: Statement[], scope: Scope): string => this.#capture(body, scope),
  };

  #capture(body: Statement[], scope: Scope): string {
    let captured = "";
    this.#block(body, scope, (text) => {
      captured = text;
    });
    return captured;
  }

  /** Renders a body in a scope of its own and passes the text to `use`, unless a `break` or `continue` leaves the body. */
  #block(body: Statement[], scope: Scope, use: (text: string) => void): Flow {
    const outer = this.#output;
    this.#output = new Output(this.#budget);
    const flow = this.#statements(body, new Scope(scope));
    const text = this.#output.text();
    this.#output = outer;
    if (flow === "next") use(text);
    return flow;
  }

  #for(node: For, over: Value, scope: Scope, depth0: number): Flow {
    const { test } = node;
    const items = iterate(over, this.#budget);
    const selected = test === undefined ? items : this.#selected(items, node.target, test, scope);
    const recurse = node.recursive
      ? (inner: Value, depth: number): string => this.#recursion(node, inner, scope, depth)
      : undefined;
    const loop = new Loop(
      test === undefined && lengthOf(over) !== undefined ? over : null,
      selected,
      this.#budget,
      recurse,
      depth0,
    );
    let turns = 0;
    for (let item = loop.next(); item !== undefined; item = loop.next()) {
      this.#budget.spend();
      turns++;
      const inner = new Scope(scope);
      inner.set("loop", loop);
      this.#assign(node.target, item, inner);
      if (this.#statements(node.body, inner) === "break") break;
    }
    return turns === 0 ? this.#statements(node.otherwise, new Scope(scope)) : "next";
  }

  *#selected(
    items: Iterable<Value>,
    target: Target,
    test: Expression,
    scope: Scope,
  ): Generator<Value> {
    for (const item of items) {
      const inner = new Scope(scope);
      this.#assign(target, item, inner);
      if (isTrue(this.#evaluate(test, inner))) yield item;
    }
  }

  #recursion(node: For, over: Value, scope: Scope, depth0: number): string {
    const outer = this.#output;
    this.#output = new Output(this.#budget);
    this.#for(node, over, scope, depth0);
    const text = this.#output.text();
    this.#output = outer;
    return text;
  }

  #assign(target: Target, value: Value, scope: Scope): void {
    if (target.kind === "name") scope.set(target.name, value);
    else if (target.kind === "tuple") this.#unpack(target.items, value, scope);
    else {
      const namespace = scope.get(target.name);
      if (!(namespace instanceof Namespace))
        throw new TemplateError("cannot assign attribute on non-namespace object");
      namespace.set(target.attribute, value);
    }
  }

  #unpack(targets: Target[], value: Value, scope: Scope): void {
    if (!isIterable(value))
      throw new TemplateError(`cannot unpack non-iterable ${typeName(value)} object`);
    const values: Value[] = [];
    for (const item of iterate(value, this.#budget)) {
      if (values.length === targets.length)
        throw new TemplateError(`too many values to unpack (expected ${targets.length})`);
      values.push(item);
    }
    if (values.length < targets.length) {
      throw new TemplateError(
        `not enough values to unpack (expected ${targets.length}, got ${values.length})`,
      );
    }
    for (const [index, inner] of targets.entries()) this.#assign(inner, values[index], scope);
  }
}
