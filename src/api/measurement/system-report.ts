// What this machine offers to the library, and what the library chooses on it: for `mistral doctor` and for bug reports. Loads no model,
// and contains nothing that identifies the user. Does not know how it is shown.

import { exists, joinPath, machine, openFile, physicalCores } from "#platform";
import {
  defaultThreads,
  detectFeatures,
  enableRevectorize,
  type Features,
} from "../../backends/wasm/features.ts";
import { MemoryError } from "../../errors.ts";
import { defaultModel } from "../default-model.ts";
import { type ChosenKernels, chosenKernels } from "./chosen-kernels.ts";
import { type ExpectedSpeed, expectedSpeeds } from "./speed-probe.ts";

export type SystemReport = {
  /** "Node 26.10.0" */
  runtime: string;
  /** "linux x64" */
  system: string;
  /** `instructions`: those that matter here, under Linux's names; empty if the system does not tell. */
  cpu: {
    model: string;
    threads: number;
    cores: number;
    instructions: readonly string[];
    /** How many processes ran on average over the last minute. */
    load: number;
  };
  /** In bytes; the limits of a container count. */
  memory: { total: number; available: number };
  wasm: {
    simd: boolean;
    relaxed_simd: boolean;
    shared_memory: boolean;
    /** Whether kernels run with 256-bit vectors: V8 accepts the flag, and the self-test passed. */
    revectorize: boolean;
    /** Whether kernels with 256-bit vectors gave the right bits; null: they were not asked for, or V8 does not have them. */
    self_test: "passed" | "failed" | null;
  };
  /** How a model is loaded unless something else is asked for. */
  chosen: {
    /** "cpu"; "none" if WebAssembly has no SIMD here. */
    device: "cpu" | "none";
    threads: number;
    attn_implementation: "sdpa";
  } & ChosenKernels;
  /** The embedded model; null if its weights are missing. */
  default_model: { path: string; weight_bytes: number } | null;
  /** The estimated speed of a Mistral-7B, from a probe of the kernels; null if they cannot run or memory is short. */
  expected_7b: ExpectedSpeed[] | null;
};

/**
 * Examines this process and its machine.
 * @param revectorize whether to ask V8 for 256-bit vectors, as `env.wasm.revectorize` does; it changes the whole process
 * @param native      whether machine code may be used, as `env.native` says
 * @param threads     replaces the number that would be chosen for the machine
 */
export async function systemReport(
  revectorize: boolean,
  native: boolean,
  threads?: number,
): Promise<SystemReport> {
  const asked = detectFeatures(revectorize && enableRevectorize());
  const { chosen, features } = await chosenKernels(asked, native);
  const { runtime, system, cpu, instructions, load, threads: hardware, memory } = machine();
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
      device: chosen.kernels === "none" ? "none" : "cpu",
      ...chosen,
      threads: chosenThreads,
      attn_implementation: "sdpa",
    },
    default_model: await embedded(),
    expected_7b: features.simd ? await expectedOf7b(features, native, chosenThreads) : null,
  };
}

async function expectedOf7b(
  features: Features,
  native: boolean,
  threads: number,
): Promise<SystemReport["expected_7b"]> {
  try {
    return await expectedSpeeds(features, native, threads);
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
