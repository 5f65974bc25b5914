// How results are written down: tables in Markdown, medians with their spread, the machine, and whether the run was disturbed.

import type { Figures } from "./contestants/member.ts";
import type { Machine } from "./machine.ts";
import type { Summary } from "./statistics.ts";

/** Load of the machine before a run (see machine.ts) from which it is told: something else may have run, or the run before it. */
const QUIET = 0.5;

export function describe({ cpu, cores, instructions, memoryGiB, system, node }: Machine): string {
  return `${cpu}, ${cores} cores (${instructions.join(", ")}), ${memoryGiB} GiB, ${system}, Node ${node.slice(1)}`;
}

/** The day of a run, and whether something else ran beside it. */
export function place({ loadBefore }: Machine, date: string): string {
  const load =
    loadBefore > QUIET
      ? `, load ${loadBefore.toFixed(1)} in the minute before it (a run of this kind right before counts)`
      : "";
  return `run of ${date.slice(0, 10)}${load}`;
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

/** What the engines say about the instructions that they use, as sentences to put behind others. */
export function instructionSets(contestants: readonly Figures[]): string {
  const said = new Map<string, string>();
  for (const { name, title, instructions: set } of contestants) {
    if (set === undefined) continue;
    // llama.cpp's way to say it is "CPU : AVX2 = 1 | FMA = 1 | ".
    const short = set
      .replace(/^CPU : /, "")
      .replaceAll(" = 1 | ", " ")
      .trim();
    const side = title.startsWith("mistral.ts") ? name : title.split(",")[0];
    const others = said.get(short);
    said.set(short, others === undefined || others === side ? side : `${others}, ${side}`);
  }
  const list = [...said].map(([set, side]) => `${side}: ${set}`);
  return list.length === 0 ? "" : ` Instruction sets, as they say: ${list.join("; ")}.`;
}
