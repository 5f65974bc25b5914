// What the op `sample` and the host's logits processors share: exp, softmax in float32 as torch does it, and selection without a full sort.
// exp is ours: Math.exp may differ in its last bits from engine to engine, and a seed must give the same text on all of them.
// Knows no tokens and no settings.

const STEPS = 1024;
/** ln 2 / 1024 as a sum of two numbers (Cody and Waite 1980). The last bits of HIGH are 0, so that k · HIGH is exact. */
const HIGH = 0.6931471803691238 / STEPS;
const LOW = 1.9082149292705877e-10 / STEPS;
/** Below this, eˣ is smaller than the smallest float64. */
const LOWEST = -745;
/** [n] 2^(n − 1100) */
const POWERS = Float64Array.from({ length: 1101 }, (_, n) => 2 ** (n - 1100));
/** [j] 2^(j / 1024), as products of square roots, which IEEE 754 rounds alike on all machines */
const ROOTS = rootsOfTwo();

function rootsOfTwo(): Float64Array {
  const roots = new Float64Array(STEPS).fill(1);
  let root = Math.SQRT2;
  for (let bit = STEPS / 2; bit >= 1; bit /= 2, root = Math.sqrt(root)) {
    for (let j = 0; j < STEPS; j++) if (j & bit) roots[j] *= root;
  }
  return roots;
}

/** eˣ for x ≤ 0 to 2e-15 (relative), by IEEE operations only; 0 below −745. */
export function exp(x: number): number {
  if (!(x > LOWEST)) return x <= LOWEST ? 0 : NaN;
  const k = Math.floor(x * (STEPS * Math.LOG2E) + 0.5);
  const r = x - k * HIGH - k * LOW;
  // |r| ≤ ln 2 / 2048: the next term, r⁴ / 24, is below 6e-16.
  const tail = 1 + r * (1 + r * (1 / 2 + r * (1 / 6)));
  return ROOTS[k & (STEPS - 1)] * tail * POWERS[(k >> 10) + 1100];
}

/** The largest score; −∞ when all are; NaN when one is. */
export function largest(scores: Float32Array): number {
  let max = -Infinity;
  for (let i = 0; i < scores.length; i++) {
    const score = scores[i];
    if (score > max) max = score;
    else if (score !== score) return NaN;
  }
  return max;
}

/** Probabilities [V] of scores [V]: every term rounded to float32, the sum formed in float64 and rounded. */
export function softmax(scores: Float32Array): Float32Array {
  const probabilities = new Float32Array(scores.length);
  const max = largest(scores);
  let sum = 0;
  for (let i = 0; i < scores.length; i++) {
    if (scores[i] === -Infinity && max > -Infinity) continue;
    const term = Math.fround(exp(Math.fround(scores[i] - max)));
    probabilities[i] = term;
    sum += term;
  }
  sum = Math.fround(sum);
  for (let i = 0; i < scores.length; i++) probabilities[i] = probabilities[i] / sum;
  return probabilities;
}

/** A float's bits as a signed integer; the integers have the order of the floats (−NaN < −∞ < … < ∞ < NaN). */
function orderOf(bits: number): number {
  return bits ^ ((bits >> 31) & 0x7fffffff);
}

/** The upper 16 bits of that integer, counted from 0. */
function bucketOf(bits: number): number {
  return (orderOf(bits) >> 16) + BUCKETS / 2;
}

const BUCKETS = 2 ** 16;
/** Below this, sorting costs less than clearing and scanning the buckets. */
const FEW = 2048;

function bitsOf(values: Float32Array): Int32Array {
  return new Int32Array(values.buffer, values.byteOffset, values.length);
}

/** Indices from the smallest value to the largest; equal values by index. */
export function argsort(values: Float32Array): Int32Array {
  const bits = bitsOf(values);
  // The order in the upper 32 bits of an exact integer, the index in the lower 21: one sort of plain numbers.
  const keys = new Float64Array(values.length);
  for (let i = 0; i < keys.length; i++) keys[i] = (orderOf(bits[i]) + 2 ** 31) * 2 ** 21 + i;
  keys.sort();
  return Int32Array.from(keys, (key) => key % 2 ** 21);
}

/** The k-th largest value (1 ≤ k ≤ length): a histogram finds its bucket, and only that is sorted. */
export function kthLargest(values: Float32Array, k: number): number {
  if (k === 1) return largest(values);
  if (values.length <= FEW) return values.toSorted()[values.length - k];
  const bits = bitsOf(values);
  const counts = new Uint32Array(BUCKETS);
  for (let i = 0; i < bits.length; i++) counts[bucketOf(bits[i])]++;
  let bucket = BUCKETS;
  let above = 0;
  while (above < k) above += counts[--bucket];
  const inBucket = new Float32Array(counts[bucket]);
  for (let i = 0, n = 0; i < bits.length; i++) {
    if (bucketOf(bits[i]) === bucket) inBucket[n++] = values[i];
  }
  inBucket.sort();
  return inBucket[above - k];
}

/**
 * Walks the values from the largest to the smallest (equal ones by falling index) for as long as `keep` says so.
 *
 * @param keep given the sum of the weights of all larger values, and how many they are; once false, it stays false
 * @returns the index of the last value that is kept; −1 when nothing is to be cut
 */
export function lastKept(
  values: Float32Array,
  weights: Float32Array,
  keep: (sumAbove: number, above: number) => boolean,
): number {
  if (values.length <= FEW) {
    return walk(values, weights, keep, Int32Array.from(values.keys()), 0, 0);
  }
  const bits = bitsOf(values);
  const counts = new Uint32Array(BUCKETS);
  const sums = new Float64Array(BUCKETS);
  for (let i = 0; i < bits.length; i++) {
    const bucket = bucketOf(bits[i]);
    counts[bucket]++;
    sums[bucket] += weights[i];
  }
  let sum = 0;
  let above = 0;
  let bucket = BUCKETS - 1;
  // Whole buckets, as long as the next smaller value would be kept too; then the one where the border lies.
  for (; bucket >= 0; bucket--) {
    if (counts[bucket] === 0) continue;
    if (!keep(sum + sums[bucket], above + counts[bucket])) break;
    sum += sums[bucket];
    above += counts[bucket];
  }
  const indices = new Int32Array(bucket < 0 ? 0 : counts[bucket]);
  for (let i = 0, n = 0; i < bits.length && n < indices.length; i++) {
    if (bucketOf(bits[i]) === bucket) indices[n++] = i;
  }
  return walk(values, weights, keep, indices, sum, above);
}

function walk(
  values: Float32Array,
  weights: Float32Array,
  keep: (sumAbove: number, above: number) => boolean,
  indices: Int32Array,
  sum: number,
  above: number,
): number {
  const order = argsort(Float32Array.from(indices, (i) => values[i]));
  let last = -1;
  for (const i of order.toReversed()) {
    if (!keep(sum, above)) break;
    last = indices[i];
    sum += weights[last];
    above++;
  }
  return last;
}

/** The ids of the `count` largest values, largest first. */
export function best(values: Float32Array, count: number): Int32Array {
  return argsort(values).toReversed().subarray(0, count);
}
