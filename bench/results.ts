// Where results lie: a folder for each kind of machine in bench/results, so that a run on one kind leaves the figures of the others.

import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type Machine, thisMachine } from "./machine.ts";

/** What each benchmark writes. */
export type Run = {
  /** Which benchmark wrote it. */
  readonly kind: string;
  /** When it was written, in ISO 8601. */
  readonly date: string;
  readonly machine: Machine;
};

/** Kinds of machines, the widest arithmetic first: what a folder is called, the instruction set that shows it, and its title. */
const kinds = [
  { folder: "amx", instruction: "amx_tile", title: "AMX" },
  { folder: "avx512-vnni", instruction: "avx512_vnni", title: "AVX-512 VNNI" },
  { folder: "avx512", instruction: "avx512f", title: "AVX-512 without VNNI" },
  { folder: "avx-vnni", instruction: "avx_vnni", title: "AVX-VNNI" },
  { folder: "avx2", instruction: "avx2", title: "AVX2" },
  { folder: "arm64-i8mm", instruction: "i8mm", title: "ARM64 with I8MM" },
  { folder: "arm64", instruction: "asimd", title: "ARM64" },
] as const;

/** The kind of a machine, from its instruction sets: its folder's name, and what it is called in a heading. */
export function kindOf({ instructions, system }: Machine): { folder: string; title: string } {
  const known = kinds.find(({ instruction }) => instructions.includes(instruction));
  const { folder, title } = known ?? { folder: "other", title: system };
  return { folder, title };
}

const all = join(import.meta.dirname, "results");

/** The text of the option --out in each benchmark's help. */
export const OUT = "where the JSON goes (default bench/results/<kind of machine>)";

/** Where this machine's results lie. */
export function ownResults(): string {
  return join(all, kindOf(thisMachine()).folder);
}

/** Writes a result as JSON, into this machine's folder if no other is given, and says where. */
export function saveResult(name: string, result: Run, folder: string = ownResults()): void {
  mkdirSync(folder, { recursive: true });
  const file = join(folder, name);
  writeFileSync(file, `${JSON.stringify(result, undefined, 1)}\n`);
  process.stderr.write(`wrote ${file}\n`);
}

/** All results of all kinds of machines. */
export function allResults(): Run[] {
  if (!existsSync(all)) return [];
  return readdirSync(all, { recursive: true, encoding: "utf8" })
    .filter((name) => name.endsWith(".json"))
    .toSorted()
    .map((name) => JSON.parse(readFileSync(join(all, name), "utf8")) as Run);
}
