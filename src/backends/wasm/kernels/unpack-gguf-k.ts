// Numbers of one row of GGUF's K types as f32, see src/formats/gguf-k.ts: blocks of 256 in runs of 16 or 32. p: the row's
// first block that is wanted; count: a multiple of 256. Bytes are shifted as words of 16 bits, one instruction, and masked.

import { half, scaled, spread } from "./unpack-gguf-lanes";

export function unpack_q2_k(to: usize, p: usize, count: i32): void {
  const two = i8x16.splat(3);
  for (; count > 0; count -= 256) {
    const d = half(p + 80), dmin = half(p + 82);
    for (let run = 0; run < 16; run++) {
      const scales = <u32>load<u8>(p + run);
      const codes = v128.load(p + 16 + ((run >> 3) << 5) + ((run & 1) << 4));
      const scale = f32x4.splat(d * <f32>(scales & 15)), minimum = f32x4.splat(dmin * <f32>(scales >> 4));
      spread(to, v128.and(i16x8.shr_u(codes, run & 6), two), scale, minimum);
      to += 64;
    }
    p += 84;
  }
}

/** The 6-bit scale of a run; the 12 bytes at p hold those of all 16 runs. */
// @ts-ignore: decorator
@inline
function q3Scale(p: usize, run: i32): i32 {
  const low = (<i32>load<u8>(p + (run & 7)) >> ((run >> 3) << 2)) & 15;
  return low | (((<i32>load<u8>(p + (run & 3), 8) >> ((run >> 2) << 1)) & 3) << 4);
}

export function unpack_q3_k(to: usize, p: usize, count: i32): void {
  const two = i8x16.splat(3), one = i8x16.splat(1), four = i8x16.splat(4);
  for (; count > 0; count -= 256) {
    const d = half(p + 108);
    for (let run = 0; run < 16; run++) {
      const high = p + ((run & 1) << 4);
      const codes = v128.and(i16x8.shr_u(v128.load(high + ((run >> 3) << 5), 32), run & 6), two);
      const third = i16x8.shl(v128.and(i16x8.shr_u(v128.load(high), run >> 1), one), 2);
      scaled(to, i8x16.sub(v128.or(codes, third), four), f32x4.splat(d * <f32>(q3Scale(p + 96, run) - 32)));
      to += 64;
    }
    p += 110;
  }
}

/** The 6-bit scale of a run; the 12 bytes at p hold the scales and the minima of all eight runs. */
// @ts-ignore: decorator
@inline
function scaleOf(p: usize, run: i32): f32 {
  if (run < 4) return <f32>(<u32>load<u8>(p + run) & 63);
  return <f32>((<u32>load<u8>(p + run, 4) & 15) | ((<u32>load<u8>(p + run - 4) >> 6) << 4));
}

// @ts-ignore: decorator
@inline
function minimumOf(p: usize, run: i32): f32 {
  if (run < 4) return <f32>(<u32>load<u8>(p + run, 4) & 63);
  return <f32>((<u32>load<u8>(p + run, 4) >> 4) | ((<u32>load<u8>(p + run) >> 6) << 4));
}

export function unpack_q4_k(to: usize, p: usize, count: i32): void {
  const nibble = i8x16.splat(15);
  for (; count > 0; count -= 256) {
    const d = half(p), dmin = half(p + 2);
    for (let run = 0; run < 8; run += 2) {
      const a = v128.load(p + (run << 4), 16), b = v128.load(p + (run << 4), 32);
      const scale = f32x4.splat(d * scaleOf(p + 4, run)), minimum = f32x4.splat(dmin * minimumOf(p + 4, run));
      spread(to, v128.and(a, nibble), scale, minimum);
      spread(to + 64, v128.and(b, nibble), scale, minimum);
      const Scale = f32x4.splat(d * scaleOf(p + 4, run + 1)), Minimum = f32x4.splat(dmin * minimumOf(p + 4, run + 1));
      spread(to + 128, v128.and(i16x8.shr_u(a, 4), nibble), Scale, Minimum);
      spread(to + 192, v128.and(i16x8.shr_u(b, 4), nibble), Scale, Minimum);
      to += 256;
    }
    p += 144;
  }
}

export function unpack_q5_k(to: usize, p: usize, count: i32): void {
  const nibble = i8x16.splat(15), one = i8x16.splat(1);
  for (; count > 0; count -= 256) {
    const d = half(p), dmin = half(p + 2);
    let fifthA = v128.load(p, 16), fifthB = v128.load(p, 32);
    for (let run = 0; run < 8; run += 2) {
      const a = v128.load(p + (run << 4), 48), b = v128.load(p + (run << 4), 64);
      const scale = f32x4.splat(d * scaleOf(p + 4, run)), minimum = f32x4.splat(dmin * minimumOf(p + 4, run));
      spread(to, v128.or(v128.and(a, nibble), i16x8.shl(v128.and(fifthA, one), 4)), scale, minimum);
      spread(to + 64, v128.or(v128.and(b, nibble), i16x8.shl(v128.and(fifthB, one), 4)), scale, minimum);
      fifthA = i16x8.shr_u(fifthA, 1);
      fifthB = i16x8.shr_u(fifthB, 1);
      const Scale = f32x4.splat(d * scaleOf(p + 4, run + 1)), Minimum = f32x4.splat(dmin * minimumOf(p + 4, run + 1));
      spread(to + 128, v128.or(v128.and(i16x8.shr_u(a, 4), nibble), i16x8.shl(v128.and(fifthA, one), 4)), Scale, Minimum);
      spread(to + 192, v128.or(v128.and(i16x8.shr_u(b, 4), nibble), i16x8.shl(v128.and(fifthB, one), 4)), Scale, Minimum);
      fifthA = i16x8.shr_u(fifthA, 1);
      fifthB = i16x8.shr_u(fifthB, 1);
      to += 256;
    }
    p += 176;
  }
}

/** Stores 16 numbers from codes of six bits: `top` has their high two bits, in bits 4 and 5. */
// @ts-ignore: decorator
@inline
function sixBits(to: usize, low: v128, top: v128, d: f32): void {
  scaled(to, i8x16.sub(v128.or(low, top), i8x16.splat(32)), f32x4.splat(d));
}

export function unpack_q6_k(to: usize, p: usize, count: i32): void {
  const nibble = i8x16.splat(15), two = i8x16.splat(48);
  for (; count > 0; count -= 256) {
    const d = half(p + 208);
    // runs r, r + 2, r + 4, r + 6 of the half block h share the high bits
    for (let i = 0; i < 4; i++) {
      const h = i >> 1, r = i & 1, scales = p + 192 + (h << 3) + r, out = to + (h << 9) + (r << 6);
      const a = v128.load(p + (h << 6) + (r << 4)), b = v128.load(p + (h << 6) + (r << 4), 32);
      const high = v128.load(p + (h << 5) + (r << 4), 128);
      const A = v128.and(i16x8.shr_u(a, 4), nibble), B = v128.and(i16x8.shr_u(b, 4), nibble);
      sixBits(out, v128.and(a, nibble), v128.and(i16x8.shl(high, 4), two), d * <f32>load<i8>(scales));
      sixBits(out + 128, v128.and(b, nibble), v128.and(i16x8.shl(high, 2), two), d * <f32>load<i8>(scales, 2));
      sixBits(out + 256, A, v128.and(high, two), d * <f32>load<i8>(scales, 4));
      sixBits(out + 384, B, v128.and(i16x8.shr_u(high, 2), two), d * <f32>load<i8>(scales, 6));
    }
    to += 1024;
    p += 210;
  }
}
