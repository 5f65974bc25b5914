// The methods of Markup: those of str, which then escape what they insert and give Markup again, and its own.

import { bind } from "./bind.ts";
import { stripTags } from "./html-text.ts";
import { unescapedHtml } from "./html-entities.ts";
import { iterate } from "./iteration.ts";
import { escaped, joinAll } from "./markup.ts";
import type { StringMethod } from "./string-methods.ts";
import { Arguments, Markup, Tuple, type Value } from "./values.ts";

/** Which argument is inserted into the result. */
const INSERTED: ReadonlyMap<string, number> = new Map([
  ["replace", 1],
  ["ljust", 1],
  ["rjust", 1],
  ["center", 1],
]);

/** Methods that Markup takes from str as they are. */
const UNCHANGED: ReadonlySet<string> = new Set(["maketrans"]);

const OWN: ReadonlyMap<string, StringMethod> = new Map(
  Object.entries<StringMethod>({
    join(text, args, budget) {
      const [texts = null] = bind("join", ["iterable/"], args);
      const parts = Array.from(iterate(texts, budget), (part) => escaped(part, budget));
      budget.elements(parts.length);
      return joinAll(new Markup(text), parts, budget);
    },
    striptags(text, args, budget) {
      bind("striptags", [], args);
      return stripTags(text, budget);
    },
    unescape(text, args, budget) {
      bind("unescape", [], args);
      return unescapedHtml(text, budget);
    },
    escape(_text, args, budget) {
      const [value = null] = bind("escape", ["s/"], args);
      return escaped(value, budget);
    },
  }),
);

/** Markup's method of this name; `plain` is that of str. */
export function markupMethod(
  name: string,
  plain: StringMethod | undefined,
): StringMethod | undefined {
  const own = OWN.get(name);
  if (own !== undefined || plain === undefined || UNCHANGED.has(name)) return own ?? plain;
  const inserted = INSERTED.get(name);
  return (text, args, budget) => {
    const given = args.positional.map((value, i) =>
      i === inserted ? escaped(value, budget) : value,
    );
    return asMarkup(plain(text, new Arguments(given, args.keywords), budget));
  };
}

function asMarkup(result: Value): Value {
  if (typeof result === "string") return new Markup(result);
  if (Array.isArray(result)) return result.map(asMarkup);
  return result instanceof Tuple ? new Tuple(result.items.map(asMarkup)) : result;
}
