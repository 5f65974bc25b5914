// A macro, or the body of a call block: a function from arguments to text that sees the names around its definition.
// Does not know how its body is rendered.

import { TemplateError } from "../../errors.ts";
import { Scope } from "./scope.ts";
import type { MacroBody, Expression, Statement } from "./syntax.ts";
import { type Arguments, Dict, PyObject, Tuple, Undefined, type Value } from "./values.ts";

export type MacroRuntime = {
  evaluate(expression: Expression, scope: Scope): Value;
  capture(body: Statement[], scope: Scope): string;
};

export class Macro extends PyObject {
  readonly type = "Macro";
  readonly #name: string;
  readonly #macro: MacroBody;
  readonly #scope: Scope;
  readonly #runtime: MacroRuntime;

  constructor(name: string, macro: MacroBody, scope: Scope, runtime: MacroRuntime) {
    super();
    this.#name = name;
    this.#macro = macro;
    this.#scope = scope;
    this.#runtime = runtime;
  }

  override attribute(name: string): Value | undefined {
    if (name === "name") return this.#name;
    if (name === "arguments") return new Tuple([...this.#macro.signature.names]);
    if (name === "catch_kwargs") return this.#macro.reads.has("kwargs");
    if (name === "catch_varargs") return this.#macro.reads.has("varargs");
    return name === "caller" ? this.#macro.reads.has("caller") : undefined;
  }

  override call({ positional, keywords }: Arguments): Value {
    const { signature, reads, body } = this.#macro;
    const { names, defaults } = signature;
    const scope = new Scope(this.#scope);
    const left = new Map(keywords);
    const missing: string[] = [];
    for (const [index, name] of names.entries()) {
      const value = index < positional.length ? positional[index] : left.get(name);
      if (value === undefined) missing.push(name);
      else scope.set(name, value);
      if (index >= positional.length) left.delete(name);
    }
    if (reads.has("caller") && !names.includes("caller")) {
      scope.set("caller", left.get("caller") ?? new Undefined("No caller defined")); // None counts as no caller, as in Jinja
      left.delete("caller");
    }
    if (reads.has("kwargs")) scope.set("kwargs", new Dict(left));
    else if (left.size > 0) this.#refuseKeyword([...left.keys()]);
    if (reads.has("varargs")) scope.set("varargs", new Tuple(positional.slice(names.length)));
    else if (positional.length > names.length) {
      throw new TemplateError(
        `macro '${this.#name}' takes not more than ${names.length} argument(s)`,
      );
    }
    for (const name of missing) {
      const otherwise = defaults[names.indexOf(name) - (names.length - defaults.length)];
      const value =
        otherwise === undefined
          ? new Undefined(`parameter '${name}' was not provided`)
          : this.#runtime.evaluate(otherwise, scope);
      scope.set(name, value);
    }
    return this.#runtime.capture(body, scope);
  }

  #refuseKeyword(names: string[]): never {
    if (names.includes("caller")) {
      throw new TemplateError(
        `macro '${this.#name}' was invoked with two values for the special caller argument. This is most likely a bug.`,
      );
    }
    throw new TemplateError(`macro '${this.#name}' takes no keyword argument '${names[0]}'`);
  }

  override repr(): string {
    return `<Macro '${this.#name}'>`;
  }
}
