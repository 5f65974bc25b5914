// Fields of a JSON file by name and type, or an error that says where, what came and what was expected: a CheckpointError, unless
// they are a caller's options.
// Own properties only, so a file's "__proto__" is a name like any other. Knows nothing of tokenizers.

import { CheckpointError, type InputError } from "../errors.ts";

export class Fields {
  /** Where in which file: "tokenizer.json: normalizer". */
  readonly where: string;
  readonly #value: Record<string, unknown>;
  readonly #error: typeof CheckpointError | typeof InputError;

  /** @throws CheckpointError, or `error`: `value` is no object */
  constructor(
    value: unknown,
    where: string,
    error: typeof CheckpointError | typeof InputError = CheckpointError,
  ) {
    this.#error = error;
    if (typeof value !== "object" || value === null || Array.isArray(value)) {
      throw new error(`${where} is ${describe(value)}; expected an object`);
    }
    this.where = where;
    this.#value = value as Record<string, unknown>;
  }

  get(name: string): unknown {
    return Object.hasOwn(this.#value, name) ? this.#value[name] : undefined;
  }

  /** Null and absent are the same in these files. */
  has(name: string): boolean {
    return (this.get(name) ?? undefined) !== undefined;
  }

  string(name: string, otherwise?: string): string {
    return this.#typed(name, "string", otherwise) as string;
  }

  boolean(name: string, otherwise?: boolean): boolean {
    return this.#typed(name, "boolean", otherwise) as boolean;
  }

  integer(name: string, otherwise?: number): number {
    const value = this.#typed(name, "number", otherwise) as number;
    if (Number.isSafeInteger(value) && value >= 0) return value;
    throw this.wrong(name, "an integer of 0 or more");
  }

  array(name: string): readonly unknown[] {
    const value = this.get(name);
    if (Array.isArray(value)) return value;
    throw this.wrong(name, "an array");
  }

  object(name: string): Fields {
    return new Fields(this.get(name), `${this.where}: ${name}`, this.#error);
  }

  /** The objects of an array. */
  objects(name: string): Fields[] {
    return this.array(name).map(
      (v, i) => new Fields(v, `${this.where}: ${name}[${i}]`, this.#error),
    );
  }

  keys(): string[] {
    return Object.keys(this.#value);
  }

  wrong(name: string, expected: string): CheckpointError | InputError {
    const came = describe(this.get(name));
    return new this.#error(`${this.where}: ${name} is ${came}; expected ${expected}`);
  }

  #typed(name: string, type: "string" | "boolean" | "number", otherwise: unknown): unknown {
    const value = this.get(name) ?? otherwise;
    if (typeof value === type) return value;
    throw this.wrong(name, `a ${type}`);
  }
}

function describe(value: unknown): string {
  if (value === undefined) return "missing";
  if (value === null) return "null";
  if (Array.isArray(value)) return `an array of ${value.length}`;
  if (typeof value === "object") return "an object";
  const text = JSON.stringify(value) ?? typeof value;
  return text.length > 60 ? `${text.slice(0, 60)}…` : text;
}
