// Loads the kernels for this machine: with 256-bit vectors if V8 joins 128-bit operations without a mistake, else without.
// Does not know how that is checked: wide-check.ts.

import { allowWideVectors } from "#platform";
import type { Features } from "./features.ts";
import { instantiate, type Kernels, loadKernels } from "./kernel-module.ts";
import { checkMemory, wideVectorsAgree } from "./wide-check.ts";

/** An empty custom section of a WebAssembly module: it changes the module's bytes, and nothing else. */
const CUSTOM_SECTION = [0, 2, 1, 0x77];

/**
 * The kernels that fit the machine. With wide vectors they are checked first. If they give wrong bits, V8 is told to join no
 * more, and the features that come back say so.
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
  // V8 would give back the code that it has compiled for the same bytes. The section makes them different ones.
  return { module: await loadKernels(narrow, CUSTOM_SECTION), features: narrow };
}
