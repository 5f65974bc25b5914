// The layout of the cache's pages, which only the kernels of this folder know. Numbers are f32, bf16, f16, or int8 codes with one
// f32 scale for each column and key-value head.

import { FORMAT_BF16, FORMAT_F16, FORMAT_I8 } from "./header";
import { f16Limit, f16Mask, f16Ones, f16Scale, high, low, weight } from "./lanes";

// A page has 16 columns:
//   of      shape        order
//   K       [KV, 16]     transposed: attention loads the same number of all 16 columns at once
//   V       [16, width]  one such slice after the other, of 16 numbers each; the last has what is left
//   scales  [heads, 16]  transposed, for K and for V

// For f16: f16Mask and f16Scale of lanes.ts, and a mask of two f16 without their signs. In memory, for the reason that
// exponential.ts gives.
const HALF: usize = memory.data<u32>([0x8fffe000, 0x77800000, 0x7fff7fff]);
const HALF_AT: usize = memory.data<usize>([HALF]);

/** Bytes of one number. */
// @ts-ignore: decorator
@inline
export function bytesOfCache(format: i32): usize {
  return format == 0 ? 4 : format == FORMAT_I8 ? 1 : 2;
}

/** Writes `count` numbers, a multiple of 16, as f32. int8 codes are not scaled. */
export function widenCache(to: usize, from: usize, count: i32, format: i32): void {
  if (format == 0) widenAs<f32>(to, from, count);
  else if (format == FORMAT_BF16) widenAs<u16>(to, from, count);
  else if (format == FORMAT_F16 && isFinite16(from, count)) widenFinite(to, from, count);
  else if (format == FORMAT_F16) widenAs<i16>(to, from, count);
  else widenCodes(to, from, count);
}

/** Where number i of a column lies in a page of V, counted in numbers. */
// @ts-ignore: decorator
@inline
export function valueAt(i: i32, KV: i32, column: i32): i32 {
  const slice = i & ~15;
  return (slice << 4) + column * min(16, KV - slice) + (i & 15);
}

/** Writes numbers i … i + width − 1 of each column of a page of V as f32 [16, 16], with zeros beyond `width`. */
export function widenSlice(to: usize, page: usize, i: i32, width: i32, KV: i32, format: i32): void {
  const size = bytesOfCache(format);
  if (width == 16 && !(i & 15)) {
    widenCache(to, page + (<usize>i << 4) * size, 256, format);
    return;
  }
  for (let column = 0; column < 16; column++) {
    for (let n = 0; n < 16; n++) {
      store<f32>(to, n < width ? widenOne(page + <usize>valueAt(i + n, KV, column) * size, format) : 0);
      to += 4;
    }
  }
}

// @ts-ignore: decorator
@inline
function widenOne(from: usize, format: i32): f32 {
  if (format == 0) return load<f32>(from);
  if (format == FORMAT_I8) return <f32>load<i8>(from);
  return format == FORMAT_BF16 ? weight<u16>(from) : weight<i16>(from);
}

// @ts-ignore: decorator
@inline
function widenAs<F>(to: usize, from: usize, count: i32): void {
  const mask = f16Mask(), scale = f16Scale(), limit = f16Limit(), ones = f16Ones();
  const half = 8 * sizeof<F>();
  for (; count > 0; count -= 16) {
    const a = low<F>(from, mask, scale, limit, ones), b = high<F>(from, mask, scale, limit, ones);
    v128.store(to, b, 16);
    v128.store(to, a);
    const c = low<F>(from + half, mask, scale, limit, ones), d = high<F>(from + half, mask, scale, limit, ones);
    v128.store(to, d, 48);
    v128.store(to, c, 32);
    from += 16 * sizeof<F>();
    to += 64;
  }
}

/** Whether no exponent of `count` f16 is all ones. */
function isFinite16(from: usize, count: i32): bool {
  const sizes = v128.load_splat<u32>(load<usize>(HALF_AT), 8);
  let most = i16x8.splat(0), other = most;
  for (; count > 0; count -= 16) {
    most = i16x8.max_s(most, v128.and(v128.load(from), sizes));
    other = i16x8.max_s(other, v128.and(v128.load(from, 16), sizes));
    from += 32;
  }
  return !v128.any_true(i16x8.gt_s(i16x8.max_s(most, other), i16x8.splat(0x7bff)));
}

/** Widens f16 numbers that are all finite, which is half the work. */
function widenFinite(to: usize, from: usize, count: i32): void {
  const t = load<usize>(HALF_AT);
  const mask = v128.load_splat<u32>(t), scale = v128.load_splat<u32>(t, 4);
  for (; count > 0; count -= 16) {
    const a = f32x4.mul(v128.and(i32x4.shl(v128.load_ext<i16>(from), 13), mask), scale);
    const b = f32x4.mul(v128.and(i32x4.shl(v128.load_ext<i16>(from, 8), 13), mask), scale);
    v128.store(to, b, 16);
    v128.store(to, a);
    const c = f32x4.mul(v128.and(i32x4.shl(v128.load_ext<i16>(from, 16), 13), mask), scale);
    const d = f32x4.mul(v128.and(i32x4.shl(v128.load_ext<i16>(from, 24), 13), mask), scale);
    v128.store(to, d, 48);
    v128.store(to, c, 32);
    from += 32;
    to += 64;
  }
}

function widenCodes(to: usize, from: usize, count: i32): void {
  for (; count > 0; count -= 16) {
    const a = v128.load_ext<i8>(from), b = v128.load_ext<i8>(from, 8);
    v128.store(to, f32x4.convert_i32x4_s(i32x4.extend_low_i16x8_s(a)));
    v128.store(to, f32x4.convert_i32x4_s(i32x4.extend_high_i16x8_s(a)), 16);
    v128.store(to, f32x4.convert_i32x4_s(i32x4.extend_low_i16x8_s(b)), 32);
    v128.store(to, f32x4.convert_i32x4_s(i32x4.extend_high_i16x8_s(b)), 48);
    from += 16;
    to += 64;
  }
}

/** Stores x in the format that F stands for (lanes.ts), rounded to nearest, ties to even. */
// @ts-ignore: decorator
@inline
export function storeRounded<F>(to: usize, x: f32): void {
  if (sizeof<F>() == 4) store<f32>(to, x);
  else store<u16>(to, isSigned<F>() ? toF16(reinterpret<u32>(x)) : toBF16(reinterpret<u32>(x)));
}

// @ts-ignore: decorator
@inline
function toBF16(bits: u32): u32 {
  if ((bits & 0x7fffffff) > 0x7f800000) return (bits >> 16) | 0x40;
  return (bits + 0x7fff + ((bits >> 16) & 1)) >> 16;
}

// @ts-ignore: decorator
@inline
function toF16(bits: u32): u32 {
  const sign = (bits >> 16) & 0x8000, size = bits & 0x7fffffff;
  if (size > 0x7f800000) return sign | 0x7e00 | ((size >> 13) & 0x3ff);
  if (size >= 0x477ff000) return sign | 0x7c00;
  // Below 2⁻¹⁴ float16 has the unit 2⁻²⁴. So does f32 from 0.5 to 1, so that adding 0.5 rounds to it.
  if (size < 0x38800000) return sign | (reinterpret<u32>(reinterpret<f32>(size) + 0.5) - 0x3f000000);
  return sign | ((size - 0x38000000 + 0xfff + ((size >> 13) & 1)) >> 13);
}
