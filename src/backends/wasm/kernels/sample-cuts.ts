// The cuts of sample (top-p and min-p) on a list of n candidates: x their scores, none of them −∞, `names` their ids (0: ids from 0 on),
// terms their exp(x − most), all in the order of the ids. Bit for bit what src/ops/cut-scores.ts does with a row.

import { exp, expPair } from "./exact-exponential";
import { logarithm } from "./exponential";
import { SAMPLE_BUCKETS, SAMPLE_FEW } from "./scratch";

// @ts-ignore: decorator
@inline
export function at(base: usize, i: i32): usize {
  return base + (<usize>i << 2);
}

// @ts-ignore: decorator
@inline
export function number(base: usize, i: i32): f32 {
  return load<f32>(at(base, i));
}

/** The bits of a number as an integer of the same order (−∞ < … < −0 < 0 < … < ∞), and back. */
// @ts-ignore: decorator
@inline
export function orderOf(x: f32): i32 {
  const bits = reinterpret<i32>(x);
  return bits ^ ((bits >> 31) & 0x7fffffff);
}
// @ts-ignore: decorator
@inline
export function ofOrder(order: i32): f32 {
  return reinterpret<f32>(order ^ ((order >> 31) & 0x7fffffff));
}

/** terms = exp(x − most), rounded to f32. @returns their sum, in order */
export function makeTerms(x: usize, n: i32, most: f32, terms: usize, table: usize): f64 {
  const shift = f32x4.splat(most), lowest = f32x4.splat(-200); // exp(−200) is 0 as f32
  let sum: f64 = 0;
  for (; n >= 4; n -= 4) {
    const d = f32x4.pmax(f32x4.sub(v128.load(x), shift), lowest);
    const a = f32x4.demote_f64x2_zero(expPair(f64x2.promote_low_f32x4(d), table));
    const b = f32x4.demote_f64x2_zero(expPair(f64x2.promote_low_f32x4(i64x2.shuffle(d, d, 1, 0)), table));
    v128.store(terms, i64x2.shuffle(a, b, 0, 2));
    sum = sum + <f64>f32x4.extract_lane(a, 0) + <f64>f32x4.extract_lane(a, 1) + <f64>f32x4.extract_lane(b, 0) + <f64>f32x4.extract_lane(b, 1);
    x += 16;
    terms += 16;
  }
  for (; n > 0; --n) {
    const term = <f32>exp(<f64>(load<f32>(x) - most), table);
    store<f32>(terms, term);
    sum += <f64>term;
    x += 4;
    terms += 4;
  }
  return sum;
}

/** Σ terms / divisor, each quotient rounded to f32, in order. */
export function sumOf(terms: usize, n: i32, divisor: f32): f64 {
  const d = f32x4.splat(divisor);
  let sum: f64 = 0;
  for (; n >= 4; n -= 4) {
    const p = f32x4.div(v128.load(terms), d);
    sum = sum + <f64>f32x4.extract_lane(p, 0) + <f64>f32x4.extract_lane(p, 1) + <f64>f32x4.extract_lane(p, 2) + <f64>f32x4.extract_lane(p, 3);
    terms += 16;
  }
  for (; n > 0; --n) {
    sum += <f64>(load<f32>(terms) / divisor);
    terms += 4;
  }
  return sum;
}

// The loops that keep some of the candidates write each to the next place and go on from there only if it stays: a branch that
// cannot be foreseen costs more.

/**
 * Keeps the scores above `bound`, and those that equal it from place `last` on, with their ids and terms (0: there are none).
 * @returns how many
 */
export function keepFrom(
  x: usize, names: usize, terms: usize, n: i32, bound: f32, last: i32, scores: usize, ids: usize,
): i32 {
  let kept = 0;
  for (let i = 0; i < n; i++) {
    const score = number(x, i);
    store<f32>(at(scores, kept), score);
    store<i32>(at(ids, kept), names ? load<i32>(at(names, i)) : i);
    if (terms) store<f32>(at(terms, kept), number(terms, i));
    kept += i32(score > bound) | (i32(score == bound) & i32(i >= last));
  }
  return kept;
}

/** Min-p: keeps what has a probability, its term / sum, of `cut` or more. @returns how many */
export function keepLikely(
  x: usize, names: usize, terms: usize, n: i32, sum: f32, cut: f32, scores: usize, ids: usize,
): i32 {
  let kept = 0;
  for (let i = 0; i < n; i++) {
    store<f32>(at(scores, kept), number(x, i));
    store<i32>(at(ids, kept), names ? load<i32>(at(names, i)) : i);
    kept += i32(number(terms, i) / sum >= cut);
  }
  return kept;
}

/**
 * Top-p: the candidate at the border, the last from the largest score down (equal ones by falling place) whose smaller ones would
 * have more than `cut` in sum; −1 when nothing is to be cut. Few candidates are walked in that order; of many, whole
 * buckets of scores with the same upper 16 bits, their sums formed by place, then the bucket in which the border lies.
 */
export function border(x: usize, terms: usize, n: i32, most: f32, sum: f32, cut: f32, heap: usize, sums: usize): i32 {
  const total = sumOf(terms, n, sum);
  if (n <= SAMPLE_FEW) {
    for (let i = 0; i < n; i++) store<i32>(at(heap, i), i);
    return walk(x, terms, sum, heap, n, total, cut, 0, true);
  }
  // Which of two zeros was found as the largest does not matter: the positive one has the higher bucket.
  const counts = sums + (<usize>SAMPLE_BUCKETS << 3);
  const top = bucketOf(most == 0 ? 0 : most), low = lowestBucket(n, most, cut);
  memory.fill(sums + (<usize>low << 3), 0, <usize>(top - low + 1) << 3);
  memory.fill(at(counts, low), 0, <usize>(top - low + 1) << 2);
  for (let i = 0; i < n; i++) {
    const bucket = bucketOf(number(x, i));
    if (bucket < low) continue;
    const place = sums + (<usize>bucket << 3), count = at(counts, bucket);
    store<f64>(place, load<f64>(place) + <f64>(number(terms, i) / sum));
    store<i32>(count, load<i32>(count) + 1);
  }
  let above: f64 = 0, bucket = top;
  for (; bucket >= low; bucket--) {
    if (!load<i32>(at(counts, bucket))) continue;
    const next = above + load<f64>(sums + (<usize>bucket << 3));
    if (!(<f32>(total - next) > cut)) break;
    above = next;
  }
  if (bucket < low) return -1;
  let inBucket = 0;
  for (let i = 0; i < n; i++) {
    if (bucketOf(number(x, i)) == bucket) store<i32>(at(heap, inBucket++), i);
  }
  return walk(x, terms, sum, heap, inBucket, total, cut, above, bucket == top);
}

/** The upper 16 bits of a finite score's order, from 0. */
// @ts-ignore: decorator
@inline
function bucketOf(x: f32): i32 {
  return (orderOf(x) >> 16) + (SAMPLE_BUCKETS >> 1);
}

/**
 * A bucket at or above the border's: what lies below has less than cut / 2 in sum, since each of its n candidates at most has a
 * probability of exp(x − most) = cut / 4n. A cut that the roundings of sums could hide is not looked at.
 */
function lowestBucket(n: i32, most: f32, cut: f32): i32 {
  if (cut < <f32>(1.0 / 1048576)) return 0;
  return max(0, bucketOf(<f32>(<f64>most + logarithm(<f64>cut / (4 * <f64>n)))) - 1);
}

/** From the largest of the n candidates in the heap down, as long as what is smaller has more than `cut` in sum. */
function walk(x: usize, terms: usize, sum: f32, heap: usize, n: i32, total: f64, cut: f32, above: f64, first: bool): i32 {
  for (let i = (n >> 1) - 1; i >= 0; i--) sift(x, heap, i, n);
  let last = -1;
  for (; n > 0; first = false) {
    if (!first && !(<f32>(total - above) > cut)) break;
    last = load<i32>(heap);
    above += <f64>(number(terms, last) / sum);
    n--;
    store<i32>(heap, load<i32>(at(heap, n)));
    sift(x, heap, 0, n);
  }
  return last;
}

/** Lets entry i of a heap of n places sink until those below it come later: scores that are smaller, or equal at a lower place. */
function sift(x: usize, heap: usize, i: i32, n: i32): void {
  const place = load<i32>(at(heap, i)), order = orderOf(number(x, place));
  for (;;) {
    let child = 2 * i + 1;
    if (child >= n) break;
    let next = load<i32>(at(heap, child)), nextOrder = orderOf(number(x, next));
    if (child + 1 < n) {
      const other = load<i32>(at(heap, child + 1)), otherOrder = orderOf(number(x, other));
      if (isBefore(otherOrder, other, nextOrder, next)) {
        child++;
        next = other;
        nextOrder = otherOrder;
      }
    }
    if (!isBefore(nextOrder, next, order, place)) break;
    store<i32>(at(heap, i), next);
    i = child;
  }
  store<i32>(at(heap, i), place);
}

// @ts-ignore: decorator
@inline
function isBefore(order: i32, place: i32, otherOrder: i32, other: i32): bool {
  return order != otherOrder ? order > otherOrder : place > other;
}
