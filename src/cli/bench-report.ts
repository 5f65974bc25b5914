// The result of `mistral bench` as text for people and as Markdown. (As JSON the report is printed as it is.)
// Does not know how speed is measured.

import type { Measured } from "../api/measurement/benchmark.ts";
import type { ChosenKernels } from "../api/measurement/chosen-kernels.ts";
import type { MachineLimits } from "../api/measurement/machine-limits.ts";
import { bytes, duration, styled, visible } from "./terminal.ts";
import type { OutStream } from "./terminal.ts";

export type BenchReport = {
  readonly model: {
    readonly name: string;
    readonly layers: number;
    /** How unquantised weights are kept. */
    readonly dtype: string;
    readonly quantization: string | null;
    readonly compute_dtype: string | null;
    readonly cache_dtype: string | null;
    readonly weight_bytes: number;
  };
  readonly machine: {
    readonly runtime: string;
    readonly system: string;
    readonly cpu: string;
    readonly instructions: readonly string[];
    /** How many processes ran on average in the minute before. Above 0.5 the figures are not reliable. */
    readonly load_before: number;
    readonly kernels: ChosenKernels;
    readonly limits: MachineLimits;
  };
  readonly load_seconds: number;
  /** The most that the whole process took, its threads included. */
  readonly peak_memory_bytes: number;
  readonly tests: readonly Measured[];
};

/** tokens/s of a test: "123.4 ± 1.2" */
export function speed({ mean, standard_deviation }: Measured): string {
  const digits = mean >= 1000 ? 0 : mean >= 100 ? 1 : 2;
  return `${mean.toFixed(digits)} ± ${standard_deviation.toFixed(digits)}`;
}

/** How far a test came towards the limit that holds it up: arithmetic for a prompt, memory for decoding. `share`: 0 to 1. */
export function reached(
  test: Measured,
  limits: MachineLimits,
  inIntegers: boolean,
): { readonly text: string; readonly share: number } {
  const [value, most, unit] =
    test.kind === "decode"
      ? [test.weight_bytes_per_second, limits.memory_bytes_per_second, "GB/s"]
      : inIntegers
        ? [test.operations_per_second, limits.int8_operations_per_second, "GOPS"]
        : [test.operations_per_second, limits.float32_operations_per_second, "GFLOPS"];
  const share = value / most;
  const shown = (x: number): string => (x / 1e9).toFixed(x < 1e11 ? 1 : 0);
  return {
    text: `${shown(value)} of ${shown(most)} ${unit} (${Math.round(share * 100)} %)`,
    share,
  };
}

/** Whether products are computed with integers: with quantised weights, unless compute_dtype is float32. */
export const inIntegers = ({ model }: BenchReport): boolean =>
  model.quantization !== null && model.compute_dtype !== "float32";

/** "stories, 7 layers in bfloat16 (6.2 MB)" */
export function titleOf({ model }: BenchReport): string {
  const { name, quantization, compute_dtype, cache_dtype, dtype } = model;
  const how = [
    quantization ?? dtype,
    ...(compute_dtype === null ? [] : [`computed in ${compute_dtype}`]),
    ...(cache_dtype === null ? [] : [`cache in ${cache_dtype}`]),
  ].join(", ");
  return `${name} · ${how} · ${bytes(model.weight_bytes)}`;
}

/** "AMD EPYC (avx2 fma …), 2 threads, Node 26.10.0, linux x64" */
export function machineOf({ machine }: BenchReport): string {
  const { cpu, instructions, limits, runtime, system } = machine;
  const sets = instructions.length === 0 ? "" : ` (${instructions.join(" ")})`;
  const { threads } = limits;
  return `${cpu}${sets}, ${threads} thread${threads === 1 ? "" : "s"}, ${runtime}, ${system}`;
}

/** "kernels: relaxed-simd, 256 bits; machine code for 8-bit products with AVX-512 VNNI" */
function kernelsOf({ machine }: BenchReport): string {
  const { kernels, vector_bits, machine_code } = machine.kernels;
  const native =
    machine_code.used.length === 0
      ? "no machine code"
      : `machine code for ${machine_code.used.join(", ")}`;
  return `kernels: ${kernels}, ${vector_bits} bits; ${native}`;
}

function resources({ load_seconds, peak_memory_bytes }: BenchReport): string {
  return `loaded in ${duration(load_seconds)}, peak memory ${bytes(peak_memory_bytes)}`;
}

function rowsOf(report: BenchReport): [test: string, speed: string, reached: string][] {
  const { limits } = report.machine;
  return report.tests.map((test) => [
    test.test,
    speed(test),
    reached(test, limits, inIntegers(report)).text,
  ]);
}

/** Above this load the report warns. */
const DISTURBED = 0.5;

function warning({ machine }: BenchReport): string | undefined {
  if (machine.load_before <= DISTURBED) return undefined;
  return `other programs were running (load ${machine.load_before.toFixed(1)}): the figures are disturbed`;
}

export function asText(report: BenchReport, stream: OutStream): string {
  const rows = [["test", "tokens/s", "reached"], ...rowsOf(report)];
  const widths = [0, 1].map((column) => Math.max(...rows.map((row) => row[column].length)));
  const warn = warning(report);
  return [
    styled(stream, "bold", visible(titleOf(report))),
    ...rows.map((row, i) => {
      const line = `  ${row[0].padEnd(widths[0])}  ${row[1].padStart(widths[1])}  ${row[2]}`;
      return i === 0 ? styled(stream, "dim", line) : line;
    }),
    `  ${resources(report)}`,
    styled(stream, "dim", `  ${kernelsOf(report)}`),
    styled(stream, "dim", `  ${machineOf(report)}`),
    ...(warn === undefined ? [] : [styled(stream, "red", `  ${warn}`)]),
    "",
  ].join("\n");
}

export function asMarkdown(report: BenchReport): string {
  const cell = (text: string): string => text.replaceAll("|", "\\|");
  const warn = warning(report);
  return [
    "| model | test | tokens/s | reached |",
    "| --- | --- | ---: | --- |",
    ...rowsOf(report).map(
      (row) => `| ${[titleOf(report), ...row].map((text) => cell(text)).join(" | ")} |`,
    ),
    "",
    `${resources(report)}; ${kernelsOf(report)}; ${machineOf(report)}${warn === undefined ? "" : `; ${warn}`}`,
    "",
  ].join("\n");
}
