// Tokens → expressions, in Jinja's grammar. From the loosest binding to the tightest: if-else, or, and, not, comparisons, + -, ~,
// * / // %, **, signs, postfix, filters. Knows no statements.
// Contract: collects the filters and tests that do not exist; the statement parser decides whether that is an error.

import { TemplateError } from "../../errors.ts";
import type { BinaryOperator } from "./arithmetic.ts";
import type { CallArguments, Comparison, Expression, Target } from "./syntax.ts";
import { describe, type TokenStream } from "./token-stream.ts";

const COMPARISONS: ReadonlySet<string> = new Set(["==", "!=", "<", "<=", ">", ">="]);
const CONSTANTS: ReadonlyMap<string, boolean | null> = new Map([
  ["true", true],
  ["True", true],
  ["false", false],
  ["False", false],
  ["none", null],
  ["None", null],
]);

export type KnownNames = { filters: ReadonlySet<string>; tests: ReadonlySet<string> };

export class ExpressionParser {
  readonly #stream: TokenStream;
  readonly #known: KnownNames;
  /** Errors for unknown filters and tests; in conditions, Jinja leaves them to the evaluation. */
  readonly unknown: TemplateError[] = [];
  /** Whether the expressions that follow stand in a condition. */
  conditional = false;
  #reads: Set<string> = new Set();

  constructor(stream: TokenStream, known: KnownNames) {
    this.#stream = stream;
    this.#known = known;
  }

  /** Runs `parse`; also gives the names that the expressions parsed meanwhile read. */
  withReads<T>(parse: () => T): [result: T, reads: ReadonlySet<string>] {
    const outer = this.#reads;
    this.#reads = new Set();
    const result = parse();
    const reads = this.#reads;
    this.#reads = outer.union(reads);
    return [result, reads];
  }

  /** One expression; without `conditional`, a following `if` is left alone. */
  expression(conditional = true): Expression {
    return this.#stream.nested(() => (conditional ? this.#condition() : this.#or()));
  }

  /** An expression, or several with commas between as a tuple, up to the tag's end or one of `endNames`. */
  tuple(conditional = true, endNames: readonly string[] = [], parenthesised = false): Expression {
    const at = this.#stream.current.at;
    const items: Expression[] = [];
    let isTuple = false;
    while (!this.#tupleEnds(endNames)) {
      items.push(this.expression(conditional));
      if (!this.#stream.skipOperator(",")) break;
      isTuple = true;
    }
    if (!isTuple && items.length === 1) return items[0];
    if (!isTuple && !parenthesised)
      this.#stream.fail(`Expected an expression, got '${describe(this.#stream.current)}'`);
    return { kind: "tuple", items, at };
  }

  #tupleEnds(endNames: readonly string[]): boolean {
    const { type, text } = this.#stream.current;
    if (type === "variable end" || type === "block end") return true;
    return (type === "operator" && text === ")") || (type === "name" && endNames.includes(text));
  }

  /** What `set`, `for` and `with` assign to. */
  target(endNames: readonly string[] = [], withNamespace = false): Target {
    const at = this.#stream.current.at;
    const items: Target[] = [];
    let isTuple = false;
    while (!this.#tupleEnds(endNames)) {
      items.push(this.#oneTarget(withNamespace));
      if (!this.#stream.skipOperator(",")) break;
      isTuple = true;
    }
    if (items.length === 0)
      this.#stream.fail(`Expected an expression, got '${describe(this.#stream.current)}'`);
    return isTuple ? { kind: "tuple", items, at } : items[0];
  }

  #oneTarget(withNamespace: boolean): Target {
    const stream = this.#stream;
    const { type, text, at } = stream.next();
    if (type === "operator" && text === "(") {
      const target = stream.nested(() => this.target([], withNamespace));
      stream.expect(")");
      return target;
    }
    if (["string", "integer", "float"].includes(type)) stream.fail("can't assign to 'const'", at);
    if (type !== "name")
      stream.fail(`can't assign to '${describe({ type, text, value: null, at })}'`, at);
    if (CONSTANTS.has(text)) stream.fail("can't assign to 'const'", at);
    if (withNamespace && stream.skipOperator("."))
      return { kind: "namespace", name: text, attribute: stream.expect("name").text, at };
    return { kind: "name", name: text, at };
  }

  #condition(): Expression {
    const at = this.#stream.current.at;
    const unknownBefore = this.unknown.length;
    let value = this.#or();
    while (this.#stream.skipName("if")) {
      const test = this.#or();
      const otherwise = this.#stream.skipName("else")
        ? this.#stream.nested(() => this.#condition())
        : undefined;
      value = { kind: "condition", test, value, otherwise, at };
      this.unknown.length = unknownBefore;
    }
    return value;
  }

  #or(): Expression {
    let left = this.#and();
    while (this.#stream.isName("or")) {
      const { at } = this.#stream.next();
      left = { kind: "or", left, right: this.#and(), at };
    }
    return left;
  }

  #and(): Expression {
    let left = this.#not();
    while (this.#stream.isName("and")) {
      const { at } = this.#stream.next();
      left = { kind: "and", left, right: this.#not(), at };
    }
    return left;
  }

  #not(): Expression {
    if (!this.#stream.isName("not")) return this.#compare();
    const { at } = this.#stream.next();
    return { kind: "not", of: this.#stream.nested(() => this.#not()), at };
  }

  #compare(): Expression {
    const at = this.#stream.current.at;
    const first = this.#sum();
    const rest: [Comparison, Expression][] = [];
    for (let operator = this.#comparison(); operator !== undefined; operator = this.#comparison()) {
      rest.push([operator, this.#sum()]);
    }
    return rest.length === 0 ? first : { kind: "compare", first, rest, at };
  }

  #comparison(): Comparison | undefined {
    const { current, ahead } = this.#stream;
    if (current.type === "operator" && COMPARISONS.has(current.text))
      return this.#stream.next().text as Comparison;
    if (this.#stream.skipName("in")) return "in";
    if (!this.#stream.isName("not") || ahead.type !== "name" || ahead.text !== "in")
      return undefined;
    this.#stream.next();
    this.#stream.next();
    return "not in";
  }

  #chain(operators: readonly BinaryOperator[], operand: () => Expression): Expression {
    let left = operand();
    for (;;) {
      const operator = operators.find((candidate) => this.#stream.isOperator(candidate));
      if (operator === undefined) return left;
      const { at } = this.#stream.next();
      left = { kind: "binary", operator, left, right: operand(), at };
    }
  }

  #sum(): Expression {
    return this.#chain(["+", "-"], () => this.#concat());
  }

  #concat(): Expression {
    const at = this.#stream.current.at;
    const parts = [this.#product()];
    while (this.#stream.skipOperator("~")) parts.push(this.#product());
    return parts.length === 1 ? parts[0] : { kind: "concat", parts, at };
  }

  #product(): Expression {
    return this.#chain(["*", "/", "//", "%"], () => this.#chain(["**"], () => this.#unary(true)));
  }

  #unary(withFilters: boolean): Expression {
    const { text, at } = this.#stream.current;
    let node: Expression;
    if (this.#stream.isOperator("-") || this.#stream.isOperator("+")) {
      this.#stream.next();
      node = {
        kind: "sign",
        operator: text === "-" ? "-" : "+",
        of: this.#stream.nested(() => this.#unary(false)),
        at,
      };
    } else node = this.#primary();
    node = this.#postfix(node);
    return withFilters ? this.#filters(node) : node;
  }

  #primary(): Expression {
    const stream = this.#stream;
    const { type, text, value, at } = stream.current;
    if (type === "name") {
      stream.next();
      const constant = CONSTANTS.get(text);
      if (constant !== undefined) return { kind: "constant", value: constant, at };
      this.#reads.add(text);
      return { kind: "name", name: text, at };
    }
    if (type === "string") {
      let joined = "";
      while (stream.current.type === "string") joined += stream.next().text;
      return { kind: "constant", value: joined, at };
    }
    if (type === "integer" || type === "float") {
      stream.next();
      return { kind: "constant", value, at };
    }
    if (stream.skipOperator("(")) {
      const node = this.tuple(true, [], true);
      stream.expect(")");
      return node;
    }
    if (stream.skipOperator("["))
      return { kind: "list", items: this.#until("]", () => this.expression()), at };
    if (stream.skipOperator("{"))
      return { kind: "dict", entries: this.#until("}", () => this.#entry()), at };
    return stream.fail(`unexpected '${describe(stream.current)}'`);
  }

  #entry(): [Expression, Expression] {
    const key = this.expression();
    this.#stream.expect(":");
    return [key, this.expression()];
  }

  /** Elements with commas between, up to and past `close`. */
  #until<T>(close: string, element: () => T): T[] {
    const elements: T[] = [];
    while (!this.#stream.skipOperator(close)) {
      if (elements.length > 0) this.#stream.expect(",");
      if (this.#stream.skipOperator(close)) break;
      elements.push(element());
    }
    return elements;
  }

  #postfix(operand: Expression): Expression {
    let node = operand;
    for (;;) {
      const at = this.#stream.current.at;
      if (this.#stream.skipOperator(".")) node = this.#attribute(node, at);
      else if (this.#stream.skipOperator("[")) node = this.#subscript(node, at);
      else if (this.#stream.isOperator("("))
        node = { kind: "call", callee: node, args: this.callArguments(), at };
      else return node;
    }
  }

  #attribute(of: Expression, at: number): Expression {
    const { type, text, value, at: nameAt } = this.#stream.next();
    if (type === "name") return { kind: "attribute", of, name: text, at };
    if (type !== "integer") this.#stream.fail("expected name or number", nameAt);
    return { kind: "item", of, key: { kind: "constant", value, at: nameAt }, at };
  }

  #subscript(of: Expression, at: number): Expression {
    const keys = this.#until("]", () => this.#sliceOrKey());
    if (keys.length === 1)
      return Array.isArray(keys[0])
        ? { kind: "slice", of, bounds: keys[0], at }
        : { kind: "item", of, key: keys[0], at };
    const items = keys.map((key) =>
      Array.isArray(key) ? this.#stream.fail("a slice cannot be part of a tuple", at) : key,
    );
    return { kind: "item", of, key: { kind: "tuple", items, at }, at };
  }

  #sliceOrKey(): Expression | (Expression | undefined)[] {
    const bounds: (Expression | undefined)[] = [];
    for (;;) {
      const isOpen =
        this.#stream.isOperator(":") ||
        this.#stream.isOperator("]") ||
        this.#stream.isOperator(",");
      const bound = isOpen ? undefined : this.expression();
      bounds.push(bound);
      if (bounds.length === 3 || !this.#stream.skipOperator(":")) break;
    }
    const [only] = bounds;
    return bounds.length === 1 && only !== undefined ? only : bounds;
  }

  callArguments(): CallArguments {
    const { at } = this.#stream.expect("(");
    const args: CallArguments = { positional: [], keywords: [] };
    this.#until(")", () => this.#argument(args, at));
    return args;
  }

  #argument(args: CallArguments, at: number): void {
    const stream = this.#stream;
    const ensure = (valid: boolean): void => {
      if (!valid) stream.fail("invalid syntax for function call expression", at);
    };
    if (stream.skipOperator("*")) {
      ensure(args.spread === undefined && args.spreadMapping === undefined);
      args.spread = this.expression();
    } else if (stream.skipOperator("**")) {
      ensure(args.spreadMapping === undefined);
      args.spreadMapping = this.expression();
    } else if (
      stream.current.type === "name" &&
      stream.ahead.type === "operator" &&
      stream.ahead.text === "="
    ) {
      ensure(args.spreadMapping === undefined);
      const name = stream.next().text;
      stream.next();
      args.keywords.push([name, this.expression()]);
    } else {
      ensure(
        args.spread === undefined && args.spreadMapping === undefined && args.keywords.length === 0,
      );
      args.positional.push(this.expression());
    }
  }

  #filters(operand: Expression): Expression {
    let node = operand;
    for (;;) {
      const at = this.#stream.current.at;
      if (this.#stream.skipOperator("|")) node = this.#filter(node);
      else if (this.#stream.skipName("is")) node = this.#test(node, at);
      else if (this.#stream.isOperator("("))
        node = { kind: "call", callee: node, args: this.callArguments(), at };
      else return node;
    }
  }

  /** `name(args)` and the `| filters` behind it, on the text of a block. */
  blockFilters(): Expression {
    let node = this.#filter(undefined);
    while (this.#stream.skipOperator("|")) node = this.#filter(node);
    return node;
  }

  #filter(of: Expression | undefined): Expression {
    const { at } = this.#stream.current;
    const name = this.#dottedName();
    if (!this.#known.filters.has(name)) this.#noteUnknown("filter", name, at);
    const args = this.#stream.isOperator("(")
      ? this.callArguments()
      : { positional: [], keywords: [] };
    return { kind: "filter", of, name, args, at };
  }

  #noteUnknown(kind: "filter" | "test", name: string, at: number): void {
    if (!this.conditional) this.unknown.push(this.#stream.error(`No ${kind} named '${name}'.`, at));
  }

  #dottedName(): string {
    let name = this.#stream.expect("name").text;
    while (this.#stream.skipOperator(".")) name += `.${this.#stream.expect("name").text}`;
    return name;
  }

  #test(of: Expression, at: number): Expression {
    const stream = this.#stream;
    const negated = stream.skipName("not");
    const nameAt = stream.current.at;
    const name = this.#dottedName();
    if (!this.#known.tests.has(name)) this.#noteUnknown("test", name, nameAt);
    let args: CallArguments = { positional: [], keywords: [] };
    if (stream.isOperator("(")) args = this.callArguments();
    else if (this.#startsOperand()) {
      if (stream.isName("is")) stream.fail("You cannot chain multiple tests with is");
      args.positional.push(this.#postfix(this.#primary()));
    }
    const test: Expression = { kind: "test", of, name, args, at };
    return negated ? { kind: "not", of: test, at } : test;
  }

  #startsOperand(): boolean {
    const { type, text } = this.#stream.current;
    if (type === "name") return !["else", "or", "and"].includes(text);
    return (
      ["string", "integer", "float"].includes(type) ||
      (type === "operator" && (text === "[" || text === "{"))
    );
  }
}
