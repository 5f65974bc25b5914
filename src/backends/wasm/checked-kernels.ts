// The kernels that a machine runs right: with 256-bit vectors where V8 joins 128-bit ones without a mistake, else without.
// Does not know what is tried: wide-check.ts.

import { allowWideVectors } from "#platform";
import type { Features } from "./features.ts";
import { instantiate, type Kernels, loadKernels } from "./kernel-module.ts";
import { checkMemory, wideVectorsAgree } from "./wide-check.ts";

/** An empty custom section. */
const CUSTOM_SECTION = [0, 2, 1, 0x77];

/**
 * The kernels that fit. With wide vectors they are tried first; if they give wrong bits, V8 is told to leave it and the
 * features that come back say so.
 * @throws EngineError when the files are missing or this engine cannot run them
 */
export async function checkedKernels(
  features: Features,
  check: (kernels: Kernels, memory: WebAssembly.Memory) => boolean = wideVectorsAgree,
): Promise<{ module: WebAssembly.Module; features: Features }> {
  const module = await loadKernels(features);
  if (!features.wideVectors) return { module, features };
  const memory = checkMemory(features.threads);
  if (check(instantiate(module, memory), memory)) return { module, features };
  allowWideVectors(false);
  const narrow = { ...features, wideVectors: false };
  // V8 keeps the code of bytes that it knows: these are others.
  return { module: await loadKernels(narrow, CUSTOM_SECTION), features: narrow };
}
