// The engine under several calls: a short call beside a long prompt, calls with a common beginning, a growing chat; and prefill and
// decode of one call beside an older checkout, in turns. Writes many-calls.json.

import { execFileSync } from "node:child_process";
import { existsSync } from "node:fs";
import { join, resolve } from "node:path";
import { parseArgs } from "node:util";
import { checkpoint, quantisedCheckpoint } from "./contestants/quantised-sides.ts";
import { stories } from "./contestants/sides.ts";
import { type Machine, thisMachine } from "./machine.ts";
import { OUT, saveResult } from "./results.ts";
import { type Summary, summarize } from "./statistics.ts";

const help = `Usage: npx node bench/many-calls.ts [options]

  --before FOLDER  an older checkout, built (npm ci && npm run build:wasm): its prefill and decode are measured in turns with ours
  --rounds N       turns of each side (default 5)
  --what A,B       of speed, neighbour, prefix, chat (default all)
  --out FOLDER     ${OUT}
  --help           this text
`;

type Figures = Readonly<Record<string, Summary>>;

export type ManyCallsResult = {
  readonly kind: "many-calls";
  readonly date: string;
  readonly machine: Machine;
  readonly rounds: number;
  readonly models: readonly {
    readonly title: string;
    readonly before?: Figures;
    readonly ours: Readonly<Record<string, Figures>>;
  }[];
};

const here = import.meta.dirname;
const { values: flags } = parseArgs({
  options: {
    before: { type: "string" },
    rounds: { type: "string", default: "5" },
    what: { type: "string", default: "speed,neighbour,prefix,chat" },
    out: { type: "string" },
    help: { type: "boolean", default: false },
  },
});
if (flags.help) process.stdout.write(help);
else main();

function main(): void {
  const machine = thisMachine();
  const source = checkpoint(4);
  const q4 = quantisedCheckpoint("mistral-7b-4l", source.folder, "q4");
  for (const needed of [source, q4]) if (!needed.proofs.some(existsSync)) needed.make();
  const models = [
    { title: "embedded model", dir: stories },
    { title: "4 layers of Mistral-7B's shape, q4", dir: q4.folder },
  ].map(({ title, dir }) => {
    const ours: Record<string, Figures> = {};
    let before: Figures | undefined;
    for (const what of flags.what.split(",")) {
      const sides = {
        ours: join(here, ".."),
        ...(what === "speed" && flags.before && { before: flags.before }),
      };
      const figures = takeTurns(sides, dir, what, what === "speed" ? Number(flags.rounds) : 1);
      ours[what] = figures.ours;
      before ??= figures.before;
    }
    return { title, before, ours };
  });
  const date = new Date().toISOString();
  const result: ManyCallsResult = {
    kind: "many-calls",
    date,
    machine,
    rounds: Number(flags.rounds),
    models,
  };
  saveResult("many-calls.json", result, flags.out);
}

/** Each side in a process of its own, in turns. */
function takeTurns(
  sides: Readonly<Record<string, string>>,
  dir: string,
  what: string,
  rounds: number,
): Record<string, Figures> {
  const turns: Record<string, Record<string, number>[]> = {};
  for (let round = 0; round < rounds; round++) {
    for (const [side, checkout] of Object.entries(sides)) {
      const args = [join(here, "many-calls-side.ts"), resolve(checkout), dir, what];
      const text = execFileSync(process.execPath, args, {
        encoding: "utf8",
        stdio: ["ignore", "pipe", "inherit"],
      });
      const figures = JSON.parse(text.trim().split("\n").at(-1) ?? "") as Record<string, number>;
      (turns[side] ??= []).push(figures);
      process.stderr.write(`  ${what}, ${side}: ${JSON.stringify(figures)}\n`);
    }
  }
  return Object.fromEntries(
    Object.entries(turns).map(([side, list]) => [
      side,
      Object.fromEntries(
        Object.keys(list[0]).map((name) => [name, summarize(list.map((one) => one[name]))]),
      ),
    ]),
  );
}
