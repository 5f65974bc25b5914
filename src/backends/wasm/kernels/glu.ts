// glu: y = act(gate) · up, element by element. act: 0 silu, 1 gelu (exact, by erfc), 2 gelu_tanh, 3 relu.
// c, g: the constants of exponential.ts and of this file, at addresses that V8 does not know (see there).

import { constants, exp4, expBounded4 } from "./exponential";
import { madd } from "./lanes";

//  offset  content
//  0 … 36  the coefficients of P in gelu, from t⁹ down
//      40  0.4/√2
//      44  1
//      48  −0.5
//      52  0.5
//      56  0.044715
//      60  −2·√(2/π)
//      64  −1
//      68  0
const TABLE: usize = memory.data<f32>([
  -0.028636841, 0.192822086, -0.486629245, 0.5312279, -0.270924315, 0.264874493, 0.13215631, 0.214390789, 0.225015267,
  0.225703676, 0.282842712, 1, -0.5, 0.5, 0.044715, -1.5957691216057308, -1, 0,
]);
const TABLE_AT: usize = memory.data<usize>([TABLE]);
const ONE: usize = 44;

// @ts-ignore: decorator
@inline
function silu(x: v128, c: usize, g: usize): v128 {
  return f32x4.div(x, f32x4.add(expBounded4(f32x4.mul(x, v128.load_splat<f32>(g, 64)), c), v128.load_splat<f32>(g, ONE)));
}

// 0.5 · x · (1 + tanh u) = x / (1 + exp(−2u)), u = √(2/π) · (x + 0.044715 · x³)
// @ts-ignore: decorator
@inline
function geluTanh(x: v128, c: usize, g: usize): v128 {
  const cubic = madd(f32x4.mul(x, x), v128.load_splat<f32>(g, 56), v128.load_splat<f32>(g, ONE));
  const twice = f32x4.mul(f32x4.mul(x, v128.load_splat<f32>(g, 60)), cubic);
  return f32x4.div(x, f32x4.add(expBounded4(twice, c), v128.load_splat<f32>(g, ONE)));
}

// x · Φ(x). With z = |x|/√2: Φ(−|x|) = erfc(z)/2 = exp(−z²) · t·P(t)/2, t = 1/(1 + 0.4 z); P fitted to a relative error of
// 9e-9 for z ≤ 10.5, where the result is no f32 any more. −z² = −x²/2 is split in two, so that the exponent keeps its low bits.
// @ts-ignore: decorator
@inline
function gelu(x: v128, c: usize, g: usize): v128 {
  const a = f32x4.abs(x);
  const t = f32x4.div(v128.load_splat<f32>(g, ONE), madd(a, v128.load_splat<f32>(g, 40), v128.load_splat<f32>(g, ONE)));
  let p = madd(t, v128.load_splat<f32>(g), v128.load_splat<f32>(g, 4));
  p = madd(p, t, v128.load_splat<f32>(g, 8));
  p = madd(p, t, v128.load_splat<f32>(g, 12));
  p = madd(p, t, v128.load_splat<f32>(g, 16));
  p = madd(p, t, v128.load_splat<f32>(g, 20));
  p = madd(p, t, v128.load_splat<f32>(g, 24));
  p = madd(p, t, v128.load_splat<f32>(g, 28));
  p = madd(p, t, v128.load_splat<f32>(g, 32));
  p = madd(p, t, v128.load_splat<f32>(g, 36));
  const short = v128.and(a, i32x4.splat(0xfffff000));
  const main = f32x4.mul(f32x4.mul(short, short), v128.load_splat<f32>(g, 48));
  const rest = f32x4.mul(f32x4.mul(f32x4.sub(a, short), f32x4.add(a, short)), v128.load_splat<f32>(g, 48));
  const tail = f32x4.mul(f32x4.mul(f32x4.mul(t, p), v128.load_splat<f32>(g, 52)), f32x4.mul(exp4(main, c), exp4(rest, c)));
  const positive = f32x4.ge(x, v128.load_splat<f32>(g, 68));
  return f32x4.mul(x, v128.bitselect(f32x4.sub(v128.load_splat<f32>(g, ONE), tail), tail, positive));
}

// A type stands for each activation, so that each gets a loop of its own: V8 joins vectors only in small loops without branches.
type Silu = i8;
type Gelu = i16;
type GeluTanh = i32;
type Relu = i64;

// @ts-ignore: decorator
@inline
function activate<A>(x: v128, c: usize, g: usize): v128 {
  if (sizeof<A>() == sizeof<Silu>()) return silu(x, c, g);
  if (sizeof<A>() == sizeof<Gelu>()) return gelu(x, c, g);
  if (sizeof<A>() == sizeof<GeluTanh>()) return geluTanh(x, c, g);
  return f32x4.max(x, v128.load_splat<f32>(g, 68));
}

function range<A>(y: usize, gate: usize, up: usize, count: i32): void {
  const c = constants(), g = load<usize>(TABLE_AT);
  for (; count >= 8; count -= 8) {
    const v = f32x4.mul(activate<A>(v128.load(gate), c, g), v128.load(up));
    const V = f32x4.mul(activate<A>(v128.load(gate, 16), c, g), v128.load(up, 16));
    v128.store(y, V, 16);
    v128.store(y, v);
    y += 32;
    gate += 32;
    up += 32;
  }
  for (; count > 0; --count) {
    const v = activate<A>(v128.load_splat<f32>(gate), c, g);
    store<f32>(y, f32x4.extract_lane(v, 0) * load<f32>(up));
    y += 4;
    gate += 4;
    up += 4;
  }
}

/** Elements [begin, end). */
export function glu(y: usize, gate: usize, up: usize, act: i32, begin: i32, end: i32): void {
  const from = <usize>begin << 2, count = end - begin;
  if (act == 0) range<Silu>(y + from, gate + from, up + from, count);
  else if (act == 1) range<Gelu>(y + from, gate + from, up + from, count);
  else if (act == 2) range<GeluTanh>(y + from, gate + from, up + from, count);
  else range<Relu>(y + from, gate + from, up + from, count);
}
