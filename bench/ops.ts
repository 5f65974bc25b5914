// A profile by op: where a prefill and a decode step spend their time. Each op of the recorded plan runs alone on the engine's
// own threads, at the model's shapes and with its weights; one op's time is the difference between plans of several and of one,
// so that writing inputs and waking threads cancel out. Writes bench/results/ops-*.json.

import { mkdirSync, writeFileSync } from "node:fs";
import { basename, join, resolve } from "node:path";
import { setTimeout } from "node:timers/promises";
import { parseArgs } from "node:util";
import { WasmBackend } from "../src/backends/wasm/backend.ts";
import { detectFeatures, enableRevectorize } from "../src/backends/wasm/features.ts";
import { EngineCore } from "../src/engine/core.ts";
import { HelperTeam } from "../src/engine/team.ts";
import { findFormat } from "../src/formats/format.ts";
import { AutoConfig } from "../src/index.ts";
import { PAGE } from "../src/ops/kv-append.ts";
import { type Machine, thisMachine } from "./machine.ts";
import { type Phase, timePhase } from "./single-op.ts";
import { row, table } from "./tables.ts";
import { timeCases } from "./timed-cases.ts";

const help = `Usage: npx node bench/ops.ts [folder] [options]

Times each op of a prefill and of a decode step at the shapes of a model (default: the embedded one).

  --cases         each op of the contract table instead, at the sizes of Mistral-7B; prints a table
  --dtype NAME    float32 (default) or bfloat16; with --cases any format of weights, such as q4r:int8
  --prompt N      tokens of the prefill, and of the decode's context (default 512)
  --threads N     (default 2)
  --plain         without V8's 256-bit vectors
  --out FOLDER    where the JSON goes (default bench/results)
  --help          this text
`;

export type OpsResult = {
  readonly kind: "ops";
  readonly date: string;
  readonly machine: Machine;
  readonly model: string;
  readonly dtype: string;
  readonly threads: number;
  readonly wideVectors: boolean;
  readonly phases: readonly Phase[];
};

const { values: flags, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    cases: { type: "boolean", default: false },
    dtype: { type: "string", default: "float32" },
    prompt: { type: "string", default: "512" },
    threads: { type: "string", default: "2" },
    plain: { type: "boolean", default: false },
    out: { type: "string", default: join(import.meta.dirname, "results") },
    help: { type: "boolean", default: false },
  },
});
if (flags.help) process.stdout.write(help);
else if (flags.cases) await cases();
else await main(resolve(positionals[0] ?? join(import.meta.dirname, "../models/stories")));

async function main(dir: string): Promise<void> {
  const machine = thisMachine();
  const threads = Number(flags.threads);
  const wideVectors = !flags.plain && enableRevectorize();
  const format = findFormat(flags.dtype);
  if (format === undefined) throw new Error(`--dtype ${flags.dtype}: expected float32 or bfloat16`);
  const config = await AutoConfig.from_pretrained(dir);
  const backend = await WasmBackend.create({ threads, features: detectFeatures(wideVectors) });
  const { core } = await EngineCore.load(
    {
      dir,
      config: config.to_dict(),
      dtype: format.name,
      attention: "flash",
      modelClass: "MistralForCausalLM",
    },
    backend,
    { beforeStep: async () => {}, placed: () => {}, weightsAreThere: false },
    () => {},
  );
  const prompt = Number(flags.prompt);
  const pages = Math.ceil(prompt / PAGE) + 1;
  await core.runner.growPool(pages);
  const team = await startHelpers(backend, threads);

  const time = (name: string, T: number, start: number): Promise<Phase> =>
    timePhase(name, backend, config, format.name, pages, [T, start]);
  const phases = [
    await time(`prefill of ${prompt}`, prompt, 0),
    await time(`decode at ${prompt}`, 1, prompt),
  ];
  await team.dispose();
  const model = basename(dir);
  const result: OpsResult = {
    kind: "ops",
    date: new Date().toISOString(),
    machine,
    model,
    dtype: flags.dtype,
    threads,
    wideVectors,
    phases,
  };
  mkdirSync(flags.out, { recursive: true });
  const file = join(flags.out, `ops-${model}-${flags.dtype}${wideVectors ? "" : "-plain"}.json`);
  writeFileSync(file, `${JSON.stringify(result, undefined, 1)}\n`);
  process.stderr.write(`wrote ${file}\n`);
}

/** The helper threads of a backend, when all of them are there. */
async function startHelpers(backend: WasmBackend, threads: number): Promise<HelperTeam> {
  const team = new HelperTeam();
  team.update({ backend: backend.name, state: backend.adopted(), helpers: backend.helpers() });
  while (backend.ready < threads) await setTimeout(10);
  return team;
}

/** Prints the times of the table's cases as they come. */
async function cases(): Promise<void> {
  const threads = Number(flags.threads);
  const features = detectFeatures(!flags.plain && enableRevectorize());
  const backend = await WasmBackend.create({ threads, features });
  const team = await startHelpers(backend, threads);
  const dtype = findFormat(flags.dtype)?.name ?? flags.dtype;
  const print = (cells: readonly string[]): void => void process.stdout.write(`${row(cells)}\n`);
  process.stdout.write(`${table(["op", "sizes", "µs", "GFLOPS", "GB/s"], [])}\n`);
  for await (const { op, sizes, seconds, flops, bytes } of timeCases(backend, dtype)) {
    const rates = [flops, bytes].map((work) => (work / seconds / 1e9).toFixed(1));
    const shown = Object.entries(sizes).map(([name, size]) => `${name} ${size}`);
    print([op, shown.join(", "), (seconds * 1e6).toFixed(1), ...rates]);
  }
  await team.dispose();
}
