// Renders bench/RESULTS.md from bench/results/<kind of machine>/*.json: a section for each benchmark, in it a part for each kind of machine;
// ratios first (ours ÷ theirs), then the figures they come from. Measures nothing, and says where a figure is missing and why.

import { writeFileSync } from "node:fs";
import { join } from "node:path";
import type { AttentionResult } from "./attention.ts";
import type { CacheResult } from "./cache.ts";
import type { LoadingResult } from "./loading.ts";
import type { ManyCallsResult } from "./many-calls.ts";
import type { MemoryResult } from "./memory.ts";
import type { ModelResult } from "./models.ts";
import type { OpsResult } from "./ops.ts";
import type { QualityResult } from "./quality.ts";
import type { QuantisedResult } from "./quantised.ts";
import { attention, cache } from "./report-attention.ts";
import { manyCalls, sampling } from "./report-engine.ts";
import { memory, models } from "./report-models.ts";
import { ops } from "./report-ops.ts";
import { loading, quality, quantised } from "./report-quantised.ts";
import { scaling } from "./report-scaling.ts";
import { storyLoops } from "./report-stories.ts";
import { allResults, kindOf, type Run } from "./results.ts";
import type { SamplingResult } from "./sampling.ts";
import type { ScalingResult } from "./scaling.ts";
import { section } from "./sections.ts";
import type { Summary } from "./statistics.ts";
import type { StoryLoopsResult } from "./story-loops.ts";
import { describe, place, table } from "./tables.ts";

const target = join(import.meta.dirname, "RESULTS.md");

/** What tokenizer.ts writes: million tokens a second. `ratio` is ours on documents by the fastest of theirs. */
type TokenizerResult = Run & {
  readonly kind: "tokenizer";
  readonly what: string;
  readonly text: { readonly bytes: number; readonly documents: number; readonly tokens: number };
  readonly tokenizers: string;
  readonly rounds: number;
  readonly figures: Readonly<Record<string, Summary>>;
  readonly loadSeconds: Summary;
  readonly ratio: number;
};

const results = allResults();
const ofKind = <T extends Run>(kind: T["kind"]): T[] =>
  results.filter((result): result is T => result.kind === kind);

const sections = [
  head(),
  quantised(ofKind<QuantisedResult>("quantised")),
  scaling(ofKind<ScalingResult>("scaling")),
  loading(ofKind<LoadingResult>("loading")),
  quality(ofKind<QualityResult>("quality")),
  attention(ofKind<AttentionResult>("attention")),
  cache(ofKind<CacheResult>("cache")),
  manyCalls(ofKind<ManyCallsResult>("many-calls")),
  sampling(ofKind<SamplingResult>("sampling")),
  storyLoops(ofKind<StoryLoopsResult>("story-loops")),
  models(ofKind<ModelResult>("models")),
  ops(ofKind<OpsResult>("ops")),
  memory(ofKind<MemoryResult>("memory")),
  tokenizer(ofKind<TokenizerResult>("tokenizer")),
];
writeFileSync(target, `${sections.filter((text) => text !== "").join("\n\n")}\n`);
process.stderr.write(`wrote ${target}\n`);

function head(): string {
  return `# Results

Rendered by \`npx node bench/report.ts\` from \`bench/results/<kind of machine>/*.json\`; only the remarks on what limits a
figure are written by hand (bench/remarks.ts). Each benchmark writes into the folder of the machine's kind, so that figures of other kinds
stay beside new ones. To measure again:

\`\`\`
bash bench/setup.sh            # the competitors, beside the project (7 GB)
npx node bench/quantised.ts    # models in few bits, side by side: 4 layers of Mistral-7B's shape
npx node bench/quantised.ts --layers 32        # all of it (35 GB of disk)
npx node bench/quantised.ts --model stories    # the embedded model
npx node bench/scaling.ts prompts # prefill of 64, 512 and 4,096 tokens
npx node bench/scaling.ts rows    # decode of 1, 4 and 16 rows at once
npx node bench/loading.ts      # loading and peak memory of a whole 7B
npx node bench/quality.ts      # perplexity and KL divergence of each way to keep the weights
npx node bench/attention.ts    # flash against eager attention, and its share of a step
npx node bench/cache.ts        # memory of the cache by context length
npx node bench/many-calls.ts --before FOLDER   # many calls on one engine, and an older checkout beside it
npx node bench/sampling.ts     # choosing the tokens of 32 rows
npx node bench/story-loops.ts  # how much the embedded model repeats itself
npx node bench/models.ts       # speed of models in float32 and bfloat16
npx node bench/ops.ts          # where the time goes; takes a model's folder, --plain and --no-native
npx node bench/ops.ts --cases  # each op by itself, at the sizes of Mistral-7B
npx node bench/memory.ts       # memory over 10 windows
npx node bench/tokenizer.ts    # speed of the tokenizer
npx node bench/report.ts
\`\`\`

\`npx node bench/pictures.ts <name>\` measures and draws the pictures in \`docs/\`.

Measured on:

${machines()}`;
}

/** The kinds of machines in the results, each with its machines. */
function machines(): string {
  const byKind = Map.groupBy(results, ({ machine }) => kindOf(machine).title);
  return [...byKind]
    .map(([title, runs]) => {
      const all = [...new Set(runs.map(({ machine }) => describe(machine)))];
      return `- ${title}: ${all.join("; and ")}`;
    })
    .join("\n");
}

function tokenizer(runs: readonly TokenizerResult[]): string {
  return section(
    runs,
    `## Tokenizer

Ours beside Rust's \`tokenizers\`, on mixed text, with the same ids; medians of rounds in turns (smallest–largest).`,
    ([run]) => tokenizerOf(run),
  );
}

function tokenizerOf(run: TokenizerResult): string {
  const { bytes, documents, tokens } = run.text;
  const rows = Object.entries(run.figures).map(([name, { median, min, max }]) => [
    name,
    `${median.toFixed(2)} (${min.toFixed(2)}–${max.toFixed(2)})`,
  ]);
  return `Ours ÷ the fastest of Rust \`tokenizers\` ${run.tokenizers}, documents: **${run.ratio.toFixed(2)}**. Figures: ${run.what};
${(bytes / 1e6).toFixed(1)} MB of text, ${documents} documents, ${tokens} tokens; ${run.rounds} rounds; loading takes
${run.loadSeconds.median.toFixed(2)} s. A ${place(run.machine, run.date)}.

${table(["side", "million tokens/s"], rows)}`;
}
