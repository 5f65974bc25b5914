// exp and log to a few units in the last place.
// Constants lie in memory, since V8 builds a vector constant anew at every use, and at an address that V8 does not know:
// it joins pairs of vectors into one of 256 bits only where the addresses are variables.

import { madd } from "./lanes";

//   offset  content
//        0  log₂ e
//        4  1.5 · 2²³: a number that is added to it loses its fraction
//    8, 12  −ln 2 in two parts, such that n · the first part is exact
//   16, 20  bounds of x, beyond which exp is infinite or 0
//  24 … 44  1/7! … 1/2!
//       48  1
//   52, 56  bounds of x, within which exp is neither infinite, nor 0, nor subnormal
const TABLE: usize = memory.data<f32>([
  1.44269504, 12582912, -0.693359375, 2.1219444e-4, 89, -104,
  0.00019841270, 0.0013888889, 0.0083333333, 0.041666667, 0.16666667, 0.5, 1,
  -87.3, 88,
]);
const TABLE_AT: usize = memory.data<usize>([TABLE]);
const BIAS: usize = memory.data<i32>([127]);

/** What the functions below take as `c`. */
// @ts-ignore: decorator
@inline
export function constants(): usize {
  return load<usize>(TABLE_AT);
}

// exp(r) of |r| ≤ ln 2 / 2: the Taylor series to r⁷ is within 5e-9.
// @ts-ignore: decorator
@inline
function series(r: v128, c: usize): v128 {
  let p = madd(r, v128.load_splat<f32>(c, 24), v128.load_splat<f32>(c, 28));
  p = madd(p, r, v128.load_splat<f32>(c, 32));
  p = madd(p, r, v128.load_splat<f32>(c, 36));
  p = madd(p, r, v128.load_splat<f32>(c, 40));
  p = madd(p, r, v128.load_splat<f32>(c, 44));
  p = madd(f32x4.mul(p, r), r, r);
  return f32x4.add(p, v128.load_splat<f32>(c, 48));
}

// exp(x) = 2ⁿ · exp(r), n = round(x / ln 2).
// NaN stays NaN: pmin and pmax give their first operand unless the second is smaller or larger, in one instruction.
// @ts-ignore: decorator
@inline
export function exp4(x: v128, c: usize): v128 {
  const bounded = f32x4.pmax(f32x4.pmin(x, v128.load_splat<f32>(c, 16)), v128.load_splat<f32>(c, 20));
  const rounder = v128.load_splat<f32>(c, 4);
  const shifted = madd(bounded, v128.load_splat<f32>(c), rounder);
  const n = f32x4.sub(shifted, rounder);
  const r = madd(n, v128.load_splat<f32>(c, 12), madd(n, v128.load_splat<f32>(c, 8), bounded));
  // 2ⁿ in two factors: n reaches from -150 to 128, an exponent only from -126 to 127.
  const whole = i32x4.sub(shifted, rounder);
  const half = i32x4.shr_s(whole, 1);
  const bias = v128.load_splat<i32>(BIAS);
  const first = i32x4.shl(i32x4.add(half, bias), 23);
  const second = i32x4.shl(i32x4.add(i32x4.sub(whole, half), bias), 23);
  return f32x4.mul(f32x4.mul(series(r, c), first), second);
}

// exp(x) of x from −87.3 to 88, in half the work: n is in the low bits of `shifted`, and is added to the exponent of exp(r) from
// there.
// @ts-ignore: decorator
@inline
function expWithin(x: v128, c: usize): v128 {
  const rounder = v128.load_splat<f32>(c, 4);
  const shifted = madd(x, v128.load_splat<f32>(c), rounder);
  const n = f32x4.sub(shifted, rounder);
  const r = madd(n, v128.load_splat<f32>(c, 12), madd(n, v128.load_splat<f32>(c, 8), x));
  return i32x4.add(series(r, c), i32x4.shl(shifted, 23));
}

/** exp(x) of x ≤ 0; 0 below −87.3. */
// @ts-ignore: decorator
@inline
export function expNegative4(x: v128, c: usize): v128 {
  const least = v128.load_splat<f32>(c, 52);
  return v128.andnot(expWithin(f32x4.pmax(x, least), c), f32x4.lt(x, least));
}

/** exp(x) for callers that add 1 to it: x is limited to −87.3 … 88 first. */
// @ts-ignore: decorator
@inline
export function expBounded4(x: v128, c: usize): v128 {
  return expWithin(f32x4.pmax(f32x4.pmin(x, v128.load_splat<f32>(c, 56)), v128.load_splat<f32>(c, 52)), c);
}

/** log(x) of a positive x in f64: x = 2ᵉ·m, log m = 2·artanh((m − 1) / (m + 1)), whose argument is below 0.1716. */
export function logarithm(x: f64): f64 {
  if (!(x > 0 && x < Infinity)) return x == 0 ? -Infinity : x > 0 ? x : NaN;
  let e: i64 = 0;
  if (x < 2.2250738585072014e-308) {
    x *= 18014398509481984;
    e = -54;
  }
  const bits = reinterpret<i64>(x);
  e += (bits >> 52) - 1023;
  let m = reinterpret<f64>((bits & 0x000fffffffffffff) | 0x3ff0000000000000);
  if (m > 1.4142135623730951) {
    m *= 0.5;
    e += 1;
  }
  const s = (m - 1) / (m + 1);
  const z = s * s;
  let sum: f64 = 0;
  for (let k = 23; k > 0; k -= 2) sum = sum * z + 1 / <f64>k;
  return <f64>e * 0.6931471805599453 + 2 * s * sum;
}
