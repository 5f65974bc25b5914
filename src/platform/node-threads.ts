// What the CPU backend asks of Node: processors, memory, and V8's flag for 256-bit vectors.
// A browser build offers the same functions.

import { readdirSync, readFileSync } from "node:fs";
import { availableParallelism } from "node:os";
import { setFlagsFromString } from "node:v8";

/**
 * Processor cores that this process may use, counting two hardware threads of one core once.
 * Where the topology is not told (macOS, Windows): what Node calls the available parallelism.
 */
export function physicalCores(): number {
  const parallelism = availableParallelism();
  if (process.platform !== "linux") return parallelism;
  try {
    const folder = "/sys/devices/system/cpu/";
    const cores = readdirSync(folder)
      .filter((name) => /^cpu[0-9]+$/.test(name))
      .map((name) =>
        ["physical_package_id", "core_id"].map((file) => topology(folder, name, file)).join(" "),
      );
    return Math.max(1, Math.min(parallelism, new Set(cores).size));
  } catch {
    return parallelism; // a container without /sys
  }
}

function topology(folder: string, cpu: string, file: string): string {
  return readFileSync(`${folder}${cpu}/topology/${file}`, "utf8").trim();
}

/**
 * Whether threads can share memory. More than one thread needs it, and so does stopping a step in its middle. In a browser's page it
 * takes cross-origin isolation.
 */
export function canShareMemory(): boolean {
  return typeof SharedArrayBuffer !== "undefined";
}

/** Bytes that this process can still take: of the machine, or of its container when that has a limit. */
export function availableBytes(): number {
  return process.availableMemory();
}

/**
 * Lets V8 join pairs of 128-bit operations into 256-bit ones, or no more if `allow` is false: in the whole process, for modules that
 * are compiled from now on.
 * @returns whether this V8 takes the flag
 */
export function allowWideVectors(allow = true): boolean {
  try {
    setFlagsFromString(`--${allow ? "" : "no-"}experimental-wasm-revectorize`);
    return process.arch === "x64";
  } catch {
    return false;
  }
}
