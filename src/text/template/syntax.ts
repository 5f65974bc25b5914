// The syntax tree of a template. `at` is an offset into the source with normalised line ends. Does not know how it is evaluated.

import type { BinaryOperator } from "./arithmetic.ts";
import type { Ordering } from "./compare.ts";
import type { Value } from "./values.ts";

export type Comparison = Ordering | "==" | "!=" | "in" | "not in";

export type CallArguments = {
  positional: Expression[];
  keywords: [name: string, value: Expression][];
  /** `*values` and `**mapping` */
  spread?: Expression;
  spreadMapping?: Expression;
};

export type Expression = { at: number } & (
  | { kind: "constant"; value: Value }
  | { kind: "name"; name: string }
  | { kind: "list" | "tuple"; items: Expression[] }
  | { kind: "dict"; entries: [key: Expression, value: Expression][] }
  | { kind: "attribute"; of: Expression; name: string }
  | { kind: "item"; of: Expression; key: Expression }
  | { kind: "slice"; of: Expression; bounds: (Expression | undefined)[] }
  | { kind: "call"; callee: Expression; args: CallArguments }
  | { kind: "filter"; of: Expression | undefined; name: string; args: CallArguments } // undefined: the text of a block
  | { kind: "test"; of: Expression; name: string; args: CallArguments }
  | { kind: "binary"; operator: BinaryOperator; left: Expression; right: Expression }
  | { kind: "sign"; operator: "+" | "-"; of: Expression }
  | { kind: "and" | "or"; left: Expression; right: Expression }
  | { kind: "not"; of: Expression }
  | { kind: "concat"; parts: Expression[] }
  | { kind: "compare"; first: Expression; rest: [Comparison, Expression][] }
  | { kind: "condition"; test: Expression; value: Expression; otherwise: Expression | undefined }
);

/** What a value is assigned to: `x`, `x, y`, and in `set` also `namespace.x`. */
export type Target = { at: number } & (
  | { kind: "name"; name: string }
  | { kind: "tuple"; items: Target[] }
  | { kind: "namespace"; name: string; attribute: string }
);

/** The parameters of a macro; `defaults` are those of the last parameters. */
export type Signature = { names: string[]; defaults: Expression[] };

/** `reads`: the names that the body reads. With `caller`, `kwargs` or `varargs` among them, a call may pass such arguments. */
export type MacroBody = { signature: Signature; body: Statement[]; reads: ReadonlySet<string> };

export type Statement = { at: number } & (
  | { kind: "text"; text: string }
  | { kind: "print"; value: Expression }
  | { kind: "if"; branches: [test: Expression, body: Statement[]][]; otherwise: Statement[] }
  | {
      kind: "for";
      target: Target;
      over: Expression;
      test: Expression | undefined;
      recursive: boolean;
      body: Statement[];
      otherwise: Statement[];
    }
  | { kind: "break" | "continue" }
  | { kind: "set"; target: Target; value: Expression }
  | { kind: "setBlock"; target: Target; filter: Expression | undefined; body: Statement[] }
  | { kind: "with"; targets: Target[]; values: Expression[]; body: Statement[] }
  | { kind: "filterBlock"; filter: Expression; body: Statement[] }
  | { kind: "macro"; name: string; macro: MacroBody }
  | { kind: "callBlock"; call: Extract<Expression, { kind: "call" }>; macro: MacroBody }
  | { kind: "generation" | "scope"; body: Statement[] }
);
