// Reads a regular expression as Oniguruma reads it in its Ruby syntax, which Rust `tokenizers` uses. What has no counterpart here is
// refused by name. Knows nothing of how expressions are matched.

import { ANY, charSource, CharSet, NOT_NEWLINE } from "./char-set.ts";
import { equalCharacters, longFold, longFolds, withAllCases } from "./case-folds.ts";
import { joinFolds } from "./join-folds.ts";
import { parseClass } from "./parse-class.ts";
import { SourceReader } from "./source-reader.ts";
import type { Anchor, RegexNode } from "./syntax.ts";

type Options = { ignoreCase: boolean; dotAll: boolean; extended: boolean };

const MOST_DEPTH = 50;
const MOST_REPEATS = 100_000;

/** The syntax tree of an expression and the number of its groups. @throws CheckpointError it is malformed, or not supported */
export function parseRegex(source: string, where: string): { node: RegexNode; groups: number } {
  return new Parser(source, where).parse();
}

const ANCHORS: ReadonlyMap<string, Anchor> = new Map([
  ["A", "text start"],
  ["z", "text end"],
  ["Z", "last line end"],
  ["b", "word edge"],
  ["B", "no word edge"],
  ["G", "search start"],
]);

const UNSUPPORTED: ReadonlyMap<string, string> = new Map([
  ["X", "\\X (a grapheme)"],
  ["y", "\\y (the edge of a grapheme)"],
  ["Y", "\\Y (inside a grapheme)"],
]);

class Parser {
  readonly #reader: SourceReader;
  readonly #sets = new Map<string, CharSet>();
  readonly #names = new Map<string, number[]>();
  /** Where groups have names, those without one do not capture. */
  readonly #onlyNamed: boolean;
  #groups = 0;
  #lastReference = 0;

  constructor(source: string, where: string) {
    this.#reader = new SourceReader(source, where);
    this.#onlyNamed = /\(\?(?:<(?![=!])|')/u.test(source.replaceAll(/\\[\s\S]/gu, ""));
  }

  parse(): { node: RegexNode; groups: number } {
    const options = { ignoreCase: false, dotAll: false, extended: false };
    const node = this.#alternatives(options, 0);
    if (!this.#reader.done) throw this.#reader.error('")" has no "("');
    if (this.#lastReference > this.#groups) {
      throw this.#reader.error(`group ${this.#lastReference} does not exist`);
    }
    return { node, groups: this.#groups };
  }

  /** Up to ")" or the end; "(?i)" holds up to there, alternatives included. */
  #alternatives(options: Options, depth: number): RegexNode {
    const reader = this.#reader;
    if (depth > MOST_DEPTH) throw reader.error("groups are nested too deeply");
    const branches: RegexNode[][] = [[]];
    while (!reader.done && reader.peek() !== ")") {
      if (reader.take("|")) {
        branches.push([]);
        continue;
      }
      const inner = this.#optionsOnly(options);
      const items = branches[branches.length - 1];
      if (inner !== undefined) {
        items.push(this.#alternatives(inner, depth + 1));
        break;
      }
      const node = this.#element(options, depth);
      if (node !== undefined) items.push(this.#quantified(node, options));
    }
    const nodes = branches.map((items) => this.#sequence(items));
    return nodes.length === 1 ? nodes[0] : { kind: "choice", nodes };
  }

  #sequence(items: readonly RegexNode[]): RegexNode {
    const nodes = joinFolds(items, longFolds, (point) => this.#literal(point, true));
    if (nodes === undefined) {
      throw this.#reader.error(
        'too many letters that equal others together, such as "ss" and "ß",',
      );
    }
    return nodes.length === 1 ? nodes[0] : { kind: "sequence", nodes };
  }

  /** The options of "(?i)"; undefined: something else comes. */
  #optionsOnly(options: Options): Options | undefined {
    const reader = this.#reader;
    const start = reader.at;
    if (reader.take("(?")) {
      const changed = this.#readOptions(options);
      if (changed !== undefined && reader.take(")")) return changed;
    }
    reader.at = start;
    return undefined;
  }

  #readOptions(options: Options): Options | undefined {
    const reader = this.#reader;
    const changed = { ...options };
    let on = true;
    let some = false;
    for (; ; reader.next(), some = true) {
      const letter = reader.peek();
      if (letter === "-") on = false;
      else if (letter === "i") changed.ignoreCase = on;
      else if (letter === "m") changed.dotAll = on;
      else if (letter === "x") changed.extended = on;
      else break;
    }
    return some ? changed : undefined;
  }

  /** One element without its quantifier; undefined for a comment or white space that does not count. */
  #element(options: Options, depth: number): RegexNode | undefined {
    const reader = this.#reader;
    const character = reader.next();
    if (options.extended) {
      if (/^[\t-\r ]$/u.test(character)) return undefined;
      if (character === "#") {
        while (!reader.done && reader.next() !== "\n");
        return undefined;
      }
    }
    switch (character) {
      case "(":
        return this.#group(options, depth);
      case "[": {
        const { source, long } = parseClass(reader, options.ignoreCase);
        const set: RegexNode = { kind: "char", set: this.#set(source, options.ignoreCase) };
        if (long.length === 0) return set;
        const texts = long.map((text): RegexNode => {
          return { kind: "sequence", nodes: this.#literals(text) };
        });
        return { kind: "choice", nodes: [set, ...texts] };
      }
      case ".":
        return { kind: "char", set: this.#set(options.dotAll ? ANY : NOT_NEWLINE) };
      case "^":
        return { kind: "anchor", at: "line start" };
      case "$":
        return { kind: "anchor", at: "line end" };
      case "\\":
        return this.#escape(options);
      case "*":
      case "+":
      case "?":
        throw reader.error(`there is nothing before ${character} to repeat`);
      default:
        return this.#literal(character.codePointAt(0) ?? 0, options.ignoreCase);
    }
  }

  #escape(options: Options): RegexNode {
    const reader = this.#reader;
    const letter = reader.next();
    const anchor = ANCHORS.get(letter);
    if (anchor !== undefined) return { kind: "anchor", at: anchor };
    const unsupported = UNSUPPORTED.get(letter);
    if (unsupported !== undefined) throw reader.error(`${unsupported} has no counterpart`);
    switch (letter) {
      case "R": {
        const ends = {
          kind: "char",
          set: this.#set("[\\n-\\r\\u{85}\\u{2028}\\u{2029}]"),
        } as const;
        const pair = { kind: "sequence", nodes: this.#plain("\r\n") } as const;
        return { kind: "atomic", node: { kind: "choice", nodes: [pair, ends] } };
      }
      case "N":
        return { kind: "char", set: this.#set(NOT_NEWLINE) };
      case "O":
        return { kind: "char", set: this.#set(ANY) };
      case "K":
        return { kind: "keep" };
      case "k":
        return this.#namedReference(options);
      case "g":
        if (reader.peek() === "<" || reader.peek() === "'") {
          throw reader.error("a call of a group (\\g) has no counterpart");
        }
        break;
      default:
        if (/[1-9]/u.test(letter)) return this.#numbered(letter, options);
    }
    const meaning = reader.escape(letter);
    if ("source" in meaning) return { kind: "char", set: this.#set(meaning.source) };
    return this.#literal(meaning.point, options.ignoreCase);
  }

  /** \1 to \9, and more digits where there are so many groups; else an octal number. */
  #numbered(first: string, { ignoreCase }: Options): RegexNode {
    const reader = this.#reader;
    const start = reader.at;
    const group = Number(first + reader.run(/[0-9]/u, 3));
    if (group <= Math.max(9, this.#groups) && group > 0 && (group <= this.#groups || group <= 9)) {
      if (this.#onlyNamed) throw reader.error("groups have names, and so no numbers");
      this.#lastReference = Math.max(this.#lastReference, group);
      return { kind: "backreference", groups: [group], ignoreCase };
    }
    reader.at = start;
    if (/[89]/u.test(first)) return this.#literal(first.codePointAt(0) ?? 0, ignoreCase);
    return this.#literal(reader.octal(first), ignoreCase);
  }

  #namedReference({ ignoreCase }: Options): RegexNode {
    const reader = this.#reader;
    const end = reader.take("<") ? ">" : reader.take("'") ? "'" : undefined;
    if (end === undefined) return this.#literal(0x6b, ignoreCase);
    const name = reader.until(end);
    if (/^-?[0-9]+$/u.test(name)) {
      const number = Number(name);
      const group = number < 0 ? this.#groups + 1 + number : number;
      if (!(group > 0)) throw reader.error(`group ${name} does not exist`);
      this.#lastReference = Math.max(this.#lastReference, group);
      return { kind: "backreference", groups: [group], ignoreCase };
    }
    const groups = this.#names.get(name);
    if (groups === undefined) {
      throw reader.error(`there is no group ${JSON.stringify(name)} before its reference`);
    }
    // the last group of a name that has a text counts
    return { kind: "backreference", groups: groups.toReversed(), ignoreCase };
  }

  #group(options: Options, depth: number): RegexNode | undefined {
    const reader = this.#reader;
    const inside = (more: Options = options): RegexNode => {
      const node = this.#alternatives(more, depth + 1);
      if (!reader.take(")")) throw reader.error('"(" has no ")"');
      return node;
    };
    const look = (behind: boolean, negative: boolean): RegexNode => {
      return { kind: "look", node: inside(), behind, negative };
    };
    if (reader.peek() === "*") throw reader.error("(*…) has no counterpart");
    if (!reader.take("?")) {
      if (this.#onlyNamed) return inside();
      const group = ++this.#groups;
      return { kind: "capture", group, node: inside() };
    }
    if (reader.take("#")) {
      reader.until(")");
      return undefined;
    }
    if (reader.take(":")) return inside();
    if (reader.take("=")) return look(false, false);
    if (reader.take("!")) return look(false, true);
    if (reader.take(">")) return { kind: "atomic", node: inside() };
    if (reader.take("<=")) return look(true, false);
    if (reader.take("<!")) return look(true, true);
    const end = reader.take("<") ? ">" : reader.take("'") ? "'" : undefined;
    if (end !== undefined) {
      const name = reader.until(end);
      if (!/^[\p{L}_][\p{L}\p{M}\p{N}_]*$/u.test(name)) {
        throw reader.error(`a group is called ${JSON.stringify(name)}`);
      }
      const group = ++this.#groups;
      this.#names.set(name, [...(this.#names.get(name) ?? []), group]);
      return { kind: "capture", group, node: inside() };
    }
    const changed = this.#readOptions(options);
    if (changed !== undefined && reader.take(":")) return inside(changed);
    throw reader.error(`(?${reader.peek()}…) has no counterpart`);
  }

  #quantified(element: RegexNode, options: Options): RegexNode {
    const reader = this.#reader;
    let node = element;
    for (let depth = 0; ; depth++) {
      if (depth > MOST_DEPTH) throw reader.error("too many quantifiers follow each other");
      while (options.extended && /^[\t-\r ]$/u.test(reader.peek())) reader.next();
      const range = this.#range();
      if (range === undefined) return node;
      const { kind } = node;
      if (kind === "anchor" || kind === "keep" || kind === "look") {
        throw reader.error("what matches no text cannot be repeated");
      }
      const { least, most, interval } = range;
      const swapped = least > most;
      const repeat = {
        kind: "repeat",
        node,
        least: Math.min(least, most),
        most: Math.max(least, most),
        lazy: false,
      } as const;
      if (reader.take("?")) {
        // {n}? means: n times, or not at all
        node =
          interval && least === most
            ? { kind: "repeat", node: repeat, least: 0, most: 1, lazy: false }
            : { ...repeat, lazy: true };
      } else if (swapped || (!interval && reader.take("+"))) {
        node = { kind: "atomic", node: repeat };
      } else node = repeat;
    }
  }

  #range(): { least: number; most: number; interval: boolean } | undefined {
    const reader = this.#reader;
    if (reader.take("*")) return { least: 0, most: Infinity, interval: false };
    if (reader.take("+")) return { least: 1, most: Infinity, interval: false };
    if (reader.take("?")) return { least: 0, most: 1, interval: false };
    const start = reader.at;
    if (!reader.take("{")) return undefined;
    const first = reader.run(/[0-9]/u);
    const comma = reader.take(",");
    const second = comma ? reader.run(/[0-9]/u) : first;
    if ((first === "" && second === "") || !reader.take("}")) {
      reader.at = start; // a brace that is no quantifier is itself
      return undefined;
    }
    const least = first === "" ? 0 : Number(first);
    const most = second === "" ? Infinity : Number(second);
    if (least > MOST_REPEATS || (most !== Infinity && most > MOST_REPEATS)) {
      throw reader.error(`more than ${MOST_REPEATS} repetitions`);
    }
    return { least, most, interval: true };
  }

  #literal(point: number, ignoreCase: boolean): RegexNode {
    if (!ignoreCase) return { kind: "char", set: this.#set(`[${charSource(point)}]`) };
    const fold = longFold(point);
    const set = this.#set(`[${equalCharacters(point)}]`);
    if (fold === undefined) return { kind: "char", set, literal: point };
    const same = (longFolds().get(fold) ?? [point]).map(charSource).join("");
    const nodes = this.#literals(fold);
    return {
      kind: "choice",
      nodes: [
        { kind: "char", set: this.#set(`[${same}]`) },
        { kind: "sequence", nodes },
      ],
    };
  }

  /** The characters of a folding, each in all its cases. */
  #literals(text: string): RegexNode[] {
    return Array.from(text, (character): RegexNode => {
      const set = this.#set(`[${equalCharacters(character.codePointAt(0) ?? 0)}]`);
      return { kind: "char", set };
    });
  }

  #plain(text: string): RegexNode[] {
    return Array.from(text, (character) => this.#literal(character.codePointAt(0) ?? 0, false));
  }

  #set(source: string, ignoreCase = false): CharSet {
    const key = `${ignoreCase ? "i" : ""}${source}`;
    let set = this.#sets.get(key);
    if (set === undefined) {
      set = new CharSet(ignoreCase ? withAllCases(source) : source);
      this.#sets.set(key, set);
    }
    return set;
  }
}
