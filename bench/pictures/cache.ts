// Picture: memory of the cache by context length, with and without the rolling cache.

import type { CacheResult } from "../cache.ts";
import { measuredOn, type Picture, WIDTH } from "./drawing.ts";

/** Mistral-7B's. */
const LAYERS = 32;

export function cachePicture(result: CacheResult): Picture {
  const { window, layers, lines } = result;
  const values = lines.flatMap(({ rolling, dtype, points }) =>
    [{ tokens: 0, bytes: 0 }, ...points].map(({ tokens, bytes }) => ({
      ...{ line: `${rolling}-${dtype}`, rolling, tokens },
      gib: (bytes * LAYERS) / layers / 2 ** 30,
    })),
  );
  const ends = lines.map(({ rolling, dtype, points }) => {
    const { tokens, bytes } = points[points.length - 1];
    const gib = (bytes * LAYERS) / layers / 2 ** 30;
    const what = `${rolling ? "rolling, " : ""}${dtype}`;
    return { rolling, tokens, gib, label: `${gib.toFixed(gib < 1 ? 2 : 1)} GiB  ${what}` };
  });
  const most = Math.max(...ends.map(({ tokens }) => tokens));
  return {
    name: "cache-memory",
    title: `With a window of ${window.toLocaleString("en")} tokens, the cache stops growing`,
    subtitle: "Memory of keys and values of Mistral-7B (32 layers) by context length",
    footnote: [
      `Bytes of the pages in use after each 1,024 tokens, measured with ${layers} of the ${LAYERS} layers and multiplied.`,
      measuredOn(result.machine, result.date),
    ],
    chart: (theme) => {
      const color = {
        condition: { test: "datum.rolling", value: theme.main },
        value: theme.other,
      };
      return {
        width: WIDTH - 230,
        height: 280,
        encoding: {
          x: {
            ...{ field: "tokens", type: "quantitative" },
            scale: { domain: [0, most], nice: false },
            axis: {
              title: "tokens in the context",
              values: ticks(most),
              format: ",d",
              grid: false,
            },
          },
          y: {
            ...{ field: "gib", type: "quantitative" },
            axis: { title: "GiB", tickCount: 5, domain: false, ticks: false },
          },
          color,
        },
        layer: [
          {
            data: { values },
            mark: { type: "line", strokeWidth: 2.5 },
            encoding: { detail: { field: "line" } },
          },
          {
            data: { values: apart(ends) },
            mark: { type: "text", align: "left", dx: 8 },
            encoding: { text: { field: "label" }, y: { field: "at", type: "quantitative" } },
          },
        ],
      };
    },
  };
}

function ticks(most: number): readonly number[] {
  return Array.from({ length: 9 }, (_, i) => (i * most) / 8);
}

type End = { readonly gib: number };

/** Labels of lines that end close to each other are moved apart, upwards. */
function apart<T extends End>(ends: readonly T[]): readonly (T & { at: number })[] {
  const gap = Math.max(...ends.map(({ gib }) => gib)) / 17;
  let free = -Infinity;
  return ends
    .toSorted((a, b) => a.gib - b.gib)
    .map((end) => {
      const at = Math.max(end.gib, free);
      free = at + gap;
      return { ...end, at };
    });
}
