// linear of one row with 4-bit weights, exactly: the bits of linear-packed.ts, whose order of summation it keeps, without
// writing the unpacked weights down. Two rows of w at a time. For rows of a multiple of 64 and blocks of 64 numbers or more.

import { fourRows } from "./absmax";
import { FORMAT_FP4, FORMAT_FP4_DQ, FORMAT_NF4 } from "./header";
import { fold4, madd, pairSum } from "./lanes";
import { addSums, BLOCK } from "./linear";
import { bytes0, bytes1, bytes2, bytes3, pairHigh, pairLow, pick, zipHigh, zipLow } from "./unpack-four-bit";

/** Bytes of scratch before the absmax of four rows: sums. */
const ABSMAX: usize = 256;

/** Two rows of w times `count` · 64 k of x: two pairs of sums at `to`. F: u8 is nf4, i8 fp4. */
function twoByOne<F>(to: usize, x: usize, w0: usize, w1: usize, absmax: usize, count: i32): void {
  const t0 = bytes0<F>(), t1 = bytes1<F>(), t2 = bytes2<F>(), t3 = bytes3<F>(), mask = i8x16.splat(15);
  const zero = i32x4.splat(0);
  let a = zero, A = zero, b = zero, B = zero;
  // Half a block in turn.
  for (let n = count << 1; n > 0; --n) {
    const s = v128.load_splat<f32>(absmax), S = v128.load_splat<f32>(absmax, 4);
    const p = v128.load(w0), q = v128.load(w1);
    let even = v128.and(i16x8.shr_u(p, 4), mask), odd = v128.and(p, mask), codes = zipLow(even, odd);
    let l = pick(t0, codes), m = pick(t1, codes), h = pick(t2, codes), i = pick(t3, codes);
    let low = zipLow(l, m), high = zipLow(h, i);
    a = madd(f32x4.mul(pairLow(low, high), s), v128.load(x), a);
    A = madd(f32x4.mul(pairHigh(low, high), s), v128.load(x, 16), A);
    low = zipHigh(l, m);
    high = zipHigh(h, i);
    a = madd(f32x4.mul(pairLow(low, high), s), v128.load(x, 32), a);
    A = madd(f32x4.mul(pairHigh(low, high), s), v128.load(x, 48), A);
    codes = zipHigh(even, odd);
    l = pick(t0, codes);
    m = pick(t1, codes);
    h = pick(t2, codes);
    i = pick(t3, codes);
    low = zipLow(l, m);
    high = zipLow(h, i);
    a = madd(f32x4.mul(pairLow(low, high), s), v128.load(x, 64), a);
    A = madd(f32x4.mul(pairHigh(low, high), s), v128.load(x, 80), A);
    low = zipHigh(l, m);
    high = zipHigh(h, i);
    a = madd(f32x4.mul(pairLow(low, high), s), v128.load(x, 96), a);
    A = madd(f32x4.mul(pairHigh(low, high), s), v128.load(x, 112), A);

    even = v128.and(i16x8.shr_u(q, 4), mask);
    odd = v128.and(q, mask);
    codes = zipLow(even, odd);
    l = pick(t0, codes);
    m = pick(t1, codes);
    h = pick(t2, codes);
    i = pick(t3, codes);
    low = zipLow(l, m);
    high = zipLow(h, i);
    b = madd(f32x4.mul(pairLow(low, high), S), v128.load(x), b);
    B = madd(f32x4.mul(pairHigh(low, high), S), v128.load(x, 16), B);
    low = zipHigh(l, m);
    high = zipHigh(h, i);
    b = madd(f32x4.mul(pairLow(low, high), S), v128.load(x, 32), b);
    B = madd(f32x4.mul(pairHigh(low, high), S), v128.load(x, 48), B);
    codes = zipHigh(even, odd);
    l = pick(t0, codes);
    m = pick(t1, codes);
    h = pick(t2, codes);
    i = pick(t3, codes);
    low = zipLow(l, m);
    high = zipLow(h, i);
    b = madd(f32x4.mul(pairLow(low, high), S), v128.load(x, 64), b);
    B = madd(f32x4.mul(pairHigh(low, high), S), v128.load(x, 80), B);
    low = zipHigh(l, m);
    high = zipHigh(h, i);
    b = madd(f32x4.mul(pairLow(low, high), S), v128.load(x, 96), b);
    B = madd(f32x4.mul(pairHigh(low, high), S), v128.load(x, 112), B);
    x += 128;
    w0 += 16;
    w1 += 16;
    // The second half of a block has the same absmax.
    absmax += <usize>(n & 1) << 4;
  }
  v128.store(to, A, 16);
  v128.store(to, a);
  v128.store(to, B, 48);
  v128.store(to, b, 32);
}

function oneRow<F>(
  y: usize, x: usize, p0: usize, p1: usize, p2: usize, p3: usize, format: i32, param: i32, K: i32, scratch: usize,
  begin: i32, end: i32,
): void {
  const stride = <usize>K >> 1, absmax = scratch + ABSMAX;
  for (let o = begin; o < end; o += 4) {
    const count = min(4, end - o);
    fourRows(absmax, 16, p1, p2, p3, format, param, K, o, end, 0, K >> 6);
    const w0 = p0 + <usize>o * stride;
    const w1 = count > 1 ? w0 + stride : w0, w2 = count > 2 ? w1 + stride : w0, w3 = count > 3 ? w2 + stride : w0;
    for (let k = 0; k < K; k += BLOCK) {
      const blocks = min(BLOCK, K - k) >> 6, from = x + (<usize>k << 2), at = <usize>k >> 1, scales = absmax + (<usize>k >> 2);
      twoByOne<F>(scratch, from, w0 + at, w1 + at, scales, blocks);
      twoByOne<F>(scratch + 64, from, w2 + at, w3 + at, scales + 8, blocks);
      v128.store(
        scratch, fold4(pairSum(scratch), pairSum(scratch + 32), pairSum(scratch + 64), pairSum(scratch + 96)), 128,
      );
      addSums(y + (<usize>o << 2), scratch + 128, count, k == 0);
    }
  }
}

/** Whether oneRowFourBit can do it. */
export function isAligned(format: i32, param: i32, K: i32): bool {
  return format >= FORMAT_NF4 && format <= FORMAT_FP4_DQ && ((param | K) & 63) == 0;
}

/** Columns [begin, end) of one row y [O]. scratch: K / 4 bytes, and 256. */
export function oneRowFourBit(
  y: usize, x: usize, p0: usize, p1: usize, p2: usize, p3: usize, format: i32, param: i32, K: i32, scratch: usize,
  begin: i32, end: i32,
): void {
  if (format == FORMAT_FP4 || format == FORMAT_FP4_DQ) oneRow<i8>(y, x, p0, p1, p2, p3, format, param, K, scratch, begin, end);
  else oneRow<u8>(y, x, p0, p1, p2, p3, format, param, K, scratch, begin, end);
}
