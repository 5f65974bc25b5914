// Template text → tokens, with trim_blocks and lstrip_blocks, as chat templates are read: a line break right after a block or comment
// is dropped, and so are blanks from the start of the line to one. `-` drops all white space on its side of a tag, `+` keeps it.
// Knows no grammar beyond brackets.

import { TemplateError } from "../../errors.ts";
import { int } from "./integers.ts";
import { isSpace, strip } from "./case-text.ts";
import { unescaped } from "./string-literal.ts";
import { Float, type Value } from "./values.ts";

export type TokenType =
  | "data"
  | "variable begin"
  | "variable end"
  | "block begin"
  | "block end"
  | "end of template"
  | "name"
  | "string"
  | "integer"
  | "float"
  | "operator";

export type Token = { type: TokenType; text: string; value: Value; at: number };

/** A syntax error at an offset of the source, with its line and column. */
export function syntaxError(source: string, at: number, message: string): TemplateError {
  const before = source.slice(0, at);
  const line = before.split("\n").length;
  return new TemplateError(
    `${message} (chat template, line ${line}, column ${at - before.lastIndexOf("\n")})`,
  );
}

/** The template with \n as its line ends, and without one at the very end. Offsets of tokens count in this text. */
export function normalizedSource(template: string): string {
  const source = template.replace(/\r\n?/g, "\n");
  return source.endsWith("\n") ? source.slice(0, -1) : source;
}

const OPERATORS = ["//", "**", "==", "!=", ">=", "<=", ..."+-/*%~[](){}><=.:|,;"];
const CLOSING: ReadonlyMap<string, string> = new Map([
  ["(", ")"],
  ["[", "]"],
  ["{", "}"],
]);
const NUMBER = /\d+(?:_\d+)*(?:(?:\.\d+(?:_\d+)*)?e[+-]?\d+(?:_\d+)*|\.\d+(?:_\d+)*)/iy;
const INTEGER = /0b(?:_?[01])+|0o(?:_?[0-7])+|0x(?:_?[\da-f])+|[1-9](?:_?\d)*|0(?:_?0)*/iy;
const NAME = /[\p{ID_Continue}_]+/uy;
const IDENTIFIER = /^[\p{XID_Start}_]\p{XID_Continue}*$/u;
const RAW_BEGIN = /\{%[-+]?\s*raw\s*(?:-%\}\s*|%\})/y;
const RAW_END = /\{%([-+]?)\s*endraw\s*(?:\+%\}|-%\}\s*|%\}\n?)/y;
const COMMENT_END = /\+#\}|-#\}\s*|#\}\n?/y;
const BLOCK_END = /\+%\}|-%\}\s*|%\}\n?/y;
const VARIABLE_END = /-\}\}\s*|\}\}/y;
const SPACES = /\s+/y;

/** All tokens of a normalised source, "end of template" last. @throws TemplateError with line and column */
export function tokenize(source: string): Token[] {
  return new Lexer(source).run();
}

class Lexer {
  readonly #source: string;
  readonly #tokens: Token[] = [];
  #at = 0;
  #lineStarting = true; // the last match ended a line

  constructor(source: string) {
    this.#source = source;
  }

  run(): Token[] {
    const source = this.#source;
    while (this.#at < source.length) {
      const tag = this.#nextTag(this.#at);
      if (tag === source.length) this.#data(source.slice(this.#at), this.#at);
      else if (source[tag + 1] === "#") this.#comment(tag);
      else if (source[tag + 1] === "%" && this.#matchAt(RAW_BEGIN, tag) !== undefined)
        this.#raw(tag);
      else this.#tag(tag);
      if (tag === source.length) break;
    }
    this.#push("end of template", "", source.length);
    return this.#tokens;
  }

  #push(type: TokenType, text: string, at: number, value: Value = null): void {
    this.#tokens.push({ type, text, value, at });
  }

  #data(text: string, at: number): void {
    if (text !== "") this.#push("data", text, at);
  }

  #nextTag(from: number): number {
    for (let i = this.#source.indexOf("{", from); i !== -1; i = this.#source.indexOf("{", i + 1)) {
      const next = this.#source[i + 1];
      if (next === "%" || next === "{" || next === "#") return i;
    }
    return this.#source.length;
  }

  #matchAt(pattern: RegExp, at: number): RegExpExecArray | undefined {
    pattern.lastIndex = at;
    return pattern.exec(this.#source) ?? undefined;
  }

  /** Adds the text before the tag at `tag`, stripped as the tag's sign and lstrip_blocks say. @returns where the tag's content begins */
  #textBefore(tag: number, isVariable: boolean): number {
    const sign = this.#source[tag + 2];
    const text = this.#source.slice(this.#at, tag);
    this.#data(stripped(text, sign, isVariable, this.#lineStarting), this.#at);
    return tag + (sign === "-" || sign === "+" ? 3 : 2);
  }

  #comment(tag: number): void {
    const start = this.#textBefore(tag, false);
    for (let i = start; i < this.#source.length; i++) {
      i = Math.max(start, this.#source.indexOf("#}", i) - 1);
      const end =
        this.#source.indexOf("#}", i) === -1
          ? undefined
          : (this.#matchAt(COMMENT_END, i) ?? this.#matchAt(COMMENT_END, i + 1));
      if (end === undefined) break;
      this.#moveTo(end.index + end[0].length);
      return;
    }
    throw syntaxError(this.#source, tag, "Missing end of comment tag");
  }

  #raw(tag: number): void {
    this.#textBefore(tag, false);
    const begin = this.#matchAt(RAW_BEGIN, tag);
    const start = tag + (begin?.[0].length ?? 0);
    const lineStarting = begin?.[0].endsWith("\n") ?? false;
    for (
      let i = this.#source.indexOf("{%", start);
      i !== -1;
      i = this.#source.indexOf("{%", i + 1)
    ) {
      const end = this.#matchAt(RAW_END, i);
      if (end === undefined) continue;
      this.#data(stripped(this.#source.slice(start, i), end[1], false, lineStarting), start);
      this.#moveTo(i + end[0].length);
      return;
    }
    throw syntaxError(this.#source, tag, "Missing end of raw directive");
  }

  #moveTo(end: number): void {
    this.#lineStarting = this.#source[end - 1] === "\n";
    this.#at = end;
  }

  #tag(tag: number): void {
    const isVariable = this.#source[tag + 1] === "{";
    this.#at = this.#textBefore(tag, isVariable);
    const kind = isVariable ? "variable" : "block";
    this.#push(`${kind} begin`, this.#source.slice(tag, this.#at), tag);
    const open: string[] = []; // the closing brackets still to come
    while (this.#at < this.#source.length) {
      const end =
        open.length === 0
          ? this.#matchAt(isVariable ? VARIABLE_END : BLOCK_END, this.#at)
          : undefined;
      if (end !== undefined) {
        this.#push(`${kind} end`, end[0].trim(), this.#at);
        this.#moveTo(this.#at + end[0].length);
        return;
      }
      const space = this.#matchAt(SPACES, this.#at);
      if (space === undefined) this.#token(open);
      else this.#at += space[0].length;
    }
    this.#lineStarting = false;
  }

  #token(open: string[]): void {
    const at = this.#at;
    const char = this.#source[at];
    const afterDot = this.#source[at - 1] === ".";
    const number = afterDot ? undefined : this.#matchAt(NUMBER, at);
    const integer = number === undefined ? this.#matchAt(INTEGER, at) : undefined;
    const name =
      number === undefined && integer === undefined ? this.#matchAt(NAME, at) : undefined;
    const [literal] = number ?? integer ?? name ?? [undefined];
    if (literal !== undefined) {
      this.#at += literal.length;
      const digits = literal.replaceAll("_", "");
      if (number !== undefined) this.#push("float", literal, at, new Float(Number(digits)));
      else if (integer !== undefined)
        this.#push("integer", literal, at, integerOf(digits, this.#source, at));
      else if (IDENTIFIER.test(literal)) this.#push("name", literal, at);
      else throw syntaxError(this.#source, at, "Invalid character in identifier");
    } else if (char === "'" || char === '"') this.#string(char);
    else this.#operator(open);
  }

  #string(quote: string): void {
    const start = this.#at + 1;
    let end = start;
    while (end < this.#source.length && this.#source[end] !== quote)
      end += this.#source[end] === "\\" ? 2 : 1;
    if (end >= this.#source.length) throw this.#unexpectedChar();
    const text = unescaped(this.#source.slice(start, end), (message) =>
      syntaxError(this.#source, this.#at, message),
    );
    this.#push("string", text, this.#at, text);
    this.#at = end + 1;
  }

  #operator(open: string[]): void {
    const operator = OPERATORS.find((candidate) => this.#source.startsWith(candidate, this.#at));
    if (operator === undefined) throw this.#unexpectedChar();
    const closing = CLOSING.get(operator);
    if (closing !== undefined) open.push(closing);
    else if (operator === ")" || operator === "]" || operator === "}") {
      const expected = open.pop();
      const wanted = expected === undefined ? "" : `, expected '${expected}'`;
      if (expected !== operator)
        throw syntaxError(this.#source, this.#at, `unexpected '${operator}'${wanted}`);
    }
    this.#push("operator", operator, this.#at);
    this.#at += operator.length;
  }

  #unexpectedChar(): TemplateError {
    const char = String.fromCodePoint(this.#source.codePointAt(this.#at) ?? 0);
    const shown = char === "'" ? `"'"` : `'${char}'`;
    return syntaxError(this.#source, this.#at, `unexpected char ${shown} at ${this.#at}`);
  }
}

function stripped(
  text: string,
  sign: string | undefined,
  isVariable: boolean,
  lineStarting: boolean,
): string {
  if (sign === "-") return strip(text, null, "right");
  if (sign === "+" || isVariable) return text;
  const lineStart = text.lastIndexOf("\n") + 1;
  return (lineStart > 0 || lineStarting) && isSpace(text.slice(lineStart))
    ? text.slice(0, lineStart)
    : text;
}

function integerOf(digits: string, source: string, at: number): Value {
  if (digits.length > 4300)
    throw syntaxError(source, at, "Exceeds the limit (4300 digits) for integer string conversion");
  return int(BigInt(digits));
}
