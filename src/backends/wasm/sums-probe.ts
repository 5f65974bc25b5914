// Chooses the 8-bit dot product of the int8 compute path, by trying two. With sums of 16 bits it takes two instructions on every
// processor. With sums of 32 bits it takes one where the processor has it (VNNI on x64, dotprod on ARM), and three elsewhere.
// Both give the same bits.

import type { Features } from "./features.ts";
import { instantiate } from "./kernel-module.ts";
import { checkMemory } from "./wide-check.ts";

/** The kernels of this machine, see checkedKernels. */
type Checked = { readonly module: WebAssembly.Module; readonly features: Features };

/** How long both probes are tried: enough for V8 to optimise them. A call of TURNS turns then takes some 10 µs. */
const MILLISECONDS = 10;
const TURNS = 8192;
/** How many times as fast sums of 32 bits must be in order to be chosen. */
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

/** Whether sums of 32 bits are clearly faster with these kernels. */
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
