// Whitespace, case and classes of characters as Python's str methods see them. Knows nothing of templates.

/** White space as str.isspace() and \s of Python's expressions know it, for a class of an expression of ours. */
export const SPACE =
  "\\t-\\r\\x1c-\\x20\\x85\\xa0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000";
const SPACE_CHARS = new RegExp(`[${SPACE}]`);
const ONLY_SPACE = new RegExp(`^[${SPACE}]+$`);
const BREAKS = "\\n\\v\\f\\r\\x1c-\\x1e\\x85\\u2028\\u2029";
const LINE_BREAK = new RegExp(`\\r\\n|[${BREAKS}]`, "g");

export const isSpace = (text: string): boolean => ONLY_SPACE.test(text);

/** `text` without the characters of `chars` (whitespace when null) at its ends. */
export function strip(text: string, chars: string | null, ends: "both" | "left" | "right"): string {
  const set = chars === null ? undefined : new Set(chars);
  const strips = (char: string): boolean =>
    set === undefined ? SPACE_CHARS.test(char) : set.has(char);
  const start = ends === "right" ? 0 : firstKept(text, strips);
  return text.slice(start, ends === "left" ? text.length : endOfKept(text, start, strips));
}

function firstKept(text: string, strips: (char: string) => boolean): number {
  let start = 0;
  for (const char of text) {
    if (!strips(char)) break;
    start += char.length;
  }
  return start;
}

function endOfKept(text: string, start: number, strips: (char: string) => boolean): number {
  let end = text.length;
  while (end > start) {
    const pair = end - 2 >= start && (text.codePointAt(end - 2) ?? 0) > 0xffff;
    if (!strips(text.slice(pair ? end - 2 : end - 1, end))) break;
    end -= pair ? 2 : 1;
  }
  return end;
}

/** str.split() without a separator: runs of whitespace. */
export function splitSpace(text: string, limit: number, fromRight: boolean): string[] {
  if (fromRight && limit >= 0) return splitSpaceRight(text, limit);
  const words: string[] = [];
  let rest = strip(text, null, "left");
  while (rest !== "") {
    const space = words.length === limit ? -1 : rest.search(SPACE_CHARS);
    words.push(
      space === -1
        ? words.length === limit
          ? rest
          : strip(rest, null, "right")
        : rest.slice(0, space),
    );
    if (space === -1) break;
    rest = strip(rest.slice(space), null, "left");
  }
  return words;
}

function splitSpaceRight(text: string, limit: number): string[] {
  const words: string[] = [];
  let rest = strip(text, null, "right");
  while (rest !== "" && words.length < limit) {
    let start = rest.length;
    while (start > 0 && !SPACE_CHARS.test(rest[start - 1])) start--;
    words.push(rest.slice(start));
    rest = strip(rest.slice(0, start), null, "right");
  }
  if (rest !== "") words.push(rest);
  return words.toReversed();
}

/** str.splitlines() */
export function splitLines(text: string, keepEnds = false): string[] {
  const lines: string[] = [];
  let start = 0;
  for (const match of text.matchAll(LINE_BREAK)) {
    const end = match.index + match[0].length;
    lines.push(text.slice(start, keepEnds ? end : match.index));
    start = end;
  }
  if (start < text.length) lines.push(text.slice(start));
  return lines;
}

const titleChar = (char: string): string => {
  const upper = char.toUpperCase();
  return Array.from(upper).length > 1 ? upper.slice(0, 1) + upper.slice(1).toLowerCase() : upper;
};

export function capitalize(text: string): string {
  const first = text.slice(0, (text.codePointAt(0) ?? 0) > 0xffff ? 2 : 1);
  return titleChar(first) + text.slice(first.length).toLowerCase();
}

const CASED = /\p{Cased}/u;

/** str.title(): each run of cased characters begins with its title form. */
export function title(text: string): string {
  let inWord = false;
  const chars = Array.from(text, (char) => {
    const shown = inWord ? char.toLowerCase() : titleChar(char);
    inWord = CASED.test(char);
    return shown;
  });
  return chars.join("");
}

export const swapCase = (text: string): string =>
  Array.from(text, (char) =>
    /\p{Lowercase}/u.test(char) ? char.toUpperCase() : char.toLowerCase(),
  ).join("");

// decimal digits, and superscript, subscript and circled ones
const WIDER_DIGITS = "[\\p{Nd}\\xb2\\xb3\\xb9\\u2070\\u2074-\\u2079\\u2080-\\u2089\\u2460-\\u2468]";

/** The is…() methods of str: name → what the whole text must be. */
export const CHARACTER_TESTS: Readonly<Record<string, (text: string) => boolean>> = {
  isalnum: (text) => /^[\p{L}\p{N}]+$/u.test(text),
  isalpha: (text) => /^\p{L}+$/u.test(text),
  isascii: (text) => /^\p{ASCII}*$/u.test(text),
  isdecimal: (text) => /^\p{Nd}+$/u.test(text),
  isdigit: (text) => DIGITS.test(text),
  isidentifier: (text) => /^[\p{XID_Start}_]\p{XID_Continue}*$/u.test(text),
  islower: (text) => CASED.test(text) && !/[\p{Uppercase}\p{Lt}]/u.test(text),
  isnumeric: (text) => /^\p{N}+$/u.test(text),
  isspace: isSpace,
  istitle: (text) => CASED.test(text) && title(text) === text,
  isupper: (text) => CASED.test(text) && !/[\p{Lowercase}\p{Lt}]/u.test(text),
};

const DIGITS = new RegExp(`^${WIDER_DIGITS}+$`, "u");
