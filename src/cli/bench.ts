// `mistral bench`: loads a model (or makes a random one), measures it, and prints text, Markdown or JSON; --svg draws a picture.
// Does not know how speed is measured.

import { rmSync } from "node:fs";
import { mkdtemp, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { basename, join, resolve } from "node:path";
import { machine, peakMemory, physicalCores } from "#platform";
import { checkPlan, measure } from "../api/measurement/benchmark.ts";
import type { BenchmarkPlan, Measured } from "../api/measurement/benchmark.ts";
import { enginesLimits } from "../api/measurement/machine-limits.ts";
import { shapeConfig, writeRandomModel } from "../api/measurement/random-model.ts";
import { defaultCompute, storedMethod } from "../api/quantization/quantization-methods.ts";
import { InputError } from "../errors.ts";
import type { Arguments, FlagValues } from "./arguments.ts";
import { drawing } from "./bench-picture.ts";
import { asMarkdown, asText } from "./bench-report.ts";
import type { BenchReport } from "./bench-report.ts";
import { openWeights } from "./load.ts";
import type { Model } from "./load.ts";
import { modelSource } from "./model-source.ts";
import type { ModelSource } from "./model-source.ts";
import { repetitionProgress, workProgress } from "./progress.ts";
import { fitted, styled, visible, write } from "./terminal.ts";
import type { Io } from "./terminal.ts";

/** @returns the exit code */
export async function bench({ flags, words }: Arguments, io: Io): Promise<number> {
  const folder = words[0] ?? flags.model;
  const plan: BenchmarkPlan = {
    pp: flags.pp ?? 512,
    tg: flags.tg ?? 128,
    depth: flags.depth ?? 0,
    reps: flags.reps ?? 5,
  };
  if (plan.pp === 0 && plan.tg === 0) {
    throw new InputError("bench: --pp 0 and --tg 0 leave nothing to measure; leave one out");
  }
  if (flags.layers !== undefined && flags.shape === undefined) {
    throw new InputError(
      "bench: --layers is for a random model; name its shape too, as in --shape mistral-7b",
    );
  }
  if (flags.shape !== undefined && folder !== undefined) {
    throw new InputError(`bench: give a model folder or --shape, not both (got ${folder})`);
  }
  const report =
    flags.shape === undefined
      ? await benchModel(await modelSource(folder, flags, io), plan, flags, io)
      : await withRandomModel(flags.shape, flags, io, (path, name) =>
          benchModel({ path, name }, plan, flags, io),
        );
  if (flags.svg !== undefined) {
    await save(flags.svg, drawing(report));
    const wrote = `wrote the picture to ${visible(resolve(flags.svg))}`;
    if (!flags.quiet) await write(io.stderr, `${styled(io.stderr, "dim", wrote)}\n`);
  }
  const text = flags.json
    ? `${JSON.stringify(report)}\n`
    : flags.markdown
      ? asMarkdown(report)
      : fitted(io.stdout, asText(report, io.stdout));
  await write(io.stdout, text);
  return 0;
}

async function benchModel(
  source: ModelSource,
  plan: BenchmarkPlan,
  flags: FlagValues,
  io: Io,
): Promise<BenchReport> {
  const { runtime, system, cpu, instructions, load } = machine();
  const start = performance.now();
  const model = await openWeights(source, flags, io);
  try {
    const load_seconds = (performance.now() - start) / 1000;
    checkPlan(plan, model);
    const isGguf = source.gguf_file !== undefined || /\.gguf$/i.test(source.path);
    const whole = isGguf ? ({ ...plan, table: "like the rest" } as const) : plan;
    const tests = await measured(model, whole, flags, io);
    const { weights } = await model.memory();
    const peak_memory_bytes = peakMemory();
    await model.dispose();
    // Last, since it takes memory too, which would count in the peak.
    const threads = flags.threads ?? physicalCores();
    const { limits, kernels } = await enginesLimits(
      !flags["no-revectorize"],
      !flags["no-native"],
      threads,
    );
    return {
      model: {
        name: basename(source.gguf_file ?? source.name),
        layers: model.config.num_hidden_layers,
        dtype: model.dtype,
        ...quantization(
          flags,
          isGguf ? { quant_method: "GGUF" } : model.config.to_dict().quantization_config,
        ),
        cache_dtype: flags["cache-dtype"] ?? null,
        weight_bytes: weights,
      },
      machine: { runtime, system, cpu, instructions, load_before: load, kernels, limits },
      load_seconds,
      peak_memory_bytes,
      tests,
    };
  } finally {
    await model.dispose();
  }
}

async function measured(
  model: Model,
  plan: BenchmarkPlan,
  { quiet }: FlagValues,
  io: Io,
): Promise<Measured[]> {
  const bar = quiet ? undefined : repetitionProgress(io.stderr);
  try {
    return await measure(model, plan, io.interrupt, (test, done, total) =>
      bar?.begin(test, done, total),
    );
  } finally {
    bar?.done();
  }
}

/** The quantisation that flags ask for, else that of the checkpoint. */
function quantization(
  flags: FlagValues,
  settings: unknown,
): Pick<BenchReport["model"], "quantization" | "compute_dtype"> {
  const stored = storedMethod(settings);
  const method = flags.quantization ?? stored?.method ?? null;
  if (method === null) return { quantization: null, compute_dtype: null };
  const usual =
    flags.quantization === undefined ? stored?.compute_dtype : defaultCompute(flags.quantization);
  return {
    quantization: method,
    compute_dtype: flags["compute-dtype"] ?? usual ?? "float32",
  };
}

/** Makes a model of that shape in a temporary folder, and removes the folder when `use` has ended or failed. */
async function withRandomModel<T>(
  shape: string,
  flags: FlagValues,
  io: Io,
  use: (path: string, name: string) => Promise<T>,
): Promise<T> {
  const dtype = flags.dtype === undefined || flags.dtype === "auto" ? "bfloat16" : flags.dtype;
  const config = shapeConfig(shape, flags.layers, dtype);
  const folder = await mkdtemp(join(tmpdir(), "mistral-bench-"));
  const remove = (): void => rmSync(folder, { recursive: true, force: true });
  // A second Ctrl-C ends the process at once: then this removes the folder.
  process.once("exit", remove);
  try {
    const bar = flags.quiet ? undefined : workProgress(io.stderr, "making", shape, "byte");
    await writeRandomModel(folder, config, {
      signal: io.interrupt,
      onProgress: (done, total) => bar?.update({ loaded: done, total }),
    });
    bar?.done();
    const count = config.num_hidden_layers;
    return await use(folder, `random ${shape}, ${count} layer${count === 1 ? "" : "s"}`);
  } finally {
    process.off("exit", remove);
    remove();
  }
}

async function save(path: string, text: string): Promise<void> {
  try {
    await writeFile(path, text);
  } catch (cause) {
    const code = cause instanceof Error && "code" in cause ? cause.code : cause;
    throw new InputError(
      `--svg ${path}: cannot be written (${String(code)}); is its folder there?`,
      { cause },
    );
  }
}
