// What this machine offers to the library, and what the library makes of it: for `mistral doctor` and for bug reports.
// Nothing is loaded and nothing identifies the user. Knows nothing of how it is shown.

import { exists, joinPath, machine, openFile, physicalCores } from "#platform";
import { defaultThreads, detectFeatures, enableRevectorize } from "../backends/wasm/features.ts";
import { defaultModel } from "./default-model.ts";

export type SystemReport = {
  /** "Node 26.10.0" */
  runtime: string;
  /** "linux x64" */
  system: string;
  cpu: { model: string; threads: number; cores: number };
  /** Bytes, limits of a container included. */
  memory: { total: number; available: number };
  wasm: { simd: boolean; relaxed_simd: boolean; shared_memory: boolean; revectorize: boolean };
  /** What a model is loaded with when nothing else is asked for. */
  chosen: {
    /** "cpu", or "none" where WebAssembly has no SIMD. */
    device: "cpu" | "none";
    /** Which kernels: "relaxed-simd" or "simd". */
    kernels: "relaxed-simd" | "simd" | "none";
    threads: number;
    attn_implementation: "sdpa";
  };
  /** The embedded model, unless the package is incomplete. */
  default_model: { path: string; weight_bytes: number } | null;
};

/**
 * Looks at this process and its machine.
 * @param revectorize whether to ask V8 for 256-bit vectors, as `env.wasm.revectorize` does; acts on the whole process
 * @param threads in place of the number chosen for the machine
 */
export async function systemReport(revectorize: boolean, threads?: number): Promise<SystemReport> {
  const features = detectFeatures(revectorize && enableRevectorize());
  const { runtime, system, cpu, threads: hardware, memory } = machine();
  const kernels = features.relaxedSimd ? "relaxed-simd" : features.simd ? "simd" : "none";
  return {
    runtime,
    system,
    cpu: { model: cpu, threads: hardware, cores: physicalCores() },
    memory,
    wasm: {
      simd: features.simd,
      relaxed_simd: features.relaxedSimd,
      shared_memory: features.threads,
      revectorize: features.wideVectors,
    },
    chosen: {
      device: kernels === "none" ? "none" : "cpu",
      kernels,
      threads: features.threads ? (threads ?? defaultThreads(features)) : 1,
      attn_implementation: "sdpa",
    },
    default_model: await embedded(),
  };
}

async function embedded(): Promise<SystemReport["default_model"]> {
  const path = await defaultModel();
  const weights = joinPath(path, "model.safetensors");
  if (!(await exists(weights))) return null;
  const file = await openFile(weights);
  await file.close();
  return { path, weight_bytes: file.size };
}
