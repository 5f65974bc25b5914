// glu: y = act(gate) · up, element by element. act: 0 silu, 1 gelu (exact, by erfc), 2 gelu_tanh, 3 relu.

import { exp4 } from "./exponential";
import { madd } from "./lanes";

// Constants in memory, as in exponential.ts: P's coefficients from t⁹ down, then 0.4/√2, 1, −0.5, 0.5.
const P: usize = memory.data<f32>([
  -0.028636841, 0.192822086, -0.486629245, 0.5312279, -0.270924315, 0.264874493, 0.13215631, 0.214390789, 0.225015267,
  0.225703676, 0.282842712, 1, -0.5, 0.5,
]);
const ONE: usize = P + 44;
// 0.044715 and −2·√(2/π)
const CUBIC: usize = memory.data<f32>([0.044715, -1.5957691216057308]);

// @ts-ignore: decorator
@inline
function constant(at: usize): v128 {
  return v128.load_splat<f32>(at);
}

// @ts-ignore: decorator
@inline
function silu(x: v128): v128 {
  return f32x4.div(x, f32x4.add(exp4(f32x4.neg(x)), constant(ONE)));
}

// 0.5 · x · (1 + tanh u) = x / (1 + exp(−2u)), u = √(2/π) · (x + 0.044715 · x³)
// @ts-ignore: decorator
@inline
function geluTanh(x: v128): v128 {
  const cubic = madd(f32x4.mul(x, x), constant(CUBIC), constant(ONE));
  const twice = f32x4.mul(f32x4.mul(x, constant(CUBIC + 4)), cubic);
  return f32x4.div(x, f32x4.add(exp4(twice), constant(ONE)));
}

// x · Φ(x). With z = |x|/√2: Φ(−|x|) = erfc(z)/2 = exp(−z²) · t·P(t)/2, t = 1/(1 + 0.4 z); P fitted to a relative error of
// 9e-9 for z ≤ 10.5, where the result is no f32 any more. −z² = −x²/2 is split in two, so that the exponent keeps its low bits.
// @ts-ignore: decorator
@inline
function gelu(x: v128): v128 {
  const a = f32x4.abs(x);
  const t = f32x4.div(constant(ONE), madd(a, constant(P + 40), constant(ONE)));
  let p = madd(t, constant(P), constant(P + 4));
  p = madd(p, t, constant(P + 8));
  p = madd(p, t, constant(P + 12));
  p = madd(p, t, constant(P + 16));
  p = madd(p, t, constant(P + 20));
  p = madd(p, t, constant(P + 24));
  p = madd(p, t, constant(P + 28));
  p = madd(p, t, constant(P + 32));
  p = madd(p, t, constant(P + 36));
  const short = v128.and(a, i32x4.splat(0xfffff000));
  const main = f32x4.mul(f32x4.mul(short, short), constant(P + 48));
  const rest = f32x4.mul(f32x4.mul(f32x4.sub(a, short), f32x4.add(a, short)), constant(P + 48));
  const tail = f32x4.mul(f32x4.mul(f32x4.mul(t, p), constant(P + 52)), f32x4.mul(exp4(main), exp4(rest)));
  const positive = f32x4.ge(x, i32x4.splat(0));
  return f32x4.mul(x, v128.bitselect(f32x4.sub(constant(ONE), tail), tail, positive));
}

// @ts-ignore: decorator
@inline
function activate(x: v128, act: i32): v128 {
  if (act == 0) return silu(x);
  if (act == 1) return gelu(x);
  if (act == 2) return geluTanh(x);
  return f32x4.max(x, i32x4.splat(0));
}

// @ts-ignore: decorator
@inline
function range(y: usize, gate: usize, up: usize, act: i32, begin: i32, end: i32): void {
  let i = <usize>begin << 2;
  const bytes = <usize>end << 2;
  for (; i + 32 <= bytes; i += 32) {
    const v = f32x4.mul(activate(v128.load(gate + i), act), v128.load(up + i));
    const V = f32x4.mul(activate(v128.load(gate + i, 16), act), v128.load(up + i, 16));
    v128.store(y + i, V, 16);
    v128.store(y + i, v);
  }
  for (; i < bytes; i += 4) {
    const v = activate(v128.load_splat<f32>(gate + i), act);
    store<f32>(y + i, f32x4.extract_lane(v, 0) * load<f32>(up + i));
  }
}

/** Elements [begin, end). */
export function glu(y: usize, gate: usize, up: usize, act: i32, begin: i32, end: i32): void {
  if (act == 0) range(y, gate, up, 0, begin, end);
  else if (act == 1) range(y, gate, up, 1, begin, end);
  else if (act == 2) range(y, gate, up, 2, begin, end);
  else range(y, gate, up, 3, begin, end);
}
