// Quantises blocks to nf4 or fp4, with an f32 scale each. The specification is src/formats/four-bit-pack.ts; what double quantisation
// makes of the scales is not done here.

import { INFINITE, largestMagnitude, loadNumbers } from "./quantize-source";

// The table that both types are read from (`rankTable` in ../quantizer.ts):
//   offset  bytes  content
//        0     60  f32: the largest number of each rank but the last
//       64     16  the code of each rank
const CODES: usize = 64;
const BOUNDS: i32 = 15;

/** The least divisor: 1e-38 in f32. */
const SMALLEST: f32 = 1e-38;

/**
 * Blocks [begin, end) of `block` numbers, a multiple of 32, of the `numbers` ones at `from`; the last may be shorter. False: a number is
 * NaN or infinite. scratch: a block as f32.
 */
export function quantizeFourBit(
  codes: usize, scales: usize, from: usize, format: i32, rounded: i32, numbers: i32, block: i32, table: usize,
  scratch: usize, begin: i32, end: i32,
): bool {
  for (let i = begin; i < end; i++) {
    const first = i * block, count = min(block, numbers - first);
    loadNumbers(scratch, from, first, count, format, rounded);
    const bits = largestMagnitude(scratch, count);
    if (bits >= INFINITE) return false;
    const scale = reinterpret<f32>(bits), least = max(scale, SMALLEST);
    const to = codes + <usize>(first >> 1), scaleAt = scales + (<usize>i << 2);
    if (count == block) {
      store<f32>(scaleAt, scale);
      encode(to, scratch, block, 1 / least, table);
    } else {
      store<f32>(scaleAt, least);
      encodeRest(to, scratch, count, least, table);
    }
  }
  return true;
}

/** The last block, if it is shorter: its numbers are divided by the scale, and an odd number of codes is padded with the code of 0. */
function encodeRest(to: usize, at: usize, count: i32, scale: f32, table: usize): void {
  const end = at + (<usize>count << 2), whole = at + (<usize>((count + 15) & ~15) << 2);
  memory.fill(end, 0, whole - end);
  for (let p = at; p < end; p += 4) store<f32>(p, load<f32>(p) / scale);
  encode(at, at, count, 1, table);
  memory.copy(to, at, (count + 1) >> 1);
}

/** The codes of `count` numbers · inverse, two in a byte, the first one in the high half; up to a multiple of 16. */
function encode(to: usize, from: usize, count: i32, inverse: f32, table: usize): void {
  const scale = f32x4.splat(inverse), order = v128.load(table, CODES), low = i16x8.splat(0xff);
  for (; count > 0; count -= 16) {
    const a = f32x4.mul(v128.load(from), scale), b = f32x4.mul(v128.load(from, 16), scale);
    const c = f32x4.mul(v128.load(from, 32), scale), d = f32x4.mul(v128.load(from, 48), scale);
    // A number's rank is how many bounds are smaller. A comparison gives −1 where it holds.
    let p = i32x4.splat(0), q = p, r = p, s = p;
    let at = table;
    for (let n = BOUNDS / 3; n > 0; --n) {
      const first = v128.load_splat<f32>(at), second = v128.load_splat<f32>(at, 4), third = v128.load_splat<f32>(at, 8);
      p = i32x4.sub(i32x4.sub(i32x4.sub(p, f32x4.gt(a, first)), f32x4.gt(a, second)), f32x4.gt(a, third));
      q = i32x4.sub(i32x4.sub(i32x4.sub(q, f32x4.gt(b, first)), f32x4.gt(b, second)), f32x4.gt(b, third));
      r = i32x4.sub(i32x4.sub(i32x4.sub(r, f32x4.gt(c, first)), f32x4.gt(c, second)), f32x4.gt(c, third));
      s = i32x4.sub(i32x4.sub(i32x4.sub(s, f32x4.gt(d, first)), f32x4.gt(d, second)), f32x4.gt(d, third));
      at += 12;
    }
    const ranks = i8x16.narrow_i16x8_s(i16x8.narrow_i32x4_s(p, q), i16x8.narrow_i32x4_s(r, s));
    const pairs = i8x16.swizzle(order, ranks);
    const bytes = v128.and(v128.or(i16x8.shl(pairs, 4), i16x8.shr_u(pairs, 8)), low);
    v128.store64_lane(to, i8x16.narrow_i16x8_u(bytes, bytes), 0);
    from += 64;
    to += 8;
  }
}
