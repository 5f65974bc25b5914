// The part of RESULTS.md about attention at long contexts, and about the memory of the cache.

import type { AttentionResult, Share } from "./attention.ts";
import type { CacheResult } from "./cache.ts";
import { section } from "./sections.ts";
import { place, ratio, table } from "./tables.ts";

export function attention(runs: readonly AttentionResult[]): string {
  return section(
    runs,
    `## Attention

Flash attention beside eager attention: medians of one layer. Then flash attention of one layer in ms, and its share of that layer's
whole step (q4 weights), by the cache's dtype; the best of the rounds. A step is 512 tokens of a prompt at the end of the context, or
one token.`,
    ([run]) => attentionOf(run),
  );
}

function attentionOf(run: AttentionResult): string {
  const { title, rows, shares, machine, date, wideVectors } = run;
  const speedUps = rows.map(({ tokens, flash, eager }) => [
    tokens.toLocaleString("en"),
    (1e3 * flash.median).toFixed(2),
    (1e3 * eager.median).toFixed(2),
    ratio(eager, flash),
  ]);
  const caches = [...new Set(shares.map((share) => share.cache))];
  const lines = new Map<string, Share[]>();
  for (const share of shares) {
    const key = `${share.phase}|${share.tokens.toLocaleString("en")}`;
    lines.set(key, [...(lines.get(key) ?? []), share]);
  }
  const shareRows = [...lines].map(([key, line]) => [
    ...key.split("|"),
    ...caches.map((dtype) => {
      const one = line.find((share) => share.cache === dtype);
      return one === undefined
        ? "—"
        : `${(1e3 * one.attention).toFixed(2)} (${((100 * one.attention) / one.step).toFixed(0)} %)`;
    }),
  ]);
  return [
    `${title}, ${wideVectors ? "256-bit" : "128-bit"} vectors; ${place(machine, date)}.`,
    table(["tokens", "flash, ms", "eager, ms", "eager ÷ flash"], speedUps),
    table(["step", "context", ...caches], shareRows),
  ].join("\n\n");
}

export function cache(runs: readonly CacheResult[]): string {
  return section(
    runs,
    "## Cache\n\nMiB a layer of Mistral-7B's shape (it has 32), in the pages that are in use.",
    ([run]) => cacheOf(run),
  );
}

function cacheOf(run: CacheResult): string {
  const marks = [4096, 8192, 16384, 32768];
  const rows = run.lines.map(({ rolling, dtype, points }) => [
    rolling ? `rolling, window ${run.window.toLocaleString("en")}` : "every token kept",
    dtype,
    ...marks.map((mark) => {
      const bytes = points.find(({ tokens }) => tokens === mark)?.bytes;
      return bytes === undefined ? "—" : (bytes / run.layers / 2 ** 20).toFixed(1);
    }),
  ]);
  const head = ["cache", "dtype", ...marks.map((mark) => `${mark.toLocaleString("en")} tokens`)];
  return table(head, rows);
}
