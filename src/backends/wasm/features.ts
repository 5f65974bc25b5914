// Finds out, by trying, what WebAssembly on this machine offers to the kernels.

import { allowWideVectors, canShareMemory, physicalCores } from "#platform";
import { EngineError } from "../../errors.ts";

export type Features = {
  readonly simd: boolean;
  readonly relaxedSimd: boolean;
  /** Shared memory and atomic waiting: more than one thread. */
  readonly threads: boolean;
  /** V8 was asked to join 128-bit operations into 256-bit ones. */
  readonly wideVectors: boolean;
};

/** Tries each feature. `wideVectors` cannot be seen from inside: it is what enableRevectorize() said in this process. */
export function detectFeatures(wideVectors = false): Features {
  return {
    simd: validates([0x41, 0, 0xfd, 0x0f]), //                          i8x16.splat
    relaxedSimd: validates([0x41, 0, 0xfd, 0x0f, 0x41, 0, 0xfd, 0x0f, 0xfd, 0x80, 0x02]), // i8x16.relaxed_swizzle
    threads: hasThreads(),
    wideVectors,
  };
}

/**
 * Asks V8 for 256-bit vectors (about 1.8 times the speed of prompts on x64). Process-wide, and only for what is compiled
 * later: call it before a backend is made. Never done by importing this package.
 * @returns whether V8 took the flag; pass it to detectFeatures, in workers too
 */
export function enableRevectorize(): boolean {
  return allowWideVectors();
}

/** Threads to use when the caller does not say: one a core, or one where memory cannot be shared. */
export function defaultThreads(): number {
  return hasThreads() ? physicalCores() : 1;
}

/** @throws EngineError that many threads cannot work together here */
export function requireThreads(features: Features, threads: number): void {
  if (threads === 1 || features.threads) return;
  throw new EngineError(
    `the CPU backend was asked for ${threads} threads, but memory cannot be shared here; use 1, or in a page send the ` +
      "headers Cross-Origin-Opener-Policy: same-origin and Cross-Origin-Embedder-Policy: require-corp",
  );
}

/** @throws EngineError when the kernels cannot run here at all */
export function requireSimd(features: Features): void {
  if (features.simd) return;
  throw new EngineError(
    "the CPU backend needs WebAssembly SIMD, which this JavaScript engine does not have or has switched off; " +
      "use Node 24 or later, or a browser of 2023 or later",
  );
}

/** Whether a function () → v128 with that body is accepted. */
function validates(body: readonly number[]): boolean {
  const code = [0, ...body, 0x0b];
  return isModule([
    ...[1, 5, 1, 0x60, 0, 1, 0x7b], // one type: () → v128
    ...[3, 2, 1, 0], //                one function of it
    ...[10, code.length + 2, 1, code.length, ...code],
  ]);
}

/** No memory is made to find out: each would reserve addresses until it is collected. */
function hasThreads(): boolean {
  return canShareMemory() && isModule([5, 4, 1, 3, 1, 1]); // one shared memory of one page
}

/** @throws EngineError this process has no WebAssembly */
function isModule(sections: readonly number[]): boolean {
  if (typeof WebAssembly === "undefined") {
    throw new EngineError(
      "there is no WebAssembly in this process, which the CPU backend computes with; leave out the flag --jitless",
    );
  }
  return WebAssembly.validate(Uint8Array.of(0, 0x61, 0x73, 0x6d, 1, 0, 0, 0, ...sections));
}
