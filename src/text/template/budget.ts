// The limits of one rendering. A template is not trusted: whatever is about to take n steps or to make n characters charges them here
// first, and a TemplateError ends a rendering that goes over a limit.
// Knows nothing of templates or values.

import { checkOptions } from "../../did-you-mean.ts";
import { InputError, TemplateError } from "../../errors.ts";

/** The limits of one rendering. Going over any of them is a TemplateError that names the limit. */
export type TemplateBudget = {
  /** Evaluated nodes, loop turns, compared or printed elements; 64 characters read or written count as one. Default 4,000,000. */
  steps: number;
  /** UTF-16 units of the rendered text and of any string on the way; 16 times as many may be built in all. Default 8,388,608. */
  outputChars: number;
  /** Wall-clock time. Default 750. */
  milliseconds: number;
  /** Nested expressions, blocks, macro calls and values. Default 600. */
  depth: number;
};

export const DEFAULT_BUDGET: Readonly<TemplateBudget> = {
  steps: 4_000_000,
  outputChars: 8 * 1024 * 1024,
  milliseconds: 750,
  depth: 600,
};

const CLOCK_INTERVAL = 4096; // steps between two looks at the clock: well under a millisecond
const BUILT_FACTOR = 16; // all characters that are built, as a multiple of outputChars

export class Budget {
  readonly #limits: TemplateBudget;
  readonly #deadline: number;
  #steps = 0;
  #clockAt: number = CLOCK_INTERVAL;
  #built = 0;
  #depth = 0;

  /** @throws InputError an unknown limit, or one that is not a positive number */
  constructor(limits: Partial<TemplateBudget> = {}) {
    checkOptions("template budget", limits, new Set(Object.keys(DEFAULT_BUDGET)));
    for (const [name, limit] of Object.entries(limits)) {
      if (limit !== undefined && !(typeof limit === "number" && limit > 0)) {
        throw new InputError(
          `template budget: ${name} is ${String(limit)}; it must be a positive number`,
        );
      }
    }
    this.#limits = { ...DEFAULT_BUDGET, ...definedOnly(limits) };
    this.#deadline = performance.now() + this.#limits.milliseconds;
  }

  /** Charges so many steps. */
  spend(steps = 1): void {
    this.#steps += steps;
    if (!(this.#steps <= this.#limits.steps)) {
      throw new TemplateError(overBudget("steps", this.#limits.steps));
    }
    if (this.#steps < this.#clockAt) return;
    this.#clockAt = this.#steps + CLOCK_INTERVAL;
    if (performance.now() > this.#deadline) {
      throw new TemplateError(overBudget("milliseconds", this.#limits.milliseconds));
    }
  }

  /** Charges reading through so many characters. */
  scan(chars: number): void {
    this.spend(1 + (chars >>> 6));
  }

  /** Charges going through so many characters one by one, which takes about 64 times as long as a scan. */
  walk(chars: number): void {
    this.spend(1 + chars);
  }

  /** Charges a string of so many UTF-16 units; called before it is made. */
  build(chars: number): void {
    this.#built += chars;
    if (
      !(chars <= this.#limits.outputChars && this.#built <= BUILT_FACTOR * this.#limits.outputChars)
    ) {
      throw new TemplateError(overBudget("outputChars", this.#limits.outputChars));
    }
    this.spend(1 + (chars >>> 6));
  }

  /** Refuses a text that has grown to so many UTF-16 units. */
  hold(chars: number): void {
    if (!(chars <= this.#limits.outputChars))
      throw new TemplateError(overBudget("outputChars", this.#limits.outputChars));
  }

  /** Charges a list of so many elements; called before it is made. An element takes as much memory as eight characters. */
  elements(count: number): void {
    this.#built += 8 * count;
    this.build(0);
    this.spend(count);
  }

  /** One level deeper; every `enter` that returns has its `leave`, unless an error ends the rendering. */
  enter(): void {
    if (++this.#depth > this.#limits.depth)
      throw new TemplateError(overBudget("depth", this.#limits.depth));
  }

  leave(): void {
    this.#depth--;
  }
}

const overBudget = (limit: keyof TemplateBudget, value: number): string =>
  `chat template: over its budget of ${value.toLocaleString("en-US")} ${limit}; ` +
  `if you trust this template, raise ${limit} of the template budget`;

function definedOnly(limits: Partial<TemplateBudget>): Partial<TemplateBudget> {
  return Object.fromEntries(Object.entries(limits).filter(([, limit]) => limit !== undefined));
}
