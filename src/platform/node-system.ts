// What Node can tell about the machine and about this process: runtime, processor, memory. For reports; a browser build offers
// the same functions.

import { readFileSync } from "node:fs";
import { availableParallelism, cpus, loadavg, totalmem } from "node:os";

export type Machine = {
  /** "Node 26.10.0" */
  readonly runtime: string;
  /** "linux x64" */
  readonly system: string;
  /** As the processor names itself; "unknown" where it does not. */
  readonly cpu: string;
  /** Its instruction sets that matter here, by Linux's names; none where the system does not tell. */
  readonly instructions: readonly string[];
  /** Running processes on average over the last minute; 0 where the system does not tell. */
  readonly load: number;
  /** Hardware threads that this process may use. */
  readonly threads: number;
  /** Bytes, limits of a container included. */
  readonly memory: { readonly total: number; readonly available: number };
};

export function machine(): Machine {
  // 0 or an absurd number where there is no limit.
  const limit = process.constrainedMemory();
  const total = limit > 0 ? Math.min(limit, totalmem()) : totalmem();
  return {
    runtime: `Node ${process.versions.node}`,
    system: `${process.platform} ${process.arch}`,
    cpu: cpus().at(0)?.model.trim() || "unknown",
    instructions: instructions(),
    load: loadavg()[0],
    threads: availableParallelism(),
    memory: { total, available: Math.min(total, process.availableMemory()) },
  };
}

const TELLING =
  /^(sse4_2|avx|avx2|fma|f16c|avx_vnni|avx512(f|bw|_vnni|_bf16)|amx_(tile|int8|bf16)|asimd|asimddp|i8mm|bf16|sve2?)$/;

function instructions(): string[] {
  const flags = /^(?:flags|Features)\s*: (.*)$/m.exec(systemFile("/proc/cpuinfo"))?.[1] ?? "";
  return flags.split(" ").filter((flag) => TELLING.test(flag));
}

/** A number that no other process has now. */
export function processId(): number {
  return process.pid;
}

/** The most bytes of memory that this process has held at a time, all of its threads together. */
export function peakMemory(): number {
  const kilobytes = /^VmHWM:\s*(\d+) kB/m.exec(systemFile("/proc/self/status"))?.[1];
  return 1024 * (kilobytes === undefined ? process.resourceUsage().maxRSS : Number(kilobytes));
}

/** A file of Linux's own; "" on other systems. */
function systemFile(path: string): string {
  try {
    return readFileSync(path, "latin1");
  } catch {
    return "";
  }
}
