// linear: y [T, O] = x [T, K] · w [O, K]ᵀ for f32, bf16 and f16 weights as they lie in a file.
// One order of summation, whoever computes a row: blocks of 1024 k, added in turn; in a block eight lanes over k (the last
// k padded with zeros), lane i + lane i + 4, then lanes::fold. Few rows read the weights as they lie; many rows unpack six
// (or three) of them at a time into `scratch`, where they stay in the first-level cache while all rows of x pass by.

import { bytesOf, f16Limit, f16Mask, f16Ones, f16Scale, fold, fold4, high, low, madd, pairSum, weight } from "./lanes";

const BLOCK: i32 = 1024;
// Layout of `scratch`: sums of a tile (up to 12 pairs), tails of two rows of x, tails of up to six rows of w, unpacked rows of w.
const X_TAILS: usize = 512;
const W_TAILS: usize = 576;
const UNPACKED: usize = 1024;
/** Bytes of scratch that a call needs. */
export const LINEAR_SCRATCH: i32 = 1024 + 6 * BLOCK * 4;

/** The last k of a row, padded to eight f32. */
// @ts-ignore: decorator
@inline
function tail<F>(to: usize, from: usize, count: i32): void {
  v128.store(to, i32x4.splat(0), 16);
  v128.store(to, i32x4.splat(0));
  for (let i = 0; i < count; i++) store<f32>(to + (<usize>i << 2), weight<F>(from + <usize>i * bytesOf<F>()));
}

/** Four rows of w times one row of x: four streams from memory at once, which is what decode is limited by. */
function fourByOne<F>(
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

/** Three rows of w as they lie times two rows of x, over one block of k: six pairs of sums at `scratch`, w-major. */
function threeByTwo<F>(
  x0: usize, x1: usize, w0: usize, w1: usize, w2: usize, length: i32, scratch: usize,
): void {
  const mask = f16Mask(), scale = f16Scale(), limit = f16Limit(), ones = f16Ones();
  const zero = i32x4.splat(0);
  let a = zero, A = zero, b = zero, B = zero, c = zero, C = zero;
  let d = zero, D = zero, e = zero, E = zero, f = zero, G = zero;
  for (let n = length >> 3; n > 0; --n) {
    const p = v128.load(x0), q = v128.load(x1);
    const P = v128.load(x0, 16), Q = v128.load(x1, 16);
    let v = low<F>(w0, mask, scale, limit, ones);
    a = madd(v, p, a);
    b = madd(v, q, b);
    v = low<F>(w1, mask, scale, limit, ones);
    c = madd(v, p, c);
    d = madd(v, q, d);
    v = low<F>(w2, mask, scale, limit, ones);
    e = madd(v, p, e);
    f = madd(v, q, f);
    v = high<F>(w0, mask, scale, limit, ones);
    A = madd(v, P, A);
    B = madd(v, Q, B);
    v = high<F>(w1, mask, scale, limit, ones);
    C = madd(v, P, C);
    D = madd(v, Q, D);
    v = high<F>(w2, mask, scale, limit, ones);
    E = madd(v, P, E);
    G = madd(v, Q, G);
    x0 += 32;
    x1 += 32;
    w0 += 8 * bytesOf<F>();
    w1 += 8 * bytesOf<F>();
    w2 += 8 * bytesOf<F>();
  }
  const rest = length & 7;
  if (rest) {
    const xt = scratch + X_TAILS, wt = scratch + W_TAILS;
    tail<f32>(xt, x0, rest);
    tail<f32>(xt + 32, x1, rest);
    tail<F>(wt, w0, rest);
    tail<F>(wt + 32, w1, rest);
    tail<F>(wt + 64, w2, rest);
    a = madd(v128.load(wt), v128.load(xt), a);
    A = madd(v128.load(wt, 16), v128.load(xt, 16), A);
    b = madd(v128.load(wt), v128.load(xt, 32), b);
    B = madd(v128.load(wt, 16), v128.load(xt, 48), B);
    c = madd(v128.load(wt, 32), v128.load(xt), c);
    C = madd(v128.load(wt, 48), v128.load(xt, 16), C);
    d = madd(v128.load(wt, 32), v128.load(xt, 32), d);
    D = madd(v128.load(wt, 48), v128.load(xt, 48), D);
    e = madd(v128.load(wt, 64), v128.load(xt), e);
    E = madd(v128.load(wt, 80), v128.load(xt, 16), E);
    f = madd(v128.load(wt, 64), v128.load(xt, 32), f);
    G = madd(v128.load(wt, 80), v128.load(xt, 48), G);
  }
  v128.store(scratch, A, 16);
  v128.store(scratch, a);
  v128.store(scratch, B, 48);
  v128.store(scratch, b, 32);
  v128.store(scratch, C, 80);
  v128.store(scratch, c, 64);
  v128.store(scratch, D, 112);
  v128.store(scratch, d, 96);
  v128.store(scratch, E, 144);
  v128.store(scratch, e, 128);
  v128.store(scratch, G, 176);
  v128.store(scratch, f, 160);
}

/** Three unpacked rows of w times two rows of x: groups of 8 k, each row 0, 1, 2. */
function unpackedThreeByTwo(x0: usize, x1: usize, w: usize, groups: i32, tails: usize, to: usize): void {
  const zero = i32x4.splat(0);
  let a = zero, A = zero, b = zero, B = zero, c = zero, C = zero;
  let d = zero, D = zero, e = zero, E = zero, f = zero, G = zero;
  for (;;) {
    for (; groups > 0; --groups) {
      let p = v128.load(x0), q = v128.load(x1);
      let v = v128.load(w);
      a = madd(v, p, a);
      b = madd(v, q, b);
      v = v128.load(w, 32);
      c = madd(v, p, c);
      d = madd(v, q, d);
      v = v128.load(w, 64);
      e = madd(v, p, e);
      f = madd(v, q, f);
      p = v128.load(x0, 16);
      q = v128.load(x1, 16);
      v = v128.load(w, 16);
      A = madd(v, p, A);
      B = madd(v, q, B);
      v = v128.load(w, 48);
      C = madd(v, p, C);
      D = madd(v, q, D);
      v = v128.load(w, 80);
      E = madd(v, p, E);
      G = madd(v, q, G);
      x0 += 32;
      x1 += 32;
      w += 96;
    }
    if (!tails) break;
    x0 = tails;
    x1 = tails + 32;
    tails = 0;
    groups = 1;
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
  v128.store(to, G, 176);
  v128.store(to, f, 160);
}

/** Six unpacked rows of w times two rows of x: the same for vectors of 256 bits. */
function unpackedSixByTwo(x0: usize, x1: usize, w: usize, groups: i32, tails: usize, to: usize): void {
  const zero = i32x4.splat(0);
  let a = zero, A = zero, b = zero, B = zero, c = zero, C = zero;
  let d = zero, D = zero, e = zero, E = zero, f = zero, G = zero;
  let g = zero, H = zero, h = zero, I = zero, i = zero, J = zero;
  let j = zero, L = zero, k = zero, M = zero, l = zero, N = zero;
  for (;;) {
    for (; groups > 0; --groups) {
      const p = v128.load(x0), P = v128.load(x0, 16);
      const q = v128.load(x1), Q = v128.load(x1, 16);
      let v = v128.load(w), V = v128.load(w, 16);
      a = madd(v, p, a);
      A = madd(V, P, A);
      b = madd(v, q, b);
      B = madd(V, Q, B);
      v = v128.load(w, 32);
      V = v128.load(w, 48);
      c = madd(v, p, c);
      C = madd(V, P, C);
      d = madd(v, q, d);
      D = madd(V, Q, D);
      v = v128.load(w, 64);
      V = v128.load(w, 80);
      e = madd(v, p, e);
      E = madd(V, P, E);
      f = madd(v, q, f);
      G = madd(V, Q, G);
      v = v128.load(w, 96);
      V = v128.load(w, 112);
      g = madd(v, p, g);
      H = madd(V, P, H);
      h = madd(v, q, h);
      I = madd(V, Q, I);
      v = v128.load(w, 128);
      V = v128.load(w, 144);
      i = madd(v, p, i);
      J = madd(V, P, J);
      j = madd(v, q, j);
      L = madd(V, Q, L);
      v = v128.load(w, 160);
      V = v128.load(w, 176);
      k = madd(v, p, k);
      M = madd(V, P, M);
      l = madd(v, q, l);
      N = madd(V, Q, N);
      x0 += 32;
      x1 += 32;
      w += 192;
    }
    if (!tails) break;
    x0 = tails;
    x1 = tails + 32;
    tails = 0;
    groups = 1;
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
  v128.store(to, G, 176);
  v128.store(to, f, 160);
  v128.store(to, H, 208);
  v128.store(to, g, 192);
  v128.store(to, I, 240);
  v128.store(to, h, 224);
  v128.store(to, J, 272);
  v128.store(to, i, 256);
  v128.store(to, L, 304);
  v128.store(to, j, 288);
  v128.store(to, M, 336);
  v128.store(to, k, 320);
  v128.store(to, N, 368);
  v128.store(to, l, 352);
}

/** Folds the sums of `count` rows of w (w-major pairs, two rows of x each) into y0, and into y1 when there is one. */
function foldInto(y0: usize, y1: usize, sums: usize, count: i32, first: bool): void {
  for (let r = 0; r < count; r++) {
    const at = <usize>r << 2;
    const p = fold(pairSum(sums));
    store<f32>(y0 + at, first ? p : load<f32>(y0 + at) + p);
    if (y1) {
      const q = fold(pairSum(sums + 32));
      store<f32>(y1 + at, first ? q : load<f32>(y1 + at) + q);
    }
    sums += 64;
  }
}

/** `count` rows of w, `length` of k each, as f32 in groups of 8 k with `width` rows side by side; zeros where none are. */
function unpack<F>(to: usize, w: usize, stride: usize, length: i32, width: i32, count: i32): void {
  const mask = f16Mask(), scale = f16Scale(), limit = f16Limit(), ones = f16Ones();
  const step = <usize>width << 5;
  const groups = (length + 7) >> 3;
  for (let r = 0; r < width; r++) {
    let from = w + <usize>r * stride, p = to + (<usize>r << 5);
    if (r >= count) {
      for (let n = groups; n > 0; --n) {
        v128.store(p, i32x4.splat(0), 16);
        v128.store(p, i32x4.splat(0));
        p += step;
      }
      continue;
    }
    for (let n = length >> 3; n > 0; --n) {
      const v = low<F>(from, mask, scale, limit, ones), V = high<F>(from, mask, scale, limit, ones);
      v128.store(p, V, 16);
      v128.store(p, v);
      from += 8 * bytesOf<F>();
      p += step;
    }
    if (length & 7) tail<F>(p, from, length & 7);
  }
}

/** Many rows: block of k after block of k, and in it a few rows of w at a time, unpacked once for all rows of x. */
function manyRows<F>(
  y: usize, x: usize, w: usize, K: i32, O: i32, scratch: usize, wide: i32,
  rowBegin: i32, rowEnd: i32, begin: i32, end: i32,
): void {
  const width = wide ? 6 : 3;
  const xStride = <usize>K << 2, wStride = <usize>K * bytesOf<F>(), yStride = <usize>O << 2;
  const unpacked = scratch + UNPACKED;
  for (let k = 0; k < K; k += BLOCK) {
    const length = min(BLOCK, K - k);
    const rest = length & 7;
    for (let o = begin; o < end; o += width) {
      const count = min(width, end - o);
      unpack<F>(unpacked, w + <usize>o * wStride + <usize>k * bytesOf<F>(), wStride, length, width, count);
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

/** Two rows or a few more: pairs of them share the weights that they load. */
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

/** From this many rows on, unpacking the weights pays; f16 is the costliest to widen again and again. */
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

/** Columns [begin, end) of rows [rowBegin, rowEnd). `wide`: the tile for 256 bits; the same bits come out. */
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
