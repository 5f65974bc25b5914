// sample: chooses a token of each row of logits [N, V], bit for bit as src/ops/sample.ts does; its settings and draws say how.
// A row is searched once by blocks of 64 for its largest scores; cuts leave a list of candidates, on which all further work is done.

import { exp, expPair, isTooLow, makeExpTable } from "./exact-exponential";
import { largestLane } from "./lanes";
import { ceilDiv } from "./op-words";
import { at, border, keepFrom, keepLikely, makeTerms, number, ofOrder, orderOf, sumOf } from "./sample-cuts";
import { SAMPLE_BLOCK, SAMPLE_LISTS, sampleBlocksAt, sampleBucketsAt, sampleListBytes } from "./scratch";

/** Of src/ops/sample.ts and src/ops/cross-entropy.ts. */
const DRAW: i32 = 1, LOG_PROB: i32 = 2, IGNORED_LABEL: i32 = -100;
const LOWEST_FINITE: f32 = -3.4028234663852886e38;

/** Rows [begin, end). token, label and status may be absent (pointer 0). */
export function sample(
  token: usize, label: usize, status: usize, logits: usize, settings: usize, draws: usize, V: i32, scratch: usize,
  begin: i32, end: i32,
): void {
  for (let n = begin; n < end; n++) {
    const row = logits + (<usize>n * <usize>V << 2), draw = draws + (<usize>n << 4);
    const flags = load<i32>(draw);
    const found = flags & DRAW ? drawnToken(row, V, settings + <usize>n * 12, draw, scratch) : bestToken(row, V, scratch);
    if (token) store<i32>(at(token, n), max(found, 0));
    if (label) store<i32>(at(label, n), found >= 0 && flags & LOG_PROB ? found : IGNORED_LABEL);
    if (status) store<i32>(at(status, n), found < 0 ? -found : 0);
  }
}

/** What stands for a row without a token: its status, negative. */
function noToken(largest: f32): i32 {
  return largest != largest ? -1 : largest > 0 ? -2 : -3;
}

function bestToken(row: usize, V: i32, blocks: usize): i32 {
  const most = blockMaxima(row, V, blocks, blocks + <usize>ceilDiv(V, SAMPLE_BLOCK) * 4);
  if (!(abs(most) < Infinity)) return noToken(most);
  let b = 0;
  while (number(blocks, b) != most) b++;
  let i = b * SAMPLE_BLOCK;
  while (number(row, i) != most) i++;
  return i;
}

function drawnToken(row: usize, V: i32, settings: usize, draw: usize, table: usize): i32 {
  const size = <usize>sampleListBytes(V);
  const scores = table + SAMPLE_LISTS, ids = scores + size, terms = ids + size, heap = terms + size;
  const blocks = table + <usize>sampleBlocksAt(V), buckets = table + <usize>sampleBucketsAt(V);
  const temperature = load<f32>(settings), cut = load<f32>(settings, 4), minP = load<f32>(settings, 8);
  let from = row, names: usize = 0, n = V; // the candidates, and their ids; 0: all ids from 0 on
  if (temperature != 1) {
    divide(row, scores, V, temperature);
    from = scores;
  }
  const most = blockMaxima(from, V, blocks, heap), least = load<f32>(heap);
  if (!(abs(most) < Infinity)) return noToken(most);
  makeExpTable(table);
  const k = load<i32>(draw, 4);
  if (k > 0 && k < V) {
    n = keepBest(from, V, k, least, most, blocks, scores, ids);
    from = scores;
    names = ids;
  } else if (least == -Infinity) {
    n = collect(from, 0, V, LOWEST_FINITE, scores, ids, 0);
    from = scores;
    names = ids;
  }
  if (cut >= 0 || minP > 0) {
    let sum = <f32>makeTerms(from, n, most, terms, table);
    const last = cut >= 0 ? border(from, terms, n, most, sum, cut, heap, buckets) : -1;
    if (last >= 0) {
      n = keepFrom(from, names, terms, n, number(from, last), last, scores, ids);
      from = scores;
      names = ids;
      if (minP > 0) sum = <f32>sumOf(terms, n, 1);
    }
    if (minP > 0) {
      n = keepLikely(from, names, terms, n, sum, minP * (1 / sum), scores, ids);
      from = scores;
      names = ids;
    }
  }
  const u = (<f64>load<i32>(draw, 8) * 67108864 + <f64>load<i32>(draw, 12)) / 9007199254740992;
  const found = placeAt(u, from, n, most, blocks, table);
  return names ? load<i32>(at(names, found)) : found;
}

function divide(x: usize, to: usize, n: i32, divisor: f32): void {
  const d = f32x4.splat(divisor);
  for (; n >= 4; n -= 4) {
    v128.store(to, f32x4.div(v128.load(x), d));
    x += 16;
    to += 16;
  }
  for (; n > 0; --n) {
    store<f32>(to, load<f32>(x) / divisor);
    x += 4;
    to += 4;
  }
}

/** The largest of n scores, and of each block; the least goes to `least`. NaN when one is, and then no more is found. */
function blockMaxima(x: usize, n: i32, blocks: usize, least: usize): f32 {
  let most: f32 = -Infinity, low: f32 = Infinity;
  for (; n > 0; n -= SAMPLE_BLOCK) {
    let m = f32x4.splat(-Infinity), l = f32x4.splat(Infinity), broken = i32x4.splat(0);
    let left = min(n, SAMPLE_BLOCK);
    for (; left >= 4; left -= 4) {
      const v = v128.load(x);
      m = f32x4.pmax(m, v);
      l = f32x4.pmin(l, v);
      broken = v128.or(broken, f32x4.ne(v, v));
      x += 16;
    }
    if (v128.any_true(broken)) return NaN;
    let top = largestLane(m);
    low = min(low, -largestLane(f32x4.neg(l)));
    for (; left > 0; --left) {
      const score = load<f32>(x);
      if (score != score) return NaN;
      top = max(top, score);
      low = min(low, score);
      x += 4;
    }
    store<f32>(blocks, top);
    blocks += 4;
    most = max(most, top);
  }
  store<f32>(least, low);
  return most;
}

/** Top-k: the candidates are the k best, and all that equal the k-th, but for −∞. @returns how many */
function keepBest(x: usize, V: i32, k: i32, least: f32, most: f32, blocks: usize, scores: usize, ids: usize): i32 {
  const count = ceilDiv(V, SAMPLE_BLOCK);
  if (k > count) return collect(x, 0, V, threshold(x, V, k, least, most), scores, ids, 0);
  // The k-th of the blocks' maxima is a bound for the k-th of all scores, and other blocks hold none of them.
  const bound = threshold(blocks, count, k, least, most);
  let n = 0;
  for (let b = 0; b < count; b++) {
    if (number(blocks, b) >= bound) n = collect(x, b * SAMPLE_BLOCK, min(V, (b + 1) * SAMPLE_BLOCK), bound, scores, ids, n);
  }
  return n <= k ? n : keepFrom(scores, ids, 0, n, threshold(scores, n, k, bound, most), 0, scores, ids);
}

/** Adds the scores of [begin, end) that are at least `bound`, and not −∞, to n candidates. */
function collect(x: usize, begin: i32, end: i32, bound: f32, scores: usize, ids: usize, n: i32): i32 {
  bound = max(bound, LOWEST_FINITE);
  for (let i = begin; i < end; i++) {
    const score = number(x, i);
    store<f32>(at(scores, n), score);
    store<i32>(at(ids, n), i);
    n += i32(score >= bound);
  }
  return n;
}

/** A number that exactly those of n scores reach which are among the k best, or equal the k-th; all lie from `least` to `most`. */
function threshold(x: usize, n: i32, k: i32, least: f32, most: f32): f32 {
  let low = <i64>orderOf(least), high = <i64>orderOf(most);
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    const count = countFrom(x, n, ofOrder(<i32>middle));
    if (count == k) return ofOrder(<i32>middle);
    if (count > k) low = middle;
    else high = middle - 1;
  }
  return ofOrder(<i32>low);
}

function countFrom(x: usize, n: i32, bound: f32): i32 {
  const b = f32x4.splat(bound);
  let counts = i32x4.splat(0);
  for (; n >= 4; n -= 4) {
    counts = i32x4.sub(counts, f32x4.ge(v128.load(x), b));
    x += 16;
  }
  let count = i32x4.extract_lane(counts, 0) + i32x4.extract_lane(counts, 1) + i32x4.extract_lane(counts, 2) + i32x4.extract_lane(counts, 3);
  for (; n > 0; --n) {
    count += i32(load<f32>(x) >= bound);
    x += 4;
  }
  return count;
}

/** The place of the candidate at which the running sum of exp(score − most), from place 0 on, passes u times the whole. */
function placeAt(u: f64, x: usize, n: i32, most: f32, sums: usize, table: usize): i32 {
  let sum: f64 = 0, end = sums;
  for (let i = 0; i < n; i += SAMPLE_BLOCK) {
    sum = addBlock(sum, at(x, i), min(SAMPLE_BLOCK, n - i), <f64>most, table);
    store<f64>(end, sum);
    end += 8;
  }
  const target = u * sum;
  let block = 0;
  while (!(load<f64>(sums + (<usize>block << 3)) > target)) block++;
  sum = block ? load<f64>(sums + (<usize>(block - 1) << 3)) : 0;
  let i = block * SAMPLE_BLOCK - 1;
  do {
    i++;
    sum += exp(<f64>number(x, i) - <f64>most, table);
  } while (!(sum > target));
  return i;
}

/** sum + exp(x − most) of n scores, one after the other. */
function addBlock(sum: f64, x: usize, n: i32, most: f64, table: usize): f64 {
  const shift = f64x2.splat(most);
  for (; n >= 4; n -= 4) {
    const a = f64x2.sub(f64x2.promote_low_f32x4(v128.load64_zero(x)), shift);
    const b = f64x2.sub(f64x2.promote_low_f32x4(v128.load64_zero(x, 8)), shift);
    if (isTooLow(f64x2.pmin(a, b), table)) {
      for (let i: usize = 0; i < 16; i += 4) sum += exp(<f64>load<f32>(x + i) - most, table);
    } else {
      const c = expPair(a, table), d = expPair(b, table);
      sum = sum + f64x2.extract_lane(c, 0) + f64x2.extract_lane(c, 1) + f64x2.extract_lane(d, 0) + f64x2.extract_lane(d, 1);
    }
    x += 16;
  }
  for (; n > 0; --n) {
    sum += exp(<f64>load<f32>(x) - most, table);
    x += 4;
  }
  return sum;
}
