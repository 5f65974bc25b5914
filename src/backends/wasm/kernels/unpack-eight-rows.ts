// unpack_q4, _q4r, _q6r, _q8, _q4k, _q6k: numbers of one row of weights that lie in groups of 8 rows, as f32. Exactly what
// the bytes mean; layouts: src/formats/. p1 is the second part of q4r and q6r; p2, p3 and param are not used.

import { f16Limit, f16Mask, f16Ones, f16Scale, weight } from "./lanes";

/** Stores 16 numbers: codes less the zero point, times the scale. */
// @ts-ignore: decorator
@inline
function storeCodes(to: usize, codes: v128, zero: v128, scale: v128): void {
  const low = i16x8.sub(i16x8.extend_low_i8x16_u(codes), zero), high = i16x8.sub(i16x8.extend_high_i8x16_u(codes), zero);
  v128.store(to, f32x4.mul(f32x4.convert_i32x4_s(i32x4.extend_low_i16x8_s(low)), scale));
  v128.store(to, f32x4.mul(f32x4.convert_i32x4_s(i32x4.extend_high_i16x8_s(low)), scale), 16);
  v128.store(to, f32x4.mul(f32x4.convert_i32x4_s(i32x4.extend_low_i16x8_s(high)), scale), 32);
  v128.store(to, f32x4.mul(f32x4.convert_i32x4_s(i32x4.extend_high_i16x8_s(high)), scale), 48);
}

/** The four bytes at p, and those 32, 64 and 96 bytes further. */
// @ts-ignore: decorator
@inline
function gather(p: usize): v128 {
  return v128.load32_lane(p, v128.load32_lane(p, v128.load32_lane(p, v128.load32_zero(p), 1, 32), 2, 64), 3, 96);
}

/**
 * The high bits of codes, from two runs 32 bytes apart. Byte i of the result has those of code i, of quads 0 to 3, in bits 0 and 1,
 * and those of code i + 16, of quads 4 to 7, in bits 4 and 5.
 */
// @ts-ignore: decorator
@inline
function twoRuns(p: usize): v128 {
  const high = v128.load32_lane(p, v128.load32_zero(p), 1, 32);
  return i8x16.shuffle(high, i8x16.shr_u(high, 2), 0, 1, 2, 3, 4, 5, 6, 7, 16, 17, 18, 19, 20, 21, 22, 23);
}

// @ts-ignore: decorator
@inline
function splatScale(p: usize): v128 {
  return f32x4.splat(weight<i16>(p));
}

/** The scale of row r of a block. F: u8 is q4; u32 are formats in which it is multiplied by the row's scale, which is at `ofRow`. */
// @ts-ignore: decorator
@inline
function scaleOf<F>(ofRow: usize, block: usize, r: usize): f32 {
  if (sizeof<F>() == 1) return weight<i16>(block + (r << 1));
  return load<f32>(ofRow) * <f32>load<i8>(block + r);
}

// @ts-ignore: decorator
@inline
function unpackNibbles<F>(to: usize, p0: usize, p1: usize, K: i32, row: i32, k: i32, count: i32): void {
  const codesAt: usize = sizeof<F>() == 1 ? 16 : 8, size: usize = codesAt + 128;
  const zero = i16x8.splat(8), mask = i8x16.splat(15);
  const r = <usize>(row & 7);
  const ofRow = p1 + (<usize>row << 2);
  let block = p0 + (<usize>(row >> 3) * <usize>((K + 31) >> 5) + <usize>(k >> 5)) * size;
  for (; count >= 32; count -= 32) {
    const scale = f32x4.splat(scaleOf<F>(ofRow, block, r)), codes = gather(block + codesAt + (r << 2));
    storeCodes(to, v128.and(codes, mask), zero, scale);
    storeCodes(to + 64, i8x16.shr_u(codes, 4), zero, scale);
    to += 128;
    block += size;
  }
  if (!count) return;
  const scale = scaleOf<F>(ofRow, block, r);
  for (let i: usize = 0; i < <usize>count; i++) {
    const byte = <i32>load<u8>(block + codesAt + (r << 2) + ((i & 12) << 3) + (i & 3));
    store<f32>(to + (i << 2), <f32>((i < 16 ? byte & 15 : byte >> 4) - 8) * scale);
  }
}

export function unpack_q4(
  to: usize, p0: usize, p1: usize, p2: usize, p3: usize, param: i32, K: i32, row: i32, k: i32, count: i32,
): void {
  unpackNibbles<u8>(to, p0, p1, K, row, k, count);
}

export function unpack_q4r(
  to: usize, p0: usize, p1: usize, p2: usize, p3: usize, param: i32, K: i32, row: i32, k: i32, count: i32,
): void {
  unpackNibbles<u32>(to, p0, p1, K, row, k, count);
}

export function unpack_q6r(
  to: usize, p0: usize, p1: usize, p2: usize, p3: usize, param: i32, K: i32, row: i32, k: i32, count: i32,
): void {
  const zero = i16x8.splat(32), mask = i8x16.splat(15), three = i8x16.splat(3);
  const r = <usize>(row & 7);
  const ofRow = p1 + (<usize>row << 2);
  let block = p0 + (<usize>(row >> 3) * <usize>((K + 31) >> 5) + <usize>(k >> 5)) * 200;
  for (; count >= 32; count -= 32) {
    const scale = f32x4.splat(scaleOf<u32>(ofRow, block, r)), at = block + 8 + (r << 2);
    const low = gather(at), high = twoRuns(at + 128);
    storeCodes(to, v128.or(v128.and(low, mask), i8x16.shl(v128.and(high, three), 4)), zero, scale);
    storeCodes(to + 64, v128.or(i8x16.shr_u(low, 4), i8x16.shl(v128.and(i8x16.shr_u(high, 4), three), 4)), zero, scale);
    to += 128;
    block += 200;
  }
  if (!count) return;
  const scale = scaleOf<u32>(ofRow, block, r), at = block + 8 + (r << 2);
  for (let i: usize = 0; i < <usize>count; i++) {
    const low = <i32>load<u8>(at + ((i & 12) << 3) + (i & 3)) >> (<i32>i & 16 ? 4 : 0);
    const high = <i32>load<u8>(at + 128 + ((i & 4) << 3) + (i & 3)) >> ((<i32>i & 24) >> 2);
    store<f32>(to + (i << 2), <f32>(((low & 15) | ((high & 3) << 4)) - 32) * scale);
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

/** Stores 16 numbers: codes times the scale, less the minimum. */
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
      // a: quads 0 to 3, b: quads 4 to 7. In both, pairs of the block's first 16 k and of its last 16 k lie in turn.
      const low = gather(block + 16 + (r << 2)), twice = twoRuns(block + 144 + (r << 2));
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
