// Double quantisation of the scales of 4-bit blocks (Dettmers et al. 2023, "QLoRA", section 3): their mean is subtracted, and the
// rest becomes the dynamic 8-bit type in blocks of 256. Gives the bits that bitsandbytes gives on a CPU with AVX2 and one thread,
// where PyTorch's order of summation decides the mean. Does not know the 4-bit codes.

import { dynamicMap, quantizeDynamic8 } from "./dynamic-map.ts";
import type { Parts } from "./weight-format.ts";
import { bytesOf, floats32 } from "./words.ts";

/** How many scales share a scale of their own. */
export const NESTED_BLOCK = 256;
/** How many numbers the last part has: the values of 256 codes, then the mean. */
export const NESTED_VALUES = 257;

/** The scales of blocks [from, to) of a matrix with double quantisation. */
export function nestedScales(parts: Parts, from: number, to: number): Float32Array {
  const [, codes, nested, tail] = parts;
  const scales = floats32(nested);
  const map = floats32(tail);
  const mean = map[NESTED_VALUES - 1];
  const out = new Float32Array(to - from);
  for (let i = from; i < to; i++) {
    out[i - from] = Math.fround(map[codes[i]] * scales[Math.floor(i / NESTED_BLOCK)]) + mean;
  }
  return out;
}

/** Quantises all scales of a matrix into its parts 1, 2 and 3 (the table in four-bit.ts). Overwrites `scales`. */
export function packNestedScales(scales: Float32Array, parts: Parts): void {
  const [, codes, nested, tail] = parts;
  const mean = Math.fround(sum(scales) / scales.length);
  for (let i = 0; i < scales.length; i++) scales[i] -= mean;
  const outer = new Float32Array(Math.ceil(scales.length / NESTED_BLOCK));
  quantizeDynamic8(scales, NESTED_BLOCK, codes, outer);
  nested.set(bytesOf(outer));
  tail.set(bytesOf(Float32Array.of(...dynamicMap, mean)));
}

const VECTOR = 8;
const STREAMS = 4;
const LEVELS = 4;

/**
 * The sum in f32, added in PyTorch's order: vectors of eight numbers go to four streams in turn, and partial sums move up a cascade of
 * four levels. Fewer than eight numbers are added as vectors of one.
 */
function sum(values: Float32Array): number {
  const lanes = values.length < VECTOR ? 1 : VECTOR;
  const width = lanes * STREAMS;
  const vectors = Math.floor(values.length / lanes);
  const groups = Math.floor(vectors / STREAMS);
  const levels = Array.from({ length: LEVELS }, () => new Float32Array(width));
  const power = Math.max(4, Math.floor(Math.ceil(Math.log2(Math.max(groups, 1))) / LEVELS));
  const group = 2 ** power;
  const whole = groups - (groups % group);
  for (let g = 0; g < groups; g++) {
    for (let i = 0; i < width; i++) levels[0][i] += values[g * width + i];
    if (g >= whole || (g + 1) % group !== 0) continue;
    for (let level = 1; level < LEVELS; level++) {
      addInto(levels[level], levels[level - 1]);
      levels[level - 1].fill(0);
      if (Math.floor((g + 1) / group ** level) % group !== 0) break;
    }
  }
  const [total, ...higher] = levels;
  for (const level of higher) addInto(total, level);
  for (let v = groups * STREAMS; v < vectors; v++) {
    for (let i = 0; i < lanes; i++) total[i] += values[v * lanes + i];
  }
  for (let stream = 1; stream < STREAMS; stream++) {
    addInto(total, total.subarray(stream * lanes, (stream + 1) * lanes));
  }
  let rest = 0;
  for (let i = vectors * lanes; i < values.length; i++) rest = Math.fround(rest + values[i]);
  for (let i = 0; i < lanes; i++) rest = Math.fround(rest + total[i]);
  return rest;
}

function addInto(to: Float32Array, from: Float32Array): void {
  for (let i = 0; i < from.length; i++) to[i] += from[i];
}
