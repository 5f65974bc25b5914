// The two products of attention: scores of the 16 columns of a page (keys lie transposed, [D, 16]), and weighted sums of 16 numbers
// of the values of a block. From query to query, a block's scores and weights lie 256 bytes apart. The order of summation is the
// same for one, two and four queries: scores over d, sums over the seen columns, both ascending. Four queries at a time pay only
// where V8 joins pairs of vectors into one of 256 bits: otherwise there are too few registers. Knows no pages.

import { madd } from "./lanes";

/** Bytes of a run of columns in a list, see listRuns. */
export const RUN: usize = 12;

/** Writes 16 scores of one query to `to`: those at `from`, plus the products of D numbers. */
export function scoreOne(q: usize, keys: usize, D: i32, from: usize, to: usize): void {
  let a = v128.load(from), b = v128.load(from, 16), c = v128.load(from, 32), d = v128.load(from, 48);
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

/** The same for two queries. */
export function scoreTwo(q0: usize, q1: usize, keys: usize, D: i32, from: usize, to: usize): void {
  let a = v128.load(from), b = v128.load(from, 16), c = v128.load(from, 32), d = v128.load(from, 48);
  let e = v128.load(from, 256), f = v128.load(from, 272), g = v128.load(from, 288), h = v128.load(from, 304);
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
  v128.store(to, f, 272);
  v128.store(to, e, 256);
  v128.store(to, h, 304);
  v128.store(to, g, 288);
}

/** The same for four queries. */
export function scoreFour(q0: usize, q1: usize, q2: usize, q3: usize, keys: usize, D: i32, from: usize, to: usize): void {
  let a = v128.load(from), b = v128.load(from, 16), c = v128.load(from, 32), d = v128.load(from, 48);
  let e = v128.load(from, 256), f = v128.load(from, 272), g = v128.load(from, 288), h = v128.load(from, 304);
  let i = v128.load(from, 512), j = v128.load(from, 528), k = v128.load(from, 544), l = v128.load(from, 560);
  let m = v128.load(from, 768), n = v128.load(from, 784), o = v128.load(from, 800), r = v128.load(from, 816);
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
  v128.store(to, f, 272);
  v128.store(to, e, 256);
  v128.store(to, h, 304);
  v128.store(to, g, 288);
  v128.store(to, j, 528);
  v128.store(to, i, 512);
  v128.store(to, l, 560);
  v128.store(to, k, 544);
  v128.store(to, n, 784);
  v128.store(to, m, 768);
  v128.store(to, r, 816);
  v128.store(to, o, 800);
}

/**
 * Lists the runs of neighbouring columns of a page that are in `seen`. The page's values lie at `values`, 64 bytes a column, and its
 * weights at `weights`. Returns where the list ends. A run:
 *   offset  bytes  content
 *        0      4  where its values begin
 *        4      4  where its weights begin
 *        8      4  how many columns it has
 */
export function listRuns(to: usize, seen: i32, values: usize, weights: usize): usize {
  while (seen) {
    const first = ctz(seen), count = ctz(~(seen >> first));
    store<u32>(to, <u32>(values + (<usize>first << 6)));
    store<u32>(to, <u32>(weights + (<usize>first << 2)), 4);
    store<i32>(to, count, 8);
    to += RUN;
    seen &= -1 << (first + count);
  }
  return to;
}

/** sum [16] = sum · shrink + Σ weight · value over `count` runs of columns, whose addresses count from `values` and p. */
export function accumulateOne(sum: usize, shrink: f32, p: usize, runs: usize, count: i32, values: usize): void {
  const s = f32x4.splat(shrink);
  let a = f32x4.mul(v128.load(sum), s), b = f32x4.mul(v128.load(sum, 16), s);
  let c = f32x4.mul(v128.load(sum, 32), s), d = f32x4.mul(v128.load(sum, 48), s);
  for (; count > 0; --count) {
    let at = values + <usize>load<u32>(runs), weight = p + <usize>load<u32>(runs, 4);
    for (let n = load<i32>(runs, 8); n > 0; --n) {
      const w = v128.load_splat<f32>(weight);
      a = madd(w, v128.load(at), a);
      b = madd(w, v128.load(at, 16), b);
      c = madd(w, v128.load(at, 32), c);
      d = madd(w, v128.load(at, 48), d);
      weight += 4;
      at += 64;
    }
    runs += RUN;
  }
  v128.store(sum, b, 16);
  v128.store(sum, a);
  v128.store(sum, d, 48);
  v128.store(sum, c, 32);
}

/** The same for two queries: sums at `sum` and `sum1`. */
export function accumulateTwo(
  sum: usize, sum1: usize, shrink: f32, shrink1: f32, p: usize, runs: usize, count: i32, values: usize,
): void {
  const s = f32x4.splat(shrink), t = f32x4.splat(shrink1);
  let a = f32x4.mul(v128.load(sum), s), b = f32x4.mul(v128.load(sum, 16), s);
  let c = f32x4.mul(v128.load(sum, 32), s), d = f32x4.mul(v128.load(sum, 48), s);
  let e = f32x4.mul(v128.load(sum1), t), f = f32x4.mul(v128.load(sum1, 16), t);
  let g = f32x4.mul(v128.load(sum1, 32), t), h = f32x4.mul(v128.load(sum1, 48), t);
  for (; count > 0; --count) {
    let at = values + <usize>load<u32>(runs), weight = p + <usize>load<u32>(runs, 4);
    for (let columns = load<i32>(runs, 8); columns > 0; --columns) {
      const w = v128.load_splat<f32>(weight), u = v128.load_splat<f32>(weight, 256);
      let x = v128.load(at), y = v128.load(at, 16);
      a = madd(w, x, a);
      b = madd(w, y, b);
      e = madd(u, x, e);
      f = madd(u, y, f);
      x = v128.load(at, 32);
      y = v128.load(at, 48);
      c = madd(w, x, c);
      d = madd(w, y, d);
      g = madd(u, x, g);
      h = madd(u, y, h);
      weight += 4;
      at += 64;
    }
    runs += RUN;
  }
  v128.store(sum, b, 16);
  v128.store(sum, a);
  v128.store(sum, d, 48);
  v128.store(sum, c, 32);
  v128.store(sum1, f, 16);
  v128.store(sum1, e);
  v128.store(sum1, h, 48);
  v128.store(sum1, g, 32);
}

/** The same for four queries, whose sums lie `stride` bytes apart and whose factors lie at `shrinks`, 12 bytes apart. */
export function accumulateFour(
  sum: usize, stride: usize, shrinks: usize, p: usize, runs: usize, count: i32, values: usize,
): void {
  const s = v128.load_splat<f32>(shrinks), t = v128.load_splat<f32>(shrinks, 12);
  const u = v128.load_splat<f32>(shrinks, 24), v = v128.load_splat<f32>(shrinks, 36);
  const sum1 = sum + stride, sum2 = sum1 + stride, sum3 = sum2 + stride;
  let a = f32x4.mul(v128.load(sum), s), b = f32x4.mul(v128.load(sum, 16), s);
  let c = f32x4.mul(v128.load(sum, 32), s), d = f32x4.mul(v128.load(sum, 48), s);
  let e = f32x4.mul(v128.load(sum1), t), f = f32x4.mul(v128.load(sum1, 16), t);
  let g = f32x4.mul(v128.load(sum1, 32), t), h = f32x4.mul(v128.load(sum1, 48), t);
  let i = f32x4.mul(v128.load(sum2), u), j = f32x4.mul(v128.load(sum2, 16), u);
  let k = f32x4.mul(v128.load(sum2, 32), u), l = f32x4.mul(v128.load(sum2, 48), u);
  let m = f32x4.mul(v128.load(sum3), v), n = f32x4.mul(v128.load(sum3, 16), v);
  let o = f32x4.mul(v128.load(sum3, 32), v), r = f32x4.mul(v128.load(sum3, 48), v);
  for (; count > 0; --count) {
    let at = values + <usize>load<u32>(runs), weight = p + <usize>load<u32>(runs, 4);
    for (let columns = load<i32>(runs, 8); columns > 0; --columns) {
      const w0 = v128.load_splat<f32>(weight), w1 = v128.load_splat<f32>(weight, 256);
      const w2 = v128.load_splat<f32>(weight, 512), w3 = v128.load_splat<f32>(weight, 768);
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
      weight += 4;
      at += 64;
    }
    runs += RUN;
  }
  v128.store(sum, b, 16);
  v128.store(sum, a);
  v128.store(sum, d, 48);
  v128.store(sum, c, 32);
  v128.store(sum1, f, 16);
  v128.store(sum1, e);
  v128.store(sum1, h, 48);
  v128.store(sum1, g, 32);
  v128.store(sum2, j, 16);
  v128.store(sum2, i);
  v128.store(sum2, l, 48);
  v128.store(sum2, k, 32);
  v128.store(sum3, n, 16);
  v128.store(sum3, m);
  v128.store(sum3, r, 48);
  v128.store(sum3, o, 32);
}
