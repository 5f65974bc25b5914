// paged_attention: y [T, Hq·D] of q over cache pages with an online softmax, page after page of 16 columns.
// A row sees column j of its sequence if the page's mask has it and at − window < j ≤ at. A unit of work is a block of rows
// of one key-value head: the page stays in the first-level cache while all its queries pass by, a few at a time.
// A query's bits depend on its own columns only: those it does not see add nothing, not even a zero.

import { accumulateFour, accumulateOne, accumulateTwo, scoreFour, scoreOne, scoreTwo } from "./attend";
import { constants, expNegative4 } from "./exponential";
import { fold } from "./lanes";

const SHRINKS: usize = 256;
const STATES: usize = 320;

/** Of the columns 16·block … + 15, those that the page holds and that a row at column `at` sees, as bits. */
export function visible(mask: i32, block: i32, at: i32, window: i32): i32 {
  const first = block << 4;
  const last = at - first;
  if (last < 0) return 0;
  if (last < 15) mask &= (2 << last) - 1;
  const skip = window > 0 ? at - window + 1 - first : 0;
  if (skip > 15) return 0;
  if (skip > 0) mask &= -1 << skip;
  return mask & 0xffff;
}

/** −∞ in the lanes of the columns that are not in `seen`, whose lanes start at bit `from`. */
// @ts-ignore: decorator
@inline
function masked(score: v128, seen: i32, bits: v128): v128 {
  const on = i32x4.ne(v128.and(i32x4.splat(seen), bits), i32x4.splat(0));
  return v128.bitselect(score, f32x4.splat(-Infinity), on);
}

/** The largest of the 16 scores at p, after scaling and masking them in place. */
export function prepare(p: usize, seen: i32, scale: f32): f32 {
  const s = f32x4.splat(scale);
  let a = f32x4.mul(v128.load(p), s), b = f32x4.mul(v128.load(p, 16), s);
  let c = f32x4.mul(v128.load(p, 32), s), d = f32x4.mul(v128.load(p, 48), s);
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
  // pmax is one instruction; that a NaN may get lost here does not hide it, since its own weight is NaN.
  let m = f32x4.pmax(f32x4.pmax(a, b), f32x4.pmax(c, d));
  m = f32x4.pmax(m, i8x16.shuffle(m, m, 8, 9, 10, 11, 12, 13, 14, 15, 0, 1, 2, 3, 4, 5, 6, 7));
  const l = f32x4.extract_lane(m, 0), r = f32x4.extract_lane(m, 1);
  return l > r ? l : r;
}

/** Scores at p become exp(score − m); returns their sum. */
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

/**
 * One step of the online softmax of a query whose largest score m and sum l stand at `state`: scores at p become weights.
 * Returns the factor by which what has been accumulated shrinks.
 */
function weigh(p: usize, state: usize, seen: i32, scale: f32): f32 {
  const old = load<f32>(state);
  const most = prepare(p, seen, scale), m = most > old ? most : old;
  const sum = exponentials(p, m);
  const shrink: f32 = m == old ? 1 : f32x4.extract_lane(expNegative4(f32x4.splat(old - m), constants()), 0);
  store<f32>(state, m);
  store<f32>(state, load<f32>(state, 4) * shrink + sum, 4);
  return shrink;
}

/**
 * Units [begin, end): unit = block of `blockRows` rows · kvHeads + key-value head.
 * `scratch`: 320 bytes, then 12 bytes and D floats for each of blockRows · heads / kvHeads queries.
 * `wide`: four queries at a time, for 256 bits; the same bits come out.
 */
export function paged_attention(
  y: usize, q: usize, K: usize, V: usize, seq: usize, at: usize, pages: usize,
  heads: i32, kvHeads: i32, D: i32, window: i32, P: i32, scale: f32,
  rows: i32, blockRows: i32, wide: i32, scratch: usize, begin: i32, end: i32,
): void {
  for (let unit = begin; unit < end; unit++) {
    const head = unit % kvHeads;
    let row = (unit / kvHeads) * blockRows;
    const last = min(rows, row + blockRows);
    while (row < last) {
      const sequence = load<i32>(seq + (<usize>row << 2));
      let next = row + 1;
      while (next < last && load<i32>(seq + (<usize>next << 2)) == sequence) next++;
      run(
        y, q, K, V, at, pages + (<usize>sequence * <usize>P << 3),
        heads, kvHeads, head, D, window, P, scale, row, next, wide, scratch,
      );
      row = next;
    }
  }
}

/** Rows [begin, end) of one sequence, with all query heads of one key-value head. */
function run(
  y: usize, q: usize, K: usize, V: usize, at: usize, pages: usize,
  heads: i32, kvHeads: i32, head: i32, D: i32, window: i32, P: i32, scale: f32,
  begin: i32, end: i32, wide: i32, scratch: usize,
): void {
  const group = heads / kvHeads;
  const queries = (end - begin) * group;
  const bytes = <usize>D << 2;
  const rowBytes = <usize>heads * bytes, KVBytes = <usize>kvHeads * bytes;
  const headAt = <usize>head * bytes;
  // At scratch, weights of a page for up to four queries, then by what their sums shrink. Per query: [largest score, sum, seen], and what is accumulated.
  const states = scratch + STATES, sums = states + <usize>queries * 12;
  let low = i32.MAX_VALUE, high = -1;
  for (let r = begin; r < end; r++) {
    const column = load<i32>(at + (<usize>r << 2));
    high = max(high, column);
    low = min(low, window > 0 ? max(0, column - window + 1) : 0);
  }
  for (let i = 0; i < queries; i++) {
    store<f32>(states + <usize>i * 12, -Infinity);
    store<f32>(states + <usize>i * 12, 0, 4);
  }
  for (let i: usize = 0; i < <usize>queries * bytes; i += 4) store<f32>(sums + i, 0);

  for (let block = low >> 4; block <= high >> 4; block++) {
    const entry = pages + (<usize>(block % P) << 3);
    const mask = load<i32>(entry, 4);
    if (!mask) continue;
    const page = <usize>load<i32>(entry) * (KVBytes << 4);
    const keys = K + page + (headAt << 4), values = V + page + headAt;
    for (let i = 0, r = begin; r < end; r++) {
      const seen = visible(mask, block, load<i32>(at + (<usize>r << 2)), window);
      for (let g = 0; g < group; g++) store<i32>(states + <usize>(i++) * 12, seen, 8);
    }
    for (let i = 0; i < queries; i++) {
      const state = states + <usize>i * 12, sum = sums + <usize>i * bytes;
      const seen = load<i32>(state, 8);
      if (!seen) continue;
      const q0 = queryAt(q, begin, i, group, head, rowBytes, bytes);
      const pair = i + 1 < queries && load<i32>(state, 20) == seen;
      if (!pair) {
        scoreOne(q0, keys, D, scratch);
        accumulateOne(sum, scratch, seen, weigh(scratch, state, seen, scale), values, KVBytes, 0, D);
        continue;
      }
      const q1 = queryAt(q, begin, i + 1, group, head, rowBytes, bytes);
      if (wide && i + 3 < queries && load<i32>(state, 32) == seen && load<i32>(state, 44) == seen) {
        const q2 = queryAt(q, begin, i + 2, group, head, rowBytes, bytes);
        const q3 = queryAt(q, begin, i + 3, group, head, rowBytes, bytes);
        scoreFour(q0, q1, q2, q3, keys, D, scratch);
        for (let n: usize = 0; n < 4; n++)
          store<f32>(scratch + SHRINKS + (n << 2), weigh(scratch + (n << 6), state + n * 12, seen, scale));
        accumulateFour(sum, scratch, seen, scratch + SHRINKS, values, KVBytes, D);
        i += 3;
        continue;
      }
      scoreTwo(q0, q1, keys, D, scratch);
      const s0 = weigh(scratch, state, seen, scale), s1 = weigh(scratch + 64, state + 12, seen, scale);
      accumulateTwo(sum, sum + bytes, scratch, seen, s0, s1, values, KVBytes, D);
      i++;
    }
  }

  for (let i = 0; i < queries; i++) {
    const sum = load<f32>(states + <usize>i * 12, 4);
    const to = queryAt(y, begin, i, group, head, rowBytes, bytes), from = sums + <usize>i * bytes;
    const none = load<f32>(states + <usize>i * 12) == -Infinity && sum == 0;
    for (let d: usize = 0; d < bytes; d += 4) store<f32>(to + d, none ? 0 : load<f32>(from + d) / sum);
  }
}

/** Where query i of a run lies in q or y. */
// @ts-ignore: decorator
@inline
function queryAt(q: usize, begin: i32, i: i32, group: i32, head: i32, rowBytes: usize, bytes: usize): usize {
  return q + <usize>(begin + i / group) * rowBytes + <usize>(head * group + (i % group)) * bytes;
}
