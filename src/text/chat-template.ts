// Chat templates: the part of Jinja2 that Transformers allows in them, interpreted within a budget.
// A template is code that comes with a model and is not trusted: it can read its variables and nothing else, and every loop, text
// and recursion is limited.
// Follows Jinja2 3.1.6's ImmutableSandboxedEnvironment as Transformers 5.23 sets it up; knows nothing of tokens or messages.

import { InputError, TemplateError } from "../errors.ts";
import { Budget, DEFAULT_BUDGET, type TemplateBudget } from "./template/budget.ts";
import { REGISTRY_TESTS } from "./template/evaluate.ts";
import { freeNames } from "./template/free-names.ts";
import { fromJavaScript } from "./template/from-javascript.ts";
import { normalizedSource, syntaxError } from "./template/lexer.ts";
import { NUMBER_FILTERS } from "./template/number-filters.ts";
import { parse } from "./template/parser.ts";
import { type Rendered, Renderer } from "./template/render.ts";
import { SEQUENCE_FILTERS } from "./template/sequence-filters.ts";
import type { Statement } from "./template/syntax.ts";
import { TESTS } from "./template/tests.ts";
import { TEXT_FILTERS } from "./template/text-filters.ts";
import { Dict, Float, type Value } from "./template/values.ts";

export { DEFAULT_BUDGET as DEFAULT_TEMPLATE_BUDGET, Float, type TemplateBudget };

/** The longest template, in UTF-16 units; published ones have at most some ten thousand. */
const MAX_TEMPLATE_CHARS = 512 * 1024;
const CACHED_TEMPLATES = 16;

const BUILTINS = {
  filters: new Map(Object.entries({ ...SEQUENCE_FILTERS, ...TEXT_FILTERS, ...NUMBER_FILTERS })),
  tests: TESTS,
};
const KNOWN = {
  filters: new Set(BUILTINS.filters.keys()),
  tests: new Set([...TESTS.keys(), ...REGISTRY_TESTS]),
};

export class ChatTemplate {
  readonly #source: string;
  readonly #statements: Statement[];
  /** The names that the template reads and does not assign first: its variables, and global functions such as `range`. */
  readonly variables: ReadonlySet<string>;

  /** @throws TemplateError a syntax error, with line and column; more than 524,288 characters */
  constructor(template: string) {
    if (template.length > MAX_TEMPLATE_CHARS) {
      throw new TemplateError(
        `chat template: ${template.length.toLocaleString("en-US")} characters, more than ` +
          `${MAX_TEMPLATE_CHARS.toLocaleString("en-US")}; is this file a template?`,
      );
    }
    this.#source = normalizedSource(template);
    this.#statements = guarded(() => parse(this.#source, KNOWN));
    this.variables = guarded(() => freeNames(this.#statements));
  }

  /** As `renderChatTemplate`. */
  render(variables: Record<string, unknown>, budget: Partial<TemplateBudget> = {}): Rendered {
    const renderer = new Renderer(new Budget(budget), BUILTINS);
    const values = namedValues(variables);
    return guarded(() => {
      try {
        return renderer.render(this.#statements, values);
      } catch (error) {
        if (error instanceof TemplateError)
          error.cause ??= syntaxError(this.#source, renderer.at, "raised here").message;
        throw error;
      }
    });
  }
}

function namedValues(variables: Record<string, unknown>): Map<string, Value> {
  const dict = fromJavaScript(variables);
  if (!(dict instanceof Dict))
    throw new InputError(
      `chat template: the variables are ${typeof variables}; pass a plain object`,
    );
  const values = new Map<string, Value>();
  for (const [name, value] of dict.entries()) if (typeof name === "string") values.set(name, value);
  return values;
}

/**
 * Runs, and turns a RangeError of JavaScript (stack or string length) into a TemplateError. The budget keeps templates below these
 * limits, unless the caller has used up most of the stack.
 */
function guarded<T>(run: () => T): T {
  try {
    return run();
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    throw new TemplateError(
      `chat template: nested too deeply for the stack that is left (${error.message}); write it flatter`,
      { cause: error },
    );
  }
}

const compiled: Map<string, ChatTemplate> = new Map(); // by source, the least recently used first

/**
 * Parses a template; the last 16 are kept.
 *
 * @throws TemplateError a syntax error, with line and column
 */
export function compileChatTemplate(template: string): ChatTemplate {
  const known = compiled.get(template) ?? new ChatTemplate(template);
  compiled.delete(template);
  compiled.set(template, known);
  for (const oldest of compiled.keys()) {
    if (compiled.size <= CACHED_TEMPLATES) break;
    compiled.delete(oldest);
  }
  return known;
}

/**
 * Renders a chat template.
 *
 * @param template  Jinja source, read with trim_blocks and lstrip_blocks
 * @param variables what the template sees: plain objects and Maps are dicts, arrays lists, null None, whole numbers ints;
 *                  a number that must print as `2.0` enters as `new Float(2)`. Own data properties only; a property that is
 *                  undefined is not there; functions and class instances become their name, such as `<Date>`
 * @param budget    limits of this rendering, see `TemplateBudget` for units and defaults
 * @returns `text`, and in `generation` the UTF-16 ranges [start, end) of it that `{% generation %}` blocks gave, in order
 * @throws TemplateError syntax, an error of the template's own (`raise_exception` gives exactly its text), a Python error such as
 *                       adding text and a number, or the budget; `cause` says where in the template
 * @throws InputError    an unknown limit in `budget`
 * @see Transformers 5.23 `render_jinja_template`
 */
export function renderChatTemplate(
  template: string,
  variables: Record<string, unknown>,
  budget: Partial<TemplateBudget> = {},
): Rendered {
  return compileChatTemplate(template).render(variables, budget);
}
