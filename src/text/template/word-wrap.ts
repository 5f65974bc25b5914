// Words into lines of a width: what the filter wordwrap makes of one paragraph, as Python's textwrap. Knows nothing of templates.
// Contract: going through the text is charged to the budget.

import { TemplateError } from "../../errors.ts";
import type { Budget } from "./budget.ts";
import { isSpace } from "./case-text.ts";
import { codePointLength, codePointSlice } from "./code-points.ts";

/** `splitHyphens`: lines may end behind a hyphen; `breakHyphens`: so may the parts of words that are too long for a line. */
export type WrapStyle = {
  width: number;
  isInt: boolean;
  breakLong: boolean;
  splitHyphens: boolean;
  breakHyphens: boolean;
};

/** Lines of at most `width` characters. */
export function wrapped(paragraph: string, style: WrapStyle, budget: Budget): string[] {
  budget.walk(2 * paragraph.length);
  const chunks = chunksOf(paragraph, style.splitHyphens).toReversed();
  const lengthOf = (chunk: string): number => {
    budget.scan(chunk.length);
    return codePointLength(chunk);
  };
  const isBlank = (chunk: string | undefined): boolean => chunk === "" || isSpace(chunk ?? "x");
  const lines: string[] = [];
  while (chunks.length > 0) {
    if (lines.length > 0 && isBlank(chunks.at(-1))) chunks.pop();
    const line: string[] = [];
    let [length, next] = [0, 0];
    while (chunks.length > 0) {
      next = lengthOf(chunks[chunks.length - 1]);
      if (length + next > style.width) break;
      line.push(chunks.pop() ?? "");
      length += next;
    }
    if (chunks.length > 0 && next > style.width) breakLongWord(chunks, line, length, next, style);
    if (isBlank(line.at(-1))) line.pop();
    if (line.length > 0) lines.push(line.join(""));
  }
  return lines;
}

function breakLongWord(
  chunks: string[],
  line: string[],
  length: number,
  wordLength: number,
  style: WrapStyle,
): void {
  const word = chunks[chunks.length - 1];
  const space = style.width < 1 ? 1 : style.width - length;
  if (style.breakLong) {
    if (!Number.isInteger(space) || (!style.isInt && style.width >= 1))
      throw new TemplateError("slice indices must be integers or None");
    const head = codePointSlice(word, 0, space);
    const hyphen = style.breakHyphens && wordLength > space ? head.lastIndexOf("-") : -1;
    const cut = hyphen > 0 && /[^-]/.test(head.slice(0, hyphen)) ? hyphen + 1 : head.length;
    line.push(word.slice(0, cut));
    chunks[chunks.length - 1] = word.slice(cut);
  } else if (line.length === 0) {
    line.push(word);
    chunks.pop();
  }
}

const BLANKS = "[\\t-\\r ]+";
const WORD = "[\\p{L}\\p{N}_]";
const LETTER = "[\\p{L}\\p{Nl}\\p{No}_]";
const PUNCTUATED = "[\\p{L}\\p{N}_!\"'&.,?]"; // what a dash between words may follow
const HYPHEN = `-(?<=${LETTER}{2}-|${LETTER}-${LETTER}-)(?=${LETTER}-?${LETTER})`;
const DASH_AHEAD = `(?<=${PUNCTUATED})(?=-{2,}${WORD})`;

const CHUNK = new RegExp(
  `(${BLANKS}|(?<=${PUNCTUATED})-{2,}(?=${WORD})|[^\\t-\\r ]+?(?:${HYPHEN}|(?=[\\t-\\r ]|$)|${DASH_AHEAD}))`,
  "u",
);
const SIMPLE_CHUNK = new RegExp(`(${BLANKS})`);

/** Words and runs of blanks; with `hyphens`, words are cut behind hyphens between letters, and around dashes. */
const chunksOf = (paragraph: string, hyphens: boolean): string[] =>
  paragraph.split(hyphens ? CHUNK : SIMPLE_CHUNK).filter((chunk) => chunk !== "");
