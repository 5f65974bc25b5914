// A picture as SVG by Vega-Lite, twice: for a light and for a dark page. Knows colours and letters; nothing of what is shown.

import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { bench, work } from "../contestants/sides.ts";
import type { Machine } from "../machine.ts";

export type Spec = Readonly<Record<string, unknown>>;

/** Colours by their part in a picture: what it is about, what that is compared with, the rest. */
export type Theme = {
  readonly name: "light" | "dark";
  readonly paper: string;
  readonly ink: string;
  readonly faint: string;
  readonly grid: string;
  readonly main: string;
  readonly second: string;
  readonly other: string;
};

export type Picture = {
  readonly name: string;
  readonly title: string;
  readonly subtitle: string;
  readonly footnote: readonly string[];
  chart(theme: Theme): Spec;
};

const themes: readonly Theme[] = [
  {
    name: "light",
    paper: "#ffffff",
    ink: "#1f2328",
    faint: "#59636e",
    grid: "#e6e9ed",
    main: "#d9480f",
    second: "#f2a37c",
    other: "#8c959f",
  },
  {
    name: "dark",
    paper: "#0d1117",
    ink: "#f0f6fc",
    faint: "#9198a1",
    grid: "#262c34",
    main: "#ff7a45",
    second: "#a4502c",
    other: "#6e7681",
  },
];

/** Width of a whole picture; a README shows about 800. */
export const WIDTH = 800;

const EDGE = 20;
const TOP = 78;
const FONT = "-apple-system, 'Segoe UI', 'Noto Sans', Helvetica, Arial, sans-serif";

type Vega = {
  parse(spec: unknown): unknown;
  View: new (runtime: unknown, options: { renderer: "none" }) => { toSVG(): Promise<string> };
};
type VegaLite = { compile(spec: Spec): { readonly spec: unknown } };
type Resvg = {
  Resvg: new (svg: string, options: Spec) => { render(): { asPng(): Uint8Array } };
};

async function library<T>(path: string): Promise<T> {
  return (await import(join(work, "pictures/node_modules", path))) as T;
}

/** Writes docs/<name>-light.svg and -dark.svg. @param pngs where to put the same as PNG, to look at */
export async function draw(picture: Picture, pngs?: string): Promise<void> {
  const vega = await library<Vega>("vega/build/vega.module.js");
  const vegaLite = await library<VegaLite>("vega-lite/build/index.js");
  const docs = join(bench, "../docs");
  mkdirSync(docs, { recursive: true });
  for (const theme of themes) {
    const { spec } = vegaLite.compile({ ...picture.chart(theme), config: config(theme) });
    const chart = await new vega.View(vega.parse(spec), { renderer: "none" }).toSVG();
    const svg = page(picture, theme, chart);
    const file = join(docs, `${picture.name}-${theme.name}.svg`);
    writeFileSync(file, svg);
    process.stderr.write(`wrote ${file}\n`);
    if (pngs === undefined) continue;
    mkdirSync(pngs, { recursive: true });
    const { Resvg } = await library<Resvg>("@resvg/resvg-js/index.js");
    const font = { loadSystemFonts: true, defaultFontFamily: "DejaVu Sans" };
    const png = new Resvg(svg, { fitTo: { mode: "width", value: WIDTH }, font }).render().asPng();
    writeFileSync(join(pngs, `${picture.name}-${theme.name}.png`), png);
  }
}

/** The chart between title and footnote. Vega guesses how wide letters are; so the page's width is not left to it. */
function page({ title, subtitle, footnote }: Picture, theme: Theme, chart: string): string {
  const found = /<svg[^>]*viewBox="0 0 [\d.]+ ([\d.]+)"[^>]*>(.*)<\/svg>/s.exec(chart);
  if (found === null) throw new Error("Vega's SVG has no viewBox");
  const [, height, inside] = found;
  const below = TOP + Math.ceil(Number(height));
  const text = (y: number, size: number, color: string, line: string, bold = ""): string =>
    `<text x="${EDGE}" y="${y}" font-size="${size}" fill="${color}"${bold}>${escaped(line)}</text>`;
  const { paper, ink, faint } = theme;
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${below + 16 * footnote.length + 16}"`,
    ` width="${WIDTH}" role="img" font-family="${FONT}">`,
    `<title>${escaped(`${title}. ${subtitle}.`)}</title>`,
    `<rect width="100%" height="100%" fill="${paper}"/>`,
    text(34, 18, ink, title, ' font-weight="bold"'),
    text(56, 13, faint, subtitle),
    `<g transform="translate(${EDGE},${TOP})">${inside}</g>`,
    ...footnote.map((line, i) => text(below + 16 + 16 * i, 11, faint, line)),
    "</svg>",
    "",
  ].join("\n");
}

function escaped(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
}

function config({ ink, faint, grid }: Theme): Spec {
  return {
    background: null,
    padding: 0,
    font: FONT,
    aria: false,
    view: { stroke: null },
    axis: {
      ...{ labelColor: faint, labelFontSize: 12, titleColor: faint, titleFontSize: 12 },
      ...{ titleFontWeight: "normal", gridColor: grid, domainColor: grid, tickColor: grid },
    },
    header: { labelColor: ink, labelFontSize: 13, labelFontWeight: "bold", title: null },
    text: { color: ink, fontSize: 12 },
  };
}

/** Where figures come from, in one line. */
export function measuredOn(machine: Machine, date: string): string {
  const { cpu, cores, instructions, memoryGiB, node } = machine;
  const name = cpu.replace(/, [\d.]+ MHz/, "");
  const best = ["amx_tile", "avx512_vnni", "avx512f", "avx_vnni", "avx2", "asimddp", "asimd"].find(
    (set) => instructions.includes(set),
  );
  const vectors = best === undefined ? "" : `, ${best.toUpperCase()}`;
  const where = `${cores} cores of ${name}${vectors}, ${memoryGiB} GiB`;
  return `Measured on ${where}, Node ${node.slice(1)}, ${date.slice(0, 10)}.`;
}
