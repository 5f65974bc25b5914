// linear_llm_int8: products with LLM.int8's weights, bit for bit those of src/formats/llm-int8-product.ts. Integers are summed,
// exactly in any order, and the sum is scaled. Then the products of outlier columns are added in f32, one after the other.

import { storeSome, sumsOfFour } from "./lanes";
import { INT8_ROW_CODES, int8CodeBytes, int8RowBytes } from "./pack-rows-llm-int8";

/** 1/127 and 1/127² as bitsandbytes has them: its 1/127² is too large by a factor of 1 + 2 · 10⁻⁵. */
const INVERSE: f32 = 7.874015718698502e-3;
const INVERSE_SQUARED: f32 = 6.200124e-5;

// @ts-ignore: decorator
@inline
function low(w: usize, x: v128, sum: v128): v128 {
  return i32x4.add(sum, i32x4.dot_i16x8_s(v128.load_ext<i8>(w), x));
}
// @ts-ignore: decorator
@inline
function high(w: usize, x: v128, sum: v128): v128 {
  return i32x4.add(sum, i32x4.dot_i16x8_s(v128.load_ext<i8>(w, 8), x));
}

/** Four rows of w times one row of x, over n · 16 k. Four pairs of vectors go to `to`, one for each row of w. */
function fourByOne(to: usize, x: usize, w0: usize, w1: usize, w2: usize, w3: usize, n: i32): void {
  const zero = i32x4.splat(0);
  let a = zero, A = zero, b = zero, B = zero, c = zero, C = zero, d = zero, D = zero;
  for (; n > 0; --n) {
    const p = v128.load(x), P = v128.load(x, 16);
    a = low(w0, p, a);
    A = high(w0, P, A);
    b = low(w1, p, b);
    B = high(w1, P, B);
    c = low(w2, p, c);
    C = high(w2, P, C);
    d = low(w3, p, d);
    D = high(w3, P, D);
    x += 32;
    w0 += 16;
    w1 += 16;
    w2 += 16;
    w3 += 16;
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

/** The same with two rows of x: four pairs for the first, then four for the second. */
function fourByTwo(to: usize, x0: usize, x1: usize, w0: usize, w1: usize, w2: usize, w3: usize, n: i32): void {
  const zero = i32x4.splat(0);
  let a = zero, A = zero, b = zero, B = zero, c = zero, C = zero, d = zero, D = zero;
  let e = zero, E = zero, f = zero, F = zero, g = zero, G = zero, h = zero, H = zero;
  for (; n > 0; --n) {
    const p = v128.load(x0), P = v128.load(x0, 16), q = v128.load(x1), Q = v128.load(x1, 16);
    let v = v128.load_ext<i8>(w0), V = v128.load_ext<i8>(w0, 8);
    a = i32x4.add(a, i32x4.dot_i16x8_s(v, p));
    A = i32x4.add(A, i32x4.dot_i16x8_s(V, P));
    e = i32x4.add(e, i32x4.dot_i16x8_s(v, q));
    E = i32x4.add(E, i32x4.dot_i16x8_s(V, Q));
    v = v128.load_ext<i8>(w1);
    V = v128.load_ext<i8>(w1, 8);
    b = i32x4.add(b, i32x4.dot_i16x8_s(v, p));
    B = i32x4.add(B, i32x4.dot_i16x8_s(V, P));
    f = i32x4.add(f, i32x4.dot_i16x8_s(v, q));
    F = i32x4.add(F, i32x4.dot_i16x8_s(V, Q));
    v = v128.load_ext<i8>(w2);
    V = v128.load_ext<i8>(w2, 8);
    c = i32x4.add(c, i32x4.dot_i16x8_s(v, p));
    C = i32x4.add(C, i32x4.dot_i16x8_s(V, P));
    g = i32x4.add(g, i32x4.dot_i16x8_s(v, q));
    G = i32x4.add(G, i32x4.dot_i16x8_s(V, Q));
    v = v128.load_ext<i8>(w3);
    V = v128.load_ext<i8>(w3, 8);
    d = i32x4.add(d, i32x4.dot_i16x8_s(v, p));
    D = i32x4.add(D, i32x4.dot_i16x8_s(V, P));
    h = i32x4.add(h, i32x4.dot_i16x8_s(v, q));
    H = i32x4.add(H, i32x4.dot_i16x8_s(V, Q));
    x0 += 32;
    x1 += 32;
    w0 += 16;
    w1 += 16;
    w2 += 16;
    w3 += 16;
  }
  v128.store(to, A, 16);
  v128.store(to, a);
  v128.store(to, B, 48);
  v128.store(to, b, 32);
  v128.store(to, C, 80);
  v128.store(to, c, 64);
  v128.store(to, D, 112);
  v128.store(to, d, 96);
  v128.store(to, E, 144);
  v128.store(to, e, 128);
  v128.store(to, F, 176);
  v128.store(to, f, 160);
  v128.store(to, G, 208);
  v128.store(to, g, 192);
  v128.store(to, H, 240);
  v128.store(to, h, 224);
}

/**
 * Turns four pairs of sums into up to four numbers of y: adds the k beyond the last multiple of 16, scales, and adds the outliers.
 * x: the packed row.
 */
function finish(
  y: usize, sums: usize, x: usize, w0: usize, w1: usize, w2: usize, w3: usize, scales: v128, K: i32, count: i32,
): void {
  let total = sumsOfFour(pair(sums), pair(sums + 32), pair(sums + 64), pair(sums + 96));
  for (let k = <usize>(K & ~15); k < <usize>K; k++) {
    const code = i32x4.splat(load<i16>(x + INT8_ROW_CODES + (k << 1)));
    total = i32x4.add(total, i32x4.mul(codes(w0 + k, w1 + k, w2 + k, w3 + k), code));
  }
  const scale = f32x4.mul(f32x4.splat(load<f32>(x)), scales);
  const inner = f32x4.mul(f32x4.mul(f32x4.convert_i32x4_s(total), scale), f32x4.splat(INVERSE_SQUARED));
  let outer = f32x4.splat(0), outlier = x + INT8_ROW_CODES + int8CodeBytes(K);
  for (let n = load<i32>(x, 4); n > 0; --n) {
    const k = <usize>load<i32>(outlier);
    const w = f32x4.mul(f32x4.mul(f32x4.convert_i32x4_s(codes(w0 + k, w1 + k, w2 + k, w3 + k)), scales), f32x4.splat(INVERSE));
    outer = f32x4.add(outer, f32x4.mul(v128.load_splat<f32>(outlier, 4), w));
    outlier += 8;
  }
  storeSome(y, f32x4.add(inner, outer), count);
}

// @ts-ignore: decorator
@inline
function pair(p: usize): v128 {
  return i32x4.add(v128.load(p), v128.load(p, 16));
}

// @ts-ignore: decorator
@inline
function codes(w0: usize, w1: usize, w2: usize, w3: usize): v128 {
  const a = i32x4.splat(load<i8>(w0)), b = i32x4.replace_lane(a, 1, load<i8>(w1));
  return i32x4.replace_lane(i32x4.replace_lane(b, 2, load<i8>(w2)), 3, load<i8>(w3));
}

/**
 * Columns [begin, end) of rows [rowBegin, rowEnd) of y [T, O]. x: what pack_rows_llm_int8 made; p0: i8 [O, K]; p1: SCB, f32 [O].
 */
export function linear_llm_int8(
  y: usize, x: usize, p0: usize, p1: usize, K: i32, O: i32, scratch: usize, rowBegin: i32, rowEnd: i32, begin: i32, end: i32,
): void {
  const rowBytes = int8RowBytes(K), yBytes = <usize>O << 2, n = K >> 4;
  for (let o = begin; o < end; o += 4) {
    const count = min(4, end - o);
    const o1 = <usize>min(o + 1, end - 1), o2 = <usize>min(o + 2, end - 1), o3 = <usize>min(o + 3, end - 1);
    const w0 = p0 + <usize>o * <usize>K, w1 = p0 + o1 * <usize>K, w2 = p0 + o2 * <usize>K, w3 = p0 + o3 * <usize>K;
    let scales = v128.load_splat<f32>(p1 + (<usize>o << 2));
    scales = f32x4.replace_lane(scales, 1, load<f32>(p1 + (o1 << 2)));
    scales = f32x4.replace_lane(scales, 2, load<f32>(p1 + (o2 << 2)));
    scales = f32x4.replace_lane(scales, 3, load<f32>(p1 + (o3 << 2)));
    for (let t = rowBegin; t < rowEnd; t += 2) {
      const x0 = x + <usize>t * rowBytes, x1 = x0 + rowBytes;
      const to = y + <usize>t * yBytes + (<usize>o << 2);
      if (t + 1 == rowEnd) {
        fourByOne(scratch, x0 + INT8_ROW_CODES, w0, w1, w2, w3, n);
        finish(to, scratch, x0, w0, w1, w2, w3, scales, K, count);
        break;
      }
      fourByTwo(scratch, x0 + INT8_ROW_CODES, x1 + INT8_ROW_CODES, w0, w1, w2, w3, n);
      finish(to, scratch, x0, w0, w1, w2, w3, scales, K, count);
      finish(to + yBytes, scratch + 128, x1, w0, w1, w2, w3, scales, K, count);
    }
  }
}
