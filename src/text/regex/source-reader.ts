// Reads a regular expression character by character, and the escapes that stand for one character or a set of characters, inside and
// outside of a class. Knows no groups and quantifiers.

import { CheckpointError } from "../../errors.ts";
import { digit, HEX_DIGIT, negated, SPACE, wordCharacter } from "./char-set.ts";
import { propertyClass } from "./property-names.ts";

/** What an escape stands for: one character, or a class. */
export type Escape = { point: number } | { source: string };

const CONTROLS: Readonly<Record<string, number>> = {
  t: 9,
  n: 10,
  v: 11,
  f: 12,
  r: 13,
  a: 7,
  e: 27,
};

export class SourceReader {
  readonly #points: readonly string[];
  readonly #source: string;
  readonly #where: string;
  at = 0;

  constructor(source: string, where: string) {
    this.#source = source;
    this.#where = where;
    this.#points = Array.from(source);
  }

  get done(): boolean {
    return this.at >= this.#points.length;
  }

  /** The next character, or one further on; "" at the end. */
  peek(ahead = 0): string {
    return this.#points[this.at + ahead] ?? "";
  }

  next(): string {
    return this.#points[this.at++] ?? "";
  }

  /** Whether `text`, of characters below U+10000, comes next; it is then passed over. */
  take(text: string): boolean {
    for (let i = 0; i < text.length; i++) if (this.peek(i) !== text[i]) return false;
    this.at += text.length;
    return true;
  }

  /** The longest text of such characters, at most `most` of them. */
  run(allowed: RegExp, most: number = Infinity): string {
    let text = "";
    while (text.length < most && !this.done && allowed.test(this.peek())) text += this.next();
    return text;
  }

  /** The text up to `end`, which is passed over too. @throws CheckpointError there is no `end` */
  until(end: string): string {
    let text = "";
    while (!this.done) {
      if (this.take(end)) return text;
      text += this.next();
    }
    throw this.error(`${JSON.stringify(end)} is missing`);
  }

  /** An error about the expression. */
  error(problem: string): CheckpointError {
    const shown = this.#source.length > 80 ? `${this.#source.slice(0, 80)}…` : this.#source;
    return new CheckpointError(
      `${this.#where}: the regular expression ${JSON.stringify(shown)} is not supported: ${problem} at character ${this.at}`,
    );
  }

  /** What stands after a backslash, whose letter `letter` has been read, if it means a character or a set of characters. */
  escape(letter: string): Escape {
    if (letter === "") throw this.error("a backslash stands at the end");
    if (Object.hasOwn(CONTROLS, letter)) return { point: CONTROLS[letter] };
    switch (letter) {
      case "d":
        return { source: digit() };
      case "D":
        return { source: negated(digit()) };
      case "w":
        return { source: wordCharacter() };
      case "W":
        return { source: negated(wordCharacter()) };
      case "s":
        return { source: SPACE };
      case "S":
        return { source: negated(SPACE) };
      case "h":
        return { source: HEX_DIGIT };
      case "H":
        return { source: negated(HEX_DIGIT) };
      case "p":
      case "P":
        return this.peek() === "{" ? this.#property(letter === "P") : { point: pointOf(letter) };
      case "x":
        return { point: this.#hexadecimal() };
      case "u": {
        const digits = this.run(/[0-9A-Fa-f]/u, 4);
        if (digits.length < 4) throw this.error("\\u needs four hexadecimal digits");
        return { point: this.#valid(Number.parseInt(digits, 16)) };
      }
      case "c":
        return { point: this.#control() };
      case "C":
        if (this.take("-")) return { point: this.#control() };
        return { point: pointOf(letter) };
      case "M":
        if (this.peek() === "-") throw this.error("\\M- is not text in UTF-8");
        return { point: pointOf(letter) };
      default:
        if (/[0-7]/u.test(letter)) return { point: this.octal(letter) };
        return { point: pointOf(letter) };
    }
  }

  /** The character of up to three octal digits, of which the first has been read. */
  octal(first: string): number {
    const value = Number.parseInt(first + this.run(/[0-7]/u, 2), 8);
    if (value < 0x80) return value;
    throw this.error("an octal escape above \\177 is not text in UTF-8");
  }

  #control(): number {
    const letter = this.next();
    if (letter === "" || letter === "\\") throw this.error("\\c needs a letter");
    return letter === "?" ? 0x7f : pointOf(letter) & 0x1f;
  }

  #property(inverted: boolean): Escape {
    this.next();
    const name = this.until("}");
    const negative = name.startsWith("^") !== inverted;
    const source = propertyClass(name.startsWith("^") ? name.slice(1) : name);
    if (source === undefined) {
      const known = /^\s*in/iu.test(name) ? "blocks are not known; use a range of characters" : "";
      throw this.error(
        `the property ${JSON.stringify(name)} is not known${known && `, and ${known}`}`,
      );
    }
    return { source: negative ? negated(source) : source };
  }

  /** \x7f, \x{1f600}, or the bytes of a character in UTF-8, \xe4\xb8\xad. */
  #hexadecimal(): number {
    if (this.take("{")) {
      const digits = this.until("}");
      if (!/^[0-9A-Fa-f]{1,8}$/u.test(digits)) throw this.error("\\x{…} needs hexadecimal digits");
      return this.#valid(Number.parseInt(digits, 16));
    }
    const bytes = [this.#byte()];
    const more = bytes[0] < 0xc0 ? 0 : bytes[0] < 0xe0 ? 1 : bytes[0] < 0xf0 ? 2 : 3;
    while (bytes.length <= more && this.take("\\x")) bytes.push(this.#byte());
    try {
      const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
      return pointOf(decoder.decode(Uint8Array.from(bytes)));
    } catch {
      throw this.error("bytes above \\x7f are not text in UTF-8");
    }
  }

  #byte(): number {
    return Number.parseInt(`0${this.run(/[0-9A-Fa-f]/u, 2)}`, 16);
  }

  #valid(point: number): number {
    if (point < 0xd800 || (point > 0xdfff && point < 0x110000)) return point;
    throw this.error(`U+${point.toString(16).toUpperCase()} is no character`);
  }
}

function pointOf(character: string): number {
  return character.codePointAt(0) ?? 0;
}
