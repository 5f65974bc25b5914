// A section of RESULTS.md: what holds for all runs of a benchmark, then a part for each kind of machine, the newest first.

import { kindOf, type Run } from "./results.ts";
import { describe } from "./tables.ts";

/**
 * @param intro the heading (##), and what the figures are
 * @param part  the figures of one kind of machine; headings within begin at ####
 * @param remarks what the figures mean, by the folder of the kind: written by hand, as profiles are read
 */
export function section<T extends Run>(
  runs: readonly T[],
  intro: string,
  part: (runs: readonly T[]) => string,
  remarks: Readonly<Record<string, string>> = {},
): string {
  const newest = (of: readonly T[]): string =>
    of
      .map(({ date }) => date)
      .toSorted()
      .at(-1) ?? "";
  const byKind = [...Map.groupBy(runs, ({ machine }) => kindOf(machine).folder)].toSorted(
    ([, a], [, b]) => newest(b).localeCompare(newest(a)),
  );
  if (byKind.length === 0) return "";
  const parts = byKind.flatMap(([folder, own]) => {
    const machines = [...new Set(own.map(({ machine }) => describe(machine)))];
    const { title } = kindOf(own[0].machine);
    const remark = Object.hasOwn(remarks, folder) ? [remarks[folder]] : [];
    return [`### On ${title}`, `${machines.join("; and ")}.`, ...remark, part(own)];
  });
  return [intro, ...parts].join("\n\n");
}
