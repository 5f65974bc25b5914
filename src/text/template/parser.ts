// Tokens → statements: the tags of Jinja2, `break` and `continue`, and Transformers' `generation`.
// Contract: a template is one file, so include, import and extends are refused; every error names line and column.
// Knows nothing of rendering.

import { type KnownNames, ExpressionParser } from "./expression-parser.ts";
import type { Expression, MacroBody, Signature, Statement } from "./syntax.ts";
import { TokenStream } from "./token-stream.ts";

/** @throws TemplateError syntax, nesting, unknown filter or test */
export function parse(source: string, known: KnownNames): Statement[] {
  return new Parser(source, known).template();
}

type Tag = (at: number) => Statement | Statement[];

class Parser {
  readonly #stream: TokenStream;
  readonly #expressions: ExpressionParser;
  readonly #openTags: string[] = [];
  readonly #endTags: (readonly string[])[] = [];

  #inLoop = false;
  readonly #tags: ReadonlyMap<string, Tag>;

  constructor(source: string, known: KnownNames) {
    this.#stream = new TokenStream(source);
    this.#expressions = new ExpressionParser(this.#stream, known);
    this.#tags = new Map<string, Tag>([
      ["if", (at) => this.#if(at)],
      ["for", (at) => this.#for(at)],
      ["break", (at) => this.#loopControl("break", at)],
      ["continue", (at) => this.#loopControl("continue", at)],
      ["set", (at) => this.#set(at)],
      ["with", (at) => this.#with(at)],
      ["filter", (at) => this.#filterBlock(at)],
      ["macro", (at) => this.#macro(at)],
      ["call", (at) => this.#callBlock(at)],
      ["print", () => this.#print()],
      ["block", (at) => this.#block(at)],
      [
        "autoescape",
        (at) =>
          this.#stream.fail(
            "{% autoescape %} is not available: chat templates are text, not HTML",
            at,
          ),
      ],
      ["generation", (at) => ({ kind: "generation", body: this.#function(["endgeneration"]), at })],
      ...["include", "import", "from", "extends"].map((name): [string, Tag] => [
        name,
        (at) =>
          this.#stream.fail(`{% ${name} %} is not available: a chat template is one file`, at),
      ]),
    ]);
  }

  template(): Statement[] {
    const statements = this.#statements([]);
    const [unknown] = this.#expressions.unknown;
    if (unknown !== undefined) throw unknown;
    return statements;
  }

  /** Statements up to a tag of `endTags`, whose name is then the current token. */
  #statements(endTags: readonly string[]): Statement[] {
    const stream = this.#stream;
    const statements: Statement[] = [];
    while (stream.current.type !== "end of template") {
      const { type, text, at } = stream.next();
      if (type === "data") statements.push({ kind: "text", text, at });
      else if (type === "variable begin") {
        statements.push({ kind: "print", value: this.#expressions.tuple(), at });
        stream.expect("variable end");
      } else {
        if (stream.current.type === "name" && endTags.includes(stream.current.text))
          return statements;
        statements.push(...[this.#statement()].flat());
        stream.expect("block end");
      }
    }
    if (endTags.length > 0) this.#unclosed(undefined, stream.current.at);
    return statements;
  }

  #statement(): Statement | Statement[] {
    const stream = this.#stream;
    if (stream.current.type !== "name") stream.fail("tag name expected");
    const { text: name, at } = stream.next();
    const tag = this.#tags.get(name);
    if (tag === undefined) this.#unclosed(name, at);
    this.#openTags.push(name);
    const statement = stream.nested(() => tag(at));
    this.#openTags.pop();
    return statement;
  }

  /** Reads the end of the current tag and the statements up to a tag of `endTags`, whose name is read too. */
  #body(endTags: readonly string[], conditional = false): [body: Statement[], endTag: string] {
    this.#stream.skipOperator(":");
    this.#stream.expect("block end");
    const outer = this.#expressions.conditional;
    this.#expressions.conditional = conditional;
    this.#endTags.push(endTags);
    const body = this.#statements(endTags);
    this.#endTags.pop();
    this.#expressions.conditional = outer;
    return [body, this.#stream.next().text];
  }

  /** A body that runs as a function of its own: `break` does not leave it. */
  #function(endTags: readonly string[]): Statement[] {
    const outer = this.#inLoop;
    this.#inLoop = false;
    const [body] = this.#body(endTags);
    this.#inLoop = outer;
    return body;
  }

  #unclosed(tag: string | undefined, at: number): never {
    const last = this.#endTags.at(-1);
    const wanted = last?.map((name) => `'${name}'`).join(" or ");
    let message =
      tag === undefined ? "Unexpected end of template." : `Encountered unknown tag '${tag}'.`;
    if (
      wanted !== undefined &&
      tag !== undefined &&
      this.#endTags.some((names) => names.includes(tag))
    ) {
      message += ` You probably made a nesting mistake. Jinja is expecting this tag, but currently looking for ${wanted}.`;
    } else if (wanted !== undefined)
      message += ` Jinja was looking for the following tags: ${wanted}.`;
    const open = this.#openTags.at(-1);
    if (open !== undefined) message += ` The innermost block that needs to be closed is '${open}'.`;
    return this.#stream.fail(message, at);
  }

  #if(at: number): Statement {
    const branches: [Expression, Statement[]][] = [];
    for (;;) {
      const test = this.#test();
      const [body, end] = this.#body(["elif", "else", "endif"], true);
      branches.push([test, body]);
      if (end === "elif") continue;
      const otherwise = end === "else" ? this.#body(["endif"], true)[0] : [];
      return { kind: "if", branches, otherwise, at };
    }
  }

  #test(): Expression {
    const outer = this.#expressions.conditional;
    this.#expressions.conditional = true;
    const test = this.#expressions.tuple(false);
    this.#expressions.conditional = outer;
    return test;
  }

  #for(at: number): Statement {
    const target = this.#expressions.target(["in"]);
    this.#stream.expect("in");
    const over = this.#expressions.tuple(false, ["recursive"]);
    const test = this.#stream.skipName("if") ? this.#expressions.expression() : undefined;
    const recursive = this.#stream.skipName("recursive");
    const outer = this.#inLoop;
    this.#inLoop = true;
    const [body, end] = this.#body(["endfor", "else"]);
    this.#inLoop = outer;
    const otherwise = end === "else" ? this.#body(["endfor"])[0] : [];
    return { kind: "for", target, over, test, recursive, body, otherwise, at };
  }

  #loopControl(kind: "break" | "continue", at: number): Statement {
    if (!this.#inLoop) this.#stream.fail(`'${kind}' outside loop`, at);
    return { kind, at };
  }

  #set(at: number): Statement {
    const target = this.#expressions.target([], true);
    if (this.#stream.skipOperator("="))
      return { kind: "set", target, value: this.#expressions.tuple(), at };
    const filter = this.#stream.skipOperator("|") ? this.#expressions.blockFilters() : undefined;
    const [body] = this.#body(["endset"]);
    return { kind: "setBlock", target, filter, body, at };
  }

  #with(at: number): Statement {
    const statement: Extract<Statement, { kind: "with" }> = {
      kind: "with",
      targets: [],
      values: [],
      body: [],
      at,
    };
    while (this.#stream.current.type !== "block end") {
      if (statement.targets.length > 0) this.#stream.expect(",");
      statement.targets.push(this.#expressions.target());
      this.#stream.expect("=");
      statement.values.push(this.#expressions.expression());
    }
    [statement.body] = this.#body(["endwith"]);
    return statement;
  }

  #filterBlock(at: number): Statement {
    const filter = this.#expressions.blockFilters();
    const [body] = this.#body(["endfilter"]);
    return { kind: "filterBlock", filter, body, at };
  }

  #signature(): Signature {
    const signature: Signature = { names: [], defaults: [] };
    this.#stream.expect("(");
    while (!this.#stream.skipOperator(")")) {
      if (signature.names.length > 0) this.#stream.expect(",");
      const name = this.#stream.expect("name").text;
      if (this.#stream.skipOperator("=")) signature.defaults.push(this.#expressions.expression());
      else if (signature.defaults.length > 0)
        this.#stream.fail("non-default argument follows default argument");
      signature.names.push(name);
    }
    return signature;
  }

  #macroBody(signature: Signature, endTag: string): MacroBody {
    const [body, reads] = this.#expressions.withReads(() => this.#function([endTag]));
    return { signature, body, reads };
  }

  #macro(at: number): Statement {
    const name = this.#stream.expect("name").text;
    return { kind: "macro", name, macro: this.#macroBody(this.#signature(), "endmacro"), at };
  }

  #callBlock(at: number): Statement {
    const signature = this.#stream.isOperator("(")
      ? this.#signature()
      : { names: [], defaults: [] };
    const call = this.#expressions.expression();
    if (call.kind !== "call") this.#stream.fail("expected call", at);
    return { kind: "callBlock", call, macro: this.#macroBody(signature, "endcall"), at };
  }

  #print(): Statement[] {
    const statements: Statement[] = [];
    while (this.#stream.current.type !== "block end") {
      if (statements.length > 0) this.#stream.expect(",");
      const { at } = this.#stream.current;
      statements.push({ kind: "print", value: this.#expressions.expression(), at });
    }
    return statements;
  }

  #block(at: number): Statement {
    const name = this.#stream.expect("name").text;
    this.#stream.skipName("scoped");
    this.#stream.skipName("required");
    const body = this.#function(["endblock"]);
    this.#stream.skipName(name);
    return { kind: "scope", body, at };
  }
}
