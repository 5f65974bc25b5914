// Chooses the 8-bit dot product of the int8 compute path, by trying two. With sums of 16 bits it takes two instructions on every
// processor. With sums of 32 bits it takes one where V8 has it (AVX-VNNI on x64, dotprod on ARM), and three elsewhere. Both give the same
// bits.

import type { Features } from "./features.ts";
import { instantiate } from "./kernel-module.ts";
import { EIGHT_ROWS_SCALES } from "./kernels/scratch.ts";
import { checkMemory } from "./wide-check.ts";

/** The kernels of this machine, see checkedKernels. */
type Checked = { readonly module: WebAssembly.Module; readonly features: Features };

/** The product that is tried: a panel of weights that stays in the first-level cache, for some tiles of two rows. About 10 µs. */
const [ROWS, K, O] = [16, 512, 32];
/**
 * Both ways are tried in turn until neither has become faster for STEADY_MS, since V8 optimises the kernels meanwhile; but not for longer than
 * MOST_MS.
 */
const [STEADY_MS, MOST_MS] = [8, 60];
/** A time counts as faster if it is below this share of the best. */
const IMPROVED = 0.97;
/** How many times as fast sums of 32 bits must be in order to be chosen. */
const CLEARLY = 1.05;
/** Bits of `tiles`, see linear-eight-rows.ts. */
const [WIDE_TILES, SUMS_32] = [1, 2];
// Byte addresses. All operands are zeros.
const SCRATCH = 65_536;
const [Y, PACKED, WEIGHTS] = [131_072, 139_264, 163_840];

/** Whether sums of 32 bits are clearly faster here, by trying both for some milliseconds. Asked again, it answers at once. */
export function choosesSums32({ module, features }: Checked): boolean {
  if (!features.relaxedSimd) return false;
  const way = features.wideVectors ? "wide" : "narrow";
  chosen[way] ??= sums32AreFaster(
    instantiate(module, checkMemory(features.threads)),
    features.wideVectors,
  );
  return chosen[way];
}

const chosen: { wide?: boolean; narrow?: boolean } = {};

/** Whether sums of 32 bits are clearly faster with these kernels. */
export function sums32AreFaster(
  { linear_q4r: multiply }: Readonly<Record<string, (...args: number[]) => number | void>>,
  wide: boolean,
): boolean {
  const time = (tiles: number): number => {
    const begin = performance.now();
    multiply(
      ...[Y, PACKED, WEIGHTS, SCRATCH + EIGHT_ROWS_SCALES, K, O, SCRATCH, tiles],
      ...[ROWS, 0, ROWS, 0, O],
    );
    return performance.now() - begin;
  };
  const ways = [0, SUMS_32].map((sums) => sums | (wide ? WIDE_TILES : 0));
  const best = ways.map(() => Infinity);
  const begin = performance.now();
  for (let [now, faster] = [begin, begin]; now - faster < STEADY_MS && now - begin < MOST_MS;) {
    for (const [i, tiles] of ways.entries()) {
      const took = time(tiles);
      if (took < IMPROVED * best[i]) faster = performance.now();
      best[i] = Math.min(best[i], took);
    }
    now = performance.now();
  }
  return best[1] * CLEARLY < best[0];
}
