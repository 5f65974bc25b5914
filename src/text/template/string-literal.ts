// The escapes of string literals: \n, \x41, \u00e9, octal; unknown ones stay as they are written. Knows nothing of tokens.

import type { TemplateError } from "../../errors.ts";

const SIMPLE: ReadonlyMap<string, string> = new Map([
  ["\n", ""],
  ["\\", "\\"],
  ["'", "'"],
  ['"', '"'],
  ["a", "\x07"],
  ["b", "\b"],
  ["f", "\f"],
  ["n", "\n"],
  ["r", "\r"],
  ["t", "\t"],
  ["v", "\v"],
]);
const HEX_DIGITS: ReadonlyMap<string, number> = new Map([
  ["x", 2],
  ["u", 4],
  ["U", 8],
]);
const ESCAPE = /\\(?:([0-7]{1,3})|([\s\S]))/y;

/** The value of the text between the quotes. `error` makes the error to throw. */
export function unescaped(body: string, error: (message: string) => TemplateError): string {
  let text = "";
  let at = 0;
  for (let slash = body.indexOf("\\"); slash !== -1; slash = body.indexOf("\\", at)) {
    text += body.slice(at, slash);
    ESCAPE.lastIndex = slash;
    const [whole = "\\", octal, char = ""] = ESCAPE.exec(body) ?? [];
    at = slash + whole.length;
    const digits = HEX_DIGITS.get(char);
    if (octal !== undefined) text += String.fromCharCode(Number.parseInt(octal, 8));
    else if (digits === undefined) {
      if (char === "N")
        throw error("\\N escapes of character names are not supported; write \\u and the code");
      text += SIMPLE.get(char) ?? whole;
    } else {
      const hex = body.slice(at, at + digits);
      if (hex.length < digits || /[^\da-f]/i.test(hex))
        throw error(`truncated \\${char}${"X".repeat(digits)} escape`);
      const code = Number.parseInt(hex, 16);
      if (code > 0x10ffff) throw error("illegal Unicode character");
      text += String.fromCodePoint(code);
      at += digits;
    }
  }
  return text + body.slice(at);
}
