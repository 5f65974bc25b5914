// The numbers that are quantised: widened to f32 in the thread's scratch, and rounded first where the model's dtype is a smaller one.
// Also their largest magnitude. Magnitudes are compared by their bits, as integers: NaN and infinity are then larger than all others.

import { FORMAT_BF16, FORMAT_F16 } from "./header";
import { widenRow } from "./widen";

/** Magnitudes from here on are infinite or NaN. */
export const INFINITE: i32 = 0x7f800000;

/**
 * Writes `count` numbers, from number `first` on, as f32, rounded to format `rounded` (0: as they are), and then zeros up to a
 * multiple of four. Rounding may change the sign of a zero.
 */
export function loadNumbers(to: usize, from: usize, first: usize, count: i32, format: i32, rounded: i32): void {
  widenRow(to, from, first, count, format);
  memory.fill(to + (<usize>count << 2), 0, <usize>(-count & 3) << 2);
  if (rounded == FORMAT_F16) roundToF16(to, count);
  else if (rounded == FORMAT_BF16) roundToBF16(to, count);
}

/** Rounds f32 numbers to those that f16 has. */
export function roundToF16(at: usize, count: i32): void {
  const size = i32x4.splat(0x7fffffff), half = i32x4.splat(0xfff), one = i32x4.splat(1), kept = i32x4.splat(~0x1fff);
  // Below 2⁻¹⁴ the unit of f16 is 2⁻²⁴, which is that of f32 around 0.75. 65,520 and above round to infinity.
  const unit = f32x4.splat(0.75), normal = i32x4.splat(0x38800000), beyond = i32x4.splat(0x477fefff), infinite = i32x4.splat(INFINITE);
  for (; count > 0; count -= 4) {
    const v = v128.load(at), magnitude = v128.and(v, size);
    const last = v128.and(i32x4.shr_u(v, 13), one);
    const rounded = v128.and(i32x4.add(i32x4.add(v, half), last), kept);
    const small = f32x4.sub(f32x4.add(v, unit), unit);
    const finite = v128.bitselect(small, rounded, i32x4.lt_s(magnitude, normal));
    v128.store(at, v128.or(finite, v128.and(i32x4.gt_s(magnitude, beyond), infinite)));
    at += 16;
  }
}

function roundToBF16(at: usize, count: i32): void {
  const size = i32x4.splat(0x7fffffff), half = i32x4.splat(0x7fff), one = i32x4.splat(1), kept = i32x4.splat(0xffff0000);
  const infinite = i32x4.splat(INFINITE), largest = i32x4.splat(INFINITE - 1);
  for (; count > 0; count -= 4) {
    const v = v128.load(at);
    const last = v128.and(i32x4.shr_u(v, 16), one);
    const rounded = v128.and(i32x4.add(i32x4.add(v, half), last), kept);
    // The sum of a NaN may overflow to a number.
    const broken = v128.and(i32x4.gt_s(v128.and(v, size), largest), infinite);
    v128.store(at, v128.or(rounded, broken));
    at += 16;
  }
}

/** The bits of the largest magnitude of `count` f32, with zeros up to a multiple of four. */
export function largestMagnitude(at: usize, count: i32): i32 {
  const size = i32x4.splat(0x7fffffff);
  let a = i32x4.splat(0), b = a;
  for (; count > 4; count -= 8) {
    a = i32x4.max_s(a, v128.and(v128.load(at), size));
    b = i32x4.max_s(b, v128.and(v128.load(at, 16), size));
    at += 32;
  }
  if (count > 0) a = i32x4.max_s(a, v128.and(v128.load(at), size));
  return largestOfLanes(i32x4.max_s(a, b));
}

// @ts-ignore: decorator
@inline
export function largestOfLanes(v: v128): i32 {
  const half = i32x4.max_s(v, i8x16.shuffle(v, v, 8, 9, 10, 11, 12, 13, 14, 15, 0, 1, 2, 3, 4, 5, 6, 7));
  return max(i32x4.extract_lane(half, 0), i32x4.extract_lane(half, 1));
}
