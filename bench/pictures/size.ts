// Picture: size of a model's file and the most memory that loading and generating take, by how its weights are kept.

import type { LoadingResult } from "../loading.ts";
import { measuredOn, type Picture, WIDTH } from "./drawing.ts";

export function sizePicture(result: LoadingResult): Picture {
  const rows = result.methods
    .map(({ method, fileBytes, quantising, again }) => {
      const peak = Math.max(quantising?.peakBytes ?? 0, again.peakBytes) / 1e9;
      const file = fileBytes / 1e9;
      return { method, file, peak, text: `${file.toFixed(1)} GB, peak ${peak.toFixed(1)}` };
    })
    .toSorted((a, b) => b.file - a.file);
  const largest = rows[0];
  const smallest = rows[rows.length - 1];
  const y = {
    ...{ field: "method", type: "nominal", sort: rows.map(({ method }) => method) },
    axis: { title: null, ticks: false, domain: false, labelFontSize: 13, labelPadding: 8 },
  };
  const most = Math.max(...rows.map(({ file, peak }) => Math.max(file, peak)));
  const scale = { domain: [0, most * 1.02], nice: false };
  return {
    name: "model-size",
    title: `${largest.file.toFixed(1)} GB become ${smallest.file.toFixed(1)}`,
    subtitle: `Size of the file (bar), and peak memory of loading, quantising and generating (mark): ${result.title}`,
    footnote: [
      "Peak: largest resident size of the whole process, Node included; quantised from bfloat16 while loading.",
      measuredOn(result.machine, result.date),
    ],
    chart: (theme) => ({
      width: WIDTH - 280,
      height: { step: 34 },
      data: { values: rows },
      encoding: { y },
      layer: [
        {
          mark: { type: "bar", height: 18, cornerRadiusEnd: 2 },
          encoding: {
            x: { field: "file", type: "quantitative", scale, axis: axis() },
            color: {
              condition: { test: "datum.method == 'bfloat16'", value: theme.other },
              value: theme.main,
            },
          },
        },
        {
          mark: { type: "tick", thickness: 3, size: 26, color: theme.ink },
          encoding: { x: { field: "peak", type: "quantitative" } },
        },
        {
          transform: [{ calculate: "max(datum.file, datum.peak)", as: "end" }],
          mark: { type: "text", align: "left", dx: 10 },
          encoding: { x: { field: "end", type: "quantitative" }, text: { field: "text" } },
        },
      ],
    }),
  };
}

function axis(): object {
  return { title: "GB", tickCount: 6, domain: false, ticks: false };
}
