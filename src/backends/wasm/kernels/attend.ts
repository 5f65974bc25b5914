// The two products of attention over one page: scores of 16 columns (keys lie turned, [D, 16]), and weighted sums of values.
// One order each, for one query or two: scores add over d, sums over the columns that are seen, both ascending.

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
