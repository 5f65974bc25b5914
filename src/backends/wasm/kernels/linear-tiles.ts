// The inner loops of linear for two rows of x, which share what is loaded of w. A tile sums over one block of k, for three or six
// rows of w. Each sum has eight lanes, a pair of vectors; linear.ts folds them. Knows no other blocks and no threads.

import { bytesOf, f16Limit, f16Mask, f16Ones, f16Scale, high, low, madd, weight } from "./lanes";
import { W_TAILS, X_TAILS } from "./scratch";

/** Writes the last `count` numbers of a row, padded with zeros to eight f32. */
// @ts-ignore: decorator
@inline
export function tail<F>(to: usize, from: usize, count: i32): void {
  v128.store(to, i32x4.splat(0), 16);
  v128.store(to, i32x4.splat(0));
  for (let i = 0; i < count; i++) store<f32>(to + (<usize>i << 2), weight<F>(from + <usize>i * bytesOf<F>()));
}

/**
 * Three rows of w, read where they lie, times two rows of x, over one block of k. Six pairs of vectors go to `scratch`: for each
 * row of w, those of both rows of x.
 */
export function threeByTwo<F>(
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

/**
 * Three unpacked rows of w times two rows of x. w holds, for each group of 8 k, the eight numbers of rows 0, 1 and 2. `tails`: the
 * last k of both rows of x, padded to eight; 0 if there are none.
 */
export function unpackedThreeByTwo(x0: usize, x1: usize, w: usize, groups: i32, tails: usize, to: usize): void {
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

/** The same with six unpacked rows of w, for vectors of 256 bits. */
export function unpackedSixByTwo(x0: usize, x1: usize, w: usize, groups: i32, tails: usize, to: usize): void {
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
