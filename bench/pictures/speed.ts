// Picture: tokens a second in prefill and decode, ours beside the others.

import type { Figures } from "../contestants/member.ts";
import type { QuantisedResult } from "../quantised.ts";
import { measuredOn, type Picture, type Theme, WIDTH } from "./drawing.ts";

/** What a picture calls a side; sides that are not here stay out of it. */
const names: Readonly<Record<string, string>> = {
  q4: "mistral.ts q4",
  "q4-plain": "mistral.ts q4, no flag",
  "q4-wasm": "mistral.ts q4, no machine code",
  "nf4-int8": "mistral.ts nf4, int8",
  nf4: "mistral.ts nf4, float16",
  "nf4-dq": "mistral.ts nf4, double",
  bf16: "mistral.ts bfloat16",
  "llama.cpp": "llama.cpp Q4_0",
  "transformers.js-q4": "transformers.js q4",
  "transformers.js": "transformers.js fp32",
  "pytorch-f32": "PyTorch float32",
  "pytorch-bf16": "PyTorch bfloat16",
  bitsandbytes: "bitsandbytes NF4",
};

const phases = ["prefill", "decode"] as const;
type Phase = (typeof phases)[number];

export function speedPicture(result: QuantisedResult): Picture {
  const { settings, contestants } = result;
  const shown = contestants.filter(
    ({ name, prefill, decode }) => Object.hasOwn(names, name) && prefill && decode,
  );
  const order = shown
    .toSorted((a, b) => (b.decode?.median ?? 0) - (a.decode?.median ?? 0))
    .map(({ name }) => names[name]);
  const brief = shown.flatMap((side) =>
    side.brief === undefined
      ? []
      : [`${names[side.name]} (${side.brief.prompt}, ${side.brief.newTokens})`],
  );
  const note =
    brief.length === 0 ? [] : [`Of fewer tokens, as they are slow: ${brief.join(", ")}.`];
  return {
    name: `speed-${result.model}`,
    title: headline(contestants),
    subtitle: `${result.title}, tokens a second on the CPU: more is better`,
    footnote: [
      `Medians of ${settings.rounds} rounds in turns, ${settings.threads} threads; ` +
        `prefill of ${settings.prompt} tokens, greedy decode of ${settings.newTokens}.`,
      ...note,
      measuredOn(result.machine, result.date),
    ],
    chart: (theme) => ({
      spacing: 24,
      hconcat: phases.map((phase, i) => bars(shown, phase, i === 0, order, theme)),
    }),
  };
}

function headline(contestants: readonly Figures[]): string {
  const median = (name: string, phase: Phase): number | undefined =>
    contestants.find((side) => side.name === name)?.[phase]?.median;
  const [ours, theirs] = ["q4", "llama.cpp"].map((name) => median(name, "decode"));
  if (ours === undefined || theirs === undefined) return "Prefill and decode";
  return `4 bits: ${(ours / theirs).toFixed(1)} × llama.cpp's decode on the same machine`;
}

function bars(
  shown: readonly Figures[],
  phase: Phase,
  labelled: boolean,
  order: readonly string[],
  theme: Theme,
): object {
  const values = shown.map((side) => {
    const speed = side[phase]?.median ?? 0;
    const ours = names[side.name].startsWith("mistral.ts");
    return { side: names[side.name], speed, ours, text: speed.toFixed(speed < 20 ? 1 : 0) };
  });
  const most = Math.max(...values.map(({ speed }) => speed));
  return {
    title: {
      text: phase,
      color: theme.ink,
      fontSize: 13,
      anchor: "start",
      frame: "group",
      offset: 6,
    },
    width: (WIDTH - 280) / 2,
    height: { step: 26 },
    data: { values },
    encoding: {
      y: {
        ...{ field: "side", type: "nominal", sort: order },
        axis: labelled
          ? {
              title: null,
              ticks: false,
              domain: false,
              labelFontSize: 12,
              labelPadding: 8,
              labelLimit: 0,
            }
          : null,
      },
      x: {
        ...{ field: "speed", type: "quantitative", axis: null },
        scale: { domain: [0, most * 1.15], nice: false },
      },
    },
    layer: [
      {
        mark: { type: "bar", height: 17, cornerRadiusEnd: 2 },
        encoding: {
          color: { condition: { test: "datum.ours", value: theme.main }, value: theme.other },
        },
      },
      { mark: { type: "text", align: "left", dx: 5 }, encoding: { text: { field: "text" } } },
    ],
  };
}
