// Names the machine of a benchmark: a figure without it says little. Linux; elsewhere what Node knows.

import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { arch, availableParallelism, cpus, loadavg, release, totalmem, type } from "node:os";

export type Machine = {
  readonly cpu: string;
  readonly cores: number;
  readonly instructions: readonly string[];
  readonly memoryGiB: number;
  readonly system: string;
  readonly node: string;
  /** Running processes on average over the minute before: above 0.5 the figures are disturbed. */
  readonly loadBefore: number;
};

const TELLING =
  /^(sse4_2|avx|avx2|fma|f16c|avx_vnni|avx512(f|bw|_vnni|_bf16)|amx_(tile|int8|bf16)|asimd|asimddp|i8mm|bf16|sve2?)$/;

export function thisMachine(): Machine {
  const info = existsSync("/proc/cpuinfo") ? readFileSync("/proc/cpuinfo", "utf8") : "";
  const field = (name: string): string | undefined =>
    new RegExp(`^${name}\\s*: (.*)$`, "m").exec(info)?.[1];
  const [family, model, mhz] = ["cpu family", "model", "cpu MHz"].map(field);
  const detail = family === undefined ? "" : ` (family ${family}, model ${model}, ${mhz} MHz)`;
  return {
    cpu: `${field("model name") ?? cpus()[0].model}${detail}`,
    cores: availableParallelism(),
    instructions: (field("flags") ?? field("Features") ?? "")
      .split(" ")
      .filter((flag) => TELLING.test(flag)),
    memoryGiB: Math.round(totalmem() / 2 ** 30),
    system: `${type()} ${release()} ${arch()}`,
    node: process.version,
    loadBefore: loadavg()[0],
  };
}

/** Lets the system forget what it keeps of files, where it may be asked to (root on Linux). */
export function dropFileCache(): void {
  try {
    writeFileSync("/proc/sys/vm/drop_caches", "3");
  } catch {
    // not root, or no Linux: sides then find files as others left them
  }
}

/** Resident bytes of a process now, and at most so far. */
export function residentBytes(pid: number): { now: number; peak: number } {
  const status = readFileSync(`/proc/${pid}/status`, "utf8");
  const kilobytes = (name: string): number =>
    Number(new RegExp(`^${name}:\\s*(\\d+) kB`, "m").exec(status)?.[1] ?? NaN);
  return { now: kilobytes("VmRSS") * 1024, peak: kilobytes("VmHWM") * 1024 };
}
