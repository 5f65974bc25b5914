// JSON as Python's json module reads and writes it: mistral-common writes tools, arguments and results into prompts so. Integers of
// any size, 2.0 stays 2.0, the order of keys is kept, NaN and Infinity are numbers. Knows nothing of messages.

import { InputError, TemplateError } from "../../errors.ts";
import { int } from "../template/integers.ts";
import { Budget } from "../template/budget.ts";
import { fromJavaScript } from "../template/from-javascript.ts";
import { jsonText } from "../template/json-text.ts";
import { Dict, Float, type Value } from "../template/values.ts";

const MAX_DEPTH = 500; // Python's own limit is about 1,000
const STYLE = { indent: null, itemSeparator: ", ", keySeparator: ": ", sortKeys: false };

/** json.dumps(value, ensure_ascii=False). @throws InputError the value is nested too deeply, or has an integer of over 4,300 digits */
export function pythonJson(value: Value, where: string): string {
  // the limits of a template are against templates; this writes what the caller passed
  const budget = new Budget({ steps: Infinity, outputChars: Infinity, milliseconds: Infinity });
  return guarded(where, () => jsonText(value, { ...STYLE, ensureAscii: false }, budget));
}

/** Plain data of JavaScript as Python values: whole numbers are integers, others and `Float`s are floats. @throws InputError */
export function pythonValue(data: unknown, where: string): Value {
  return guarded(where, () => fromJavaScript(data));
}

function guarded<T>(where: string, run: () => T): T {
  try {
    return run();
  } catch (cause) {
    if (!(cause instanceof TemplateError)) throw cause;
    throw new InputError(`${where}: ${cause.message}`, { cause });
  }
}

/** json.loads(text); undefined: the text is no JSON. @throws InputError nested too deeply, or an integer of over 4,300 digits */
export function readPythonJson(text: string, where: string): Value | undefined {
  const reader = new Reader(text, where);
  try {
    return reader.document();
  } catch (cause) {
    if (cause === NO_JSON) return undefined;
    throw cause;
  }
}

const NO_JSON = new Error("no JSON");
const NUMBER = /(-?(?:0|[1-9][0-9]*))(\.[0-9]+)?([eE][-+]?[0-9]+)?/y;
const SPACE = /[ \t\n\r]*/y;
const HEX = /[0-9a-fA-F]{4}/y;
const ESCAPED: Readonly<Record<string, string>> = {
  '"': '"',
  "\\": "\\",
  "/": "/",
  b: "\b",
  f: "\f",
  n: "\n",
  r: "\r",
  t: "\t",
};
const WORDS: readonly (readonly [word: string, value: () => Value])[] = [
  ["null", () => null],
  ["true", () => true],
  ["false", () => false],
  ["NaN", () => new Float(Number.NaN)],
  ["Infinity", () => new Float(Number.POSITIVE_INFINITY)],
  ["-Infinity", () => new Float(Number.NEGATIVE_INFINITY)],
];
const MAX_DIGITS = 4300; // of an integer, as in Python

class Reader {
  readonly #text: string;
  readonly #where: string;
  #at = 0;
  #depth = 0;

  constructor(text: string, where: string) {
    this.#text = text;
    this.#where = where;
  }

  document(): Value {
    const value = this.#value();
    this.#match(SPACE);
    if (this.#at < this.#text.length) throw NO_JSON;
    return value;
  }

  #value(): Value {
    this.#match(SPACE);
    const first = this.#text[this.#at];
    if (first === '"') return this.#string();
    if (first === "{" || first === "[") {
      if (++this.#depth > MAX_DEPTH) {
        throw new InputError(`${this.#where}: JSON nested deeper than ${MAX_DEPTH} levels`);
      }
      this.#at++;
      const value = first === "{" ? this.#object() : this.#array();
      this.#depth--;
      return value;
    }
    for (const [word, value] of WORDS) {
      if (this.#text.startsWith(word, this.#at)) {
        this.#at += word.length;
        return value();
      }
    }
    return this.#number();
  }

  #object(): Dict {
    const dict = new Dict();
    if (this.#next("}")) return dict;
    do {
      this.#match(SPACE);
      const key = this.#string();
      if (!this.#next(":")) throw NO_JSON;
      dict.set(key, this.#value());
    } while (this.#next(","));
    if (!this.#next("}")) throw NO_JSON;
    return dict;
  }

  #array(): Value[] {
    const items: Value[] = [];
    if (this.#next("]")) return items;
    do items.push(this.#value());
    while (this.#next(","));
    if (!this.#next("]")) throw NO_JSON;
    return items;
  }

  /** Whether this character comes next, after white space; if so, it is read. */
  #next(character: string): boolean {
    this.#match(SPACE);
    if (this.#text[this.#at] !== character) return false;
    this.#at++;
    return true;
  }

  #string(): string {
    const text = this.#text;
    if (text[this.#at] !== '"') throw NO_JSON;
    let read = "";
    let from = ++this.#at;
    for (;;) {
      const unit = text.charCodeAt(this.#at);
      // the end of the text is NaN; characters below U+0020 must be escaped
      if (!(unit >= 0x20)) throw NO_JSON;
      this.#at++;
      if (unit === 0x22) return read + text.slice(from, this.#at - 1);
      if (unit !== 0x5c) continue;
      read += text.slice(from, this.#at - 1) + this.#escape();
      from = this.#at;
    }
  }

  #escape(): string {
    const letter = this.#text[this.#at++] ?? "";
    if (Object.hasOwn(ESCAPED, letter)) return ESCAPED[letter];
    const hex = letter === "u" ? this.#match(HEX) : null;
    if (hex === null) throw NO_JSON;
    return String.fromCharCode(parseInt(hex[0], 16));
  }

  #number(): Value {
    const match = this.#match(NUMBER);
    if (match === null) throw NO_JSON;
    const [text, whole, fraction, exponent] = match;
    if (fraction !== undefined || exponent !== undefined) return new Float(Number(text));
    if (whole.replace("-", "").length > MAX_DIGITS) {
      throw new InputError(`${this.#where}: an integer of more than ${MAX_DIGITS} digits`);
    }
    return int(BigInt(whole));
  }

  #match(pattern: RegExp): RegExpExecArray | null {
    pattern.lastIndex = this.#at;
    const match = pattern.exec(this.#text);
    if (match !== null) this.#at = pattern.lastIndex;
    return match;
  }
}
