// Quantises rows to LLM.int8: rounded to f16, then integers from −127 to 127 with one scale a row. The specification is
// src/formats/llm-int8.ts.

import { INFINITE, largestMagnitude, loadNumbers, roundToF16 } from "./quantize-source";

/** 1.5 · 2²³: an f32 near it has a unit of 1, so that adding it rounds to nearest, ties to even. */
const MAGIC: f32 = 12582912;

/** Rows [begin, end) of the numbers at `from`. False: one of them is NaN, or beyond the numbers of f16. scratch: a row as f32. */
export function quantizeInt8(
  codes: usize, scales: usize, from: usize, format: i32, rounded: i32, K: i32, scratch: usize, begin: i32, end: i32,
): bool {
  for (let row = begin; row < end; row++) {
    loadNumbers(scratch, from, <usize>row * <usize>K, K, format, rounded);
    roundToF16(scratch, K);
    const bits = largestMagnitude(scratch, K);
    if (bits >= INFINITE) return false;
    const scale = reinterpret<f32>(bits);
    store<f32>(scales + (<usize>row << 2), scale);
    const to = codes + <usize>row * <usize>K;
    if (scale) roundRow(to, scratch, K, 1 / scale * 127);
    else memory.fill(to, 0, K);
  }
  return true;
}

function roundRow(to: usize, from: usize, count: i32, inverse: f32): void {
  const scale = f32x4.splat(inverse), magic = f32x4.splat(MAGIC);
  for (; count >= 16; count -= 16) {
    const a = f32x4.add(f32x4.mul(v128.load(from), scale), magic), b = f32x4.add(f32x4.mul(v128.load(from, 16), scale), magic);
    const c = f32x4.add(f32x4.mul(v128.load(from, 32), scale), magic), d = f32x4.add(f32x4.mul(v128.load(from, 48), scale), magic);
    // The integer is the difference of the bits.
    const low = i16x8.narrow_i32x4_s(i32x4.sub(a, magic), i32x4.sub(b, magic));
    const high = i16x8.narrow_i32x4_s(i32x4.sub(c, magic), i32x4.sub(d, magic));
    v128.store(to, i8x16.narrow_i16x8_s(low, high));
    from += 64;
    to += 16;
  }
  for (; count > 0; --count) {
    store<i8>(to++, reinterpret<i32>(load<f32>(from) * inverse + MAGIC) - reinterpret<i32>(MAGIC));
    from += 4;
  }
}
