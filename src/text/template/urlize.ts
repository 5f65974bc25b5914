// The filter urlize: addresses of pages and e-mail in a text become HTML links, as Jinja2 recognises them.
// Contract: going through the text is charged to the budget.

import { TemplateError } from "../../errors.ts";
import type { Budget } from "./budget.ts";
import { SPACE } from "./case-text.ts";
import { codePointLength, codePointSlice } from "./code-points.ts";
import { numeric } from "./compare.ts";
import { escaped, escapedHtml } from "./markup.ts";
import { intArgument, joinTexts } from "./string-methods.ts";
import type { Value } from "./values.ts";

/** `limit`: characters of a link's text, or None; `rel` and `target`: values of its attributes; `schemes`: beginnings that make a word a link. */
export type LinkStyle = {
  limit: Value;
  rel: string;
  target: string;
  schemes: string[];
};

const NAME = "[\\p{L}\\p{N}_%-]";
const COMMON_DOMAINS = "com|net|int|edu|gov|org|info|mil";
const HOST = [
  `(?:https?://|www\\.)(?:${NAME}+\\.)*(?:[a-z]{2,63}|xn--[\\p{L}\\p{N}_%]{2,59})`,
  `(?:${NAME}{2,63}\\.)+(?:${COMMON_DOMAINS})`,
  "https?://(?:\\p{Nd}{1,3}(?:\\.\\p{Nd}{1,3}){3}|\\[(?:[\\p{Nd}a-f]{0,4}:){2}(?:[\\p{Nd}a-f]{0,4}:?){1,6}\\])",
].join("|");
const PAGE = new RegExp(`^(?:${HOST})(?::\\p{Nd}{1,5})?(?:[/?#][^${SPACE}]*)?\\n?$`, "iu");
const MAIL = new RegExp(
  `^[^${SPACE}]+@[\\p{L}\\p{N}_][\\p{L}\\p{N}_.-]*\\.[\\p{L}\\p{N}_]+\\n?$`,
  "u",
);
const SCHEME = /^[\p{L}\p{N}_.+-]{2,}:\/{0,2}$/u;
const WORDS = new RegExp(`([${SPACE}]+)`);
const OPENING = /^(?:[(<]|&lt;)+/;
const CLOSING = /(?:[)>.,\n]|&gt;)+$/;
const PAIRS = [
  ["(", ")"],
  ["<", ">"],
  ["&lt;", "&gt;"],
];
const LONGEST_WORD = 4096; // Jinja2's expressions take quadratic time on longer ones

/** The text, escaped, with links. @throws TemplateError a scheme that is none */
export function urlized(value: Value, style: LinkStyle, budget: Budget): string {
  const wrong = style.schemes.find((scheme) => !SCHEME.test(scheme));
  if (wrong !== undefined) throw new TemplateError(`'${wrong}' is not a valid URI scheme prefix.`);
  const { text } = escaped(value, budget);
  budget.walk(text.length);
  const words = text.split(WORDS);
  budget.elements(words.length);
  return joinTexts(
    "",
    words.map((word) => linked(word, style, budget)),
    budget,
  );
}

function linked(word: string, style: LinkStyle, budget: Budget): string {
  if (word.length > LONGEST_WORD) return word;
  budget.spend(word.length + ((word.length * word.length) >>> 6));
  const head = OPENING.exec(word)?.[0] ?? "";
  const rest = word.slice(head.length);
  const ending = CLOSING.exec(rest)?.[0] ?? "";
  const [middle, tail] = balanced(rest.slice(0, rest.length - ending.length), ending);
  return head + link(middle, style, budget) + tail;
}

/** Moves brackets that the address opened from its tail back to it. */
function balanced(address: string, ending: string): [middle: string, tail: string] {
  let [middle, tail] = [address, ending];
  for (const [open, close] of PAIRS) {
    const opened = count(middle, open);
    if (opened <= count(middle, close)) continue;
    for (let left = Math.min(opened, count(tail, close)); left > 0; left--) {
      const end = tail.indexOf(close) + close.length;
      middle += tail.slice(0, end);
      tail = tail.slice(end);
    }
  }
  return [middle, tail];
}

const count = (text: string, part: string): number => text.split(part).length - 1;

function link(word: string, style: LinkStyle, budget: Budget): string {
  const attributes =
    (style.rel === "" ? "" : ` rel="${escapedHtml(style.rel, budget)}"`) +
    (style.target === "" ? "" : ` target="${style.target}"`);
  if (PAGE.test(word)) {
    const address = /^https?:\/\//.test(word) ? word : `https://${word}`;
    return `<a href="${address}"${attributes}>${shortened(word, style.limit)}</a>`;
  }
  const mail = word.startsWith("mailto:") ? word.slice(7) : undefined;
  if (mail !== undefined && MAIL.test(mail)) return `<a href="${word}">${mail}</a>`;
  const isMail =
    word.includes("@") && !word.startsWith("www.") && !word.startsWith("@") && !word.includes(":");
  if (isMail && MAIL.test(word)) return `<a href="mailto:${word}">${word}</a>`;
  let made = word;
  for (const scheme of style.schemes)
    if (made !== scheme && made.startsWith(scheme))
      made = `<a href="${made}"${attributes}>${made}</a>`;
  return made;
}

/** text[:limit] and dots, where the text is longer. @throws TemplateError `limit` is no number, or a float that would cut */
function shortened(text: string, limit: Value): string {
  if (limit === null) return text;
  const length = codePointLength(text);
  const most = numeric(limit);
  if (most !== undefined && !(length > most)) return text;
  const end = intArgument(limit, 0);
  return `${codePointSlice(text, 0, end < 0 ? Math.max(0, length + end) : end)}...`;
}
