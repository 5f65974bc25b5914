// Loading in few bits: a checkpoint quantised while it loads, then the quantised one, beside the time that reading its files takes.
// Each in a process of its own, with its largest resident size, also after a few tokens. Writes loading-*.json.

import { spawnSync } from "node:child_process";
import { closeSync, existsSync, openSync, readdirSync, readSync, rmSync, statSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { RemoteContestant } from "./contestants/protocol.ts";
import { checkpoint, quantisedCheckpoint } from "./contestants/quantised-sides.ts";
import { bench, python } from "./contestants/sides.ts";
import { type Machine, residentBytes, thisMachine } from "./machine.ts";
import { OUT, saveResult } from "./results.ts";
import { methods } from "./methods.ts";
import { promptOf } from "./rounds.ts";
import { type Summary, summarize } from "./statistics.ts";

const help = `Usage: npx node bench/loading.ts [options]

  --layers N      of Mistral-7B's shape (default 32)
  --methods A,B   of ${methods.join(", ")} and bfloat16 (default all)
  --rounds N      (default 3)
  --discard       delete the quantised checkpoints that this run made
  --out FOLDER    ${OUT}
  --help          this text
`;

/** One way to load: seconds until a model stands, until its first token, and its process's largest resident size. */
export type Loading = {
  readonly seconds: Summary;
  readonly firstTokenSeconds: Summary;
  readonly loadedBytes: number;
  /** After a few tokens. */
  readonly peakBytes: number;
};

export type LoadingOf = {
  readonly method: string;
  readonly fileBytes: number;
  /** From the bfloat16 checkpoint. */
  readonly quantising?: Loading;
  /** The quantised checkpoint, its files in the system's page cache. */
  readonly again: Loading;
  /** Plain reading of the same files, one after the other, from the page cache. */
  readonly readSeconds: Summary;
  /** Both again, after the page cache was told to drop the files. */
  readonly fromDisk: { readonly seconds: Summary; readonly readSeconds: Summary };
};

export type LoadingResult = {
  readonly kind: "loading";
  readonly date: string;
  readonly machine: Machine;
  readonly title: string;
  readonly layers: number;
  readonly sourceBytes: number;
  readonly rounds: number;
  readonly methods: readonly LoadingOf[];
};

type Once = { seconds: number; firstToken: number; loadedBytes: number; peakBytes: number };

const { values: flags } = parseArgs({
  options: {
    layers: { type: "string", default: "32" },
    methods: { type: "string", default: [...methods, "bfloat16"].join() },
    rounds: { type: "string", default: "3" },
    discard: { type: "boolean", default: false },
    out: { type: "string" },
    help: { type: "boolean", default: false },
  },
});
if (flags.help) process.stdout.write(help);
else await main();

async function main(): Promise<void> {
  const [layers, rounds] = [Number(flags.layers), Number(flags.rounds)];
  const machine = thisMachine();
  const source = checkpoint(layers);
  if (!source.proofs.some((path) => existsSync(path))) source.make();
  const measured: LoadingOf[] = [];
  for (const method of flags.methods.split(",")) {
    if (method === "bfloat16") {
      measured.push(await measure(method, source.folder, undefined, rounds));
      continue;
    }
    if (!methods.includes(method))
      throw new Error(`--methods ${method}: known are ${methods.join(", ")} and bfloat16`);
    const made = quantisedCheckpoint(`mistral-7b-${layers}l`, source.folder, method);
    const missing = !made.proofs.some((path) => existsSync(path));
    if (missing) made.make();
    measured.push(await measure(method, made.folder, source.folder, rounds));
    if (missing && flags.discard) rmSync(made.folder, { recursive: true });
  }
  const result: LoadingResult = {
    kind: "loading",
    date: new Date().toISOString(),
    machine,
    title: `${layers} layers of Mistral-7B's shape`,
    layers,
    sourceBytes: sizeOf(source.folder),
    rounds,
    methods: measured,
  };
  saveResult(`loading-mistral-7b-${layers}l.json`, result, flags.out);
}

async function measure(
  method: string,
  folder: string,
  source: string | undefined,
  rounds: number,
): Promise<LoadingOf> {
  const [quantising, again, reads]: [Once[], Once[], number[]] = [[], [], []];
  const [cold, coldReads]: [number[], number[]] = [[], []];
  for (let round = 0; round < rounds; round++) {
    if (source !== undefined) quantising.push(await load(source, { keep: method }));
    drop(folder);
    coldReads.push(read(folder));
    reads.push(read(folder));
    again.push(await load(folder, {}));
    drop(folder);
    cold.push((await load(folder, {})).firstToken);
    const last = again[round];
    process.stderr.write(
      `  ${round + 1} ${method}: quantising ${quantising[round]?.seconds.toFixed(1) ?? "—"} s, again ${last.seconds.toFixed(2)} s ` +
        `(first token ${last.firstToken.toFixed(2)} s), reading ${reads[round].toFixed(2)} s, from disk ${cold[round].toFixed(2)} s ` +
        `(reading ${coldReads[round].toFixed(2)} s), peak ${(last.peakBytes / 2 ** 30).toFixed(2)} GiB\n`,
    );
  }
  return {
    method,
    fileBytes: sizeOf(folder),
    quantising: source === undefined ? undefined : summary(quantising),
    again: summary(again),
    readSeconds: summarize(reads),
    fromDisk: { seconds: summarize(cold), readSeconds: summarize(coldReads) },
  };
}

function summary(loads: readonly Once[]): Loading {
  return {
    seconds: summarize(loads.map(({ seconds }) => seconds)),
    firstTokenSeconds: summarize(loads.map(({ firstToken }) => firstToken)),
    loadedBytes: Math.max(...loads.map(({ loadedBytes }) => loadedBytes)),
    peakBytes: Math.max(...loads.map(({ peakBytes }) => peakBytes)),
  };
}

async function load(dir: string, options: Readonly<Record<string, unknown>>): Promise<Once> {
  const command = [process.execPath, join(bench, "contestants/ours.ts")];
  const env = { ...process.env, MISTRAL_BENCH_REVECTORIZE: "1" };
  const contestant = new RemoteContestant(command, env);
  try {
    const { seconds } = await contestant.load({ dir, dtype: "auto", threads: 2, options });
    const loadedBytes = residentBytes(contestant.pid).peak;
    const prompt = promptOf(16, 32000);
    const first = await contestant.generate(prompt, 1, 1, true);
    await contestant.generate(prompt, 16, 1, true);
    const { peak: peakBytes } = residentBytes(contestant.pid);
    return { seconds, firstToken: seconds + first.seconds[0], loadedBytes, peakBytes };
  } finally {
    await contestant.close();
  }
}

function files(folder: string): readonly string[] {
  return readdirSync(folder)
    .filter((name) => name.endsWith(".safetensors"))
    .map((name) => join(folder, name));
}

function sizeOf(folder: string): number {
  return files(folder).reduce((sum, file) => sum + statSync(file).size, 0);
}

/** Seconds to read the files once, in pieces of 8 MiB into the same buffer. */
function read(folder: string): number {
  const piece = Buffer.alloc(1 << 23);
  const start = performance.now();
  for (const file of files(folder)) {
    const handle = openSync(file, "r");
    while (readSync(handle, piece) > 0);
    closeSync(handle);
  }
  return (performance.now() - start) / 1000;
}

/** Asks the system to drop what it keeps of the files; pages that are mapped or not yet written stay. */
function drop(folder: string): void {
  const script =
    "import os, sys\nfor path in sys.argv[1:]:\n    with open(path, 'rb') as file:\n" +
    "        os.fsync(file.fileno())\n        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)\n";
  const { status, stderr } = spawnSync(python, ["-c", script, ...files(folder)], {
    encoding: "utf8",
  });
  if (status !== 0) throw new Error(`the page cache could not be dropped: ${stderr}`);
}
