// Which 8-bit dot product the tiles of the int8 road should use: with sums of 16 bits, two instructions everywhere; or with sums
// of 32, one instruction where the processor has it (VNNI on x64, dotprod on ARM) and three where not. The bits are the same.

import type { Features } from "./features.ts";
import { instantiate } from "./kernel-module.ts";
import { checkMemory } from "./wide-check.ts";

/** The kernels that fit, see checkedKernels. */
type Checked = { readonly module: WebAssembly.Module; readonly features: Features };

/** Enough for V8 to optimise both probes; then a call takes some 10 µs. */
const MILLISECONDS = 10;
const TURNS = 8192;
/** What would not be worth another choice. */
const CLEARLY = 1.15;
// Byte addresses.
const [RESULT, OPERANDS] = [65_536, 131_072];

/** Whether sums of 32 bits are clearly faster here, by trying both for some milliseconds. Asked again, it answers at once. */
export function choosesSums32({ module, features }: Checked): boolean {
  if (!features.relaxedSimd) return false;
  const way = features.wideVectors ? "wide" : "narrow";
  chosen[way] ??= sums32AreFaster(instantiate(module, checkMemory(features.threads)));
  return chosen[way];
}

const chosen: { wide?: boolean; narrow?: boolean } = {};

/** Whether they are for these kernels. */
export function sums32AreFaster(
  kernels: Readonly<Record<string, (...args: number[]) => number | void>>,
): boolean {
  const shortest = (name: string, known: number): number => {
    const begin = performance.now();
    kernels[name](RESULT, OPERANDS, TURNS);
    return Math.min(known, performance.now() - begin);
  };
  let [sums16, sums32] = [Infinity, Infinity];
  const end = performance.now() + MILLISECONDS;
  while (performance.now() < end) {
    sums16 = shortest("probe_int8", sums16);
    sums32 = shortest("probe_int8_wide", sums32);
  }
  return sums32 * CLEARLY < sums16;
}
