// What Node tells about the machine and this process: runtime, processor, memory, addresses. A browser build offers the same
// functions.

import { readFileSync } from "node:fs";
import { availableParallelism, cpus, loadavg, totalmem } from "node:os";

export type Machine = {
  /** "Node 26.10.0" */
  readonly runtime: string;
  /** "linux x64" */
  readonly system: string;
  /** As the processor names itself; "unknown" where it does not. */
  readonly cpu: string;
  /** Those of its instruction sets that kernels could use, by Linux's names; empty where the system does not tell. */
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

/** Bytes of addresses that WebAssembly memories may reserve. Untouched ones take no memory. */
export type MemoryMaxima = {
  /** One memory at most. */
  readonly perMemory: number;
  /** All memories of a model together. */
  readonly total: number;
};

const GIB = 2 ** 30;
/** Bytes that 32-bit addresses reach. */
const PER_MEMORY = 4 * GIB;
/** Addresses that Node reserves for a worker (0.82 GiB seen with Node 26, x64), and what its heaps may still ask for. */
const WORKER = 0.85 * GIB;
const HEAPS = 0.375 * GIB;
/**
 * From this limit on V8 puts guard regions around each memory, which then reserves 8 GiB whatever its size; below it, Node 26
 * switches them off.
 */
const GUARDED_FROM = 16 * GIB;
const GUARDED = 8 * GIB;

/**
 * How many addresses WebAssembly memories may reserve in this process: any number, unless the system limits it (ulimit -v on Linux).
 * @param workers how many more workers will be started
 */
export function memoryMaxima(workers: number): MemoryMaxima {
  const limit = Number(/^Max address space\s+(\d+)/m.exec(systemFile("/proc/self/limits"))?.[1]);
  if (Number.isNaN(limit)) return { perMemory: PER_MEMORY, total: Infinity };
  const kilobytes = Number(/^VmSize:\s*(\d+) kB/m.exec(systemFile("/proc/self/status"))?.[1]);
  const left = Math.max(0, limit - kilobytes * 1024 - workers * WORKER - HEAPS);
  const total = limit < GUARDED_FROM ? left : Math.floor(left / GUARDED) * PER_MEMORY;
  return { perMemory: PER_MEMORY, total };
}

/** A file of Linux's own; "" on other systems. */
function systemFile(path: string): string {
  try {
    return readFileSync(path, "latin1");
  } catch {
    return "";
  }
}
