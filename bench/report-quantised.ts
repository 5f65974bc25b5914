// The part of RESULTS.md about models in few bits: speed beside the others, loading, and what each way costs in quality.

import type { Figures } from "./contestants/member.ts";
import type { LoadingOf, LoadingResult } from "./loading.ts";
import type { QualityResult } from "./quality.ts";
import type { QuantisedResult } from "./quantised.ts";
import { fewBits, loading as loadingRemarks } from "./remarks.ts";
import { kindOf } from "./results.ts";
import { section } from "./sections.ts";
import type { Summary } from "./statistics.ts";
import { error, instructionSets, place, ratio, spread, table } from "./tables.ts";

/** The other side's name in a run, and the head of its column. */
const others: readonly (readonly [names: readonly string[], head: string])[] = [
  [["llama.cpp", "llama.cpp-Q4_0"], "÷ llama.cpp Q4_0"],
  [["llama.cpp-F32"], "÷ llama.cpp F32"],
  [["pytorch-f32"], "÷ PyTorch f32"],
  [["pytorch-bf16"], "÷ PyTorch bf16"],
  [["bitsandbytes"], "÷ bitsandbytes"],
  [["transformers.js-q4"], "÷ transformers.js q4"],
];

/** What we aim at: speed ÷ that of llama.cpp with Q4_0, by side, for each model. */
type Goals = Readonly<Record<string, Readonly<Record<string, string>>>>;

const wide: Goals = {
  "mistral-7b-4l": {
    q4: "prefill ≥ 1.4, decode ≥ 1.8",
    "q4-plain": "prefill ≥ 1.4, decode ≥ 1.8",
    "nf4-int8": "decode ≥ 1.0",
  },
  "mistral-7b-32l": {
    q4: "prefill ≥ 1.4, decode ≥ 1.5",
    "q4-plain": "prefill ≥ 1.4, decode ≥ 1.5",
    "nf4-int8": "decode ≥ 1.0",
  },
};

/** By the folder of the kind of machine. */
const goals: Readonly<Record<string, Goals>> = {
  amx: wide,
  "avx512-vnni": wide,
  avx2: {
    "mistral-7b-4l": {
      q4: "prefill ≥ 1.8, decode ≥ 1.8",
      "q4-plain": "prefill ≥ 1.0, decode ≥ 1.25",
      "nf4-int8": "decode ≥ 0.9",
    },
    "mistral-7b-32l": {
      q4: "prefill ≥ 1.8, decode ≥ 1.5",
      "q4-plain": "prefill ≥ 1.0, decode ≥ 1.25",
      "nf4-int8": "decode ≥ 0.9",
    },
  },
};

export function quantised(runs: readonly QuantisedResult[]): string {
  return section(
    runs,
    `## In few bits

Whole models through their own loops: prefill of a prompt with a new cache, and greedy decode after 16 tokens; the time of a call
for one token is taken off. Sides take turns in one run, each in a process of its own, loaded anew for each turn where they do not
fit into memory together: from the disk, where the system can be asked to forget files (as root). "As the command runs" is with V8's
256-bit vectors; "no flag" is what a library user gets without asking; "--no-native" is without machine code.
llama.cpp reads Q4_0 as \`llama-quantize\` makes it from the same weights (4.5 bits a weight, the head in 6.6), with its cache in
float16; q4 has 4.25 bits and a head in 6.25. Our cache is in float16 too with activations of 8 bits (q4, q8, int8), else in
float32: the defaults of both. Peak memory counts pages of mapped files that were read.`,
    (own) => own.map((run) => ofRun(run)).join("\n\n"),
    fewBits,
  );
}

function ofRun(run: QuantisedResult): string {
  const { settings, contestants } = run;
  const shown = others.filter(([names]) => names.some((name) => find(run, name)?.prefill));
  const ours = contestants.filter(({ title, missing }) => isOurs(title) && missing === undefined);
  const against = ours.map((side) => [
    side.title.replace("mistral.ts, ", ""),
    ...shown.map(([names]) => {
      const their = names.map((name) => find(run, name)).find((other) => other !== undefined);
      // A side that did less is measured on other lengths.
      return (their?.brief?.prompt ?? settings.prompt) === settings.prompt
        ? `${ratio(side.prefill, their?.prefill)} / ${ratio(side.decode, their?.decode)}`
        : `— / ${ratio(side.decode, their?.decode)}`;
    }),
    goals[kindOf(run.machine).folder]?.[run.model]?.[side.name] ?? "",
  ]);
  const figures = contestants.map((side) => [
    side.title + briefly(side),
    spread(side.prefill),
    spread(side.decode),
    seconds(side.load),
    side.peakBytes === undefined ? "" : (side.peakBytes / 2 ** 30).toFixed(2),
    side.missing === undefined ? error(side.logitError) : `missing: ${side.missing}`,
  ]);
  const versions = new Map(contestants.flatMap((side) => Object.entries(side.versions ?? {})));
  const list = [...versions].map(([name, version]) => `${name} ${version.replace(/^v/, "")}`);
  return [
    `#### ${run.title}

Ours ÷ theirs, prefill / decode, in tokens/s: above 1, mistral.ts is ahead.`,
    table(["mistral.ts", ...shown.map(([, head]) => head), "goal, ÷ llama.cpp"], against),
    table(
      ["side", "prefill, tokens/s", "decode, tokens/s", "load, s", "peak memory, GiB", "distance"],
      figures,
    ),
    `Medians (smallest–largest) of ${settings.rounds} rounds of ${settings.repeat}, prefill of ${settings.prompt}, ` +
      `decode of ${settings.newTokens}, ${settings.threads} threads; ` +
      `${place(run.machine, run.date)}. Distance: ${run.check}. Versions: ${list.join(", ")}.${instructionSets(contestants)}`,
  ].join("\n\n");
}

function briefly({ brief }: Figures): string {
  return brief === undefined
    ? ""
    : ` (prefill of ${brief.prompt}, decode of ${brief.newTokens}, ${brief.rounds === 1 ? "one round" : `${brief.rounds} rounds`})`;
}

function find(run: QuantisedResult, name: string): Figures | undefined {
  return run.contestants.find((side) => side.name === name);
}

function isOurs(title: string): boolean {
  return title.startsWith("mistral.ts");
}

export function loading(runs: readonly LoadingResult[]): string {
  const head =
    "kept as|file, GiB|quantising|peak|again|first token|read|again ÷ read|from disk|read from disk|peak";
  return section(
    runs,
    `## Loading

Seconds; medians. "Quantising": from the bfloat16 checkpoint. "Again": the quantised checkpoint, its files in the system's page
cache, until the model stands and until its first token after 16; "read": plain reading of the same files. "From disk": until
the first token, and reading, after the page cache was told to drop the files. Peak memory is the process's largest resident size
in GiB, Node included: while quantising, and with the quantised checkpoint, both after a few tokens.`,
    (own) =>
      own
        .map(({ title, methods, rounds, machine, date }) => {
          const rows = table(head.split("|"), methods.map(loadingRow));
          return `#### ${title}\n\n${rows}\n\n${rounds} rounds; ${place(machine, date)}.`;
        })
        .join("\n\n"),
    loadingRemarks,
  );
}

function loadingRow({
  method,
  fileBytes,
  quantising,
  again,
  readSeconds,
  fromDisk,
}: LoadingOf): readonly string[] {
  return [
    method,
    gib(fileBytes),
    seconds(quantising?.seconds),
    quantising === undefined ? "—" : gib(quantising.peakBytes),
    seconds(again.seconds),
    seconds(again.firstTokenSeconds),
    seconds(readSeconds),
    ratio(again.seconds, readSeconds),
    seconds(fromDisk.seconds),
    seconds(fromDisk.readSeconds),
    gib(again.peakBytes),
  ];
}

export function quality(runs: readonly QualityResult[]): string {
  return section(
    runs,
    `## Quality

What each way to keep the weights, and to compute with them, costs on the embedded model, on held-out stories: compared with its
float32, by Kullback–Leibler divergence of the next token's distribution from float32's, and by the share of tokens at which both
find the same one likeliest. A small model suffers more from few bits than a large one. Products: float32 is exact; float16 is
16-bit fixed point; int8 has activations of 8 bits. The file holds bfloat16.`,
    ([run]) => qualityOf(run),
  );
}

function qualityOf(run: QualityResult): string {
  const { reference, methods } = run;
  const rows = methods.map(({ method, compute, bytes, ...q }) => [
    method,
    compute,
    (bytes / 1e6).toFixed(2),
    q.perplexity.toFixed(4),
    `${(100 * (q.perplexity / reference.perplexity - 1)).toFixed(2).replace("-0.00", "0.00")} %`,
    q.kl < 1e-9 ? "0" : q.kl.toExponential(1),
    q.klWorst < 1e-9 ? "0" : q.klWorst.toExponential(1),
    `${(100 * q.top1Agreement).toFixed(2)} %`,
  ]);
  const head =
    "kept as|products|weights, MB|perplexity|above float32's|mean KL, nats|largest KL|same first choice";
  return `${run.texts} stories, ${run.tokens.toLocaleString("en")} tokens; float32 has a perplexity of ${reference.perplexity.toFixed(4)} and ${(reference.bytes / 1e6).toFixed(2)} MB. A ${place(run.machine, run.date)}.

${table(head.split("|"), rows)}`;
}

function gib(bytes: number): string {
  return (bytes / 2 ** 30).toFixed(2);
}

function seconds(summary: Summary | undefined): string {
  return summary === undefined ? "—" : summary.median.toFixed(summary.median < 10 ? 2 : 1);
}
