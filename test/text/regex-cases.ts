// Compares how expressions cut texts with what Rust `tokenizers` makes of them (test/full/regex_splits.py writes such cases).

import { AlignedText } from "../../src/text/aligned-text.ts";
import { searcher } from "../../src/text/pattern.ts";
import { readPreTokenizer } from "../../src/text/pre-tokenizer.ts";

/** Places count code points: where a text is cut, and [begin, end) of each match that is not empty. */
export type RegexCase = {
  source: string;
  error?: string;
  rows?: { text: string; cuts: number[]; matches: number[] }[];
};

/** What differs, as texts; our own matcher is tried beside the one that the expression gets. */
export function differences(cases: readonly RegexCase[]): string[] {
  return cases.flatMap((one) => {
    if (one.error !== undefined) {
      return outcome(() => searcher(one.source, "x")) instanceof Error
        ? []
        : [`${one.source}: accepted, but ${one.error}`];
    }
    return (one.rows ?? []).flatMap(({ text, cuts, matches }) => {
      const wanted = JSON.stringify({ cuts, matches });
      const [native, own] = [() => bySplit(one.source, text), () => byOwn(one.source, text, cuts)];
      return [native, own].flatMap((run) => {
        const came = outcome(run);
        const shown = came instanceof Error ? came.message : JSON.stringify(came);
        return shown === wanted
          ? []
          : [`${one.source} on ${JSON.stringify(text)}: ${shown}, expected ${wanted}`];
      });
    });
  });
}

type Result = { cuts: number[]; matches: number[] };

function bySplit(source: string, text: string): Result {
  const split = (behavior: string, invert: boolean): AlignedText[] => {
    const fields = { type: "Split", pattern: { Regex: source }, behavior, invert };
    return readPreTokenizer(fields, "x")?.(AlignedText.of(text, true)) ?? [];
  };
  const point = pointsOf(text);
  const begin = ({ starts }: AlignedText): number => point(starts?.[0] ?? 0);
  const end = ({ ends }: AlignedText): number => point(ends?.at(-1) ?? 0);
  return {
    cuts: split("Isolated", false).slice(1).map(begin),
    matches: split("Removed", true).flatMap((piece) => [begin(piece), end(piece)]),
  };
}

function byOwn(source: string, text: string, cuts: number[]): Result {
  const search = searcher(source, "x", true);
  const point = pointsOf(text);
  const limit = performance.now() + 500;
  const clock = (): void => {
    if (performance.now() > limit) throw new Error("takes too long");
  };
  const matches: number[] = [];
  let last = -1;
  for (let from = 0; from <= text.length;) {
    const match = search(text, from, clock);
    if (match === undefined) break;
    const [begin, end] = match;
    if (begin === end && end === last) from += (text.codePointAt(from) ?? 0) > 0xffff ? 2 : 1;
    else {
      if (end > begin) matches.push(point(begin), point(end));
      from = end;
      last = end;
    }
  }
  return { cuts, matches };
}

/** UTF-16 units → code points. */
function pointsOf(text: string): (unit: number) => number {
  const points = new Map<number, number>();
  let unit = 0;
  for (const character of text) {
    points.set(unit, points.size);
    unit += character.length;
  }
  points.set(unit, points.size);
  return (at) => points.get(at) ?? -1;
}

function outcome<T>(run: () => T): T | Error {
  try {
    return run();
  } catch (error) {
    if (error instanceof Error) return error;
    throw error;
  }
}
