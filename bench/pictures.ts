// The pictures of the README: each is measured and then drawn by one command, from the results file that the command wrote.

import { spawnSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import type { AttentionResult } from "./attention.ts";
import type { CacheResult } from "./cache.ts";
import { bench } from "./contestants/sides.ts";
import type { LoadingResult } from "./loading.ts";
import { attentionPicture } from "./pictures/attention.ts";
import { cachePicture } from "./pictures/cache.ts";
import { draw, type Picture } from "./pictures/drawing.ts";
import { sizePicture } from "./pictures/size.ts";
import { speedPicture } from "./pictures/speed.ts";
import type { QuantisedResult } from "./quantised.ts";
import { ownResults } from "./results.ts";

type Source = {
  /** Program and arguments that measure; they write `file` into the results. */
  readonly measure: readonly string[];
  readonly file: string;
  picture(result: unknown): Picture;
};

const sources: Readonly<Record<string, Source>> = {
  attention: {
    measure: ["attention.ts"],
    file: "attention.json",
    picture: (result) => attentionPicture(result as AttentionResult),
  },
  cache: {
    measure: ["cache.ts"],
    file: "cache.json",
    picture: (result) => cachePicture(result as CacheResult),
  },
  size: {
    measure: ["loading.ts", "--layers", "32"],
    file: "loading-mistral-7b-32l.json",
    picture: (result) => sizePicture(result as LoadingResult),
  },
  speed: {
    measure: ["quantised.ts", "--layers", "4"],
    file: "quantised-mistral-7b-4l.json",
    picture: (result) => speedPicture(result as QuantisedResult),
  },
  "speed-7b": {
    measure: ["quantised.ts", "--layers", "32"],
    file: "quantised-mistral-7b-32l.json",
    picture: (result) => speedPicture(result as QuantisedResult),
  },
};

const help = `Usage: npx node bench/pictures.ts <name> [options]

Measures, and draws docs/*-light.svg and -dark.svg. Names: ${Object.keys(sources).join(", ")}.

  --draw          only draw, from the results file that is there
  --results DIR   where results are (default bench/results/<kind of machine>)
  --png DIR       the same as PNG, to look at
  --help          this text
`;

const { values: flags, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    draw: { type: "boolean", default: false },
    results: { type: "string", default: ownResults() },
    png: { type: "string" },
    help: { type: "boolean", default: false },
  },
});
if (flags.help || positionals.length === 0) process.stdout.write(help);
else for (const name of positionals) await make(name);

async function make(name: string): Promise<void> {
  if (!Object.hasOwn(sources, name))
    throw new Error(`${name}: expected one of ${Object.keys(sources).join(", ")}`);
  const { measure, file, picture } = sources[name];
  const path = join(flags.results, file);
  if (!flags.draw) {
    const [program, ...args] = measure;
    const command = [join(bench, program), ...args, "--out", flags.results];
    const { status } = spawnSync(process.execPath, command, { stdio: "inherit" });
    if (status !== 0) throw new Error(`${program} failed (${status})`);
  }
  if (!existsSync(path)) throw new Error(`${path} is missing; leave out --draw to measure`);
  await draw(picture(JSON.parse(readFileSync(path, "utf8"))), flags.png);
}
