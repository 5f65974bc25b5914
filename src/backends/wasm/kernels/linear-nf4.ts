// linear_fixed16: products with 4-bit weights (nf4, fp4), in the bytes of bitsandbytes, in 16-bit fixed point. Each code stands for
// an integer of at most MOST_WEIGHT; activations are the integers of pack_rows_fixed16. 64 products are summed in i32, exactly in
// any order. Then y = Σ of f32(sum) · (absmax · scale) over blocks of 64 k, in their order, by fused multiply-add. One row of x
// reads four rows of w where they lie. More rows share a panel: rows of w unpacked to i16, side by side in the lanes.

import { fourRows, isFp4, turn } from "./absmax";
import { madd, scatter, sumsOfFour } from "./lanes";
import { fixedTile, fixedTileWide } from "./linear-nf4-tiles";
import { fixedRowBytes } from "./pack-rows-fixed16";
import { FIXED16_PANEL } from "./scratch";
import { pick, zipHigh, zipLow } from "./unpack-four-bit";

/** The most rows of x whose sums scratch holds. */
const MOST_ROWS: i32 = 128;
/** Rows of w in a panel. */
const WIDE_ROWS: i32 = 32;
const NARROW_ROWS: i32 = 16;

// What 1 stands for in these integers. nf4's values · 6282.85 are nearly integers (the farthest is off by 5e-5). fp4's values are
// multiples of 1/192, so that values · 6144 are integers.
const NF4_UNIT: f32 = 1.0 / 6282.85;
const FP4_UNIT: f32 = 1.0 / 6144.0;

// The low bytes and the high bytes of the 16 integers, in the order of the codes.
// @ts-ignore: decorator
@inline
function lowBytes(fp4: bool): v128 {
  return fp4
    ? i8x16(0, 32, 0, 0, 0, 0, 0, 0, 0, -32, 0, 0, 0, 0, 0, 0)
    : i8x16(117, -22, 29, 79, 5, 119, -60, 0, -12, -13, 10, 75, -47, -49, -66, -117);
}
// @ts-ignore: decorator
@inline
function highBytes(fp4: bool): v128 {
  return fp4
    ? i8x16(0, 0, 16, 24, 8, 12, 4, 6, 0, -1, -16, -24, -8, -12, -4, -6)
    : i8x16(-25, -18, -13, -10, -7, -5, -3, 0, 1, 3, 6, 8, 10, 13, 17, 24);
}

/** What 1 stands for. */
export function fixed16Unit(fp4: bool): f32 {
  return fp4 ? FP4_UNIT : NF4_UNIT;
}

/** Writes the 16 integers, i16, twice. */
export function putFixed16Integers(to: usize, fp4: bool): void {
  const lows = lowBytes(fp4), highs = highBytes(fp4);
  for (let i: usize = 0; i < 64; i += 32) {
    v128.store(to + i, zipLow(lows, highs));
    v128.store(to + i, zipHigh(lows, highs), 16);
  }
}

/** The 32 codes in 16 bytes times 32 packed activations: four partial sums. */
// @ts-ignore: decorator
@inline
function dots(bytes: v128, mask: v128, lows: v128, highs: v128, x: usize): v128 {
  let codes = v128.and(i16x8.shr_u(bytes, 4), mask);
  let low = pick(lows, codes), high = pick(highs, codes);
  const a = i32x4.add(i32x4.dot_i16x8_s(zipLow(low, high), v128.load(x)), i32x4.dot_i16x8_s(zipHigh(low, high), v128.load(x, 16)));
  codes = v128.and(bytes, mask);
  low = pick(lows, codes);
  high = pick(highs, codes);
  const b = i32x4.add(i32x4.dot_i16x8_s(zipLow(low, high), v128.load(x, 32)), i32x4.dot_i16x8_s(zipHigh(low, high), v128.load(x, 48)));
  return i32x4.add(a, b);
}

/** The 64 codes in 32 bytes times a block of 64 activations: four partial sums. */
// @ts-ignore: decorator
@inline
function block(w: usize, mask: v128, lows: v128, highs: v128, x: usize): v128 {
  return i32x4.add(dots(v128.load(w), mask, lows, highs, x), dots(v128.load(w, 16), mask, lows, highs, x + 64));
}

/** Four rows of w, whose absmax lie side by side, times one row of x. */
function fourByOne(
  w0: usize, w1: usize, w2: usize, w3: usize, absmax: usize, x: usize, xScales: usize, blocks: i32, fp4: bool,
): v128 {
  const lows = lowBytes(fp4), highs = highBytes(fp4), mask = i8x16.splat(15);
  const unit = fp4 ? FP4_UNIT : NF4_UNIT;
  let sum = f32x4.splat(0);
  for (; blocks > 0; --blocks) {
    const a = block(w0, mask, lows, highs, x), b = block(w1, mask, lows, highs, x);
    const c = block(w2, mask, lows, highs, x), d = block(w3, mask, lows, highs, x);
    const scale = f32x4.mul(v128.load(absmax), f32x4.splat(load<f32>(xScales) * unit));
    sum = madd(f32x4.convert_i32x4_s(sumsOfFour(a, b, c, d)), scale, sum);
    w0 += 32;
    w1 += 32;
    w2 += 32;
    w3 += 32;
    x += 128;
    xScales += 4;
    absmax += 16;
  }
  return sum;
}

/** One row of x. The columns are cut into four quarters that are read at the same time, as four long streams. */
function oneRow(
  y: usize, x: usize, p0: usize, p1: usize, p2: usize, p3: usize, format: i32, param: i32, K: i32, scratch: usize,
  begin: i32, end: i32,
): void {
  const stride = <usize>K >> 1, blocks = K >> 6, xScales = x + (<usize>K << 1);
  const gap = (end - begin + 3) >> 2, last = end - 1;
  for (let o = begin; o < begin + gap; o++) {
    fourRows(scratch, 16, p1, p2, p3, format, param, K, o, gap, end, 0, blocks);
    const w0 = p0 + <usize>o * stride, w1 = p0 + <usize>min(o + gap, last) * stride;
    const w2 = p0 + <usize>min(o + 2 * gap, last) * stride, w3 = p0 + <usize>min(o + 3 * gap, last) * stride;
    const sum = isFp4(format)
      ? fourByOne(w0, w1, w2, w3, scratch, x, xScales, blocks, true)
      : fourByOne(w0, w1, w2, w3, scratch, x, xScales, blocks, false);
    scatter(y + (<usize>o << 2), <usize>gap << 2, y + (<usize>end << 2), sum);
  }
}

/**
 * Fills a panel with `blocks` blocks, from column k on, of `width` rows of w, from row o on. Rows from `end` on repeat earlier
 * ones; their sums are not copied out.
 */
function fillPanel(
  panel: usize, width: i32, p0: usize, p1: usize, p2: usize, p3: usize, format: i32, param: i32, K: i32,
  o: i32, end: i32, k: i32, blocks: i32,
): void {
  const step = <usize>width << 2, blockBytes = <usize>33 * step, stride = <usize>K >> 1;
  const fp4 = isFp4(format), lows = lowBytes(fp4), highs = highBytes(fp4), mask = i8x16.splat(15);
  for (let r = 0; r < width; r += 4) {
    let to = panel + (<usize>r << 2);
    const from = min(o + r, end - 1);
    fourRows(to, blockBytes, p1, p2, p3, format, param, K, from, 1, end, k, blocks);
    let w0 = p0 + <usize>from * stride + (<usize>k >> 1);
    let w1 = from + 1 < end ? w0 + stride : w0, w2 = from + 2 < end ? w1 + stride : w0, w3 = from + 3 < end ? w2 + stride : w0;
    for (let n = blocks << 1; n > 0; --n) {
      // Before the first half of a block, step over its absmax.
      if ((n & 1) == 0) to += step;
      const a = v128.load(w0), b = v128.load(w1), c = v128.load(w2), d = v128.load(w3);
      turnCodes(
        to, step, lows, highs, v128.and(i16x8.shr_u(a, 4), mask), v128.and(i16x8.shr_u(b, 4), mask),
        v128.and(i16x8.shr_u(c, 4), mask), v128.and(i16x8.shr_u(d, 4), mask),
      );
      turnCodes(
        to + 8 * step, step, lows, highs, v128.and(a, mask), v128.and(b, mask), v128.and(c, mask), v128.and(d, mask),
      );
      to += 16 * step;
      w0 += 16;
      w1 += 16;
      w2 += 16;
      w3 += 16;
    }
  }
}

/** 16 codes of each of four rows as i16: each vector has a pair of k of all four rows, side by side. */
// @ts-ignore: decorator
@inline
function turnCodes(to: usize, step: usize, lows: v128, highs: v128, a: v128, b: v128, c: v128, d: v128): void {
  const al = pick(lows, a), ah = pick(highs, a), bl = pick(lows, b), bh = pick(highs, b);
  const cl = pick(lows, c), ch = pick(highs, c), dl = pick(lows, d), dh = pick(highs, d);
  turn(to, step, zipLow(al, ah), zipLow(bl, bh), zipLow(cl, ch), zipLow(dl, dh));
  turn(to + 4 * step, step, zipHigh(al, ah), zipHigh(bl, bh), zipHigh(cl, ch), zipHigh(dl, dh));
}

/** Up to MOST_ROWS rows of x. */
function manyRows(
  y: usize, x: usize, p0: usize, p1: usize, p2: usize, p3: usize, format: i32, param: i32, K: i32, O: i32,
  scratch: usize, wide: i32, rows: i32, begin: i32, end: i32,
): void {
  const width = wide ? WIDE_ROWS : NARROW_ROWS, panel = scratch + FIXED16_PANEL, unit = isFp4(format) ? FP4_UNIT : NF4_UNIT;
  const sumBytes = <usize>width << 2, rowBytes = fixedRowBytes(K), blocks = K >> 6, most = wide ? 4 : 8;
  for (let o = begin; o < end; o += width) {
    memory.fill(scratch, 0, <usize>(rows + 1) * sumBytes);
    for (let b = 0; b < blocks; b += most) {
      const count = min(most, blocks - b);
      fillPanel(panel, width, p0, p1, p2, p3, format, param, K, o, end, b << 6, count);
      for (let t = 0; t < rows; t += 2) {
        const to = scratch + <usize>t * sumBytes;
        const x0 = x + <usize>t * rowBytes + (<usize>b << 7), x1 = t + 1 < rows ? x0 + rowBytes : x0;
        const scales = ((<usize>K << 1) + (<usize>b << 2)) - (<usize>b << 7);
        if (wide) fixedTileWide(to, to + sumBytes, panel, x0, x1, x0 + scales, x1 + scales, count, unit);
        else fixedTile(to, to + sumBytes, panel, x0, x1, x0 + scales, x1 + scales, count, unit);
      }
    }
    const bytes = <usize>min(width, end - o) << 2;
    for (let t: usize = 0; t < <usize>rows; t++)
      memory.copy(y + ((t * <usize>O + <usize>o) << 2), scratch + t * sumBytes, bytes);
  }
}

/**
 * Columns [begin, end) of rows [rowBegin, rowEnd) of y [T, O]. x: what pack_rows_fixed16 made; K and param (numbers that share
 * an absmax, a power of two) are multiples of 64. w lies at p0 … p3, see unpack-four-bit.ts.
 */
export function linear_fixed16(
  y: usize, x: usize, p0: usize, p1: usize, p2: usize, p3: usize, format: i32, param: i32, K: i32, O: i32,
  scratch: usize, wide: i32, rowBegin: i32, rowEnd: i32, begin: i32, end: i32,
): void {
  const rowBytes = fixedRowBytes(K), yBytes = <usize>O << 2;
  if (rowEnd - rowBegin == 1) {
    const row = <usize>rowBegin;
    return oneRow(y + row * yBytes, x + row * rowBytes, p0, p1, p2, p3, format, param, K, scratch, begin, end);
  }
  for (let t = rowBegin; t < rowEnd; t += MOST_ROWS) {
    const row = <usize>t, rows = min(MOST_ROWS, rowEnd - t);
    manyRows(y + row * yBytes, x + row * rowBytes, p0, p1, p2, p3, format, param, K, O, scratch, wide, rows, begin, end);
  }
}
