// Picture: how much faster flash attention is than eager attention, by the length of the sequence.

import type { AttentionResult } from "../attention.ts";
import { measuredOn, type Picture, WIDTH } from "./drawing.ts";

export function attentionPicture(result: AttentionResult): Picture {
  const rows = result.rows.map(({ tokens, flash, eager }) => ({
    tokens,
    speedUp: eager.median / flash.median,
  }));
  const last = rows[rows.length - 1];
  return {
    name: "flash-attention",
    title: `Flash attention: ${last.speedUp.toFixed(1)} × as fast as eager at ${last.tokens.toLocaleString("en")} tokens`,
    subtitle: "Time of eager attention ÷ time of flash attention, by sequence length",
    footnote: [result.title, measuredOn(result.machine, result.date)],
    chart: (theme) => ({
      width: WIDTH - 120,
      height: 260,
      data: { values: rows },
      encoding: {
        x: {
          field: "tokens",
          type: "quantitative",
          scale: { type: "log", base: 2, nice: false, padding: 28 },
          axis: {
            title: "tokens",
            values: rows.map(({ tokens }) => tokens),
            format: ",d",
            grid: false,
          },
        },
        y: {
          field: "speedUp",
          type: "quantitative",
          scale: { zero: true },
          axis: { title: "times as fast", tickCount: 5, domain: false, ticks: false },
        },
      },
      layer: [
        {
          data: { values: [{ speedUp: 1 }] },
          mark: { type: "rule", color: theme.other, strokeDash: [4, 4] },
          encoding: { x: null, y: { field: "speedUp", type: "quantitative" } },
        },
        {
          mark: {
            type: "line",
            color: theme.main,
            strokeWidth: 2.5,
            point: { color: theme.main, size: 50 },
          },
        },
        {
          transform: [{ calculate: "format(datum.speedUp, '.1f') + ' ×'", as: "label" }],
          mark: { type: "text", dy: -14, fontWeight: "bold", color: theme.ink },
          encoding: { text: { field: "label" } },
        },
      ],
    }),
  };
}
