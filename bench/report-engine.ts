// The part of RESULTS.md about many calls on one engine, and about choosing the tokens of many rows.

import type { ManyCallsResult } from "./many-calls.ts";
import type { SamplingResult } from "./sampling.ts";
import type { Summary } from "./statistics.ts";
import { section } from "./sections.ts";
import { place, ratio, spread, table } from "./tables.ts";

export function manyCalls(runs: readonly ManyCallsResult[]): string {
  return section(
    runs,
    `## Many calls on one engine

Next token: milliseconds between two tokens of a short call, alone, and beside prompts of 20,000 tokens one
after the other; tokens that come within 8 ms are reported together. 20 calls: all at once, with 2,000 tokens in common and one of their
own, 4 new tokens each; beside it one call of 2,010 other tokens. Chat: 100 turns of 16 new and 16 generated tokens, no cache passed.`,
    ([run]) => manyCallsOf(run),
  );
}

function manyCallsOf(run: ManyCallsResult): string {
  const { machine, date, models, rounds } = run;
  const before = models.flatMap(({ title, before: theirs, ours }) =>
    ["prefill", "decode"].map((phase) => [
      title,
      phase,
      ratio(ours.speed?.[phase], theirs?.[phase]),
      spread(ours.speed?.[phase]),
      spread(theirs?.[phase]),
    ]),
  );
  const rows = models.map(({ title, ours }) => {
    const show = (what: string, name: string, digits = 0, factor = 1): string =>
      number(ours[what]?.[name], digits, factor);
    return [
      title,
      `${show("neighbour", "alone")} / ${show("neighbour", "beside")} / ${show("neighbour", "besideP99")}`,
      `${show("prefix", "one", 2)} / ${show("prefix", "twenty", 2)}`,
      `${show("chat", "early", 0, 1000)} / ${show("chat", "late", 0, 1000)}`,
      `${show("chat", "tokens")}: ${show("chat", "pages")} pages, ${show("chat", "cacheBytes", 1, 1e-6)} MB`,
    ];
  });
  const head = [
    ...["model", "next token: alone / beside / p99, ms", "one prompt / 20 calls, s"],
    ...["turn: early / late, ms", "after 100 turns"],
  ];
  return [
    `A ${place(machine, date)}.`,
    table(head, rows),
    `Against the code before shared pages, preemption and sampling on the device (the commit that this work began with), in turns of one
run, ${rounds} rounds; tokens/s of one call, as the command runs.`,
    table(["model", "phase", "now ÷ before", "now", "before"], before),
  ].join("\n\n");
}

export function sampling(runs: readonly SamplingResult[]): string {
  return section(
    runs,
    `## Sampling

Milliseconds to choose the tokens of many rows (medians): by the host's processors on one thread, as all calls did before; by the op
\`sample\` within the step; and by \`sample\` over scores that the host hands over.`,
    ([run]) => samplingOf(run),
  );
}

function samplingOf(run: SamplingResult): string {
  const { machine, date, rows, cases, threads } = run;
  const lines = cases.map(({ vocabulary, settings, figures }) => [
    vocabulary.toLocaleString("en"),
    settings,
    ...(["host", "oneThread", "team", "handedOver"] as const).map((way) => number(figures[way], 1)),
    ratio(figures.host, figures.team),
  ]);
  const head = [
    "vocabulary",
    "settings",
    "host",
    "1 thread",
    `${threads} threads`,
    "handed over",
    "host ÷ threads",
  ];
  return [`${rows} rows; ${place(machine, date)}.`, table(head, lines)].join("\n\n");
}

function number(summary: Summary | undefined, digits = 0, factor = 1): string {
  return summary === undefined ? "—" : (summary.median * factor).toFixed(digits);
}
