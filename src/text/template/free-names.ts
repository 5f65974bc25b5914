// The names that a template reads from its variables, found without running it: names that are read where nothing has assigned them.
// After an `if`, names that only some branches assign may still come from outside.

import type { CallArguments, Expression, MacroBody, Statement, Target } from "./syntax.ts";

/** Names assigned so far; a scope within another sees the outer ones. */
class Bound {
  readonly #names: Set<string>;

  constructor(names: Iterable<string> = []) {
    this.#names = new Set(names);
  }

  has(name: string): boolean {
    return this.#names.has(name);
  }

  add(name: string): void {
    this.#names.add(name);
  }

  copy(): Bound {
    return new Bound(this.#names);
  }

  /** Adds the names that all branches have. */
  addCommon(branches: readonly Bound[]): void {
    const [first, ...others] = branches;
    for (const name of first.#names)
      if (others.every((branch) => branch.has(name))) this.#names.add(name);
  }
}

export function freeNames(statements: readonly Statement[]): ReadonlySet<string> {
  const free = new Set<string>();
  new Reader(free).statements(statements, new Bound());
  return free;
}

class Reader {
  readonly #free: Set<string>;

  constructor(free: Set<string>) {
    this.#free = free;
  }

  statements(statements: readonly Statement[], bound: Bound): void {
    for (const statement of statements) this.#statement(statement, bound);
  }

  #statement(node: Statement, bound: Bound): void {
    switch (node.kind) {
      case "text":
      case "break":
      case "continue":
        return;
      case "print":
        return this.#read(node.value, bound);
      case "if": {
        const ends: Bound[] = [];
        for (const [test, body] of node.branches) {
          this.#read(test, bound);
          ends.push(this.#body(body, bound));
        }
        ends.push(this.#body(node.otherwise, bound));
        return bound.addCommon(ends);
      }
      case "for": {
        this.#read(node.over, bound);
        const inner = bound.copy();
        inner.add("loop");
        this.#assign(node.target, inner);
        if (node.test) this.#read(node.test, inner);
        this.statements(node.body, inner);
        this.#body(node.otherwise, bound);
        return;
      }
      case "set":
        this.#read(node.value, bound);
        return this.#assign(node.target, bound);
      case "setBlock":
        this.#body(node.body, bound);
        if (node.filter) this.#read(node.filter, bound);
        return this.#assign(node.target, bound);
      case "with": {
        const inner = bound.copy();
        for (const [i, target] of node.targets.entries()) {
          this.#read(node.values[i], bound);
          this.#assign(target, inner);
        }
        return this.statements(node.body, inner);
      }
      case "filterBlock":
        this.#read(node.filter, bound);
        this.#body(node.body, bound);
        return;
      case "macro":
        bound.add(node.name);
        return this.#macro(node.macro, bound);
      case "callBlock":
        this.#read(node.call, bound);
        return this.#macro(node.macro, bound);
      case "generation":
      case "scope":
        this.#body(node.body, bound);
    }
  }

  /** @returns what is assigned at the end of a body that has a scope of its own */
  #body(body: readonly Statement[], bound: Bound): Bound {
    const inner = bound.copy();
    this.statements(body, inner);
    return inner;
  }

  #macro({ signature, body }: MacroBody, bound: Bound): void {
    const inner = bound.copy();
    for (const name of ["caller", "kwargs", "varargs", ...signature.names]) inner.add(name);
    for (const value of signature.defaults) this.#read(value, inner);
    this.statements(body, inner);
  }

  #assign(target: Target, bound: Bound): void {
    if (target.kind === "name") bound.add(target.name);
    else if (target.kind === "tuple") for (const item of target.items) this.#assign(item, bound);
    else if (!bound.has(target.name)) this.#free.add(target.name);
  }

  #read(node: Expression, bound: Bound): void {
    if (node.kind === "name" && !bound.has(node.name)) this.#free.add(node.name);
    for (const part of partsOf(node)) this.#read(part, bound);
  }
}

/** The expressions that an expression consists of. */
function partsOf(node: Expression): Expression[] {
  switch (node.kind) {
    case "constant":
    case "name":
      return [];
    case "list":
    case "tuple":
      return node.items;
    case "dict":
      return node.entries.flat();
    case "attribute":
    case "sign":
    case "not":
      return [node.of];
    case "item":
      return [node.of, node.key];
    case "slice":
      return [node.of, ...given(node.bounds)];
    case "call":
      return [node.callee, ...argumentsOf(node.args)];
    case "filter":
    case "test":
      return [...given([node.of]), ...argumentsOf(node.args)];
    case "binary":
    case "and":
    case "or":
      return [node.left, node.right];
    case "concat":
      return node.parts;
    case "compare":
      return [node.first, ...node.rest.map(([, operand]) => operand)];
    case "condition":
      return [node.test, node.value, ...given([node.otherwise])];
  }
}

const given = (nodes: readonly (Expression | undefined)[]): Expression[] =>
  nodes.filter((node) => node !== undefined);

const argumentsOf = (args: CallArguments): Expression[] => [
  ...args.positional,
  ...args.keywords.map(([, value]) => value),
  ...given([args.spread, args.spreadMapping]),
];
