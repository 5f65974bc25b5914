// The part of RESULTS.md about models in float32 and bfloat16, and about their memory.

import type { Figures } from "./contestants/member.ts";
import type { MemoryResult } from "./memory.ts";
import type { ModelResult } from "./models.ts";
import { models as remarks } from "./remarks.ts";
import { section } from "./sections.ts";
import type { Summary } from "./statistics.ts";
import { error, instructionSets, megabytes, place, ratio, spread, table } from "./tables.ts";

export function models(runs: readonly ModelResult[]): string {
  return section(
    runs,
    `## Models

Ours ÷ theirs in tokens/s: above 1, mistral.ts is ahead. Columns are with V8's 256-bit vectors (as the \`mistral\` command
runs; a library user asks for it by \`env.wasm.revectorize\`) and, "(no flag)", without.

The figures, in tokens/s: median of the turns (smallest–largest). Contestants took turns in one run, each in a process of its
own. Prefill: one forward call with a new cache, logits of the last token. Decode: \`generate\`, greedy, after 16 tokens; the time
of a call for one token is taken off. "Error" is the largest difference of the last logits from PyTorch's (same dtype), divided by their largest entry.

transformers.js reads ONNX: exported with the model builder of onnxruntime-genai in fp32, with grouped-query attention in one
op; its sliding window and the empty cache's head size were filled in afterwards (\`bench/export-onnx.py\`). ONNX Runtime's CPU
kernels have no bfloat16, so it runs fp32 in both rows. Peak memory counts pages of mapped files that were read.`,
    modelsOf,
    remarks,
  );
}

function modelsOf(runs: readonly ModelResult[]): string {
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
    table(
      ["model, dtype", "phase", "÷ PyTorch", "(no flag)", "÷ transformers.js", "(no flag)"],
      ratios,
    ),
    table(["model, dtype", "contestant", "prefill", "decode", "peak memory, GB", "error"], figures),
    runs.map((run) => `- ${run.title}, ${run.dtype}: ${describeRun(run)}`).join("\n"),
    `Versions: ${list.join(", ")}.${instructionSets(sides)}`,
  ].join("\n\n");
}

function describeRun({ settings, machine, date, check }: ModelResult): string {
  const { prompt, newTokens, rounds, repeat, reloaded, threads } = settings;
  const anew = reloaded ? ", loaded anew for each turn (they do not fit into memory together)" : "";
  return (
    `prefill of ${prompt}, decode of ${newTokens}, ${threads} threads, ${rounds} rounds of ${repeat}${anew}; ${place(machine, date)}. ` +
    `All compute the same: ${check}`
  );
}

function figure(run: ModelResult, name: string, phase: "prefill" | "decode"): Summary | undefined {
  return run.contestants.find((c: Figures) => c.name === name)?.[phase];
}

export function memory(runs: readonly MemoryResult[]): string {
  return section(
    runs,
    "## Memory\n\nOne process, ten windows generated; MB. Pages hold 16 columns.",
    memoryOf,
  );
}

function memoryOf(runs: readonly MemoryResult[]): string {
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
  return table(header, rows);
}
