// Vectors of four f32 lanes: the fused multiply-add of the build, reading weights of any format, folding lanes into sums.
// Pairs of vectors 16 bytes apart are computed together and stored high half first: V8 can then run them as one of 256 bits.

// @ts-ignore: decorator
@inline
export function madd(a: v128, b: v128, c: v128): v128 {
  if (ASC_FEATURE_RELAXED_SIMD) return f32x4.relaxed_madd(a, b, c);
  return f32x4.add(f32x4.mul(a, b), c);
}

/** Types that stand for weight formats: f32, u16 (bf16), i16 (f16). */
// @ts-ignore: decorator
@inline
export function bytesOf<F>(): usize {
  return sizeof<F>();
}

// f16: the bits shifted into an f32 are the number · 2⁻¹¹², subnormals included; infinities and NaNs get their exponent back.
// V8 builds a vector constant anew wherever it stands, so loops hold these four in locals.
// @ts-ignore: decorator
@inline
export function f16Mask(): v128 {
  return i32x4.splat(0x8fffe000);
}
// @ts-ignore: decorator
@inline
export function f16Scale(): v128 {
  return i32x4.splat(0x77800000);
}
// @ts-ignore: decorator
@inline
export function f16Limit(): v128 {
  return i32x4.splat(0x477fe000);
}
// @ts-ignore: decorator
@inline
export function f16Ones(): v128 {
  return i32x4.splat(0x7f800000);
}
// @ts-ignore: decorator
@inline
function widenF16(bits: v128, mask: v128, scale: v128, limit: v128, ones: v128): v128 {
  const number = f32x4.mul(v128.and(i32x4.shl(bits, 13), mask), scale);
  // Above the largest finite number, 65,504, the exponent was all ones.
  return v128.or(number, v128.and(f32x4.gt(f32x4.abs(number), limit), ones));
}

/** Four weights at p; mask, scale, limit, ones: the constants above. */
// @ts-ignore: decorator
@inline
export function low<F>(p: usize, mask: v128, scale: v128, limit: v128, ones: v128): v128 {
  if (sizeof<F>() == 4) return v128.load(p);
  if (isSigned<F>()) return widenF16(v128.load_ext<i16>(p), mask, scale, limit, ones);
  return i32x4.shl(v128.load_ext<u16>(p), 16);
}

/** The next four. */
// @ts-ignore: decorator
@inline
export function high<F>(p: usize, mask: v128, scale: v128, limit: v128, ones: v128): v128 {
  if (sizeof<F>() == 4) return v128.load(p, 16);
  if (isSigned<F>()) return widenF16(v128.load_ext<i16>(p, 8), mask, scale, limit, ones);
  return i32x4.shl(v128.load_ext<u16>(p, 8), 16);
}

/** One weight at p. */
// @ts-ignore: decorator
@inline
export function weight<F>(p: usize): f32 {
  if (sizeof<F>() == 4) return load<f32>(p);
  if (isSigned<F>()) return f32x4.extract_lane(widenF16(i32x4.splat(<i32>load<i16>(p)), f16Mask(), f16Scale(), f16Limit(), f16Ones()), 0);
  return reinterpret<f32>(<u32>load<u16>(p) << 16);
}

/** (s₀ + s₂) + (s₁ + s₃): the one order in which four lanes become a number. */
// @ts-ignore: decorator
@inline
export function fold(s: v128): f32 {
  const half = f32x4.add(s, i8x16.shuffle(s, s, 8, 9, 10, 11, 12, 13, 14, 15, 0, 1, 2, 3, 4, 5, 6, 7));
  return f32x4.extract_lane(half, 0) + f32x4.extract_lane(half, 1);
}

/** fold of four vectors at once. */
// @ts-ignore: decorator
@inline
export function fold4(a: v128, b: v128, c: v128, d: v128): v128 {
  const ab = f32x4.add(
    i8x16.shuffle(a, b, 0, 1, 2, 3, 4, 5, 6, 7, 16, 17, 18, 19, 20, 21, 22, 23),
    i8x16.shuffle(a, b, 8, 9, 10, 11, 12, 13, 14, 15, 24, 25, 26, 27, 28, 29, 30, 31),
  );
  const cd = f32x4.add(
    i8x16.shuffle(c, d, 0, 1, 2, 3, 4, 5, 6, 7, 16, 17, 18, 19, 20, 21, 22, 23),
    i8x16.shuffle(c, d, 8, 9, 10, 11, 12, 13, 14, 15, 24, 25, 26, 27, 28, 29, 30, 31),
  );
  return f32x4.add(
    i8x16.shuffle(ab, cd, 0, 1, 2, 3, 8, 9, 10, 11, 16, 17, 18, 19, 24, 25, 26, 27),
    i8x16.shuffle(ab, cd, 4, 5, 6, 7, 12, 13, 14, 15, 20, 21, 22, 23, 28, 29, 30, 31),
  );
}

/** The pair of vectors at p as one: low + high. */
// @ts-ignore: decorator
@inline
export function pairSum(p: usize): v128 {
  return f32x4.add(v128.load(p), v128.load(p, 16));
}

/** The sums of the lanes of four vectors of integers. */
// @ts-ignore: decorator
@inline
export function sumsOfFour(a: v128, b: v128, c: v128, d: v128): v128 {
  const ab = i32x4.add(firstHalves(a, b), lastHalves(a, b)), cd = i32x4.add(firstHalves(c, d), lastHalves(c, d));
  return i32x4.add(
    i8x16.shuffle(ab, cd, 0, 1, 2, 3, 4, 5, 6, 7, 16, 17, 18, 19, 20, 21, 22, 23),
    i8x16.shuffle(ab, cd, 8, 9, 10, 11, 12, 13, 14, 15, 24, 25, 26, 27, 28, 29, 30, 31),
  );
}
// Lanes 0 and 1 of two vectors in turn (a₀ b₀ a₁ b₁), and lanes 2 and 3 (a₂ b₂ a₃ b₃).
// @ts-ignore: decorator
@inline
export function firstHalves(a: v128, b: v128): v128 {
  return i8x16.shuffle(a, b, 0, 1, 2, 3, 16, 17, 18, 19, 4, 5, 6, 7, 20, 21, 22, 23);
}
// @ts-ignore: decorator
@inline
export function lastHalves(a: v128, b: v128): v128 {
  return i8x16.shuffle(a, b, 8, 9, 10, 11, 24, 25, 26, 27, 12, 13, 14, 15, 28, 29, 30, 31);
}

/** Stores the first `count` lanes, up to four. */
// @ts-ignore: decorator
@inline
export function storeSome(y: usize, v: v128, count: i32): void {
  if (count == 4) {
    v128.store(y, v);
    return;
  }
  store<f32>(y, f32x4.extract_lane(v, 0));
  if (count > 1) store<f32>(y, f32x4.extract_lane(v, 1), 4);
  if (count > 2) store<f32>(y, f32x4.extract_lane(v, 2), 8);
}

/** The largest lane, or NaN. */
// @ts-ignore: decorator
@inline
export function largestLane(v: v128): f32 {
  return max(
    max(f32x4.extract_lane(v, 0), f32x4.extract_lane(v, 1)), max(f32x4.extract_lane(v, 2), f32x4.extract_lane(v, 3)),
  );
}

/** Stores four lanes `step` bytes apart, except those that would lie at `end` or beyond. */
// @ts-ignore: decorator
@inline
export function scatter(y: usize, step: usize, end: usize, v: v128): void {
  store<f32>(y, f32x4.extract_lane(v, 0));
  if (y + step < end) store<f32>(y + step, f32x4.extract_lane(v, 1));
  if (y + 2 * step < end) store<f32>(y + 2 * step, f32x4.extract_lane(v, 2));
  if (y + 3 * step < end) store<f32>(y + 3 * step, f32x4.extract_lane(v, 3));
}
