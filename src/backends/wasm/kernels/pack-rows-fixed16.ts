// pack_rows_fixed16: rows of activations in 16-bit fixed point, in the order in which linear_fixed16 reads them, or machine code
// (../../native/four-bit-words.ts). A number is an i16 times the scale of its block of 64. The scale is as small as 32-bit sums of products with weights of at most MOST_WEIGHT allow.
// So a number is off by at most a 10,600th of its block's mean size (or a 65,000th of the largest); in float16 it would be by a
// 2,048th of itself. Knows no weights.

import { PLANE_BLOCK } from "../../native/four-bit-words";
import { largestLane } from "./lanes";

// A packed row of K numbers, a multiple of 64:
//   offset  bytes  content
//        0    2·K  blocks of 64 i16: of each 32 numbers the even ones, then the odd ones
//      2·K   K/16  the scale of each block, f32

/** The largest weight, in units of linear_fixed16. */
const MOST_WEIGHT: i32 = 6283;
/** The most that the sizes of 64 i16 may sum to. Of the 64 taken off, 32 are for rounding them, a half each, 32 for that of the sum. */
const MOST_SUM: f32 = <f32>(i32.MAX_VALUE / MOST_WEIGHT - 64);
const MOST: f32 = 32767;
/** A block whose sizes sum to less counts as zeros: the inverse of its scale might be infinite. */
export const LEAST_SUM: f32 = 7.888609052210118e-31; // 2⁻¹⁰⁰

/** Bytes of a packed row. */
// @ts-ignore: decorator
@inline
export function fixedRowBytes(K: i32): usize {
  return (<usize>K >> 6) * 132;
}

/** Rows [begin, end) of x [rows, K], one after the other. `planes`: in the order that machine code reads. */
export function pack_rows_fixed16(to: usize, x: usize, K: i32, rows: i32, planes: i32, begin: i32, end: i32): void {
  const blocks = K >> 6;
  let from = x + <usize>begin * (<usize>K << 2);
  if (planes) {
    for (let row = begin; row < end; row++) {
      packPlanes(to, from, blocks, rows, row);
      from += <usize>K << 2;
    }
    return;
  }
  to += <usize>begin * fixedRowBytes(K);
  for (let t = begin; t < end; t++) {
    let scales = to + (<usize>blocks << 7);
    for (let b = 0; b < blocks; b++) {
      const scale = scaleOf(from);
      store<f32>(scales, scale);
      packBlock(to, from, scale);
      from += 256;
      to += 128;
      scales += 4;
    }
    to = scales;
  }
}

function packPlanes(to: usize, x: usize, blocks: usize, rows: i32, row: i32): void {
  const count = blocks * <usize>rows, plane = count * PLANE_BLOCK;
  let at = to + (<usize>row << 2), codes = to + (count << 2) + <usize>row * PLANE_BLOCK;
  for (; blocks > 0; --blocks) {
    const scale = scaleOf(x);
    store<f32>(at, scale);
    const inverse = f32x4.splat(scale == 0 ? 0 : 1 / scale);
    for (let half: usize = 0; half < 32; half += 16) {
      const a = eight(x, inverse), b = eight(x + 32, inverse), c = eight(x + 64, inverse), d = eight(x + 96, inverse);
      const evenLow = evens(a, b), evenHigh = evens(c, d), oddLow = odds(a, b), oddHigh = odds(c, d);
      v128.store(codes + half, evens(evenLow, evenHigh));
      v128.store(codes + plane + half, evens(oddLow, oddHigh));
      v128.store(codes + 2 * plane + half, odds(evenLow, evenHigh));
      v128.store(codes + 3 * plane + half, odds(oddLow, oddHigh));
      x += 128;
    }
    at += <usize>rows << 2;
    codes += <usize>rows * PLANE_BLOCK;
  }
}

/** The scale of a block: 0 for zeros; not finite when a number is not. */
function scaleOf(x: usize): f32 {
  let sum = f32x4.splat(0), most = f32x4.splat(0);
  for (let i: usize = 0; i < 256; i += 16) {
    const size = f32x4.abs(v128.load(x + i));
    sum = f32x4.add(sum, size);
    most = f32x4.max(most, size);
  }
  const all = f32x4.extract_lane(sum, 0) + f32x4.extract_lane(sum, 1) + (f32x4.extract_lane(sum, 2) + f32x4.extract_lane(sum, 3));
  if (all < LEAST_SUM) return 0;
  return max(all / MOST_SUM, largestLane(most) / MOST);
}

/** Packs 64 numbers: of each 32 the even ones, then the odd ones. */
function packBlock(to: usize, x: usize, scale: f32): void {
  const inverse = f32x4.splat(scale == 0 ? 0 : 1 / scale);
  for (let half = 0; half < 2; half++) {
    const a = eight(x, inverse), b = eight(x + 32, inverse), c = eight(x + 64, inverse), d = eight(x + 96, inverse);
    v128.store(to, evens(a, b));
    v128.store(to, evens(c, d), 16);
    v128.store(to, odds(a, b), 32);
    v128.store(to, odds(c, d), 48);
    to += 64;
    x += 128;
  }
}

/** Eight numbers as i16, times `inverse`. */
// @ts-ignore: decorator
@inline
export function eight(x: usize, inverse: v128): v128 {
  return i16x8.narrow_i32x4_s(rounded(v128.load(x), inverse), rounded(v128.load(x, 16), inverse));
}

// @ts-ignore: decorator
@inline
function rounded(x: v128, inverse: v128): v128 {
  return i32x4.trunc_sat_f32x4_s(f32x4.nearest(f32x4.mul(x, inverse)));
}

// The even and the odd lanes of two vectors.
// @ts-ignore: decorator
@inline
export function evens(a: v128, b: v128): v128 {
  return i8x16.shuffle(a, b, 0, 1, 4, 5, 8, 9, 12, 13, 16, 17, 20, 21, 24, 25, 28, 29);
}

// @ts-ignore: decorator
@inline
export function odds(a: v128, b: v128): v128 {
  return i8x16.shuffle(a, b, 2, 3, 6, 7, 10, 11, 14, 15, 18, 19, 22, 23, 26, 27, 30, 31);
}
