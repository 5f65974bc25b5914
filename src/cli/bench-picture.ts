// Draws the result of `mistral bench` as an SVG: a bar for each test, whose length is the share of the machine's limit that was reached.
// Light or dark, as the reader's system is set. Does not know how speed is measured.

import { inIntegers, machineOf, reached, speed, titleOf } from "./bench-report.ts";
import type { BenchReport } from "./bench-report.ts";

const [WIDTH, LEFT, BAR, ROW, TOP] = [720, 120, 300, 44, 56];

const style = `text{font:13px system-ui,sans-serif;fill:#1f2328}.title{font-weight:600;font-size:15px}.small{font-size:11px;fill:#59636e}
.room{fill:#eff2f5}.bar{fill:#0969da}.spread{stroke:#1f2328;stroke-width:1.5}
@media (prefers-color-scheme:dark){text{fill:#f0f6fc}.small{fill:#9198a1}.room{fill:#212830}.bar{fill:#4493f8}.spread{stroke:#f0f6fc}}`;

/** The report as one SVG file, which needs no other file. */
export function drawing(report: BenchReport): string {
  const height = TOP + ROW * report.tests.length + 34;
  const rows = report.tests.flatMap((test, i) => {
    const y = TOP + i * ROW;
    const { text, share } = reached(test, report.machine.limits, inIntegers(report));
    const full = Math.min(1, share) * BAR;
    const relative = test.standard_deviation / test.mean;
    const [from, to] = [full * (1 - relative), Math.min(BAR, full * (1 + relative))];
    return [
      label(16, y + 17, test.test),
      rect("room", LEFT, y, BAR, 24),
      rect("bar", LEFT, y, full, 24),
      `<line class="spread" x1="${at(LEFT + from)}" x2="${at(LEFT + to)}" y1="${y + 12}" y2="${y + 12}"/>`,
      label(LEFT + BAR + 14, y + 11, `${speed(test)} tokens/s`),
      label(LEFT + BAR + 14, y + 26, text, "small"),
    ];
  });
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${WIDTH}" height="${height}" viewBox="0 0 ${WIDTH} ${height}" role="img">`,
    `<title>${escaped(titleOf(report))}</title>`,
    `<style>${style}</style>`,
    label(16, 28, titleOf(report), "title"),
    ...rows,
    label(16, height - 14, machineOf(report), "small"),
    "</svg>",
    "",
  ].join("\n");
}

function label(x: number, y: number, text: string, kind?: string): string {
  const attribute = kind === undefined ? "" : ` class="${kind}"`;
  return `<text${attribute} x="${x}" y="${y}">${escaped(text)}</text>`;
}

function rect(kind: string, x: number, y: number, width: number, height: number): string {
  return `<rect class="${kind}" x="${x}" y="${y}" width="${at(width)}" height="${height}" rx="3"/>`;
}

const at = (x: number): string => x.toFixed(1);

function escaped(text: string): string {
  const names: Readonly<Record<string, string>> = { "<": "&lt;", ">": "&gt;", "&": "&amp;" };
  return text.replace(/[<>&]/g, (char) => names[char]).replace(/\p{Cc}/gu, " ");
}
