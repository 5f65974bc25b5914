// The part of RESULTS.md about how much the embedded model repeats itself.

import type { StoryLoopsResult } from "./story-loops.ts";
import { section } from "./sections.ts";
import { place, table } from "./tables.ts";

export function storyLoops(runs: readonly StoryLoopsResult[]): string {
  return section(
    runs,
    `## Loops of the embedded model

Share of four words in a row that a text has said before (1 − distinct ÷ all, a mean over texts), after ordinary prompts ("Hi",
"The dragon", "In 1969", …: bench/story-prompts.ts), each with several seeds, at most 300 tokens. \`mistral run\` makes a prompt the
request for a story, with a repetition penalty of 1.1 and no ten tokens in a row twice; generation_config.json has temperature 0.7 and
top_k 40.`,
    ([run]) => loopsOf(run),
  );
}

function loopsOf(run: StoryLoopsResult): string {
  const { machine, date, prompts, seeds, ways } = run;
  const percent = (share: number | undefined): string =>
    share === undefined ? "—" : (100 * share).toFixed(2);
  const rows = ways.map(({ name, mean, p90, worst, ended, texts }) => [
    name,
    ...[mean, p90, worst].map(percent),
    ended === undefined ? "—" : (100 * ended).toFixed(1),
    String(texts),
  ]);
  const head = [
    ...["after ordinary prompts", "repeated, %", "text at 90 %", "worst text"],
    ...["ended by itself, %", "texts"],
  ];
  return `${prompts} prompts × ${seeds} seeds; ${place(machine, date)}.

${table(head, rows)}`;
}
