// "Did you mean": the nearest known name, for unknown options, flags, commands and tensor names.

import { InputError } from "./errors.ts";

/** The known name nearest to `name` by edit distance, or undefined when none is near enough to be meant. */
export function nearest(name: string, known: Iterable<string>): string | undefined {
  let best: string | undefined;
  let bestDistance = Math.max(2, Math.floor(name.length / 3)) + 1;
  for (const candidate of known) {
    const distance = editDistance(name.toLowerCase(), candidate.toLowerCase(), bestDistance);
    if (distance < bestDistance) [best, bestDistance] = [candidate, distance];
  }
  return best;
}

/** `unknown option "max_new_token"; did you mean "max_new_tokens"?`: the tail of such a message, with its question when there is one. */
export function unknownName(kind: string, name: unknown, known: Iterable<string>): string {
  const meant = typeof name === "string" ? nearest(name, known) : undefined;
  return `unknown ${kind} ${JSON.stringify(name)}${meant === undefined ? "" : `; did you mean ${JSON.stringify(meant)}?`}`;
}

/** Refuses any key of `options` that is not in `known`. @throws InputError */
export function checkOptions(where: string, options: object, known: ReadonlySet<string>): void {
  for (const name of Object.keys(options)) {
    if (!known.has(name)) throw new InputError(`${where}: ${unknownName("option", name, known)}`);
  }
}

function editDistance(a: string, b: string, limit: number): number {
  if (Math.abs(a.length - b.length) >= limit) return limit;
  let previous = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    for (let j = 1; j <= b.length; j++) {
      const change = previous[j - 1] + (a[i - 1] === b[j - 1] ? 0 : 1);
      row.push(Math.min(change, previous[j] + 1, row[j - 1] + 1));
    }
    previous = row;
  }
  return previous[b.length];
}
