// Which characters are equal when case is ignored. One character may equal two or three: "ß" and "ss". Oniguruma knows both kinds,
// JavaScript only characters that equal one other. Knows no syntax.

import { charSource } from "./char-set.ts";

/** Characters whose full case folding has several characters: text of the folding → characters. */
let long: Map<string, number[]> | undefined;
/** All characters that change with case, as a text. */
let changing: string | undefined;

function changingText(): string {
  if (changing !== undefined) return changing;
  let text = "";
  const changes = /\p{Changes_When_Casemapped}/u;
  // no script above U+1F000 has case
  for (let point = 0x41; point < 0x1f000; point++) {
    if (point >= 0x2e80 && point < 0xa640) point = 0xa640;
    if (point >= 0xac00 && point < 0xfb00) point = 0xfb00;
    const character = String.fromCodePoint(point);
    if (changes.test(character)) text += character;
  }
  changing = text;
  return text;
}

/** The characters that equal `point` when case is ignored, as items of a class, `point` included. */
export function equalCharacters(point: number): string {
  const own = charSource(point);
  const found = changingText().match(new RegExp(own, "giu")) ?? [];
  const points = new Set([point, ...found.map((character) => character.codePointAt(0) ?? 0)]);
  return Array.from(points, charSource).join("");
}

/** A class in which each character stands for all its cases. (JavaScript's own "(?i:…)" has an effect on what follows it in V8 14.) */
export function withAllCases(source: string): string {
  const folding = new RegExp(`^${source}$`, "iv");
  const plain = new RegExp(`^${source}$`, "v");
  let more = "";
  let fewer = "";
  for (const character of changingText()) {
    const inside = plain.test(character);
    if (folding.test(character) === inside) continue;
    const item = charSource(character.codePointAt(0) ?? 0);
    if (inside) fewer += item;
    else more += item;
  }
  return fewer === "" && more === "" ? source : `[[${source}${more}]--[${fewer}]]`;
}

/** The case folding of a character if it has several characters. */
export function longFold(point: number): string | undefined {
  const character = String.fromCodePoint(point);
  const folded = character.toLowerCase().toUpperCase().toLowerCase();
  const direct = character.toLowerCase();
  const text = [...direct].length > 1 ? direct : folded;
  // a capital sigma at the end of a word becomes ς, which folds to σ
  return [...text].length > 1 ? text.replaceAll("ς", "σ") : undefined;
}

/** The foldings of several characters, each with the characters that have it. */
export function longFolds(): ReadonlyMap<string, readonly number[]> {
  if (long !== undefined) return long;
  long = new Map();
  for (const character of changingText()) {
    const point = character.codePointAt(0) ?? 0;
    const fold = longFold(point);
    if (fold !== undefined) long.set(fold, [...(long.get(fold) ?? []), point]);
  }
  return long;
}

/** A character as it is compared when case is ignored. */
export function simpleFold(point: number): string {
  const character = String.fromCodePoint(point);
  const lower = character.toLowerCase();
  const upper = lower.toUpperCase();
  const again = [...upper].length === 1 ? upper.toLowerCase() : lower;
  return [...again].length === 1 ? again.replace("ς", "σ") : character;
}
