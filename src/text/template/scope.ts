// The names that a statement can read: each scope sees the scopes around it, and an assignment changes its own only. Knows no syntax.

import type { Value } from "./values.ts";

export class Scope {
  readonly #values: Map<string, Value>;
  readonly #outer: Scope | undefined;

  constructor(outer?: Scope, values: Map<string, Value> = new Map()) {
    this.#outer = outer;
    this.#values = values;
  }

  get(name: string): Value | undefined {
    const value = this.#values.get(name);
    return value === undefined ? this.#outer?.get(name) : value;
  }

  set(name: string, value: Value): void {
    this.#values.set(name, value);
  }
}
