// Renders bench/RESULTS.md from bench/results/*.json: ratios first (ours ÷ theirs), then the figures they come from.
// Measures nothing, and says where a figure is missing and why.

import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { AttentionResult } from "./attention.ts";
import type { CacheResult } from "./cache.ts";
import type { Figures } from "./contestants/member.ts";
import type { Machine } from "./machine.ts";
import type { LoadingResult } from "./loading.ts";
import type { MemoryResult } from "./memory.ts";
import type { ModelResult } from "./models.ts";
import type { OpsResult } from "./ops.ts";
import type { QualityResult } from "./quality.ts";
import type { QuantisedResult } from "./quantised.ts";
import type { ManyCallsResult } from "./many-calls.ts";
import { attention, cache } from "./report-attention.ts";
import { manyCalls, sampling } from "./report-engine.ts";
import { loading, quality, quantised } from "./report-quantised.ts";
import { storyLoops } from "./report-stories.ts";
import type { SamplingResult } from "./sampling.ts";
import type { Phase } from "./single-op.ts";
import type { Summary } from "./statistics.ts";
import type { StoryLoopsResult } from "./story-loops.ts";
import { describe, error, megabytes, place, ratio, spread, table } from "./tables.ts";

const folder = join(import.meta.dirname, "results");
const target = join(import.meta.dirname, "RESULTS.md");

/** What tokenizer.ts writes: million tokens a second. `ratio` is ours on documents by the fastest of theirs. */
type TokenizerResult = {
  readonly what: string;
  readonly date: string;
  readonly machine: Machine;
  readonly text: { readonly bytes: number; readonly documents: number; readonly tokens: number };
  readonly tokenizers: string;
  readonly rounds: number;
  readonly figures: Readonly<Record<string, Summary>>;
  readonly loadSeconds: Summary;
  readonly ratio: number;
};

type Run = { readonly kind: string; readonly machine: Machine };

const results = (existsSync(folder) ? readdirSync(folder).toSorted() : [])
  .filter((name) =>
    /^((models|ops|memory|quantised|loading)-.*|quality|attention|cache|many-calls|sampling|story-loops)\.json$/.test(
      name,
    ),
  )
  .map((name) => JSON.parse(readFileSync(join(folder, name), "utf8")) as Run);
const tokenizerFile = join(folder, "tokenizer.json");
const tokenizerRun = existsSync(tokenizerFile)
  ? (JSON.parse(readFileSync(tokenizerFile, "utf8")) as TokenizerResult)
  : undefined;
const machines = [
  ...new Set([...results, tokenizerRun].flatMap((run) => (run ? [describe(run.machine)] : []))),
];
const ofKind = <T extends Run>(kind: T["kind"]): T[] =>
  results.filter((result): result is T => result.kind === kind);

const sections = [
  head(),
  quantised(ofKind<QuantisedResult>("quantised"), machines.length > 1),
  loading(ofKind<LoadingResult>("loading"), machines.length > 1),
  quality(ofKind<QualityResult>("quality").at(0), machines.length > 1),
  attention(ofKind<AttentionResult>("attention").at(0), machines.length > 1),
  cache(ofKind<CacheResult>("cache").at(0)),
  manyCalls(ofKind<ManyCallsResult>("many-calls").at(0), machines.length > 1),
  sampling(ofKind<SamplingResult>("sampling").at(0), machines.length > 1),
  storyLoops(ofKind<StoryLoopsResult>("story-loops").at(0), machines.length > 1),
  models(ofKind<ModelResult>("models")),
  ops(ofKind<OpsResult>("ops")),
  memory(ofKind<MemoryResult>("memory")),
  tokenizer(tokenizerRun),
];
writeFileSync(target, `${sections.filter((text) => text !== "").join("\n\n")}\n`);
process.stderr.write(`wrote ${target}\n`);

function head(): string {
  return `# Results

Rendered by \`npx node bench/report.ts\` from \`bench/results/*.json\`; not written by hand. To measure again:

\`\`\`
bash bench/setup.sh            # the competitors, beside the project (7 GB)
npx node bench/quantised.ts    # models in few bits, side by side: 4 layers of Mistral-7B's shape
npx node bench/quantised.ts --layers 32        # all of it (35 GB of disk)
npx node bench/quantised.ts --model stories    # the embedded model
npx node bench/loading.ts      # loading and peak memory of a whole 7B
npx node bench/quality.ts      # perplexity and KL divergence of each way to keep the weights
npx node bench/attention.ts    # flash against eager attention, and its share of a step
npx node bench/cache.ts        # memory of the cache by context length
npx node bench/many-calls.ts --before FOLDER   # many calls on one engine, and an older checkout beside it
npx node bench/sampling.ts     # choosing the tokens of 32 rows
npx node bench/story-loops.ts  # how much the embedded model repeats itself
npx node bench/models.ts       # speed of models in float32 and bfloat16
npx node bench/ops.ts          # where the time goes
npx node bench/ops.ts --cases  # each op by itself, at the sizes of Mistral-7B
npx node bench/memory.ts       # memory over 10 windows
npx node bench/tokenizer.ts    # speed of the tokenizer
npx node bench/report.ts
\`\`\`

\`npx node bench/pictures.ts <name>\` measures and draws the pictures in \`docs/\`.

Measured on ${machines.map((name) => `**${name}**`).join(" and ") || "no machine yet"}.`;
}

function models(runs: readonly ModelResult[]): string {
  if (runs.length === 0) return "";
  const [{ settings }] = runs;
  const ratios = runs.flatMap((run) =>
    (["prefill", "decode"] as const).map((phase) => {
      const [ours, plain] = ["ours", "ours-plain"].map((name) => figure(run, name, phase));
      const theirs = ["pytorch", "transformers.js"].map((name) => figure(run, name, phase));
      const cells = theirs.flatMap((other) => [ratio(ours, other), ratio(plain, other)]);
      return [`${run.title}, ${run.dtype}`, phase, ...cells];
    }),
  );
  const figures = runs.flatMap((run) =>
    run.contestants.map((c) => [
      `${run.title}, ${run.dtype}`,
      c.title,
      spread(c.prefill),
      spread(c.decode),
      c.peakBytes === undefined ? "" : (c.peakBytes / 1e9).toFixed(2),
      c.missing === undefined ? error(c.logitError) : `missing: ${c.missing}`,
    ]),
  );
  const sides = runs.flatMap((run) => run.contestants);
  const versions = new Map(sides.flatMap((side) => Object.entries(side.versions ?? {})));
  const list = [...versions].map(([name, version]) => `${name} ${version.replace(/^v/, "")}`);
  return [
    `## Models

Ours ÷ theirs in tokens/s: above 1, mistral.ts is ahead. Columns are with V8's 256-bit vectors (as the \`mistral\` command
runs; a library user asks for it by \`env.wasm.revectorize\`) and, "(no flag)", without. ${settings.threads} threads everywhere.`,
    table(
      ["model, dtype", "phase", "÷ PyTorch", "(no flag)", "÷ transformers.js", "(no flag)"],
      ratios,
    ),
    `The figures, in tokens/s: median of the turns (smallest–largest). Contestants took turns in one run, each in a process of its
own. Prefill: one forward call with a new cache, logits of the last token. Decode: \`generate\`, greedy, after 16 tokens; the time
of a call for one token is taken off. "Error" is the largest difference of the last logits from PyTorch's (same dtype), divided by their largest entry.`,
    table(["model, dtype", "contestant", "prefill", "decode", "peak memory, GB", "error"], figures),
    runs.map((run) => `- ${run.title}, ${run.dtype}: ${describeRun(run)}`).join("\n"),
    `Versions: ${list.join(", ")}.`,
    `transformers.js reads ONNX: exported with the model builder of onnxruntime-genai in fp32, with grouped-query attention in one
op; its sliding window and the empty cache's head size were filled in afterwards (\`bench/export-onnx.py\`). ONNX Runtime's CPU
kernels have no bfloat16, so it runs fp32 in both rows. Peak memory counts pages of mapped files that were read.`,
  ].join("\n\n");
}

function describeRun({ settings, machine, date, check }: ModelResult): string {
  const { prompt, newTokens, rounds, repeat, reloaded } = settings;
  const anew = reloaded ? ", loaded anew for each turn (they do not fit into memory together)" : "";
  return (
    `prefill of ${prompt}, decode of ${newTokens}, ${rounds} rounds of ${repeat}${anew}; ${place(machine, date, machines.length > 1)}. ` +
    `All compute the same: ${check}`
  );
}

function ops(runs: readonly OpsResult[]): string {
  if (runs.length === 0) return "";
  const parts = runs.flatMap((run) => {
    const vectors = run.wideVectors ? "256-bit vectors" : "128-bit vectors";
    const title = `${run.model}, ${run.dtype}, ${vectors}, ${run.threads} threads`;
    return run.phases.map((phase) => `### ${phase.name}: ${title}\n\n${phaseText(phase)}`);
  });
  const [{ machine, date }] = runs;
  return [
    `## By op

Each op alone, at the model's shapes (${place(machine, date, machines.length > 1)}). The share is of the sum of all ops; what the whole step takes
beyond that sum is hand-offs, inputs and logits.

Where we are behind, and why: the prefill of Mistral-7B's shape is \`linear\` to 98 %. WebAssembly's vectors have 128 bits, whose
multiply-adds give half of what this processor can; V8's flag joins pairs of them into 256 bits, and then the inner loop is
what a compiler of native code would write (12 multiply-adds, 8 loads): 75 to 77 GFLOPS a core on data in its cache, 65 to 72 in
the model. PyTorch and ONNX Runtime reach 75 and 85 there with hand-written AVX2. Decode is at the memory's speed on all sides.`,
    ...parts,
  ].join("\n\n");
}

function phaseText({ ops: times, stepSeconds }: Phase): string {
  const total = times.reduce((sum, { count, seconds }) => sum + count * seconds, 0);
  const rows = times
    .toSorted((a, b) => b.count * b.seconds - a.count * a.seconds)
    .filter(({ count, seconds }) => count * seconds >= total / 500)
    .map(({ op, shapes, count, seconds, flops, bytes }) => [
      op,
      shapes,
      `${count}`,
      (seconds * 1e6).toFixed(1),
      `${((100 * count * seconds) / total).toFixed(1)} %`,
      flops === 0 ? "" : (flops / seconds / 1e9).toFixed(1),
      (bytes / seconds / 1e9).toFixed(1),
    ]);
  const header = ["op", "inputs", "times", "µs each", "share", "GFLOPS", "GB/s"];
  const sum = `Sum ${(total * 1e3).toFixed(2)} ms, whole step ${(stepSeconds * 1e3).toFixed(2)} ms.`;
  return `${sum}\n\n${table(header, rows)}`;
}

function memory(runs: readonly MemoryResult[]): string {
  if (runs.length === 0) return "";
  const rows = runs.map(({ model, dtype, window, newTokens, resident, weightBytes, samples }) => {
    // The window is full, and V8 has compiled what runs often.
    const full = samples.filter(({ tokens }) => tokens >= 2 * window);
    const pages = full.map(({ pagesInUse }) => pagesInUse);
    const growth = full[full.length - 1].residentBytes - full[0].residentBytes;
    return [
      `${model}, ${dtype}`,
      `${window}`,
      `${newTokens}`,
      `${Math.min(...pages)}–${Math.max(...pages)}`,
      megabytes(weightBytes),
      megabytes(resident.before),
      megabytes(resident.loaded),
      megabytes(resident.peak),
      megabytes(growth),
    ];
  });
  const header = [
    "model",
    "window",
    "new tokens",
    "pages in use",
    "weights",
    "resident before",
    "loaded",
    "peak",
    "growth from 2 windows to the end",
  ];
  return `## Memory

One process, ten windows generated; MB. Pages hold 16 columns.\n\n${table(header, rows)}`;
}

function tokenizer(run: TokenizerResult | undefined): string {
  if (run === undefined) return "";
  const { bytes, documents, tokens } = run.text;
  const rows = Object.entries(run.figures).map(([name, { median, min, max }]) => [
    name,
    `${median.toFixed(2)} (${min.toFixed(2)}–${max.toFixed(2)})`,
  ]);
  return `## Tokenizer

Ours ÷ the fastest of Rust \`tokenizers\` ${run.tokenizers}, documents: **${run.ratio.toFixed(2)}**. Figures: ${run.what};
the same ids; ${(bytes / 1e6).toFixed(1)} MB of mixed text, ${documents} documents, ${tokens} tokens; medians of ${run.rounds} rounds in turns
(smallest–largest); loading takes ${run.loadSeconds.median.toFixed(2)} s. A ${place(run.machine, run.date, machines.length > 1)}.

${table(["side", "million tokens/s"], rows)}`;
}

function figure(run: ModelResult, name: string, phase: "prefill" | "decode"): Summary | undefined {
  return run.contestants.find((c: Figures) => c.name === name)?.[phase];
}
