// A profile by op: where a prefill and a decode step spend their time. Each op of the recorded plan runs alone on the engine's
// own threads, at the model's shapes and with its weights; one op's time is the difference between plans of several and of one,
// so that writing inputs and waking threads cancel out. Writes ops-*.json, with what the machine can do at most.

import { basename, join, resolve } from "node:path";
import { setTimeout } from "node:timers/promises";
import { parseArgs } from "node:util";
import { WasmBackend } from "../src/backends/wasm/backend.ts";
import { detectFeatures, enableRevectorize } from "../src/backends/wasm/features.ts";
import { EngineCore } from "../src/engine/core.ts";
import { type ChosenKernels } from "../src/api/measurement/chosen-kernels.ts";
import { enginesLimits, type MachineLimits } from "../src/api/measurement/machine-limits.ts";
import { choose } from "../src/api/model/load-options.ts";
import { openWeights } from "../src/checkpoint/weight-source.ts";
import { type Asked, keptAs as dtypeOf } from "../src/engine/kept-formats.ts";
import { HelperTeam } from "../src/engine/team.ts";
import { findFormat } from "../src/formats/format.ts";
import type { LeafOf } from "../src/generate/record.ts";
import { AutoConfig, type LoadOptions, type MistralConfig } from "../src/index.ts";
import { PAGE } from "../src/ops/kv-append.ts";
import { type Machine, thisMachine } from "./machine.ts";
import { keptAs } from "./methods.ts";
import { OUT, saveResult } from "./results.ts";
import { type Phase, timePhase } from "./single-op.ts";
import { row, table } from "./tables.ts";
import { timeCases } from "./timed-cases.ts";

const help = `Usage: npx node bench/ops.ts [folder] [options]

Times each op of a prefill and of a decode step at the shapes of a model (default: the embedded one).

  --cases         each op of the contract table instead, at the sizes of Mistral-7B; prints a table
  --keep NAME     how its weights are kept: as in the file (auto, the default), float32, bfloat16, q4, nf4 …
  --compute NAME  the compute dtype of products with quantised weights (default: the checkpoint's, or the method's)
  --dtype NAME    with --cases: the format of weights, such as q4r:int8 (default float32)
  --prompt N      tokens of the prefill, and of the decode's context (default 512)
  --threads N     (default 2)
  --plain         without V8's 256-bit vectors
  --no-native     without machine code
  --out FOLDER    ${OUT}
  --help          this text
`;

export type OpsResult = {
  readonly kind: "ops";
  readonly date: string;
  readonly machine: Machine;
  readonly model: string;
  /** How the weights of linear layers are kept and computed, such as "bfloat16" or "q4r:int8". */
  readonly dtype: string;
  readonly threads: number;
  readonly wideVectors: boolean;
  /** Not in results of before machine code. */
  readonly kernels?: ChosenKernels;
  readonly limits?: MachineLimits;
  readonly phases: readonly Phase[];
};

const { values: flags, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    cases: { type: "boolean", default: false },
    keep: { type: "string", default: "auto" },
    compute: { type: "string" },
    dtype: { type: "string", default: "float32" },
    prompt: { type: "string", default: "512" },
    threads: { type: "string", default: "2" },
    plain: { type: "boolean", default: false },
    "no-native": { type: "boolean", default: false },
    out: { type: "string" },
    help: { type: "boolean", default: false },
  },
});
if (flags.help) process.stdout.write(help);
else if (flags.cases) await cases();
else await main(resolve(positionals[0] ?? join(import.meta.dirname, "../models/stories")));

async function main(dir: string): Promise<void> {
  const machine = thisMachine();
  const threads = Number(flags.threads);
  const native = !flags["no-native"];
  const { limits, kernels } = await enginesLimits(!flags.plain, native, threads);
  const wideVectors = !flags.plain && enableRevectorize();
  const config = await AutoConfig.from_pretrained(dir);
  const asked = { ...keptAs(flags.keep), compute_dtype: flags.compute } as LoadOptions;
  const { backend: _, settings: __, ...how } = choose(dir, asked, config);
  const features = detectFeatures(wideVectors);
  const backend = await WasmBackend.create({ threads, features, native });
  const { core } = await EngineCore.load(
    { dir, config: config.to_dict(), ...how, modelClass: "MistralForCausalLM" },
    backend,
    { beforeStep: async () => {}, placed: () => {}, weightsAreThere: false },
    () => {},
  );
  const prompt = Number(flags.prompt);
  const pages = Math.ceil(prompt / PAGE) + 1;
  await core.runner.growPool(pages);
  const team = await startHelpers(backend, threads);

  const leafOf = await leavesOf(dir, config, how);
  const model = { config, modelClass: "MistralForCausalLM", leafOf } as const;
  const { cacheDtype: cache } = how;
  const time = (name: string, T: number, start: number): Promise<Phase> =>
    timePhase(name, backend, model, { T, start, pages, cache });
  const phases = [
    await time(`prefill of ${prompt}`, prompt, 0),
    await time(`decode at ${prompt}`, 1, prompt),
  ];
  await team.dispose();
  const { dtype } = leafOf("model.layers.0.self_attn.q_proj.weight");
  const result: OpsResult = {
    ...{ kind: "ops", date: new Date().toISOString(), machine, model: basename(dir) },
    dtype: findFormat(dtype)?.torch ?? dtype,
    ...{ threads, wideVectors, kernels, limits, phases },
  };
  const variant = `${wideVectors ? "" : "-plain"}${native ? "" : "-wasm"}`;
  const name = `ops-${result.model}-${result.dtype.replace(":", "-")}${variant}.json`;
  saveResult(name, result, flags.out);
}

/** The dtype of each weight, as the engine keeps it. */
async function leavesOf(dir: string, config: MistralConfig, how: Asked): Promise<LeafOf> {
  const source = await openWeights(dir, { isNeeded: () => true }, config.to_dict());
  const dtypes = new Map(
    [...source.weights].map(([name, stored]) => [name, dtypeOf(name, stored, how)]),
  );
  await source.close();
  return (leaf) => {
    const dtype = dtypes.get(leaf);
    if (dtype === undefined) throw new Error(`${dir}: no tensor ${leaf}`);
    return { kind: "weight", dtype };
  };
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
  const native = !flags["no-native"];
  const backend = await WasmBackend.create({ threads, features, native });
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
