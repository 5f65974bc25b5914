// exp and log to a few units in the last place.
// Constants lie in memory: V8 builds a vector constant anew at every use, which costs more than loading it.

import { madd } from "./lanes";

const LOG2_E: usize = memory.data<f32>([
  1.44269504, 12582912, -0.693359375, 2.1219444e-4, 89, -104,
  0.00019841270, 0.0013888889, 0.0083333333, 0.041666667, 0.16666667, 0.5, 1,
]);
const ROUNDER: usize = LOG2_E + 4; // 1.5 · 2²³: what is added to it loses its fraction
const LN2: usize = LOG2_E + 8; // ln 2, negative, in two parts, so that n · (first part) is exact
const LN2_REST: usize = LOG2_E + 12;
const MOST: usize = LOG2_E + 16; // beyond these two, the result is infinity or 0 anyway
const LEAST: usize = LOG2_E + 20;
const TAYLOR: usize = LOG2_E + 24; // 1/7! … 1/2!, 1
const LEAST_NORMAL: usize = memory.data<f32>([-87.3]);
const BIAS: usize = memory.data<i32>([127]);

// @ts-ignore: decorator
@inline
function constant(at: usize): v128 {
  return v128.load_splat<f32>(at);
}

// exp(x) = 2ⁿ · exp(r), n = round(x / ln 2), |r| ≤ ln 2 / 2: the Taylor series to r⁷ is within 5e-9 of exp(r).
// NaN stays NaN, as min and max hand it on.
// @ts-ignore: decorator
@inline
export function exp4(x: v128): v128 {
  const bounded = f32x4.max(f32x4.min(x, constant(MOST)), constant(LEAST));
  const rounder = constant(ROUNDER);
  const shifted = f32x4.add(f32x4.mul(bounded, constant(LOG2_E)), rounder);
  const n = f32x4.sub(shifted, rounder);
  let r = madd(n, constant(LN2), bounded);
  r = madd(n, constant(LN2_REST), r);
  let p = madd(r, constant(TAYLOR), constant(TAYLOR + 4));
  p = madd(p, r, constant(TAYLOR + 8));
  p = madd(p, r, constant(TAYLOR + 12));
  p = madd(p, r, constant(TAYLOR + 16));
  p = madd(p, r, constant(TAYLOR + 20));
  p = madd(f32x4.mul(p, r), r, r);
  p = f32x4.add(p, constant(TAYLOR + 24));
  // 2ⁿ in two factors: n reaches from -150 to 128, an exponent only from -126 to 127.
  const whole = i32x4.sub(shifted, rounder);
  const half = i32x4.shr_s(whole, 1);
  const bias = v128.load_splat<i32>(BIAS);
  const first = i32x4.shl(i32x4.add(half, bias), 23);
  const second = i32x4.shl(i32x4.add(i32x4.sub(whole, half), bias), 23);
  return f32x4.mul(f32x4.mul(p, first), second);
}

/**
 * exp(x) of x ≤ 0, in half the work; 0 below −87.3, where the result would have no leading bit left.
 * The integer n of the exponent stands in the low bits of `shifted`, from where it is added to the exponent of p.
 */
// @ts-ignore: decorator
@inline
export function expNegative4(x: v128): v128 {
  const bounded = f32x4.max(x, constant(LEAST_NORMAL));
  const rounder = constant(ROUNDER);
  const shifted = madd(bounded, constant(LOG2_E), rounder);
  const n = f32x4.sub(shifted, rounder);
  let r = madd(n, constant(LN2), bounded);
  r = madd(n, constant(LN2_REST), r);
  let p = madd(r, constant(TAYLOR), constant(TAYLOR + 4));
  p = madd(p, r, constant(TAYLOR + 8));
  p = madd(p, r, constant(TAYLOR + 12));
  p = madd(p, r, constant(TAYLOR + 16));
  p = madd(p, r, constant(TAYLOR + 20));
  p = madd(f32x4.mul(p, r), r, r);
  p = f32x4.add(p, constant(TAYLOR + 24));
  const result = i32x4.add(p, i32x4.shl(shifted, 23));
  return v128.bitselect(f32x4.splat(0), result, f32x4.lt(x, constant(LEAST_NORMAL)));
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
