// The softmax of one query over a block of 64 columns, which are four pages of 16. `seen` has a bit for each column that the query
// sees. Pages of which it sees nothing are left alone; in the others the columns that it does not see get the weight 0.
// Order of the sum of weights: page after page; in a page its four vectors (a + b) + (c + d), then lanes::fold.

import { constants, expNegative4 } from "./exponential";
import { fold } from "./lanes";

/** Scores with −∞ in the lanes of columns that are not in `seen`. `bits`: the bit of each lane's column. */
// @ts-ignore: decorator
@inline
function masked(score: v128, seen: i32, bits: v128): v128 {
  const on = i32x4.ne(v128.and(i32x4.splat(seen), bits), i32x4.splat(0));
  return v128.bitselect(score, f32x4.splat(-Infinity), on);
}

/** Scales and masks the 16 scores at p in place. Returns four, the largest of all among them. `scales`: one a column, or 0. */
export function prepare(p: usize, seen: i32, scale: f32, scales: usize): v128 {
  const s = f32x4.splat(scale);
  let a = v128.load(p), b = v128.load(p, 16);
  let c = v128.load(p, 32), d = v128.load(p, 48);
  if (scales) {
    a = f32x4.mul(a, v128.load(scales));
    b = f32x4.mul(b, v128.load(scales, 16));
    c = f32x4.mul(c, v128.load(scales, 32));
    d = f32x4.mul(d, v128.load(scales, 48));
  }
  a = f32x4.mul(a, s);
  b = f32x4.mul(b, s);
  c = f32x4.mul(c, s);
  d = f32x4.mul(d, s);
  if (seen != 0xffff) {
    a = masked(a, seen, i32x4(1, 2, 4, 8));
    b = masked(b, seen, i32x4(16, 32, 64, 128));
    c = masked(c, seen, i32x4(256, 512, 1024, 2048));
    d = masked(d, seen, i32x4(4096, 8192, 16384, 32768));
  }
  v128.store(p, b, 16);
  v128.store(p, a);
  v128.store(p, d, 48);
  v128.store(p, c, 32);
  // pmax is one instruction, but may lose a NaN. The result is NaN all the same, since the weight of that column is.
  return f32x4.pmax(f32x4.pmax(a, b), f32x4.pmax(c, d));
}

/** The 16 scores at p become exp(score − m); returns their sum. */
export function exponentials(p: usize, m: f32): f32 {
  const s = f32x4.splat(m), t = constants();
  const a = expNegative4(f32x4.sub(v128.load(p), s), t);
  const b = expNegative4(f32x4.sub(v128.load(p, 16), s), t);
  const c = expNegative4(f32x4.sub(v128.load(p, 32), s), t);
  const d = expNegative4(f32x4.sub(v128.load(p, 48), s), t);
  v128.store(p, b, 16);
  v128.store(p, a);
  v128.store(p, d, 48);
  v128.store(p, c, 32);
  return fold(f32x4.add(f32x4.add(a, b), f32x4.add(c, d)));
}

/** Multiplies the 16 weights at p by the numbers at `by`, in place. */
export function multiply(p: usize, by: usize): void {
  const a = f32x4.mul(v128.load(p), v128.load(by)), b = f32x4.mul(v128.load(p, 16), v128.load(by, 16));
  const c = f32x4.mul(v128.load(p, 32), v128.load(by, 32)), d = f32x4.mul(v128.load(p, 48), v128.load(by, 48));
  v128.store(p, b, 16);
  v128.store(p, a);
  v128.store(p, d, 48);
  v128.store(p, c, 32);
}

/** The columns seen of page n of a block, as 16 bits. */
// @ts-ignore: decorator
@inline
export function seenOf(seen: i64, n: i32): i32 {
  return <i32>(seen >> (n << 4)) & 0xffff;
}

/** The largest of four lanes. */
// @ts-ignore: decorator
@inline
export function largestOf(lanes: v128): f32 {
  const most = f32x4.pmax(lanes, i8x16.shuffle(lanes, lanes, 8, 9, 10, 11, 12, 13, 14, 15, 0, 1, 2, 3, 4, 5, 6, 7));
  const l = f32x4.extract_lane(most, 0), r = f32x4.extract_lane(most, 1);
  return l > r ? l : r;
}

/** Scales and masks a query's 64 scores at p in place. Returns the largest. */
export function largest(p: usize, seen: i64, scale: f32, scales: usize): f32 {
  let most = f32x4.splat(-Infinity);
  for (let n = 0; n < 4; n++) {
    const bits = seenOf(seen, n), at = <usize>n << 6;
    if (bits) most = f32x4.pmax(most, prepare(p + at, bits, scale, scales ? scales + at : 0));
  }
  return largestOf(most);
}

/** Turns the scores at p into weights exp(score − m). Returns their sum. `scales`: factors of the weights after that, or 0. */
export function weigh(p: usize, seen: i64, m: f32, scales: usize): f32 {
  let sum: f32 = 0;
  for (let n = 0; n < 4; n++) {
    const at = <usize>n << 6;
    if (!seenOf(seen, n)) continue;
    sum += exponentials(p + at, m);
    if (scales) multiply(p + at, scales + at);
  }
  return sum;
}
