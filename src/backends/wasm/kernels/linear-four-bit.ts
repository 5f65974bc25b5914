// Reads 4-bit weights for linear-packed.ts: faster than unpack, with the same bits. The two values of a byte are loaded from a table
// in the first-level cache; swizzles would be slower, since they all need the processor's shuffle unit. For one row of x the
// unpacked weights stay in registers. Only for rows of a multiple of 64 numbers and blocks of 64 numbers or more.

import { absmaxOf, fourRows, isFp4 } from "./absmax";
import { FORMAT_FP4_DQ, FORMAT_NF4, FORMAT_NF4_DQ } from "./header";
import { firstHalves, fold4, lastHalves, madd, pairSum, scatter } from "./lanes";
import { BLOCK } from "./linear";
import { FOUR_BIT_ABSMAX, FOUR_BIT_PAIRS } from "./scratch";
import { bytes0, bytes1, bytes2, bytes3, pairHigh, pairLow, zipHigh, zipLow } from "./unpack-four-bit";

/** Fills the table: for each of the 256 bytes its two values as f32, 2048 bytes in all. */
export function fillPairs(to: usize, format: i32): void {
  if (isFp4(format)) fill<i8>(to);
  else fill<u8>(to);
}

/** F: u8 is nf4, i8 fp4. */
function fill<F>(to: usize): void {
  const t0 = bytes0<F>(), t1 = bytes1<F>(), t2 = bytes2<F>(), t3 = bytes3<F>();
  // The 16 values, four in a vector. They are kept where the last pairs will be written.
  const values = to + 1984;
  const low = zipLow(t0, t1), high = zipLow(t2, t3), low2 = zipHigh(t0, t1), high2 = zipHigh(t2, t3);
  const a = pairLow(low, high), b = pairHigh(low, high), c = pairLow(low2, high2), d = pairHigh(low2, high2);
  v128.store(values, a);
  v128.store(values, b, 16);
  v128.store(values, c, 32);
  v128.store(values, d, 48);
  for (let first: usize = 0; first < 64; first += 4) {
    const v = v128.load_splat<f32>(values + first);
    v128.store(to, firstHalves(v, a));
    v128.store(to, lastHalves(v, a), 16);
    v128.store(to, firstHalves(v, b), 32);
    v128.store(to, lastHalves(v, b), 48);
    v128.store(to, firstHalves(v, c), 64);
    v128.store(to, lastHalves(v, c), 80);
    v128.store(to, firstHalves(v, d), 96);
    v128.store(to, lastHalves(v, d), 112);
    to += 128;
  }
}

/** The four values of two bytes. */
// @ts-ignore: decorator
@inline
function four(pairs: usize, w: usize): v128 {
  return v128.load64_lane(pairs + (<usize>load<u8>(w, 1) << 3), v128.load64_zero(pairs + (<usize>load<u8>(w) << 3)), 1);
}

/** Four rows of w times `count` · 64 k of x: pairs of sums at `to`. */
function fourByOne(
  to: usize, x: usize, w0: usize, w1: usize, w2: usize, w3: usize, absmax: usize, count: i32, pairs: usize,
): void {
  const zero = i32x4.splat(0);
  let a = zero, A = zero, b = zero, B = zero, c = zero, C = zero, d = zero, D = zero;
  // Half of 64 k a round.
  for (let n = count << 1; n > 0; --n) {
    const s0 = v128.load_splat<f32>(absmax), s1 = v128.load_splat<f32>(absmax, 4);
    const s2 = v128.load_splat<f32>(absmax, 8), s3 = v128.load_splat<f32>(absmax, 12);
    let p = v128.load(x);
    a = madd(f32x4.mul(four(pairs, w0), s0), p, a);
    b = madd(f32x4.mul(four(pairs, w1), s1), p, b);
    c = madd(f32x4.mul(four(pairs, w2), s2), p, c);
    d = madd(f32x4.mul(four(pairs, w3), s3), p, d);
    p = v128.load(x, 16);
    A = madd(f32x4.mul(four(pairs, w0 + 2), s0), p, A);
    B = madd(f32x4.mul(four(pairs, w1 + 2), s1), p, B);
    C = madd(f32x4.mul(four(pairs, w2 + 2), s2), p, C);
    D = madd(f32x4.mul(four(pairs, w3 + 2), s3), p, D);
    p = v128.load(x, 32);
    a = madd(f32x4.mul(four(pairs, w0 + 4), s0), p, a);
    b = madd(f32x4.mul(four(pairs, w1 + 4), s1), p, b);
    c = madd(f32x4.mul(four(pairs, w2 + 4), s2), p, c);
    d = madd(f32x4.mul(four(pairs, w3 + 4), s3), p, d);
    p = v128.load(x, 48);
    A = madd(f32x4.mul(four(pairs, w0 + 6), s0), p, A);
    B = madd(f32x4.mul(four(pairs, w1 + 6), s1), p, B);
    C = madd(f32x4.mul(four(pairs, w2 + 6), s2), p, C);
    D = madd(f32x4.mul(four(pairs, w3 + 6), s3), p, D);
    p = v128.load(x, 64);
    a = madd(f32x4.mul(four(pairs, w0 + 8), s0), p, a);
    b = madd(f32x4.mul(four(pairs, w1 + 8), s1), p, b);
    c = madd(f32x4.mul(four(pairs, w2 + 8), s2), p, c);
    d = madd(f32x4.mul(four(pairs, w3 + 8), s3), p, d);
    p = v128.load(x, 80);
    A = madd(f32x4.mul(four(pairs, w0 + 10), s0), p, A);
    B = madd(f32x4.mul(four(pairs, w1 + 10), s1), p, B);
    C = madd(f32x4.mul(four(pairs, w2 + 10), s2), p, C);
    D = madd(f32x4.mul(four(pairs, w3 + 10), s3), p, D);
    p = v128.load(x, 96);
    a = madd(f32x4.mul(four(pairs, w0 + 12), s0), p, a);
    b = madd(f32x4.mul(four(pairs, w1 + 12), s1), p, b);
    c = madd(f32x4.mul(four(pairs, w2 + 12), s2), p, c);
    d = madd(f32x4.mul(four(pairs, w3 + 12), s3), p, d);
    p = v128.load(x, 112);
    A = madd(f32x4.mul(four(pairs, w0 + 14), s0), p, A);
    B = madd(f32x4.mul(four(pairs, w1 + 14), s1), p, B);
    C = madd(f32x4.mul(four(pairs, w2 + 14), s2), p, C);
    D = madd(f32x4.mul(four(pairs, w3 + 14), s3), p, D);
    x += 128;
    w0 += 16;
    w1 += 16;
    w2 += 16;
    w3 += 16;
    // The second half has the same absmax.
    absmax += <usize>(n & 1) << 4;
  }
  v128.store(to, A, 16);
  v128.store(to, a);
  v128.store(to, B, 48);
  v128.store(to, b, 32);
  v128.store(to, C, 80);
  v128.store(to, c, 64);
  v128.store(to, D, 112);
  v128.store(to, d, 96);
}

/** Whether the functions of this file can read a matrix. */
export function isAligned(format: i32, param: i32, K: i32): bool {
  return format >= FORMAT_NF4 && format <= FORMAT_FP4_DQ && ((param | K) & 63) == 0;
}

/** Writes `length` numbers of row o, from column k on, as f32, in groups of 8 that lie `step` bytes apart. */
export function spreadFourBit(
  to: usize, step: usize, pairs: usize, p0: usize, p1: usize, p2: usize, p3: usize, format: i32, param: i32, K: i32,
  o: i32, k: i32, length: i32,
): void {
  const shift = <usize>ctz(param), dq = format >= FORMAT_NF4_DQ;
  let at = <usize>o * <usize>K + <usize>k, w = p0 + (at >> 1);
  for (let blocks = length >> 6; blocks > 0; --blocks) {
    const scale = f32x4.splat(absmaxOf(p1, p2, p3, dq, at >> shift));
    for (let n = 8; n > 0; --n) {
      v128.store(to, f32x4.mul(four(pairs, w), scale));
      v128.store(to, f32x4.mul(four(pairs, w + 2), scale), 16);
      to += step;
      w += 4;
    }
    at += 64;
  }
}

/** Columns [begin, end) of one row y [O]. */
export function oneRowFourBit(
  y: usize, x: usize, p0: usize, p1: usize, p2: usize, p3: usize, format: i32, param: i32, K: i32, scratch: usize,
  begin: i32, end: i32,
): void {
  const stride = <usize>K >> 1, pairs = scratch + FOUR_BIT_PAIRS, absmax = scratch + FOUR_BIT_ABSMAX;
  fillPairs(pairs, format);
  const gap = (end - begin + 3) >> 2, last = end - 1;
  for (let o = begin; o < begin + gap; o++) {
    fourRows(absmax, 16, p1, p2, p3, format, param, K, o, gap, end, 0, K >> 6);
    let w0 = p0 + <usize>o * stride, w1 = p0 + <usize>min(o + gap, last) * stride;
    let w2 = p0 + <usize>min(o + 2 * gap, last) * stride, w3 = p0 + <usize>min(o + 3 * gap, last) * stride;
    let from = x, scales = absmax, sum = f32x4.splat(0);
    for (let k = 0; k < K; k += BLOCK) {
      fourByOne(scratch, from, w0, w1, w2, w3, scales, min(BLOCK, K - k) >> 6, pairs);
      const total = fold4(pairSum(scratch), pairSum(scratch + 32), pairSum(scratch + 64), pairSum(scratch + 96));
      sum = k == 0 ? total : f32x4.add(sum, total);
      from += BLOCK << 2;
      scales += BLOCK >> 2;
      w0 += BLOCK >> 1;
      w1 += BLOCK >> 1;
      w2 += BLOCK >> 1;
      w3 += BLOCK >> 1;
    }
    scatter(y + (<usize>o << 2), <usize>gap << 2, y + (<usize>end << 2), sum);
  }
}
