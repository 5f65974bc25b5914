// The normal forms of Unicode (UAX 15) as Rust `tokenizers` computes them: with the tables of Unicode 9, and with the span of each
// character. A character that Unicode 9 does not know is left as it is: it neither composes with others nor is reordered.
// The runtime's own normal forms do the rest, whose results for older characters never change. Knows nothing of tokens.

import type { AlignedText, Change } from "./aligned-text.ts";
import { rangeSource } from "./regex/char-set.ts";
import { NEWER } from "./regex/unicode-16.ts";
import { INERT } from "./unicode-9.ts";

export type NormalForm = "NFC" | "NFD" | "NFKC" | "NFKD";

/** Runs of inert characters, and texts between them. Made when the first text needs it: the tables are long. */
let inert: { readonly runs: RegExp; readonly first: RegExp } | undefined;

function inertPatterns(): { readonly runs: RegExp; readonly first: RegExp } {
  if (inert === undefined) {
    const source = [...INERT, ...NEWER].map(([from, to]) => rangeSource(from, to)).join("");
    const runs = new RegExp(`[${source}]+|[^${source}]+`, "gv");
    inert = { runs, first: new RegExp(`^[${source}]`, "v") };
  }
  return inert;
}

function isInert(text: string): boolean {
  return inertPatterns().first.test(text);
}

/** A text in a normal form. */
export function normalForm(aligned: AlignedText, form: NormalForm): AlignedText {
  const { text } = aligned;
  // nothing below U+00A0 changes, nor combines with what stands before it
  if (!/[^\0-\u{9f}]/u.test(text)) return aligned;
  const parts = text.match(inertPatterns().runs) ?? [];
  const normalized = parts.map((part) => (isInert(part) ? part : part.normalize(form)));
  if (normalized.every((part, i) => part === parts[i])) return aligned;
  if (aligned.starts === undefined) return aligned.withText(normalized.join(""));
  return aligned.transformed(parts.flatMap((part) => changesOf(part, form)));
}

/** Of each character of the normal form how it came about. */
function changesOf(part: string, form: NormalForm): Change[] {
  if (isInert(part)) return Array.from(part, (character): Change => [character, 0]);
  const compatible = form === "NFKC" || form === "NFKD";
  const decomposed = ordered(
    Array.from(part).flatMap((character) =>
      Array.from(character.normalize(compatible ? "NFKD" : "NFD"), (c, i): Change => [c, i && 1]),
    ),
  );
  return form === "NFC" || form === "NFKC" ? composed(decomposed) : decomposed;
}

/** Runs of combining characters in canonical order; each keeps its change. */
function ordered(changes: readonly Change[]): Change[] {
  const out: Change[] = [];
  let run: Change[] = [];
  const flush = (): void => {
    const sorted = run.map(([character]) => character).join("");
    // equal characters keep their order
    const waiting = Map.groupBy(run.toReversed(), ([character]) => character);
    for (const character of sorted.normalize("NFD")) {
      const change = waiting.get(character)?.pop();
      if (change !== undefined) out.push(change);
    }
    run = [];
  };
  for (const change of changes) {
    if (combines(change[0])) run.push(change);
    else {
      flush();
      out.push(change);
    }
  }
  flush();
  return out;
}

/** Characters that compose with an earlier one become one character with it. */
function composed(changes: readonly Change[]): Change[] {
  const out: Change[] = [];
  let starter: Change | undefined;
  // combining characters behind the starter that did not compose with it
  let waiting: Change[] = [];
  for (const [character, change] of changes) {
    const combining = combines(character);
    if (starter === undefined) {
      if (combining) out.push([character, change]);
      else starter = [character, change];
      continue;
    }
    const last = waiting.at(-1)?.[0];
    const blocked = last !== undefined && (!combining || sameClass(last, character));
    const one = blocked ? undefined : composite(starter[0], character);
    if (one !== undefined) starter = [one, starter[1] + change - 1];
    else if (combining) waiting.push([character, change]);
    else {
      out.push(starter, ...waiting);
      starter = [character, change];
      waiting = [];
    }
  }
  if (starter !== undefined) out.push(starter, ...waiting);
  return out;
}

function composite(first: string, second: string): string | undefined {
  const both = (first + second).normalize("NFC");
  return Array.from(both).length === 1 && !isInert(both) ? both : undefined;
}

const LOWEST = "\u0334"; // combining class 1, the lowest
const HIGHEST = "\u0345"; // combining class 240, the highest
const known = new Map<string, boolean>();

/** Whether the combining class of a character is not 0: then it changes places with characters of other classes. */
function combines(character: string): boolean {
  if (character < "\u0300") return false;
  let result = known.get(character);
  if (result === undefined) {
    const swaps = (before: string, after: string): boolean =>
      (before + after).normalize("NFD") === after + before;
    result = swaps(character, LOWEST) || swaps(HIGHEST, character);
    known.set(character, result);
  }
  return result;
}

/** Whether two combining characters have one class: then they keep their order either way. */
function sameClass(a: string, b: string): boolean {
  return (a + b).normalize("NFD") === a + b && (b + a).normalize("NFD") === b + a;
}
