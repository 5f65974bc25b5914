// Patterns of tokenizer files, literal or regular expression. Expressions mean what they mean to Oniguruma. A file is not trusted:
// JavaScript's matcher, which cannot be stopped, runs only expressions that need linear time at one place of a text, our own runs the
// others; matching is stopped when it takes too long.

import { CheckpointError } from "../errors.ts";
import type { Fields } from "./json-fields.ts";
import { degree } from "./regex/cost.ts";
import { Matcher } from "./regex/matcher.ts";
import { nativeSource } from "./regex/native.ts";
import { parseRegex } from "./regex/parse.ts";
import { compileRegex } from "./regex/program.ts";
import { lengths, type RegexNode, walk } from "./regex/syntax.ts";

/** Where a pattern matches: [from, to) pairs in order, without overlap, in UTF-16 units. A match may be empty. */
export type Pattern = {
  find(text: string): [from: number, to: number][];
  /** The text with every match replaced by `content`. */
  replace(text: string, content: string): string;
};

/** `{"String": …}` or `{"Regex": …}`. @throws CheckpointError */
export function readPattern(fields: Fields): Pattern {
  const pattern = fields.object("pattern");
  if (pattern.has("String")) {
    const literal = pattern.string("String");
    // the empty text is found everywhere
    return literal === "" ? regexPattern("", pattern.where) : literalPattern(literal);
  }
  return regexPattern(pattern.string("Regex"), pattern.where);
}

/** A text that is not empty. */
export function literalPattern(literal: string): Pattern {
  return {
    find(text) {
      const found: [number, number][] = [];
      for (let at = text.indexOf(literal); at >= 0;) {
        found.push([at, at + literal.length]);
        at = text.indexOf(literal, at + literal.length);
      }
      return found;
    },
    replace: (text, content) =>
      text.includes(literal) ? text.replaceAll(literal, () => content) : text,
  };
}

/** A pattern of ours, not of a file: an expression of JavaScript with flag v that never matches the empty text. */
export function classPattern(source: string): Pattern {
  const expression = new RegExp(source, "gv");
  const find = (text: string): [number, number][] =>
    Array.from(text.matchAll(expression), ({ 0: match, index }) => [index, index + match.length]);
  return { find, replace: (text, content) => replaceSpans(text, find(text), content) };
}

/** @throws CheckpointError the expression cannot be read, or has no counterpart here */
export function regexPattern(source: string, where: string): Pattern {
  const search = searcher(source, where);
  const find = (text: string): [number, number][] => {
    const limit = 400 + text.length / 200; // 400 ms, and 5 µs a character
    return allMatches(
      text,
      search,
      stopwatch(limit, () => tooSlow(source, where)),
    );
  };
  return { find, replace: (text, content) => replaceSpans(text, find(text), content) };
}

/** The most that counts of the time between two looks at the clock, in ms: more was taken by a machine that slept, or by others. */
const LONGEST_GAP = 50;

/** A function to be called again and again, which throws once `limit` ms have been spent between its calls. */
function stopwatch(limit: number, error: () => CheckpointError): () => void {
  let spent = 0;
  let last = performance.now();
  return () => {
    const now = performance.now();
    spent += Math.min(now - last, LONGEST_GAP);
    last = now;
    if (spent > limit) throw error();
  };
}

/** Finds the first match at or after a place. `clock` is to be called again and again; it throws when time is up. */
type Search = (text: string, from: number, clock: () => void) => [number, number] | undefined;

/** How an expression is searched for. `own`: by our own matcher in any case. */
export function searcher(source: string, where: string, own: boolean = false): Search {
  const { node, groups } = parseRegex(source, where);
  const steps = degree(node);
  const native = steps < 2 && !own ? nativeSource(node) : undefined;
  if (native === undefined) {
    const matcher = new Matcher(compileRegex(node, groups, where));
    return (text, from, clock) => matcher.search(text, from, clock);
  }
  if (steps < 1 && consumesOnly(node)) {
    // little time at each place: JavaScript may look at all of them in one call
    const anywhere = new RegExp(native, "gv");
    return (text, from) => {
      anywhere.lastIndex = from;
      const match = anywhere.exec(text);
      return match === null ? undefined : [match.index, match.index + match[0].length];
    };
  }
  const here = new RegExp(native, "yv");
  return (text, from, clock) => {
    for (let at = from, looks = 0; at <= text.length; at += widthAt(text, at)) {
      if (looks++ % 8 === 7) clock();
      here.lastIndex = at;
      const match = here.exec(text);
      if (match !== null) return [at, at + match[0].length];
    }
    return undefined;
  };
}

/** Whether every part of an expression consumes text. Others JavaScript would also try between the two halves of a character. */
function consumesOnly(node: RegexNode): boolean {
  const around = Array.from(walk(node)).some(({ kind }) => kind === "look" || kind === "anchor");
  return !around && lengths(node)[0] > 0;
}

/** All matches, as Rust `tokenizers` finds them: after an empty match where the last one ended, the next character is passed over. */
function allMatches(text: string, search: Search, clock: () => void): [number, number][] {
  const found: [number, number][] = [];
  let last = -1;
  for (let from = 0; from <= text.length;) {
    if (found.length % 64 === 63) clock();
    const match = search(text, from, clock);
    if (match === undefined) break;
    const [begin, end] = match;
    if (begin === end && end === last) from += widthAt(text, from);
    else {
      found.push(match);
      from = end;
      last = end;
    }
  }
  return found;
}

function widthAt(text: string, at: number): number {
  return (text.codePointAt(at) ?? 0) > 0xffff ? 2 : 1;
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

function tooSlow(source: string, where: string): CheckpointError {
  return new CheckpointError(
    `${where}: the expression ${quote(source)} takes too long on this text; stopped`,
  );
}

const quote = (source: string): string =>
  JSON.stringify(source.length > 80 ? `${source.slice(0, 80)}…` : source);
