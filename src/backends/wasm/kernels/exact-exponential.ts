// exp of x ≤ 0 to 2e-15, bit for bit as src/ops/softmax.ts computes it: tokens are chosen with it, and a seed must give the same
// ones everywhere. 2^(j/1024) comes from a table, which each claim of rows makes anew in its scratch (a thousand products).

const STEPS: i32 = 1024;
const LOG2E: f64 = 1.4426950408889634 * <f64>STEPS;
/** ln 2 / 1024 in two parts: the first has zeros at its end, so that k · HIGH is exact. */
const HIGH: f64 = 0.6931471803691238 / <f64>STEPS;
const LOW: f64 = 1.9082149292705877e-10 / <f64>STEPS;
/** exp is 0 from here on. */
const LOWEST: f64 = -745;
/** What is added to a whole number puts it into the low bits. */
const MAGIC: f64 = 6755399441055744;

/**
 * Fills the table of 8,384 bytes, see scratch.ts. It holds the vectors' constants too, since V8 builds a vector constant anew at
 * every use.
 *
 *   offset  content
 *   0       1,024 f64: 2^(j/1024)
 *   8,192   nine pairs of equal numbers: 1024 · log₂ e, 1/2, HIGH, LOW, 1/6, 1, MAGIC, 1023 (as integers), −700
 */
export function makeExpTable(to: usize): void {
  store<f64>(to, 1);
  let root: f64 = 1.4142135623730951;
  for (let bit = STEPS >> 1; bit >= 1; bit >>= 1) {
    for (let j = bit; j < STEPS; j += 2 * bit) {
      store<f64>(to + (<usize>j << 3), load<f64>(to + (<usize>(j - bit) << 3)) * root);
    }
    root = sqrt<f64>(root);
  }
  const constants = to + 8192;
  pair(constants, LOG2E);
  pair(constants + 16, 0.5);
  pair(constants + 32, HIGH);
  pair(constants + 48, LOW);
  pair(constants + 64, 1.0 / 6.0);
  pair(constants + 80, 1);
  pair(constants + 96, MAGIC);
  store<i64>(constants, 1023, 112);
  store<i64>(constants, 1023, 120);
  pair(constants + 128, -700);
}

function pair(to: usize, x: f64): void {
  store<f64>(to, x);
  store<f64>(to, x, 8);
}

/** exp(x) of one x ≤ 0. */
export function exp(x: f64, table: usize): f64 {
  if (x <= LOWEST) return 0;
  const k = floor<f64>(x * LOG2E + 0.5);
  const r = x - k * HIGH - k * LOW;
  const tail = 1 + r * (1 + r * (0.5 + r * (1.0 / 6.0)));
  const i = <i32>k;
  return load<f64>(table + (<usize>(i & (STEPS - 1)) << 3)) * tail * powerOfTwo(i >> 10);
}

/** 2ⁿ, n ≤ 0; 0 below the smallest number. */
function powerOfTwo(n: i32): f64 {
  if (n >= -1022) return reinterpret<f64>(<i64>(n + 1023) << 52);
  return n >= -1074 ? reinterpret<f64>((<i64>1) << (n + 1074)) : 0;
}

/** exp of two f64 from −700 to 0. */
// @ts-ignore: decorator
@inline
export function expPair(x: v128, table: usize): v128 {
  const half = v128.load(table, 8208), one = v128.load(table, 8272);
  const k = f64x2.floor(f64x2.add(f64x2.mul(x, v128.load(table, 8192)), half));
  const r = f64x2.sub(f64x2.sub(x, f64x2.mul(k, v128.load(table, 8224))), f64x2.mul(k, v128.load(table, 8240)));
  const cubic = f64x2.mul(r, f64x2.add(half, f64x2.mul(r, v128.load(table, 8256))));
  const tail = f64x2.add(one, f64x2.mul(r, f64x2.add(one, cubic)));
  const bits = f64x2.add(k, v128.load(table, 8288));
  const mask = v128.load(table, 8304);
  const j = i64x2.shl(v128.and(bits, mask), 3);
  const low = v128.load64_zero(table + <usize>i32x4.extract_lane(j, 0));
  const roots = v128.load64_lane(table + <usize>i32x4.extract_lane(j, 2), low, 1);
  // The product of the two is near 1 or 2, and 2ⁿ no smaller than 2⁻¹⁰¹⁰: n is added to its exponent.
  return i64x2.add(f64x2.mul(roots, tail), i64x2.shl(v128.andnot(bits, mask), 42));
}

/** Whether one of two f64 is too low for expPair. */
// @ts-ignore: decorator
@inline
export function isTooLow(x: v128, table: usize): bool {
  return v128.any_true(f64x2.lt(x, v128.load(table, 8320)));
}
