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

/** mistral.ts twice: as the command runs, and as a library user gets it without asking for anything. */
export function ours(
  name: string,
  title: string,
  dir: string,
  { tolerance, ...load }: Omit<Rest, "brief">,
): readonly Side[] {
  const command = [process.execPath, join(here, "ours.ts")];
  const side = { command, load: { dir, ...load }, tolerance };
  return [
    {
      ...side,
      name,
      title: `mistral.ts, ${title} (as the command runs)`,
      env: { MISTRAL_BENCH_REVECTORIZE: "1" },
    },
    {
      ...side,
      name: `${name}-plain`,
      title: `mistral.ts, ${title} (as a library, no flag)`,
      env: { MISTRAL_BENCH_REVECTORIZE: "0" },
    },
  ];
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

export function llamaCpp(name: string, title: string, file: string, tolerance: number): Side {
  const command = [process.execPath, join(here, "llama-cpp.ts")];
  return { name, title, command, load: { dir: file, dtype: "auto" }, tolerance };
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
