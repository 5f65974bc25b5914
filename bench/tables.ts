// How results are written down: tables in Markdown, medians with their spread, the machine, and whether the run was disturbed.

import type { Machine } from "./machine.ts";
import type { Summary } from "./statistics.ts";

/** Load of the machine before a run (see machine.ts) from which it is told: something else may have run, or the run before it. */
const QUIET = 0.5;

export function describe({ cpu, cores, instructions, memoryGiB, system, node }: Machine): string {
  return `${cpu}, ${cores} cores (${instructions.join(", ")}), ${memoryGiB} GiB, ${system}, Node ${node.slice(1)}`;
}

/** The day of a run, its machine where there are several, and whether something else ran beside it. */
export function place(machine: Machine, date: string, several: boolean): string {
  const { loadBefore } = machine;
  const where = several ? `, ${describe(machine)}` : "";
  const load =
    loadBefore > QUIET
      ? `, load ${loadBefore.toFixed(1)} in the minute before it (a run of this kind right before counts)`
      : "";
  return `run of ${date.slice(0, 10)}${where}${load}`;
}

export function ratio(ours: Summary | undefined, theirs: Summary | undefined): string {
  return ours === undefined || theirs === undefined
    ? "—"
    : (ours.median / theirs.median).toFixed(2);
}

export function spread(summary: Summary | undefined): string {
  if (summary === undefined) return "—";
  const digits = summary.median < 100 ? 1 : 0;
  const [median, min, max] = [summary.median, summary.min, summary.max].map((x) =>
    x.toFixed(digits),
  );
  return `${median} (${min}–${max})`;
}

export function error(value: number | undefined): string {
  return value === undefined ? "" : value.toExponential(1);
}

export function table(header: readonly string[], rows: readonly (readonly string[])[]): string {
  return [row(header), row(header.map(() => "---")), ...rows.map(row)].join("\n");
}

export function row(cells: readonly string[]): string {
  return `| ${cells.join(" | ")} |`;
}

export function megabytes(bytes: number): string {
  return (bytes / 1e6).toFixed(1);
}
