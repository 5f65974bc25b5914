// What this machine offers to the library, and what the library makes of it: for `mistral doctor` and for bug reports.
// Nothing is loaded and nothing identifies the user. Knows nothing of how it is shown.

import { exists, joinPath, machine, openFile, physicalCores } from "#platform";
import {
  defaultThreads,
  detectFeatures,
  enableRevectorize,
  type Features,
} from "../backends/wasm/features.ts";
import { checkedKernels } from "../backends/wasm/checked-kernels.ts";
import { choosesSums32 } from "../backends/wasm/sums-probe.ts";
import { MemoryError } from "../errors.ts";
import { defaultModel } from "./default-model.ts";
import { type ExpectedSpeed, expectedSpeeds } from "./speed-probe.ts";

export type SystemReport = {
  /** "Node 26.10.0" */
  runtime: string;
  /** "linux x64" */
  system: string;
  /** `instructions`: those that matter here, by Linux's names; none where the system does not tell. */
  cpu: {
    model: string;
    threads: number;
    cores: number;
    instructions: readonly string[];
    /** Running processes on average over the last minute. */
    load: number;
  };
  /** Bytes, limits of a container included. */
  memory: { total: number; available: number };
  wasm: {
    simd: boolean;
    relaxed_simd: boolean;
    shared_memory: boolean;
    /** Whether kernels run with 256 bits: V8 takes the flag, and the self-test found the right bits. */
    revectorize: boolean;
    /** Of kernels with 256 bits; null: they were not asked for, or cannot be had. */
    self_test: "passed" | "failed" | null;
  };
  /** What a model is loaded with when nothing else is asked for. */
  chosen: {
    /** "cpu", or "none" where WebAssembly has no SIMD. */
    device: "cpu" | "none";
    /** Which kernels: "relaxed-simd" or "simd". */
    kernels: "relaxed-simd" | "simd" | "none";
    /** Bits in which products of 8-bit numbers are summed, where there are such instructions: what a probe finds faster. */
    dot_sum_bits: 16 | 32 | null;
    /** Bits of a vector. */
    vector_bits: 128 | 256;
    threads: number;
    attn_implementation: "sdpa";
  };
  /** The embedded model, unless the package is incomplete. */
  default_model: { path: string; weight_bytes: number } | null;
  /** What a Mistral-7B would come to, by a probe of the kernels; null where they cannot run or memory is short. */
  expected_7b: ExpectedSpeed[] | null;
};

/**
 * Looks at this process and its machine.
 * @param revectorize whether to ask V8 for 256-bit vectors, as `env.wasm.revectorize` does; acts on the whole process
 * @param threads in place of the number chosen for the machine
 */
export async function systemReport(revectorize: boolean, threads?: number): Promise<SystemReport> {
  const asked = detectFeatures(revectorize && enableRevectorize());
  const checked = asked.simd ? await checkedKernels(asked) : undefined;
  const features = checked?.features ?? asked;
  const { runtime, system, cpu, instructions, load, threads: hardware, memory } = machine();
  const kernels = features.relaxedSimd ? "relaxed-simd" : features.simd ? "simd" : "none";
  const chosenThreads = features.threads ? (threads ?? defaultThreads()) : 1;
  return {
    runtime,
    system,
    cpu: { model: cpu, threads: hardware, cores: physicalCores(), instructions, load },
    memory,
    wasm: {
      simd: features.simd,
      relaxed_simd: features.relaxedSimd,
      shared_memory: features.threads,
      revectorize: features.wideVectors,
      self_test: asked.wideVectors ? (features.wideVectors ? "passed" : "failed") : null,
    },
    chosen: {
      device: kernels === "none" ? "none" : "cpu",
      kernels,
      dot_sum_bits:
        checked === undefined || !features.relaxedSimd ? null : choosesSums32(checked) ? 32 : 16,
      vector_bits: features.wideVectors ? 256 : 128,
      threads: chosenThreads,
      attn_implementation: "sdpa",
    },
    default_model: await embedded(),
    expected_7b: features.simd ? await expectedOf7b(features, chosenThreads) : null,
  };
}

async function expectedOf7b(
  features: Features,
  threads: number,
): Promise<SystemReport["expected_7b"]> {
  try {
    return await expectedSpeeds(features, threads);
  } catch (error) {
    if (error instanceof MemoryError) return null;
    throw error;
  }
}

async function embedded(): Promise<SystemReport["default_model"]> {
  const path = await defaultModel();
  const weights = joinPath(path, "model.safetensors");
  if (!(await exists(weights))) return null;
  const file = await openFile(weights);
  await file.close();
  return { path, weight_bytes: file.size };
}
