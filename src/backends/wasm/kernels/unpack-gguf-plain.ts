// Numbers of one row of GGUF's plain types as f32, see src/formats/gguf-plain.ts: blocks of 32. p: the row's first block
// that is wanted; count: a multiple of 32.

import { half, scaled, spread } from "./unpack-gguf-lanes";

export function unpack_q4_0(to: usize, p: usize, count: i32): void {
  const nibble = i8x16.splat(15), eight = i8x16.splat(8);
  for (; count > 0; count -= 32) {
    const d = f32x4.splat(half(p)), codes = v128.load(p, 2);
    scaled(to, i8x16.sub(v128.and(codes, nibble), eight), d);
    scaled(to + 64, i8x16.sub(v128.and(i16x8.shr_u(codes, 4), nibble), eight), d);
    to += 128;
    p += 18;
  }
}

export function unpack_q4_1(to: usize, p: usize, count: i32): void {
  const nibble = i8x16.splat(15);
  for (; count > 0; count -= 32) {
    const d = f32x4.splat(half(p)), m = f32x4.splat(-half(p + 2)), codes = v128.load(p, 4);
    spread(to, v128.and(codes, nibble), d, m);
    spread(to + 64, v128.and(i16x8.shr_u(codes, 4), nibble), d, m);
    to += 128;
    p += 20;
  }
}

/** The fifth bits of 16 codes: lane i is 16 if bit i of the two bytes at p is set, else 0. */
// @ts-ignore: decorator
@inline
function fifth(p: usize): v128 {
  const bits = i8x16(1, 2, 4, 8, 16, 32, 64, -128, 1, 2, 4, 8, 16, 32, 64, -128);
  const bytes = i8x16.swizzle(v128.load16_splat(p), i8x16(0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1));
  return v128.and(i8x16.eq(v128.and(bytes, bits), bits), i8x16.splat(16));
}

export function unpack_q5_0(to: usize, p: usize, count: i32): void {
  const nibble = i8x16.splat(15), sixteen = i8x16.splat(16);
  for (; count > 0; count -= 32) {
    const d = f32x4.splat(half(p)), codes = v128.load(p, 6);
    scaled(to, i8x16.sub(v128.or(v128.and(codes, nibble), fifth(p + 2)), sixteen), d);
    scaled(to + 64, i8x16.sub(v128.or(v128.and(i16x8.shr_u(codes, 4), nibble), fifth(p + 4)), sixteen), d);
    to += 128;
    p += 22;
  }
}

export function unpack_q5_1(to: usize, p: usize, count: i32): void {
  const nibble = i8x16.splat(15);
  for (; count > 0; count -= 32) {
    const d = f32x4.splat(half(p)), m = f32x4.splat(-half(p + 2)), codes = v128.load(p, 8);
    spread(to, v128.or(v128.and(codes, nibble), fifth(p + 4)), d, m);
    spread(to + 64, v128.or(v128.and(i16x8.shr_u(codes, 4), nibble), fifth(p + 6)), d, m);
    to += 128;
    p += 24;
  }
}

export function unpack_q8_0(to: usize, p: usize, count: i32): void {
  for (; count > 0; count -= 32) {
    const d = f32x4.splat(half(p));
    scaled(to, v128.load(p, 2), d);
    scaled(to + 64, v128.load(p, 18), d);
    to += 128;
    p += 34;
  }
}
