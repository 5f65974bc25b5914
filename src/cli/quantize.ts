// `mistral quantize`: writes a checkpoint in fewer bits into a new folder, and shows progress, then size and time. Knows no formats.

import { rmSync } from "node:fs";
import { join, resolve } from "node:path";
import { peakMemory } from "#platform";
import { partialFolder, quantize } from "../api/quantization/quantize.ts";
import type { Quantized, QuantizeOptions } from "../api/quantization/quantize.ts";
import { quantizationMethods } from "../api/quantization/quantization-methods.ts";
import type { QuantizationMethod } from "../api/quantization/quantization-methods.ts";
import { CheckpointError, InputError } from "../errors.ts";
import { AutoTokenizer } from "../index.ts";
import { unknownValue } from "./arguments.ts";
import type { Arguments, FlagValues } from "./arguments.ts";
import { modelSource } from "./model-source.ts";
import { programName } from "./program-name.ts";
import { workProgress } from "./progress.ts";
import { bytes, duration, fitted, styled, visible, write } from "./terminal.ts";
import type { Io } from "./terminal.ts";

type Report = Quantized & {
  readonly method: QuantizationMethod;
  readonly seconds: number;
  /** The most that the whole process took. */
  readonly peak_memory_bytes: number;
};

/** @returns the exit code */
export async function runQuantize({ flags, words }: Arguments, io: Io): Promise<number> {
  const method = methodOf(flags.to);
  const { path, name, gguf_file } = await modelSource(words[0] ?? flags.model, flags, io);
  // A folder that holds nothing but a GGUF file: `quantize` says what to do of such a file.
  const model = gguf_file === undefined ? path : join(path, gguf_file);
  const out = resolve(words[1] ?? `${name}-${method}`);
  const start = performance.now();
  const written = await withProgress(name, out, flags, io, (onProgress) =>
    quantize(model, out, { method, force: flags.force, signal: io.interrupt, onProgress }),
  );
  const seconds = (performance.now() - start) / 1000;
  const report: Report = { ...written, method, seconds, peak_memory_bytes: peakMemory() };
  await write(
    io.stdout,
    flags.json
      ? `${JSON.stringify(report)}\n`
      : fitted(io.stdout, describe(report, name, await canChat(written.path), io)),
  );
  return 0;
}

function methodOf(to: string | undefined): QuantizationMethod {
  if (to === undefined) {
    throw new InputError(
      `quantize: the method is missing; name one with --to: ${quantizationMethods.join(", ")}`,
    );
  }
  const method = quantizationMethods.find((name) => name === to);
  if (method !== undefined) return method;
  throw new InputError(`--to: ${unknownValue(to, quantizationMethods)}`);
}

async function withProgress(
  model: string,
  out: string,
  { quiet, to }: FlagValues,
  io: Io,
  run: (onProgress: NonNullable<QuantizeOptions["onProgress"]>) => Promise<Quantized>,
): Promise<Quantized> {
  const bar = quiet ? undefined : workProgress(io.stderr, `quantising to ${to}`, model, "byte");
  // A second Ctrl-C ends the process at once: then this removes the unfinished folder.
  const onExit = (): void => rmSync(partialFolder(out), { recursive: true, force: true });
  process.once("exit", onExit);
  try {
    return await run((step) => bar?.update(step));
  } finally {
    bar?.done();
    process.off("exit", onExit);
  }
}

/** Whether the new folder's tokenizer knows a form of conversations. A model without a tokenizer is quantised too. */
async function canChat(folder: string): Promise<boolean> {
  try {
    return (await AutoTokenizer.from_pretrained(folder)).canChat;
  } catch (error) {
    if (error instanceof CheckpointError) return false;
    throw error;
  }
}

function describe(report: Report, model: string, chats: boolean, { stdout }: Io): string {
  const { path, method, source_bytes, seconds, peak_memory_bytes } = report;
  const times = source_bytes / report.bytes;
  const speed = `${bytes(source_bytes / seconds)}/s`;
  const shown = visible(path);
  return [
    styled(stdout, "bold", `${model} in ${method}: ${shown}`),
    `  ${bytes(source_bytes)} became ${bytes(report.bytes)} (${times.toFixed(1)} times smaller)`,
    `  ${duration(seconds)}, ${speed}, peak memory ${bytes(peak_memory_bytes)}`,
    styled(stdout, "dim", `  try: ${programName()} ${chats ? "chat" : "run -m"} ${quoted(shown)}`),
    "",
  ].join("\n");
}

/** The path, quoted for a shell. */
const quoted = (path: string): string =>
  /^[\w./@:+-]+$/.test(path) ? path : `'${path.replaceAll("'", String.raw`'\''`)}'`;
