// Patterns of tokenizer files, literal or regular expression. A file's expressions are not trusted: one that could take more than
// linear time at one place of a text is refused, and matching is stopped when it takes too long.
// They are written for Oniguruma; what JavaScript reads differently is translated or refused.

import { CheckpointError } from "../errors.ts";
import type { Fields } from "./json-fields.ts";

/** Where a pattern matches: [from, to) pairs in order, without overlap, in UTF-16 units. */
export type Pattern = {
  find(text: string): [from: number, to: number][];
  /** The text with every match replaced by `content`. */
  replace(text: string, content: string): string;
};

/** `{"String": …}` or `{"Regex": …}`. @throws CheckpointError */
export function readPattern(fields: Fields): Pattern {
  const pattern = fields.object("pattern");
  if (pattern.has("String")) return literalPattern(pattern.string("String"));
  return regexPattern(pattern.string("Regex"), pattern.where);
}

export function literalPattern(literal: string): Pattern {
  return {
    find(text) {
      const found: [number, number][] = [];
      if (literal === "") return found;
      for (let at = text.indexOf(literal); at >= 0;) {
        found.push([at, at + literal.length]);
        at = text.indexOf(literal, at + literal.length);
      }
      return found;
    },
    replace: (text, content) =>
      literal !== "" && text.includes(literal) ? text.replaceAll(literal, () => content) : text,
  };
}

/** @throws CheckpointError the expression cannot be read, or might take more than linear time at one place */
export function regexPattern(source: string, where: string): Pattern {
  if (degree(source, where) >= 2) {
    throw new CheckpointError(
      `${where}: the expression ${quote(source)} can take quadratic time or more at one place of a text; refused`,
    );
  }
  const expression = compile(source, where);
  const find = (text: string): [number, number][] =>
    matches(expression, text, () => tooSlow(source, where));
  return { find, replace: (text, content) => replaceSpans(text, find(text), content) };
}

function replaceSpans(
  text: string,
  spans: readonly (readonly [number, number])[],
  content: string,
): string {
  let out = "";
  let read = 0;
  for (const [from, to] of spans) {
    out += text.slice(read, from) + content;
    read = to;
  }
  return out + text.slice(read);
}

function compile(source: string, where: string): RegExp {
  const translated = source.replaceAll(/\\([\s\S])/gu, (escape: string, letter: string) => {
    const classes: Record<string, string> = { s: "\\p{White_Space}", S: "\\P{White_Space}" };
    return Object.hasOwn(classes, letter) ? (classes[letter] ?? escape) : escape;
  });
  try {
    // sticky: each call tries one place only, and the clock can be read between calls
    return new RegExp(translated, "yu");
  } catch (cause) {
    throw new CheckpointError(`${where}: the expression ${quote(source)} is not supported`, {
      cause,
    });
  }
}

function matches(expression: RegExp, text: string, refusal: () => Error): [number, number][] {
  const found: [number, number][] = [];
  const limit = performance.now() + 400 + text.length / 200; // 400 ms, and 5 µs a character
  for (let at = 0, looks = 0; at <= text.length; looks++) {
    if (looks % 8 === 7 && performance.now() > limit) throw refusal();
    expression.lastIndex = at;
    const match = expression.exec(text);
    if (match !== null && match[0] !== "") {
      found.push([at, at + match[0].length]);
      at += match[0].length;
    } else at += (text.codePointAt(at) ?? 0) > 0xffff ? 2 : 1;
  }
  return found;
}

function tooSlow(source: string, where: string): CheckpointError {
  return new CheckpointError(
    `${where}: the expression ${quote(source)} takes too long on this text; stopped`,
  );
}

const quote = (source: string): string =>
  JSON.stringify(source.length > 80 ? `${source.slice(0, 80)}…` : source);

// The first element of an expression: an escape, a class of characters, a parenthesis or another character.
const ELEMENT = /^(?:\\[pPxu]\{[^}]*\}|\\[\s\S]|\[\^?\]?(?:\\[\s\S]|[^\]\\])*\]|[\s\S])/u;
const QUANTIFIER = /^(?:[*+?]|\{\d*(?:,\d*)?\})[?+]?/u;

// Something optional, alternatives, and repetitions of at most FEW times multiply the ways to match at one place by a small number.
// Each adds an eighth to the exponent, so an expression may have 15 of them, or 7 beside one unlimited repetition.
const FEW = 16;
const CHOICE = 1 / 8;

/**
 * An upper bound of the exponent d of the O(n^d) steps that a backtracking matcher may need at one place of a text of length n: one
 * for each unlimited repetition, and CHOICE for each smaller choice, that stands before something that can fail to match. A
 * repeated group and a back-reference count as infinite.
 */
function degree(source: string, where: string): number {
  let rest = source;
  const alternatives = (depth: number): ((fails: boolean) => number) => {
    if (depth > 50) throw new CheckpointError(`${where}: the expression is nested too deeply`);
    const branches: Item[][] = [[]];
    while (rest !== "" && !rest.startsWith(")")) {
      const element = ELEMENT.exec(rest)?.[0] ?? rest;
      rest = rest.slice(element.length);
      let inner: ((fails: boolean) => number) | undefined;
      if (element === "|") {
        branches.push([]);
        continue;
      }
      if (element === "(") {
        rest = rest.replace(/^\?(?:<?[=!]|[a-z-]*:|<\w+>|>)/u, "");
        inner = alternatives(depth + 1);
        rest = rest.slice(1);
      }
      const quantifier = QUANTIFIER.exec(rest)?.[0] ?? "";
      rest = rest.slice(quantifier.length);
      const repeats = quantifier !== "" && !quantifier.startsWith("?");
      const weight = choices(quantifier);
      branches.at(-1)?.push({
        cost: (fails) => {
          if (/^\\(?:[1-9]|k)/u.test(element) || (inner !== undefined && repeats)) return Infinity;
          return (inner?.(fails) ?? 0) + (fails ? weight : 0);
        },
        canFail: !/^(?:[*?]|\{0?,|\{0\})/u.test(quantifier),
      });
    }
    return (after) => {
      const several = after && branches.length > 1 ? CHOICE : 0;
      return several + Math.max(...branches.map((items) => sequence(items, after)));
    };
  };
  return alternatives(0)(false);
}

/** What a quantifier adds to the exponent. */
function choices(quantifier: string): number {
  if (quantifier === "") return 0;
  if (/^[*+]/u.test(quantifier)) return 1;
  if (quantifier.startsWith("?")) return CHOICE;
  const [, least = "", comma, most = ""] = /^\{(\d*)(,?)(\d*)\}/u.exec(quantifier) ?? [];
  if (comma === "" || least === most) return 0;
  return most !== "" && Number(most) <= FEW ? CHOICE : 1;
}

type Item = { cost: (fails: boolean) => number; canFail: boolean };

function sequence(items: readonly Item[], after: boolean): number {
  let fails = after;
  let sum = 0;
  for (const item of items.toReversed()) {
    sum += item.cost(fails);
    fails ||= item.canFail;
  }
  return sum;
}
