// linear: y [T, O] = x [T, K] · w [O, K]ᵀ for f32, bf16 and f16 weights as they lie in a file.
// Order of summation, the same for any number of rows: blocks of 1024 k, one after the other; in a block eight lanes over k (the
// last k padded with zeros), then lane i + lane (i + 4), then lanes::fold. Few rows of x read the weights where they lie. Many
// rows unpack six (or three) rows of w at a time to `scratch`: these stay in the first-level cache until all rows of x have used them.

import { bytesOf, f16Limit, f16Mask, f16Ones, f16Scale, fold4, high, low, madd, pairSum } from "./lanes";
import { tail, threeByTwo, unpackedSixByTwo, unpackedThreeByTwo } from "./linear-tiles";
import { LINEAR_UNPACKED, W_TAILS, X_TAILS } from "./scratch";

/** How many products are summed up before they are added to the sum so far. */
export const BLOCK: i32 = 1024;

/** Four rows of w times one row of x. Reading memory limits decode, and four streams at once read fastest. */
export function fourByOne<F>(
  y: usize, x: usize, w0: usize, w1: usize, w2: usize, w3: usize, K: i32, scratch: usize, count: i32,
): void {
  const mask = f16Mask(), scale = f16Scale(), limit = f16Limit(), ones = f16Ones();
  const zero = i32x4.splat(0);
  let sum = zero;
  for (let k = 0; k < K; k += BLOCK) {
    const length = min(BLOCK, K - k);
    let a = zero, A = zero, b = zero, B = zero, c = zero, C = zero, d = zero, D = zero;
    for (let n = length >> 3; n > 0; --n) {
      const p = v128.load(x), P = v128.load(x, 16);
      a = madd(low<F>(w0, mask, scale, limit, ones), p, a);
      A = madd(high<F>(w0, mask, scale, limit, ones), P, A);
      b = madd(low<F>(w1, mask, scale, limit, ones), p, b);
      B = madd(high<F>(w1, mask, scale, limit, ones), P, B);
      c = madd(low<F>(w2, mask, scale, limit, ones), p, c);
      C = madd(high<F>(w2, mask, scale, limit, ones), P, C);
      d = madd(low<F>(w3, mask, scale, limit, ones), p, d);
      D = madd(high<F>(w3, mask, scale, limit, ones), P, D);
      x += 32;
      w0 += 8 * bytesOf<F>();
      w1 += 8 * bytesOf<F>();
      w2 += 8 * bytesOf<F>();
      w3 += 8 * bytesOf<F>();
    }
    const rest = length & 7;
    if (rest) {
      const wt = scratch + W_TAILS;
      tail<f32>(scratch + X_TAILS, x, rest);
      tail<F>(wt, w0, rest);
      tail<F>(wt + 32, w1, rest);
      tail<F>(wt + 64, w2, rest);
      tail<F>(wt + 96, w3, rest);
      const p = v128.load(scratch, X_TAILS), P = v128.load(scratch, X_TAILS + 16);
      a = madd(v128.load(wt), p, a);
      A = madd(v128.load(wt, 16), P, A);
      b = madd(v128.load(wt, 32), p, b);
      B = madd(v128.load(wt, 48), P, B);
      c = madd(v128.load(wt, 64), p, c);
      C = madd(v128.load(wt, 80), P, C);
      d = madd(v128.load(wt, 96), p, d);
      D = madd(v128.load(wt, 112), P, D);
    }
    v128.store(scratch, A, 16);
    v128.store(scratch, a);
    v128.store(scratch, B, 48);
    v128.store(scratch, b, 32);
    v128.store(scratch, C, 80);
    v128.store(scratch, c, 64);
    v128.store(scratch, D, 112);
    v128.store(scratch, d, 96);
    const total = fold4(pairSum(scratch), pairSum(scratch + 32), pairSum(scratch + 64), pairSum(scratch + 96));
    sum = k == 0 ? total : f32x4.add(sum, total);
  }
  if (count == 4) {
    v128.store(y, sum);
    return;
  }
  store<f32>(y, f32x4.extract_lane(sum, 0));
  if (count > 1) store<f32>(y, f32x4.extract_lane(sum, 1), 4);
  if (count > 2) store<f32>(y, f32x4.extract_lane(sum, 2), 8);
}

/**
 * Folds the sums of a tile: for each of `count` rows of w, a pair of vectors for each of two rows of x. They go to y0, and to y1
 * unless it is 0. `first`: sums of the first block of k are stored, those of later ones are added.
 */
export function foldInto(y0: usize, y1: usize, sums: usize, count: i32, first: bool): void {
  for (; count > 0; count -= 4) {
    foldRow(y0, sums, count, first);
    if (y1) foldRow(y1, sums + 32, count, first);
    sums += 256;
    y0 += 16;
    if (y1) y1 += 16;
  }
}

/** Folds up to four sums, 64 bytes apart, into y. Nothing is stored beyond the last of `count`. */
// @ts-ignore: decorator
@inline
function foldRow(y: usize, sums: usize, count: i32, first: bool): void {
  let total = fold4(pairSum(sums), pairSum(sums + 64), pairSum(sums + 128), pairSum(sums + 192));
  if (count >= 4) {
    if (!first) total = f32x4.add(v128.load(y), total);
    v128.store(y, total);
    return;
  }
  // Two are left of a tile of six.
  if (count > 1) {
    if (!first) v128.store64_lane(y, f32x4.add(v128.load64_zero(y), total), 0);
    else v128.store64_lane(y, total, 0);
    if (count > 2) addLane(y + 8, f32x4.extract_lane(total, 2), first);
    return;
  }
  addLane(y, f32x4.extract_lane(total, 0), first);
}

// @ts-ignore: decorator
@inline
function addLane(y: usize, value: f32, first: bool): void {
  store<f32>(y, first ? value : load<f32>(y) + value);
}

/** Adds up to four sums of a block to y; those of the first block are stored. */
// @ts-ignore: decorator
@inline
export function addSums(y: usize, sums: usize, count: i32, first: bool): void {
  if (count == 4) {
    const sum = v128.load(sums);
    v128.store(y, first ? sum : f32x4.add(v128.load(y), sum));
    return;
  }
  for (; count > 0; --count) {
    const sum = load<f32>(sums);
    store<f32>(y, first ? sum : load<f32>(y) + sum);
    y += 4;
    sums += 4;
  }
}

/**
 * Writes `length` numbers of a row of w as f32, in groups of 8 that lie `width` groups apart: the groups of the tile's other rows
 * lie between them. `there`: whether the row exists; if not, zeros are written.
 */
export function spread<F>(to: usize, from: usize, length: i32, width: i32, exists: bool): void {
  const mask = f16Mask(), scale = f16Scale(), limit = f16Limit(), ones = f16Ones();
  const step = <usize>width << 5;
  if (!exists) {
    for (let n = (length + 7) >> 3; n > 0; --n) {
      v128.store(to, i32x4.splat(0), 16);
      v128.store(to, i32x4.splat(0));
      to += step;
    }
    return;
  }
  for (let n = length >> 3; n > 0; --n) {
    const v = low<F>(from, mask, scale, limit, ones), V = high<F>(from, mask, scale, limit, ones);
    v128.store(to, V, 16);
    v128.store(to, v);
    from += 8 * bytesOf<F>();
    to += step;
  }
  if (length & 7) tail<F>(to, from, length & 7);
}

/** Rows of w in the tile for many rows of x. */
// @ts-ignore: decorator
@inline
export function tileWidth(wide: i32): i32 {
  return wide ? 6 : 3;
}

/** Many rows of x. In each block of k, a few rows of w at a time are unpacked once, for all rows of x. */
function manyRows<F>(
  y: usize, x: usize, w: usize, K: i32, O: i32, scratch: usize, wide: i32,
  rowBegin: i32, rowEnd: i32, begin: i32, end: i32,
): void {
  const width = tileWidth(wide);
  const xStride = <usize>K << 2, wStride = <usize>K * bytesOf<F>(), yStride = <usize>O << 2;
  const unpacked = scratch + LINEAR_UNPACKED;
  for (let k = 0; k < K; k += BLOCK) {
    const length = min(BLOCK, K - k);
    const rest = length & 7;
    for (let o = begin; o < end; o += width) {
      const count = min(width, end - o);
      let from = w + <usize>o * wStride + <usize>k * bytesOf<F>();
      for (let r = 0; r < width; r++) {
        spread<F>(unpacked + (<usize>r << 5), from, length, width, r < count);
        from += wStride;
      }
      for (let t = rowBegin; t < rowEnd; t += 2) {
        const two = t + 1 < rowEnd;
        const x0 = x + <usize>t * xStride + (<usize>k << 2), x1 = two ? x0 + xStride : x0;
        if (rest) {
          const whole = <usize>(length - rest) << 2;
          tail<f32>(scratch + X_TAILS, x0 + whole, rest);
          tail<f32>(scratch + X_TAILS + 32, x1 + whole, rest);
        }
        const tails = rest ? scratch + X_TAILS : 0;
        if (wide) unpackedSixByTwo(x0, x1, unpacked, length >> 3, tails, scratch);
        else unpackedThreeByTwo(x0, x1, unpacked, length >> 3, tails, scratch);
        const y0 = y + <usize>t * yStride + (<usize>o << 2);
        foldInto(y0, two ? y0 + yStride : 0, scratch, count, k == 0);
      }
    }
  }
}

/** Two rows of x or a few more: each pair of them shares the weights that are loaded. */
function fewRows<F>(
  y: usize, x: usize, w: usize, K: i32, O: i32, scratch: usize,
  rowBegin: i32, rowEnd: i32, begin: i32, end: i32,
): void {
  const xStride = <usize>K << 2, wStride = <usize>K * bytesOf<F>(), yStride = <usize>O << 2;
  for (let o = begin; o < end; o += 3) {
    const count = min(3, end - o);
    for (let k = 0; k < K; k += BLOCK) {
      const w0 = w + <usize>o * wStride + <usize>k * bytesOf<F>();
      const w1 = count > 1 ? w0 + wStride : w0, w2 = count > 2 ? w1 + wStride : w0;
      for (let t = rowBegin; t < rowEnd; t += 2) {
        const two = t + 1 < rowEnd;
        const x0 = x + <usize>t * xStride + (<usize>k << 2), x1 = two ? x0 + xStride : x0;
        threeByTwo<F>(x0, x1, w0, w1, w2, min(BLOCK, K - k), scratch);
        const y0 = y + <usize>t * yStride + (<usize>o << 2);
        foldInto(y0, two ? y0 + yStride : 0, scratch, count, k == 0);
      }
    }
  }
}

function oneRow<F>(y: usize, x: usize, w: usize, K: i32, scratch: usize, begin: i32, end: i32): void {
  const stride = <usize>K * bytesOf<F>();
  for (let o = begin; o < end; o += 4) {
    const count = min(4, end - o);
    const w0 = w + <usize>o * stride;
    const w1 = count > 1 ? w0 + stride : w0, w2 = count > 2 ? w1 + stride : w0, w3 = count > 3 ? w2 + stride : w0;
    fourByOne<F>(y + (<usize>o << 2), x, w0, w1, w2, w3, K, scratch, count);
  }
}

/** From this many rows of x on, unpacking pays. It pays sooner for f16, the costliest to widen anew for each pair of rows. */
// @ts-ignore: decorator
@inline
export function manyFrom(format: i32): i32 {
  return format == 2 ? 8 : 16;
}

// @ts-ignore: decorator
@inline
function linear<F>(
  y: usize, x: usize, w: usize, K: i32, O: i32, scratch: usize, wide: i32,
  rowBegin: i32, rowEnd: i32, begin: i32, end: i32,
): void {
  const rows = rowEnd - rowBegin;
  if (rows >= manyFrom(sizeof<F>() == 2 && isSigned<F>() ? 2 : 1)) manyRows<F>(y, x, w, K, O, scratch, wide, rowBegin, rowEnd, begin, end);
  else if (rows > 1) fewRows<F>(y, x, w, K, O, scratch, rowBegin, rowEnd, begin, end);
  else if (rows == 1)
    oneRow<F>(y + <usize>rowBegin * (<usize>O << 2), x + <usize>rowBegin * (<usize>K << 2), w, K, scratch, begin, end);
}

/** Columns [begin, end) of rows [rowBegin, rowEnd). `wide`: use the tile for 256-bit vectors, which gives the same bits. */
export function linear_f32(
  y: usize, x: usize, w: usize, K: i32, O: i32, scratch: usize, wide: i32,
  rowBegin: i32, rowEnd: i32, begin: i32, end: i32,
): void {
  linear<f32>(y, x, w, K, O, scratch, wide, rowBegin, rowEnd, begin, end);
}

export function linear_bf16(
  y: usize, x: usize, w: usize, K: i32, O: i32, scratch: usize, wide: i32,
  rowBegin: i32, rowEnd: i32, begin: i32, end: i32,
): void {
  linear<u16>(y, x, w, K, O, scratch, wide, rowBegin, rowEnd, begin, end);
}

export function linear_f16(
  y: usize, x: usize, w: usize, K: i32, O: i32, scratch: usize, wide: i32,
  rowBegin: i32, rowEnd: i32, begin: i32, end: i32,
): void {
  linear<i16>(y, x, w, K, O, scratch, wide, rowBegin, rowEnd, begin, end);
}
