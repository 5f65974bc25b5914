// The tokens in order, with one token of look-ahead, and the words in which Jinja describes them. Knows no grammar.

import { TemplateError } from "../../errors.ts";
import { syntaxError, type Token, tokenize } from "./lexer.ts";

const MAX_NESTING = 100; // Python itself refuses 200 nested parentheses and 20 nested blocks

export class TokenStream {
  readonly #source: string;
  readonly #tokens: Token[];
  #at = 0;
  #nesting = 0;

  constructor(source: string) {
    this.#source = source;
    this.#tokens = tokenize(source);
  }

  get current(): Token {
    return this.#tokens[this.#at];
  }

  get ahead(): Token {
    return this.#tokens[Math.min(this.#at + 1, this.#tokens.length - 1)];
  }

  next(): Token {
    const token = this.current;
    if (this.#at < this.#tokens.length - 1) this.#at++;
    return token;
  }

  isOperator(text: string): boolean {
    return this.current.type === "operator" && this.current.text === text;
  }

  isName(text: string): boolean {
    return this.current.type === "name" && this.current.text === text;
  }

  skipOperator(text: string): boolean {
    if (!this.isOperator(text)) return false;
    this.next();
    return true;
  }

  skipName(text: string): boolean {
    if (!this.isName(text)) return false;
    this.next();
    return true;
  }

  /** The next token, which must be of this type, or an operator or name of this text. */
  expect(wanted: string): Token {
    const { type, text } = this.current;
    if (type === wanted || ((type === "operator" || type === "name") && text === wanted))
      return this.next();
    if (type === "end of template")
      this.fail(`unexpected end of template, expected '${described(wanted)}'.`);
    this.fail(`expected token '${described(wanted)}', got '${describe(this.current)}'`);
  }

  fail(message: string, at: number = this.current.at): never {
    throw this.error(message, at);
  }

  error(message: string, at: number): TemplateError {
    return syntaxError(this.#source, at, message);
  }

  /** Parses one level deeper. @throws TemplateError beyond 100 levels */
  nested<T>(parse: () => T): T {
    if (++this.#nesting > MAX_NESTING)
      this.fail(`nested deeper than ${MAX_NESTING} levels; write the template flatter`);
    const result = parse();
    this.#nesting--;
    return result;
  }
}

const TYPE_NAMES: ReadonlyMap<string, string> = new Map([
  ["data", "template data / text"],
  ["variable begin", "begin of print statement"],
  ["variable end", "end of print statement"],
  ["block begin", "begin of statement block"],
  ["block end", "end of statement block"],
]);

const described = (wanted: string): string => TYPE_NAMES.get(wanted) ?? wanted;

export const describe = (token: Token): string =>
  ["name", "operator", "string"].includes(token.type)
    ? token.text
    : (TYPE_NAMES.get(token.type) ?? token.type);
