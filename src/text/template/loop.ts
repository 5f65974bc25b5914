// The `loop` of a `for`: position, neighbours, length. Reads ahead only when asked, as Jinja does. Does not know the loop's body.

import { TemplateError } from "../../errors.ts";
import type { Budget } from "./budget.ts";
import { equals, numeric } from "./compare.ts";
import { lengthOf } from "./iteration.ts";
import { type Arguments, Callable, PyObject, Tuple, Undefined, type Value } from "./values.ts";

/** Renders the loop's body over other elements, one level deeper. */
export type Recurse = (over: Value, depth0: number) => string;

/** A method that takes any number of arguments, but none by name. */
const variadic = (name: string, run: (items: Value[]) => Value): Callable =>
  new Callable(name, ({ positional, keywords }) => {
    const [keyword] = keywords.keys();
    if (keyword === undefined) return run(positional);
    throw new TemplateError(
      `LoopContext.${name}() got an unexpected keyword argument '${keyword}'`,
    );
  });

export class Loop extends PyObject {
  readonly type = "LoopContext";
  readonly #budget: Budget;
  readonly #iterator: Iterator<Value>;
  readonly #ahead: Value[] = []; // read, not yet given
  #length: number | undefined;
  #index0 = -1;
  #previous: Value | undefined;
  #current: Value | undefined;
  #changed: Value | undefined;
  readonly #depth0: number;
  readonly #recurse: Recurse | undefined;

  constructor(
    over: Value,
    iterator: Iterator<Value>,
    budget: Budget,
    recurse: Recurse | undefined,
    depth0: number,
  ) {
    super();
    this.#iterator = iterator;
    this.#budget = budget;
    this.#length = lengthOf(over);
    this.#recurse = recurse;
    this.#depth0 = depth0;
  }

  /** The next element, or undefined at the end. */
  next(): Value | undefined {
    const item = this.#peek();
    if (item === undefined) return undefined;
    this.#ahead.shift();
    this.#index0++;
    this.#previous = this.#current;
    this.#current = item;
    return item;
  }

  #peek(): Value | undefined {
    if (this.#ahead.length === 0) {
      const { value, done } = this.#iterator.next();
      if (done === true) return undefined;
      this.#ahead.push(value);
    }
    return this.#ahead[0];
  }

  #wholeLength(): number {
    if (this.#length === undefined) {
      for (let step = this.#iterator.next(); step.done !== true; step = this.#iterator.next())
        this.#ahead.push(step.value);
      this.#length = this.#ahead.length + this.#index0 + 1;
    }
    return this.#length;
  }

  override length(): number {
    return this.#wholeLength();
  }

  override attribute(name: string): Value | undefined {
    if (name === "index") return this.#index0 + 1;
    if (name === "index0") return this.#index0;
    if (name === "first") return this.#index0 === 0;
    if (name === "last") return this.#peek() === undefined;
    if (name === "length") return this.#wholeLength();
    if (name === "revindex") return this.#wholeLength() - this.#index0;
    if (name === "revindex0") return this.#wholeLength() - this.#index0 - 1;
    if (name === "depth") return this.#depth0 + 1;
    if (name === "depth0") return this.#depth0;
    if (name === "previtem")
      return this.#previous === undefined
        ? new Undefined("there is no previous item")
        : this.#previous;
    if (name === "nextitem") {
      const next = this.#peek();
      return next === undefined ? new Undefined("there is no next item") : next;
    }
    if (name === "cycle") return variadic(name, (items) => this.#cycle(items));
    return name === "changed"
      ? variadic(name, (items) => this.#isChanged(new Tuple(items)))
      : undefined;
  }

  #cycle(items: Value[]): Value {
    if (items.length === 0) throw new TemplateError("no items for cycling given");
    return items[this.#index0 % items.length];
  }

  #isChanged(value: Tuple): boolean {
    if (this.#changed !== undefined && equals(this.#changed, value, this.#budget)) return false;
    this.#changed = value;
    return true;
  }

  override call({ positional: [over] }: Arguments): Value {
    if (this.#recurse === undefined) {
      throw new TemplateError(
        "The loop must have the 'recursive' marker to be called recursively.",
      );
    }
    if (over === undefined || numeric(over) !== undefined)
      throw new TemplateError("loop() needs something to iterate over");
    return this.#recurse(over, this.#depth0 + 1);
  }

  override repr(): string {
    return `<LoopContext ${this.#index0 + 1}/${this.#wholeLength()}>`;
  }
}
