// The sides that a comparison can have: which program each is and how it is told what to load.

import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { join } from "node:path";
import type { Brief, Side } from "./member.ts";

const here = import.meta.dirname;
export const bench: string = join(here, "..");
export const work: string = join(bench, ".work");
export const stories: string = join(bench, "../models/stories");
export const python: string = join(bench, ".venv/bin/python");

type Rest = {
  readonly dtype: string;
  readonly tolerance: number;
  readonly options?: Readonly<Record<string, unknown>>;
  readonly brief?: Brief;
};

/** Ways to run mistral.ts: what is added to a side's name and to its title, and the variables that ours.ts reads. */
const ways = {
  command: ["", "as the command runs", { MISTRAL_BENCH_REVECTORIZE: "1" }],
  plain: ["-plain", "as a library, no flag", { MISTRAL_BENCH_REVECTORIZE: "0" }],
  wasm: [
    "-wasm",
    "as the command runs, --no-native",
    { MISTRAL_BENCH_REVECTORIZE: "1", MISTRAL_BENCH_NATIVE: "0" },
  ],
} as const;

export type Way = keyof typeof ways;

export const everyWay: readonly Way[] = ["command", "plain", "wasm"];

/** mistral.ts in some ways: as the command runs, as a library user gets it without asking for anything, and without machine code. */
export function ours(
  name: string,
  title: string,
  dir: string,
  { tolerance, ...load }: Omit<Rest, "brief">,
  chosen: readonly Way[] = ["command", "plain"],
): readonly Side[] {
  const command = [process.execPath, join(here, "ours.ts")];
  return chosen.map((way) => {
    const [suffix, how, env] = ways[way];
    return {
      ...{ command, load: { dir, ...load }, tolerance, env },
      name: `${name}${suffix}`,
      title: `mistral.ts, ${title} (${how})`,
    };
  });
}

export function pytorch(name: string, title: string, dir: string, rest: Rest): Side {
  const { tolerance, brief, ...load } = rest;
  const command = [python, join(here, "pytorch.py")];
  return { name, title, command, load: { dir, ...load }, tolerance, brief };
}

export function transformersJs(name: string, title: string, dir: string, rest: Rest): Side {
  const { tolerance, brief, ...load } = rest;
  const command = [process.execPath, join(here, "transformers-js.ts")];
  return { name, title, command, load: { dir, ...load }, tolerance, brief };
}

export function llamaCpp(
  name: string,
  title: string,
  file: string,
  tolerance: number,
  options?: Rest["options"],
): Side {
  const command = [process.execPath, join(here, "llama-cpp.ts")];
  return { name, title, command, load: { dir: file, dtype: "auto", options }, tolerance };
}

export function needPython(): void {
  if (!existsSync(python)) throw new Error(`${python} is missing; run: bash bench/setup.sh`);
}

/** Runs a program that makes what a side reads. @throws with what it said, when it failed */
export function run(command: string, ...args: string[]): void {
  process.stderr.write(`${command} ${args.join(" ")}\n`);
  const { status, stderr } = spawnSync(command, args, { encoding: "utf8", maxBuffer: 2 ** 28 });
  if (status !== 0) throw new Error(`${args[0]} failed (${status})\n${stderr}`);
}
