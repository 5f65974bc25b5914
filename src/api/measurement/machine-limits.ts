// Measures what this machine can do at most with so many threads, in about half a second: the limits with which a benchmark compares
// itself. Knows no model.

import { type MachineCode, machineCode, startWorker } from "#platform";
import { limitsLibrary } from "../../backends/native/limits.ts";
import {
  detectFeatures,
  enableRevectorize,
  type Features,
  requireThreads,
} from "../../backends/wasm/features.ts";
import { checkedKernels } from "../../backends/wasm/checked-kernels.ts";
import { nativeFamilies } from "../../backends/wasm/native-families.ts";
import { type ChosenKernels, chosenKernels } from "./chosen-kernels.ts";
import type { ProbeData, ProbeRates } from "../../engine/probe-worker.ts";
import { EngineError } from "../../errors.ts";

export type MachineLimits = {
  threads: number;
  /** Bytes a second that all threads read from memory, in total. */
  memory_bytes_per_second: number;
  /** Multiplications and additions of 8-bit integers a second, with the instructions that the kernels use. */
  int8_operations_per_second: number;
  /** The same for float32. */
  float32_operations_per_second: number;
};

/**
 * Measures memory and arithmetic with all threads at once. Other programs that run falsify it. Where the system refuses the machine
 * code that would be measured, arithmetic is what WebAssembly reaches.
 * @param families the families of kernels that machine code computes: bits of NATIVE
 * @param machine  for tests
 * @throws EngineError WebAssembly has no SIMD here, threads cannot share memory, or one died
 */
export async function machineLimits(
  features: Features,
  threads: number,
  families = 0,
  machine: () => Promise<MachineCode> = machineCode,
): Promise<MachineLimits> {
  requireThreads(features, threads);
  const checked = await checkedKernels(features);
  const data: ProbeData = {
    module: checked.module,
    sharedMemory: checked.features.threads,
    meeting: threads > 1 ? new SharedArrayBuffer(4) : new ArrayBuffer(4),
    threads,
    native: await keptLimits(families, machine),
  };
  const rates = await Promise.all(Array.from({ length: threads }, () => oneThread(data)));
  // The best round, by the sum over all threads.
  const total = (of: (rates: ProbeRates) => readonly number[] | undefined): number =>
    Math.max(
      0,
      ...(of(rates[0]) ?? []).map((_, n) =>
        rates.reduce((sum, one) => sum + (of(one)?.[n] ?? 0), 0),
      ),
    );
  return {
    threads,
    memory_bytes_per_second: total(({ read }) => read),
    int8_operations_per_second: Math.max(
      total(({ int8 }) => int8),
      total(({ int8Of12 }) => int8Of12),
      total(({ int8Of24 }) => int8Of24),
      total(({ native: { int8 } }) => int8),
    ),
    float32_operations_per_second: Math.max(
      total(({ f32 }) => f32),
      total(({ native: { float32 } }) => float32),
    ),
  };
}

/** The path of the library that measures what machine code can do. It is kept once. */
let limitsPath: string | undefined;

/** What to measure for those families; undefined: nothing, as there are none, or as the system refuses the library. */
async function keptLimits(
  families: number,
  machine: () => Promise<MachineCode>,
): Promise<ProbeData["native"]> {
  const used = nativeFamilies.filter(({ bit }) => (families & bit) !== 0);
  if (used.length === 0) return undefined;
  const kinds = [...new Set(used.map(({ limit }) => limit))];
  try {
    const { keepLibrary, openFunction } = await machine();
    const path = (limitsPath ??= keepLibrary(limitsLibrary()));
    // Tried here: if it failed in one thread of several, the others would wait for that one.
    for (const kind of kinds) openFunction(path, kind);
    return { path, kinds };
  } catch (error) {
    if (error instanceof EngineError) return undefined;
    throw error;
  }
}

/**
 * The limits with the features with which a model would be loaded, and the kernels that it would get.
 * @param revectorize whether to ask V8 for 256-bit vectors, which changes the whole process
 * @param native      whether machine code may be used
 * @throws EngineError as machineLimits
 */
export async function enginesLimits(
  revectorize: boolean,
  native: boolean,
  threads: number,
): Promise<{ limits: MachineLimits; kernels: ChosenKernels }> {
  const asked = detectFeatures(revectorize && enableRevectorize());
  const { chosen, machineCode: choice } = await chosenKernels(asked, native);
  return { limits: await machineLimits(asked, threads, choice.families), kernels: chosen };
}

async function oneThread(data: ProbeData): Promise<ProbeRates> {
  const worker = startWorker("probe-worker", data);
  try {
    return await new Promise<ProbeRates>((resolve, reject) => {
      worker.onMessage((rates) => resolve(rates as ProbeRates));
      worker.onEnd((why) => reject(new EngineError(`measuring this machine failed: ${why}`)));
    });
  } finally {
    await worker.terminate(); // where workers listen for their start data, none ends by itself
  }
}
