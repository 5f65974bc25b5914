// The part of RESULTS.md about speed by the length of a prompt, and by the number of rows that decode at once.

import type { Figures } from "./contestants/member.ts";
import { scaling as remarks } from "./remarks.ts";
import type { ScalingResult } from "./scaling.ts";
import { section } from "./sections.ts";
import { instructionSets, place, ratio, spread, table } from "./tables.ts";

export function scaling(runs: readonly ScalingResult[]): string {
  return section(
    runs,
    `## Lengths and rows

Tokens a second of prefill by the length of the prompt, and of greedy decode by the number of rows (all rows together, each after a
prompt of 16 tokens of its own; the time of a call for one token is taken off). In brackets: ÷ llama.cpp's in the same run. llama.cpp's rows
are sequences of one context that node-llama-cpp evaluates in step, one batch for each token of all rows (its own loops of several
sequences miss batches, and would be slower); ours are the rows of one call of \`generate\`.`,
    (own) => own.map(ofRun).join("\n\n"),
    remarks,
  );
}

function ofRun({
  what,
  title,
  settings,
  machine,
  date,
  check,
  contestants,
}: ScalingResult): string {
  const { lengths, rounds, threads, newTokens } = settings;
  const unit = (length: number): string =>
    what === "prompts"
      ? `${length.toLocaleString("en")} tokens`
      : `${length} ${length === 1 ? "row" : "rows"}`;
  const theirs = contestants.find(({ name }) => name === "llama.cpp");
  const cell = (side: Figures, length: number): string => {
    const figure = side.cases?.[length];
    const share = side === theirs ? "" : ` [${ratio(figure, theirs?.cases?.[length])}]`;
    return `${spread(figure)}${figure === undefined ? "" : share}`;
  };
  const rows = contestants.map((side) => [
    side.missing === undefined ? side.title : `${side.title}; missing: ${side.missing}`,
    ...lengths.map((length) => cell(side, length)),
  ]);
  const phase = what === "prompts" ? "prefill" : `decode of ${newTokens}`;
  return [
    `#### ${what === "prompts" ? "Prompts" : "Rows"}: ${title}`,
    table([`${phase}, tokens/s`, ...lengths.map(unit)], rows),
    `Medians (smallest–largest) of ${rounds} rounds in turns, ${threads} threads; ${place(machine, date)}. Distance: ${check}, below ` +
      `${worst(contestants)}.${instructionSets(contestants)}`,
  ].join("\n\n");
}

function worst(contestants: readonly Figures[]): string {
  const most = Math.max(0, ...contestants.map(({ logitError }) => logitError ?? 0));
  return (Math.ceil(most * 100) / 100).toFixed(2);
}
