// Reads a class of characters of Oniguruma, [a-z[:digit:]&&[^x]], as a class of JavaScript's flag v. Knows nothing around it.

import { charSource, negated, rangeSource, wordInClass } from "./char-set.ts";
import { longFolds } from "./case-folds.ts";
import { posixClass } from "./property-names.ts";
import type { Escape, SourceReader } from "./source-reader.ts";

const MOST_DEPTH = 50;

export type ParsedClass = {
  source: string;
  /** Where case is ignored: texts of several characters that equal a character of the class, such as "ss" for "ß". */
  long: string[];
};

/** Reads on behind "[". @throws CheckpointError */
export function parseClass(reader: SourceReader, ignoreCase: boolean, depth = 0): ParsedClass {
  if (depth > MOST_DEPTH) throw reader.error("classes are nested too deeply");
  const negative = reader.take("^");
  const parts: string[] = [];
  let items: string[] = [];
  let first = true;
  for (;;) {
    if (reader.done) throw reader.error('"]" is missing');
    if (reader.take("&&")) {
      parts.push(items.join(""));
      items = [];
    } else if (reader.peek() === "]" && !first) {
      reader.next();
      break;
    } else {
      if (reader.peek() === "]" && !closesLater(reader)) throw reader.error("a class is empty");
      items.push(parseItem(reader, ignoreCase, depth));
    }
    first = false;
  }
  parts.push(items.join(""));
  const inner = parts.length === 1 ? parts[0] : parts.map((part) => `[${part}]`).join("&&");
  const source = negative ? negated(inner) : `[${inner}]`;
  return { source, long: ignoreCase && !negative ? longOf(source) : [] };
}

/** Foldings of the characters of a class that have several characters. */
function longOf(source: string): string[] {
  const inside = new RegExp(source, "v");
  return [...longFolds()]
    .filter(([, points]) => points.some((point) => inside.test(String.fromCodePoint(point))))
    .map(([text]) => text);
}

/** Whether a "]" at the begin of a class is one of its characters: another one closes the class. */
function closesLater(reader: SourceReader): boolean {
  for (let i = 1; reader.peek(i) !== ""; i++) {
    if (reader.peek(i) === "\\") i++;
    else if (reader.peek(i) === "]") return true;
  }
  return false;
}

function parseItem(reader: SourceReader, ignoreCase: boolean, depth: number): string {
  if (reader.take("[:")) {
    const inverted = reader.take("^");
    const name = reader.until(":]");
    const source = posixClass(name);
    if (source === undefined) throw reader.error(`[:${name}:] is not known`);
    refuseRange(reader);
    return inverted ? negated(source) : source;
  }
  if (reader.take("[")) return parseClass(reader, ignoreCase, depth + 1).source;
  const from = parseCharacter(reader);
  if ("source" in from) {
    refuseRange(reader);
    return from.source;
  }
  if (reader.peek() !== "-" || "]".includes(reader.peek(1)) || reader.peek(1) === "[") {
    return charSource(from.point);
  }
  if (reader.peek(1) === "&" && reader.peek(2) === "&") return charSource(from.point);
  reader.next();
  const to = parseCharacter(reader);
  if ("source" in to) throw reader.error("a range of characters ends in a set of characters");
  if (to.point < from.point) throw reader.error("a range of characters is empty");
  // behind a range, a hyphen is itself: [a-z-9]
  const hyphen = reader.peek() === "-" && reader.take("-") ? charSource(0x2d) : "";
  return rangeSource(from.point, to.point) + hyphen;
}

function parseCharacter(reader: SourceReader): Escape {
  const character = reader.next();
  if (character !== "\\") return { point: character.codePointAt(0) ?? 0 };
  const letter = reader.next();
  if (letter === "b") return { point: 8 };
  if (letter === "w") return { source: wordInClass() };
  if (letter === "W") return { source: negated(wordInClass()) };
  return reader.escape(letter);
}

/** A set of characters may stand before a hyphen only at the end of the class. */
function refuseRange(reader: SourceReader): void {
  if (reader.peek() === "-" && reader.peek(1) !== "]") {
    throw reader.error("a range of characters begins with a set of characters");
  }
}
