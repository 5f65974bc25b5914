// "Did you mean": finds the nearest known name for an unknown option, flag, command or tensor name. Knows no names itself.

import { InputError } from "./errors.ts";

/**
 * The known name that `name` means: the only one that begins with it, if it has three letters, else the nearest by edit distance;
 * undefined if that would take more than 2 edits, or a third of its characters.
 */
export function nearest(name: string, known: Iterable<string>): string | undefined {
  const names = [...known];
  const longer = names.filter((one) => one.toLowerCase().startsWith(name.toLowerCase()));
  if (longer.length === 1 && name.replaceAll("-", "").length >= 3) return longer[0];
  let best: string | undefined;
  let bestDistance = Math.max(2, Math.floor(name.length / 3)) + 1;
  for (const candidate of names) {
    const distance = editDistance(name.toLowerCase(), candidate.toLowerCase(), bestDistance);
    if (distance < bestDistance) [best, bestDistance] = [candidate, distance];
  }
  return best;
}

/** The end of a message: `unknown option "max_new_token"; did you mean "max_new_tokens"?`. The question needs a name that is near. */
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

/** Insertions, deletions and changes of a character that lead from `a` to `b`; `limit` or more if the lengths differ by that much. */
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
