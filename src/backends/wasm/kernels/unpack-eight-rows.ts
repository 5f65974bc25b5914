// unpack_q4, unpack_q8, unpack_q4k, unpack_q6k: numbers of one row of weights that lie in groups of 8 rows, as f32. Exactly what
// the bytes mean; layouts: src/formats/. p1, p2, p3 and param are not used: these formats have one part and no parameter.

import { f16Limit, f16Mask, f16Ones, f16Scale, weight } from "./lanes";

/** 16 codes, less the zero point, times the scale. */
// @ts-ignore: decorator
@inline
function storeCodes(to: usize, codes: v128, zero: v128, scale: v128): void {
  const low = i16x8.sub(i16x8.extend_low_i8x16_u(codes), zero), high = i16x8.sub(i16x8.extend_high_i8x16_u(codes), zero);
  v128.store(to, f32x4.mul(f32x4.convert_i32x4_s(i32x4.extend_low_i16x8_s(low)), scale));
  v128.store(to, f32x4.mul(f32x4.convert_i32x4_s(i32x4.extend_high_i16x8_s(low)), scale), 16);
  v128.store(to, f32x4.mul(f32x4.convert_i32x4_s(i32x4.extend_low_i16x8_s(high)), scale), 32);
  v128.store(to, f32x4.mul(f32x4.convert_i32x4_s(i32x4.extend_high_i16x8_s(high)), scale), 48);
}

/** Four runs of four codes, 32 bytes apart. */
// @ts-ignore: decorator
@inline
function gather(p: usize): v128 {
  return v128.load32_lane(p, v128.load32_lane(p, v128.load32_lane(p, v128.load32_zero(p), 1, 32), 2, 64), 3, 96);
}

// @ts-ignore: decorator
@inline
function splatScale(p: usize): v128 {
  return f32x4.splat(weight<i16>(p));
}

export function unpack_q4(
  to: usize, p0: usize, p1: usize, p2: usize, p3: usize, param: i32, K: i32, row: i32, k: i32, count: i32,
): void {
  const zero = i16x8.splat(8), mask = i8x16.splat(15);
  const r = <usize>(row & 7);
  let block = p0 + (<usize>(row >> 3) * <usize>((K + 31) >> 5) + <usize>(k >> 5)) * 144;
  for (; count >= 32; count -= 32) {
    const scale = splatScale(block + (r << 1)), codes = gather(block + 16 + (r << 2));
    storeCodes(to, v128.and(codes, mask), zero, scale);
    storeCodes(to + 64, i8x16.shr_u(codes, 4), zero, scale);
    to += 128;
    block += 144;
  }
  if (!count) return;
  const scale = weight<i16>(block + (r << 1));
  for (let i: usize = 0; i < <usize>count; i++) {
    const byte = <i32>load<u8>(block + 16 + (r << 2) + ((i & 12) << 3) + (i & 3));
    store<f32>(to + (i << 2), <f32>((i < 16 ? byte & 15 : byte >> 4) - 8) * scale);
  }
}

export function unpack_q8(
  to: usize, p0: usize, p1: usize, p2: usize, p3: usize, param: i32, K: i32, row: i32, k: i32, count: i32,
): void {
  const zero = i16x8.splat(128);
  const r = <usize>(row & 7);
  let block = p0 + (<usize>(row >> 3) * <usize>((K + 31) >> 5) + <usize>(k >> 5)) * 272;
  for (; count >= 32; count -= 32) {
    const scale = splatScale(block + (r << 1));
    storeCodes(to, gather(block + 16 + (r << 2)), zero, scale);
    storeCodes(to + 64, gather(block + 144 + (r << 2)), zero, scale);
    to += 128;
    block += 272;
  }
  if (!count) return;
  const scale = weight<i16>(block + (r << 1));
  for (let i: usize = 0; i < <usize>count; i++) {
    const byte = <i32>load<u8>(block + 16 + (r << 2) + ((i & 28) << 3) + (i & 3));
    store<f32>(to + (i << 2), <f32>(byte - 128) * scale);
  }
}

/** 16 codes times the scale, less the minimum. */
// @ts-ignore: decorator
@inline
function storeAbove(to: usize, codes: v128, scale: v128, minimum: v128): void {
  const low = i16x8.extend_low_i8x16_u(codes), high = i16x8.extend_high_i8x16_u(codes);
  v128.store(to, f32x4.sub(f32x4.mul(f32x4.convert_i32x4_s(i32x4.extend_low_i16x8_s(low)), scale), minimum));
  v128.store(to, f32x4.sub(f32x4.mul(f32x4.convert_i32x4_s(i32x4.extend_high_i16x8_s(low)), scale), minimum), 16);
  v128.store(to, f32x4.sub(f32x4.mul(f32x4.convert_i32x4_s(i32x4.extend_low_i16x8_s(high)), scale), minimum), 32);
  v128.store(to, f32x4.sub(f32x4.mul(f32x4.convert_i32x4_s(i32x4.extend_high_i16x8_s(high)), scale), minimum), 48);
}

/** `count` is a multiple of 256, like k and K. */
export function unpack_q4k(
  to: usize, p0: usize, p1: usize, p2: usize, p3: usize, param: i32, K: i32, row: i32, k: i32, count: i32,
): void {
  const mask = i8x16.splat(15);
  const r = <usize>(row & 7);
  let at = p0 + (<usize>(row >> 3) * <usize>(K >> 8) + <usize>(k >> 8)) * 1184;
  for (; count > 0; count -= 256) {
    const d = weight<i16>(at + (r << 1)), dmin = weight<i16>(at + 16 + (r << 1));
    let block = at + 32;
    for (let n = 8; n > 0; --n) {
      const scale = f32x4.splat(d * <f32>load<u8>(block + (r << 1)));
      const minimum = f32x4.splat(dmin * <f32>load<u8>(block + (r << 1), 1));
      const codes = gather(block + 16 + (r << 2));
      storeAbove(to, v128.and(codes, mask), scale, minimum);
      storeAbove(to + 64, i8x16.shr_u(codes, 4), scale, minimum);
      to += 128;
      block += 144;
    }
    at += 1184;
  }
}

export function unpack_q6k(
  to: usize, p0: usize, p1: usize, p2: usize, p3: usize, param: i32, K: i32, row: i32, k: i32, count: i32,
): void {
  const zero = i16x8.splat(32), mask = i8x16.splat(15), three = i8x16.splat(3);
  const r = <usize>(row & 7);
  let at = p0 + (<usize>(row >> 3) * <usize>(K >> 8) + <usize>(k >> 8)) * 1680;
  for (; count > 0; count -= 256) {
    const d = weight<i16>(at + (r << 1));
    let block = at + 16;
    for (let n = 8; n > 0; --n) {
      // Quads 0 to 3 and 4 to 7: pairs of the first 16 k and of the last 16 in turn.
      const low = gather(block + 16 + (r << 2));
      const high = v128.load32_lane(block + 144 + (r << 2), v128.load32_zero(block + 144 + (r << 2)), 1, 32);
      const twice = i8x16.shuffle(high, i8x16.shr_u(high, 2), 0, 1, 2, 3, 4, 5, 6, 7, 16, 17, 18, 19, 20, 21, 22, 23);
      const a = v128.or(v128.and(low, mask), i8x16.shl(v128.and(twice, three), 4));
      const b = v128.or(i8x16.shr_u(low, 4), i8x16.shl(v128.and(i8x16.shr_u(twice, 4), three), 4));
      const first = i8x16.shuffle(a, b, 0, 1, 4, 5, 8, 9, 12, 13, 16, 17, 20, 21, 24, 25, 28, 29);
      const last = i8x16.shuffle(a, b, 2, 3, 6, 7, 10, 11, 14, 15, 18, 19, 22, 23, 26, 27, 30, 31);
      storeCodes(to, first, zero, f32x4.splat(d * <f32>load<i8>(block + (r << 1))));
      storeCodes(to + 64, last, zero, f32x4.splat(d * <f32>load<i8>(block + (r << 1), 1)));
      to += 128;
      block += 208;
    }
    at += 1680;
  }
}
