// The two products of attention over one page: scores of 16 columns (keys lie turned, [D, 16]), and weighted sums of values.
// One order each, for one, two or four queries: scores add over d, sums over the columns that are seen, both ascending.
// Four at a time pay only where pairs of vectors run as one of 256 bits: there are too few registers else.

import { madd } from "./lanes";

/** 16 scores of one query at `to`. */
export function scoreOne(q: usize, keys: usize, D: i32, to: usize): void {
  let a = i32x4.splat(0), b = a, c = a, d = a;
  for (; D > 0; --D) {
    const s = v128.load_splat<f32>(q);
    a = madd(s, v128.load(keys), a);
    b = madd(s, v128.load(keys, 16), b);
    c = madd(s, v128.load(keys, 32), c);
    d = madd(s, v128.load(keys, 48), d);
    q += 4;
    keys += 64;
  }
  v128.store(to, b, 16);
  v128.store(to, a);
  v128.store(to, d, 48);
  v128.store(to, c, 32);
}

/** 16 scores of each of two queries at `to`. */
export function scoreTwo(q0: usize, q1: usize, keys: usize, D: i32, to: usize): void {
  let a = i32x4.splat(0), b = a, c = a, d = a, e = a, f = a, g = a, h = a;
  for (; D > 0; --D) {
    const s = v128.load_splat<f32>(q0), t = v128.load_splat<f32>(q1);
    let k = v128.load(keys), l = v128.load(keys, 16);
    a = madd(s, k, a);
    b = madd(s, l, b);
    e = madd(t, k, e);
    f = madd(t, l, f);
    k = v128.load(keys, 32);
    l = v128.load(keys, 48);
    c = madd(s, k, c);
    d = madd(s, l, d);
    g = madd(t, k, g);
    h = madd(t, l, h);
    q0 += 4;
    q1 += 4;
    keys += 64;
  }
  v128.store(to, b, 16);
  v128.store(to, a);
  v128.store(to, d, 48);
  v128.store(to, c, 32);
  v128.store(to, f, 80);
  v128.store(to, e, 64);
  v128.store(to, h, 112);
  v128.store(to, g, 96);
}

/** 16 scores of each of four queries at `to`. */
export function scoreFour(q0: usize, q1: usize, q2: usize, q3: usize, keys: usize, D: i32, to: usize): void {
  const zero = i32x4.splat(0);
  let a = zero, b = zero, c = zero, d = zero;
  let e = zero, f = zero, g = zero, h = zero;
  let i = zero, j = zero, k = zero, l = zero;
  let m = zero, n = zero, o = zero, r = zero;
  for (; D > 0; --D) {
    const s = v128.load_splat<f32>(q0), t = v128.load_splat<f32>(q1);
    const u = v128.load_splat<f32>(q2), v = v128.load_splat<f32>(q3);
    let x = v128.load(keys), y = v128.load(keys, 16);
    a = madd(s, x, a);
    b = madd(s, y, b);
    e = madd(t, x, e);
    f = madd(t, y, f);
    i = madd(u, x, i);
    j = madd(u, y, j);
    m = madd(v, x, m);
    n = madd(v, y, n);
    x = v128.load(keys, 32);
    y = v128.load(keys, 48);
    c = madd(s, x, c);
    d = madd(s, y, d);
    g = madd(t, x, g);
    h = madd(t, y, h);
    k = madd(u, x, k);
    l = madd(u, y, l);
    o = madd(v, x, o);
    r = madd(v, y, r);
    q0 += 4;
    q1 += 4;
    q2 += 4;
    q3 += 4;
    keys += 64;
  }
  v128.store(to, b, 16);
  v128.store(to, a);
  v128.store(to, d, 48);
  v128.store(to, c, 32);
  v128.store(to, f, 80);
  v128.store(to, e, 64);
  v128.store(to, h, 112);
  v128.store(to, g, 96);
  v128.store(to, j, 144);
  v128.store(to, i, 128);
  v128.store(to, l, 176);
  v128.store(to, k, 160);
  v128.store(to, n, 208);
  v128.store(to, m, 192);
  v128.store(to, r, 240);
  v128.store(to, o, 224);
}

/** sum [from, D) = sum · shrink + Σ p[j] · values[j] over the columns j in `seen`. */
export function accumulateOne(
  sum: usize, p: usize, seen: i32, shrink: f32, values: usize, stride: usize, from: i32, D: i32,
): void {
  const s = f32x4.splat(shrink);
  let d = from;
  for (; d + 16 <= D; d += 16) {
    const to = sum + (<usize>d << 2), v = values + (<usize>d << 2);
    let a = f32x4.mul(v128.load(to), s), b = f32x4.mul(v128.load(to, 16), s);
    let c = f32x4.mul(v128.load(to, 32), s), e = f32x4.mul(v128.load(to, 48), s);
    for (let bits = seen; bits; bits &= bits - 1) {
      const j = <usize>ctz(bits);
      const w = v128.load_splat<f32>(p + (j << 2)), at = v + j * stride;
      a = madd(w, v128.load(at), a);
      b = madd(w, v128.load(at, 16), b);
      c = madd(w, v128.load(at, 32), c);
      e = madd(w, v128.load(at, 48), e);
    }
    v128.store(to, b, 16);
    v128.store(to, a);
    v128.store(to, e, 48);
    v128.store(to, c, 32);
  }
  for (; d < D; d++) {
    const to = sum + (<usize>d << 2), v = values + (<usize>d << 2);
    let a = f32x4.mul(f32x4.splat(load<f32>(to)), s);
    for (let bits = seen; bits; bits &= bits - 1) {
      const j = <usize>ctz(bits);
      a = madd(v128.load_splat<f32>(p + (j << 2)), f32x4.splat(load<f32>(v + j * stride)), a);
    }
    store<f32>(to, f32x4.extract_lane(a, 0));
  }
}

/** The same for two queries that see the same columns: weights at p and p + 64. */
export function accumulateTwo(
  sum0: usize, sum1: usize, p: usize, seen: i32, shrink0: f32, shrink1: f32, values: usize, stride: usize, D: i32,
): void {
  const s = f32x4.splat(shrink0), t = f32x4.splat(shrink1);
  let d = 0;
  for (; d + 16 <= D; d += 16) {
    const to = sum0 + (<usize>d << 2), to1 = sum1 + (<usize>d << 2), v = values + (<usize>d << 2);
    let a = f32x4.mul(v128.load(to), s), b = f32x4.mul(v128.load(to, 16), s);
    let c = f32x4.mul(v128.load(to, 32), s), e = f32x4.mul(v128.load(to, 48), s);
    let f = f32x4.mul(v128.load(to1), t), g = f32x4.mul(v128.load(to1, 16), t);
    let h = f32x4.mul(v128.load(to1, 32), t), i = f32x4.mul(v128.load(to1, 48), t);
    for (let bits = seen; bits; bits &= bits - 1) {
      const j = <usize>ctz(bits);
      const w = v128.load_splat<f32>(p + (j << 2)), u = v128.load_splat<f32>(p + (j << 2), 64), at = v + j * stride;
      let k = v128.load(at), l = v128.load(at, 16);
      a = madd(w, k, a);
      b = madd(w, l, b);
      f = madd(u, k, f);
      g = madd(u, l, g);
      k = v128.load(at, 32);
      l = v128.load(at, 48);
      c = madd(w, k, c);
      e = madd(w, l, e);
      h = madd(u, k, h);
      i = madd(u, l, i);
    }
    v128.store(to, b, 16);
    v128.store(to, a);
    v128.store(to, e, 48);
    v128.store(to, c, 32);
    v128.store(to1, g, 16);
    v128.store(to1, f);
    v128.store(to1, i, 48);
    v128.store(to1, h, 32);
  }
  if (d == D) return;
  accumulateOne(sum0, p, seen, shrink0, values, stride, d, D);
  accumulateOne(sum1, p + 64, seen, shrink1, values, stride, d, D);
}

/** The same for four queries that see the same columns: sums D apart, weights 64 bytes apart at p, factors at `shrinks`. */
export function accumulateFour(
  sum: usize, p: usize, seen: i32, shrinks: usize, values: usize, stride: usize, D: i32,
): void {
  const bytes = <usize>D << 2;
  const s = v128.load_splat<f32>(shrinks), t = v128.load_splat<f32>(shrinks, 4);
  const u = v128.load_splat<f32>(shrinks, 8), v = v128.load_splat<f32>(shrinks, 12);
  let d = 0;
  for (; d + 16 <= D; d += 16) {
    const to = sum + (<usize>d << 2), to1 = to + bytes, to2 = to1 + bytes, to3 = to2 + bytes;
    const from = values + (<usize>d << 2);
    let a = f32x4.mul(v128.load(to), s), b = f32x4.mul(v128.load(to, 16), s);
    let c = f32x4.mul(v128.load(to, 32), s), d = f32x4.mul(v128.load(to, 48), s);
    let e = f32x4.mul(v128.load(to1), t), f = f32x4.mul(v128.load(to1, 16), t);
    let g = f32x4.mul(v128.load(to1, 32), t), h = f32x4.mul(v128.load(to1, 48), t);
    let i = f32x4.mul(v128.load(to2), u), j = f32x4.mul(v128.load(to2, 16), u);
    let k = f32x4.mul(v128.load(to2, 32), u), l = f32x4.mul(v128.load(to2, 48), u);
    let m = f32x4.mul(v128.load(to3), v), n = f32x4.mul(v128.load(to3, 16), v);
    let o = f32x4.mul(v128.load(to3, 32), v), r = f32x4.mul(v128.load(to3, 48), v);
    for (let bits = seen; bits; bits &= bits - 1) {
      const column = <usize>ctz(bits);
      const at = from + column * stride, weight = p + (column << 2);
      const w0 = v128.load_splat<f32>(weight), w1 = v128.load_splat<f32>(weight, 64);
      const w2 = v128.load_splat<f32>(weight, 128), w3 = v128.load_splat<f32>(weight, 192);
      let x = v128.load(at), y = v128.load(at, 16);
      a = madd(w0, x, a);
      b = madd(w0, y, b);
      e = madd(w1, x, e);
      f = madd(w1, y, f);
      i = madd(w2, x, i);
      j = madd(w2, y, j);
      m = madd(w3, x, m);
      n = madd(w3, y, n);
      x = v128.load(at, 32);
      y = v128.load(at, 48);
      c = madd(w0, x, c);
      d = madd(w0, y, d);
      g = madd(w1, x, g);
      h = madd(w1, y, h);
      k = madd(w2, x, k);
      l = madd(w2, y, l);
      o = madd(w3, x, o);
      r = madd(w3, y, r);
    }
    v128.store(to, b, 16);
    v128.store(to, a);
    v128.store(to, d, 48);
    v128.store(to, c, 32);
    v128.store(to1, f, 16);
    v128.store(to1, e);
    v128.store(to1, h, 48);
    v128.store(to1, g, 32);
    v128.store(to2, j, 16);
    v128.store(to2, i);
    v128.store(to2, l, 48);
    v128.store(to2, k, 32);
    v128.store(to3, n, 16);
    v128.store(to3, m);
    v128.store(to3, r, 48);
    v128.store(to3, o, 32);
  }
  if (d == D) return;
  for (let q: usize = 0; q < 4; q++)
    accumulateOne(sum + q * bytes, p + (q << 6), seen, load<f32>(shrinks + (q << 2)), values, stride, d, D);
}
