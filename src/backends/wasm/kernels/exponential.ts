// exp and log to a few units in the last place, four lanes at a time; erfc for the exact GELU.

import { madd } from "./lanes";

// exp(x) = 2ⁿ · exp(r), n = round(x / ln 2), |r| ≤ ln 2 / 2: the Taylor series to r⁷ is within 5e-9 of exp(r).
// ln 2 in two parts, so that n · (first part) is exact.
// @ts-ignore: decorator
@inline
export function exp4(x: v128): v128 {
  // Beyond these, the result is 0 or infinity anyway; NaN stays NaN, as min and max hand it on.
  const bounded = f32x4.max(f32x4.min(x, f32x4.splat(89)), f32x4.splat(-104));
  const n = f32x4.nearest(f32x4.mul(bounded, f32x4.splat(1.44269504)));
  let r = madd(n, f32x4.splat(-0.693359375), bounded);
  r = madd(n, f32x4.splat(2.12194440e-4), r);
  let p = madd(r, f32x4.splat(1.0 / 5040.0), f32x4.splat(1.0 / 720.0));
  p = madd(p, r, f32x4.splat(1.0 / 120.0));
  p = madd(p, r, f32x4.splat(1.0 / 24.0));
  p = madd(p, r, f32x4.splat(1.0 / 6.0));
  p = madd(p, r, f32x4.splat(0.5));
  p = madd(f32x4.mul(p, r), r, r);
  p = f32x4.add(p, f32x4.splat(1));
  // 2ⁿ in two factors: n reaches from -150 to 128, an exponent only from -126 to 127.
  const whole = i32x4.trunc_sat_f32x4_s(n);
  const half = i32x4.shr_s(whole, 1);
  const first = i32x4.shl(i32x4.add(half, i32x4.splat(127)), 23);
  const second = i32x4.shl(i32x4.add(i32x4.sub(whole, half), i32x4.splat(127)), 23);
  return f32x4.mul(f32x4.mul(p, first), second);
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
