// Products of int8 activations with unsigned codes of at most 7 bits, summed as integers, and how the sums become f32.
// The builds with and without relaxed SIMD give the same bits, but for the rounding of madd. Knows no layouts.

import { madd } from "./lanes";

/** 2¹¹²: the bits of an f16, shifted into an f32, are the number · 2⁻¹¹². This factor makes up for it. */
export const F16_BIAS: f32 = 5.192296858534828e33;

/**
 * t + x · w in eight i16 lanes, each with the products of two neighbouring bytes: x is signed, w from 0 to 127. Sums are modulo 2¹⁶:
 * those on the way may wrap around, as long as the last one fits.
 */
// @ts-ignore: decorator
@inline
export function mac(t: v128, x: v128, w: v128): v128 {
  if (ASC_FEATURE_RELAXED_SIMD) return i16x8.add(t, i16x8.relaxed_dot_i8x16_i7x16_s(x, w));
  const low = i32x4.dot_i16x8_s(i16x8.extend_low_i8x16_s(x), i16x8.extend_low_i8x16_s(w));
  const high = i32x4.dot_i16x8_s(i16x8.extend_high_i8x16_s(x), i16x8.extend_high_i8x16_s(w));
  return i16x8.add(t, i16x8.narrow_i32x4_s(low, high));
}

/** t + x · w in four i32 lanes, each with the products of four neighbouring bytes; w is at most 127, as above. */
// @ts-ignore: decorator
@inline
export function mac32(t: v128, x: v128, w: v128): v128 {
  if (ASC_FEATURE_RELAXED_SIMD) return i32x4.relaxed_dot_i8x16_i7x16_add_s(x, w, t);
  return i32x4.add(t, i32x4.dot_i16x8_s(mac(i32x4.splat(0), x, w), i16x8.splat(1)));
}

/** sum + integers · (d · scale) in four lanes: every block is added in this order, so that it is rounded alike everywhere. */
// @ts-ignore: decorator
@inline
export function addBlock(sum: v128, integers: v128, d: v128, scale: v128): v128 {
  return madd(f32x4.convert_i32x4_s(integers), f32x4.mul(d, scale), sum);
}

/** Mask for an f16 that was sign-extended to 32 bits and shifted left by 13: what stays is the number · 2⁻¹¹². */
// @ts-ignore: decorator
@inline
export function scaleMask(): v128 {
  return i32x4.splat(0x8fffe000);
}

/** Four f16 numbers at p, each · 2⁻¹¹². They are finite. */
// @ts-ignore: decorator
@inline
export function scales(p: usize, mask: v128): v128 {
  return v128.and(i32x4.shl(v128.load_ext<i16>(p), 13), mask);
}

/** sum + product of two vectors. */
// @ts-ignore: decorator
@inline
export function addProduct(sum: v128, a: v128, b: v128): v128 {
  return madd(a, b, sum);
}

/** d · the sum of the two values at which sums start: d · -8 · Σx of a block. */
// @ts-ignore: decorator
@inline
export function sumOfStart(start: v128, d: v128, ones: v128): v128 {
  return f32x4.mul(f32x4.convert_i32x4_s(i32x4.dot_i16x8_s(start, ones)), d);
}
