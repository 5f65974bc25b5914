// linear_nf4_int8: products with 4-bit weights (nf4, fp4), in the bytes of bitsandbytes, in 7 bits. Each code stands for an integer
// around 64; activations are those of pack_rows_int8_halves. Not exact: values are off by up to 0.9 % of absmax (nf4). Four products
// are summed in i16, 64 in i32, exactly in any order. Then y = Σ of f32(sum) · (absmax · scale) over blocks of 64 k, in their order,
// by fused multiply-add. One row of x reads four rows of w where they lie; more share a panel of 32 rows, side by side in the lanes.

import { fourRows, isFp4, turn } from "./absmax";
import { mac } from "./int8-dot";
import { madd, scatter, sumsOfFour } from "./lanes";
import { finish } from "./linear-nf4-tiles";
import { HALVES_BLOCK, HALVES_SCALE, HALVES_STARTS } from "./pack-rows-int8-halves";
import { NF4_INT8_PANEL } from "./scratch";
import { pick } from "./unpack-four-bit";

/** The most rows of x whose sums scratch holds. */
const MOST_ROWS: i32 = 128;
// A panel of 32 rows of w holds for each block of 64 k:
//   offset  bytes  content
//        0    128  absmax of each row, f32
//      128   2048  16 quads of k; of each quad the four integers of every row, one byte each
const PANEL_BLOCKS: i32 = 8;
const PANEL_ROWS: i32 = 32;
const PANEL_BLOCK: usize = 128 + 2048;

// What 1 stands for in these integers, which are round(value · 53.01) + 64 for nf4, where that is nearest to integers on average,
// and round(value · 60) + 64 for fp4, where only the smallest value is no integer.
const NF4_UNIT: f32 = 1.0 / 53.01;
const FP4_UNIT: f32 = 1.0 / 60.0;

// @ts-ignore: decorator
@inline
function valuesOf(fp4: bool): v128 {
  return fp4
    ? i8x16(64, 64, 104, 124, 84, 94, 74, 79, 64, 64, 24, 4, 44, 34, 54, 49)
    : i8x16(11, 27, 36, 43, 49, 54, 59, 64, 68, 73, 77, 82, 87, 94, 102, 117);
}

/** What 1 stands for. */
export function int8Unit(fp4: bool): f32 {
  return fp4 ? FP4_UNIT : NF4_UNIT;
}

/** Writes the 16 integers, one byte each, four times. */
export function putInt8Integers(to: usize, fp4: bool): void {
  const values = valuesOf(fp4);
  for (let i: usize = 0; i < 64; i += 16) v128.store(to + i, values);
}

/** The 32 codes in 16 bytes times 32 packed activations (even and odd ones): four partial sums, of eight products each. */
// @ts-ignore: decorator
@inline
function half(bytes: v128, mask: v128, values: v128, ones: v128, start: v128, even: v128, odd: v128): v128 {
  const evens = mac(start, even, pick(values, v128.and(i16x8.shr_u(bytes, 4), mask)));
  return i32x4.dot_i16x8_s(mac(evens, odd, pick(values, v128.and(bytes, mask))), ones);
}

/** Four rows of w, whose absmax lie side by side, times one row of x. */
function fourByOne(
  w0: usize, w1: usize, w2: usize, w3: usize, absmax: usize, x: usize, blocks: i32, fp4: bool,
): v128 {
  const values = valuesOf(fp4), mask = i8x16.splat(15), ones = i16x8.splat(1);
  const unit = fp4 ? FP4_UNIT : NF4_UNIT;
  let sum = f32x4.splat(0);
  for (; blocks > 0; --blocks) {
    // Each vector of x is loaded once for all four rows.
    let start = v128.load(x, HALVES_STARTS), even = v128.load(x), odd = v128.load(x, 16);
    let a = half(v128.load(w0), mask, values, ones, start, even, odd), b = half(v128.load(w1), mask, values, ones, start, even, odd);
    let c = half(v128.load(w2), mask, values, ones, start, even, odd), d = half(v128.load(w3), mask, values, ones, start, even, odd);
    start = v128.load(x, HALVES_STARTS + 16);
    even = v128.load(x, 32);
    odd = v128.load(x, 48);
    a = i32x4.add(a, half(v128.load(w0, 16), mask, values, ones, start, even, odd));
    b = i32x4.add(b, half(v128.load(w1, 16), mask, values, ones, start, even, odd));
    c = i32x4.add(c, half(v128.load(w2, 16), mask, values, ones, start, even, odd));
    d = i32x4.add(d, half(v128.load(w3, 16), mask, values, ones, start, even, odd));
    const scale = f32x4.mul(v128.load(absmax), f32x4.splat(load<f32>(x, HALVES_SCALE) * unit));
    sum = madd(f32x4.convert_i32x4_s(sumsOfFour(a, b, c, d)), scale, sum);
    w0 += 32;
    w1 += 32;
    w2 += 32;
    w3 += 32;
    x += HALVES_BLOCK;
    absmax += 16;
  }
  return sum;
}

/** One row of x. The columns are cut into four quarters that are read at the same time, as four long streams. */
function oneRow(
  y: usize, x: usize, p0: usize, p1: usize, p2: usize, p3: usize, format: i32, param: i32, K: i32, scratch: usize,
  begin: i32, end: i32,
): void {
  const stride = <usize>K >> 1, blocks = K >> 6, fp4 = isFp4(format);
  const gap = (end - begin + 3) >> 2, last = end - 1;
  for (let o = begin; o < begin + gap; o++) {
    fourRows(scratch, 16, p1, p2, p3, format, param, K, o, gap, end, 0, blocks);
    const w0 = p0 + <usize>o * stride, w1 = p0 + <usize>min(o + gap, last) * stride;
    const w2 = p0 + <usize>min(o + 2 * gap, last) * stride, w3 = p0 + <usize>min(o + 3 * gap, last) * stride;
    const sum = fourByOne(w0, w1, w2, w3, scratch, x, blocks, fp4);
    scatter(y + (<usize>o << 2), <usize>gap << 2, y + (<usize>end << 2), sum);
  }
}

/**
 * Fills a panel with `blocks` blocks, from column k on, of rows of w, from row o on. Rows from `end` on repeat earlier ones; their
 * sums are not copied out.
 */
function fillPanel(
  panel: usize, p0: usize, p1: usize, p2: usize, p3: usize, format: i32, param: i32, K: i32, o: i32, end: i32, k: i32, blocks: i32,
): void {
  const stride = <usize>K >> 1, values = valuesOf(isFp4(format)), mask = i8x16.splat(15);
  for (let r = 0; r < PANEL_ROWS; r += 4) {
    let to = panel + (<usize>r << 2);
    const from = min(o + r, end - 1);
    fourRows(to, PANEL_BLOCK, p1, p2, p3, format, param, K, from, 1, end, k, blocks);
    let w0 = p0 + <usize>from * stride + (<usize>k >> 1);
    let w1 = from + 1 < end ? w0 + stride : w0, w2 = from + 2 < end ? w1 + stride : w0, w3 = from + 3 < end ? w2 + stride : w0;
    for (let n = blocks << 1; n > 0; --n) {
      // Before the first half of a block, step over its absmax.
      if ((n & 1) == 0) to += 128;
      const a = v128.load(w0), b = v128.load(w1), c = v128.load(w2), d = v128.load(w3);
      turn(
        to, 128, pick(values, v128.and(i16x8.shr_u(a, 4), mask)), pick(values, v128.and(i16x8.shr_u(b, 4), mask)),
        pick(values, v128.and(i16x8.shr_u(c, 4), mask)), pick(values, v128.and(i16x8.shr_u(d, 4), mask)),
      );
      turn(
        to + 512, 128, pick(values, v128.and(a, mask)), pick(values, v128.and(b, mask)), pick(values, v128.and(c, mask)),
        pick(values, v128.and(d, mask)),
      );
      to += 1024;
      w0 += 16;
      w1 += 16;
      w2 += 16;
      w3 += 16;
    }
  }
}

/** sum + start + the products of a quad of even k and of one of odd k, for the row of w in each lane. */
// @ts-ignore: decorator
@inline
function quads(sum: v128, start: v128, even: v128, w: v128, odd: v128, v: v128, ones: v128): v128 {
  return i32x4.add(sum, i32x4.dot_i16x8_s(mac(mac(start, even, w), odd, v), ones));
}

/** A panel times one row of x: added to the 32 sums at `to`. */
function addPanel(to: usize, panel: usize, x: usize, blocks: i32, unit: f32): void {
  const ones = i16x8.splat(1), zero = i32x4.splat(0);
  for (; blocks > 0; --blocks) {
    let a = zero, A = zero, b = zero, B = zero, c = zero, C = zero, d = zero, D = zero;
    let w = panel + 128, q = x, start = x + HALVES_STARTS;
    for (let h = 2; h > 0; --h) {
      for (let n = 4; n > 0; --n) {
        const s = v128.load_splat<i32>(start), even = v128.load_splat<i32>(q), odd = v128.load_splat<i32>(q, 16);
        a = quads(a, s, even, v128.load(w), odd, v128.load(w, 512), ones);
        A = quads(A, s, even, v128.load(w, 16), odd, v128.load(w, 528), ones);
        b = quads(b, s, even, v128.load(w, 32), odd, v128.load(w, 544), ones);
        B = quads(B, s, even, v128.load(w, 48), odd, v128.load(w, 560), ones);
        c = quads(c, s, even, v128.load(w, 64), odd, v128.load(w, 576), ones);
        C = quads(C, s, even, v128.load(w, 80), odd, v128.load(w, 592), ones);
        d = quads(d, s, even, v128.load(w, 96), odd, v128.load(w, 608), ones);
        D = quads(D, s, even, v128.load(w, 112), odd, v128.load(w, 624), ones);
        start += 4;
        q += 4;
        w += 128;
      }
      // Step over the odd k, which were read with the even ones.
      q += 16;
      w += 512;
    }
    const scale = f32x4.splat(load<f32>(x + HALVES_SCALE) * unit);
    finish(to, panel, scale, a, A);
    finish(to + 32, panel + 32, scale, b, B);
    finish(to + 64, panel + 64, scale, c, C);
    finish(to + 96, panel + 96, scale, d, D);
    x += HALVES_BLOCK;
    panel += PANEL_BLOCK;
  }
}

/** Up to MOST_ROWS rows of x. */
function manyRows(
  y: usize, x: usize, p0: usize, p1: usize, p2: usize, p3: usize, format: i32, param: i32, K: i32, O: i32,
  scratch: usize, rows: i32, begin: i32, end: i32,
): void {
  const panel = scratch + NF4_INT8_PANEL, unit = isFp4(format) ? FP4_UNIT : NF4_UNIT;
  const blocks = K >> 6, rowBytes = <usize>blocks * HALVES_BLOCK;
  for (let o = begin; o < end; o += PANEL_ROWS) {
    memory.fill(scratch, 0, <usize>rows << 7);
    for (let b = 0; b < blocks; b += PANEL_BLOCKS) {
      const count = min(PANEL_BLOCKS, blocks - b);
      fillPanel(panel, p0, p1, p2, p3, format, param, K, o, end, b << 6, count);
      let from = x + <usize>b * HALVES_BLOCK;
      for (let t: usize = 0; t < <usize>rows; t++) {
        addPanel(scratch + (t << 7), panel, from, count, unit);
        from += rowBytes;
      }
    }
    const bytes = <usize>min(PANEL_ROWS, end - o) << 2;
    for (let t: usize = 0; t < <usize>rows; t++) memory.copy(y + ((t * <usize>O + <usize>o) << 2), scratch + (t << 7), bytes);
  }
}

/**
 * Columns [begin, end) of rows [rowBegin, rowEnd) of y [T, O]. x: what pack_rows_int8_halves made; K and param (numbers that
 * share an absmax, a power of two) are multiples of 64. w lies at p0 … p3, see unpack-four-bit.ts.
 */
export function linear_nf4_int8(
  y: usize, x: usize, p0: usize, p1: usize, p2: usize, p3: usize, format: i32, param: i32, K: i32, O: i32,
  scratch: usize, rowBegin: i32, rowEnd: i32, begin: i32, end: i32,
): void {
  const rowBytes = (<usize>K >> 6) * HALVES_BLOCK, yBytes = <usize>O << 2;
  if (rowEnd - rowBegin == 1) {
    const row = <usize>rowBegin;
    return oneRow(y + row * yBytes, x + row * rowBytes, p0, p1, p2, p3, format, param, K, scratch, begin, end);
  }
  for (let t = rowBegin; t < rowEnd; t += MOST_ROWS) {
    const row = <usize>t, rows = min(MOST_ROWS, rowEnd - t);
    manyRows(y + row * yBytes, x + row * rowBytes, p0, p1, p2, p3, format, param, K, O, scratch, rows, begin, end);
  }
}
