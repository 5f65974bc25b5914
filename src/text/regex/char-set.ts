// Sets of characters, written as classes of JavaScript's regular expressions with flag v, which has nested classes, intersections and
// differences. Sets by a property of Unicode are those of Unicode 16, whichever version the runtime has. Knows no syntax of Oniguruma.

import { NEWER } from "./unicode-16.ts";

export class CharSet {
  /** As a class: "[…]" or an escape such as "\p{L}". */
  readonly source: string;
  readonly #test: RegExp;
  // of characters below U+10000, in pages of 256: 0 not tried yet, 1 outside, 2 inside; a hostile file can have thousands of sets
  readonly #known: (Uint8Array | undefined)[] = [];

  constructor(source: string) {
    this.source = source;
    this.#test = new RegExp(`^${source}$`, "v");
  }

  has(point: number): boolean {
    if (point > 0xffff) return this.#test.test(String.fromCodePoint(point));
    const page = (this.#known[point >> 8] ??= new Uint8Array(256));
    page[point & 0xff] ||= this.#test.test(String.fromCharCode(point)) ? 2 : 1;
    return page[point & 0xff] === 2;
  }
}

export const ANY = "[^]";
export const NOT_NEWLINE = "[^\\n]";
export const SPACE = "\\p{White_Space}";
export const HEX_DIGIT = "[0-9A-Fa-f]";

/** One character as a class item. */
export function charSource(point: number): string {
  return `\\u{${point.toString(16)}}`;
}

export function rangeSource(from: number, to: number): string {
  return from === to ? charSource(from) : `${charSource(from)}-${charSource(to)}`;
}

export function negated(source: string): string {
  return `[^${source}]`;
}

/** What the items of a property have in common: it is taken as of Unicode 16. `whenUnassigned`: unassigned characters have it. */
export function pinned(source: string, whenUnassigned = false): string {
  const mask = newer();
  if (mask === "") return source;
  return whenUnassigned ? `[${source}[${mask}]]` : `[${source}--[${mask}]]`;
}

export const digit = (): string => pinned("\\p{Nd}");
/** [:word:], and \w within a class. */
export const wordInClass = (): string => pinned("[\\p{Alphabetic}\\p{M}\\p{Nd}\\p{Pc}]");
/** \w outside of classes: it has six more numbers, of Latin-1. */
export const wordCharacter = (): string => pinned("[\\p{Alphabetic}\\p{M}\\p{Nd}\\p{Pc}²³¹¼½¾]");

let mask: string | undefined;

/** Class items of characters that the runtime's version of Unicode has and Unicode 16 has not. */
function newer(): string {
  mask ??= NEWER.filter(([from, to]) => isAssigned(from, to))
    .map(([from, to]) => rangeSource(from, to))
    .join("");
  return mask;
}

/** Whether any character of a range is assigned. Long ranges are not looked at, which takes time: they count as if they had some. */
function isAssigned(from: number, to: number): boolean {
  if (to - from > 0x3ff) return true;
  for (let point = from; point <= to; point++) {
    if (ASSIGNED.test(String.fromCodePoint(point))) return true;
  }
  return false;
}

const ASSIGNED = /\P{Cn}/u;
