// The inner loops of linear_fixed16 for many rows of x: a panel of R rows of w times two rows of x, with the sums in registers and
// the rows of w in the lanes. R is 32 for vectors of 256 bits, 16 for 128 bits. Knows no formats.

import { madd } from "./lanes";

// A panel holds for each block of 64 k:
//   offset    bytes  content
//        0    4 · R  absmax of each row, f32
//    4 · R  128 · R  32 pairs of k; of each pair the two numbers of every row, i16

// @ts-ignore: decorator
@inline
function mac(sum: v128, w: v128, x: v128): v128 {
  return i32x4.add(sum, i32x4.dot_i16x8_s(w, x));
}

/** Adds a block to the f32 sums of eight rows of w. */
// @ts-ignore: decorator
@inline
export function finish(to: usize, absmax: usize, scale: v128, low: v128, high: v128): void {
  const l = madd(f32x4.convert_i32x4_s(low), f32x4.mul(v128.load(absmax), scale), v128.load(to));
  const h = madd(f32x4.convert_i32x4_s(high), f32x4.mul(v128.load(absmax, 16), scale), v128.load(to, 16));
  v128.store(to, h, 16);
  v128.store(to, l);
}

/** A panel of 32 rows times x0 and x1, for vectors of 256 bits: added to 32 sums each at to0 and to1. */
export function fixedTileWide(
  to0: usize, to1: usize, panel: usize, x0: usize, x1: usize, scales0: usize, scales1: usize, blocks: i32,
  unit: f32,
): void {
  for (; blocks > 0; --blocks) {
    const zero = i32x4.splat(0);
    let a0 = zero, a1 = zero, a2 = zero, a3 = zero, a4 = zero, a5 = zero, a6 = zero, a7 = zero;
    let b0 = zero, b1 = zero, b2 = zero, b3 = zero, b4 = zero, b5 = zero, b6 = zero, b7 = zero;
    let w = panel + 128;
    // Two pairs of k a round: the branch costs as much as a quarter of a pair.
    for (let n = 16; n > 0; --n) {
      let p = v128.load_splat<i32>(x0), q = v128.load_splat<i32>(x1);
      let v = v128.load(w), V = v128.load(w, 16);
      a0 = mac(a0, v, p);
      a1 = mac(a1, V, p);
      b0 = mac(b0, v, q);
      b1 = mac(b1, V, q);
      v = v128.load(w, 32);
      V = v128.load(w, 48);
      a2 = mac(a2, v, p);
      a3 = mac(a3, V, p);
      b2 = mac(b2, v, q);
      b3 = mac(b3, V, q);
      v = v128.load(w, 64);
      V = v128.load(w, 80);
      a4 = mac(a4, v, p);
      a5 = mac(a5, V, p);
      b4 = mac(b4, v, q);
      b5 = mac(b5, V, q);
      v = v128.load(w, 96);
      V = v128.load(w, 112);
      a6 = mac(a6, v, p);
      a7 = mac(a7, V, p);
      b6 = mac(b6, v, q);
      b7 = mac(b7, V, q);
      p = v128.load_splat<i32>(x0, 4);
      q = v128.load_splat<i32>(x1, 4);
      v = v128.load(w, 128);
      V = v128.load(w, 144);
      a0 = mac(a0, v, p);
      a1 = mac(a1, V, p);
      b0 = mac(b0, v, q);
      b1 = mac(b1, V, q);
      v = v128.load(w, 160);
      V = v128.load(w, 176);
      a2 = mac(a2, v, p);
      a3 = mac(a3, V, p);
      b2 = mac(b2, v, q);
      b3 = mac(b3, V, q);
      v = v128.load(w, 192);
      V = v128.load(w, 208);
      a4 = mac(a4, v, p);
      a5 = mac(a5, V, p);
      b4 = mac(b4, v, q);
      b5 = mac(b5, V, q);
      v = v128.load(w, 224);
      V = v128.load(w, 240);
      a6 = mac(a6, v, p);
      a7 = mac(a7, V, p);
      b6 = mac(b6, v, q);
      b7 = mac(b7, V, q);
      x0 += 8;
      x1 += 8;
      w += 256;
    }
    const s = f32x4.splat(load<f32>(scales0) * unit), t = f32x4.splat(load<f32>(scales1) * unit);
    finish(to0, panel, s, a0, a1);
    finish(to1, panel, t, b0, b1);
    finish(to0 + 32, panel + 32, s, a2, a3);
    finish(to1 + 32, panel + 32, t, b2, b3);
    finish(to0 + 64, panel + 64, s, a4, a5);
    finish(to1 + 64, panel + 64, t, b4, b5);
    finish(to0 + 96, panel + 96, s, a6, a7);
    finish(to1 + 96, panel + 96, t, b6, b7);
    scales0 += 4;
    scales1 += 4;
    panel += 4224;
  }
}

/** The same for a panel of 16 rows and vectors of 128 bits. */
export function fixedTile(
  to0: usize, to1: usize, panel: usize, x0: usize, x1: usize, scales0: usize, scales1: usize, blocks: i32,
  unit: f32,
): void {
  for (; blocks > 0; --blocks) {
    const zero = i32x4.splat(0);
    let a0 = zero, a1 = zero, a2 = zero, a3 = zero;
    let b0 = zero, b1 = zero, b2 = zero, b3 = zero;
    let w = panel + 64;
    for (let n = 32; n > 0; --n) {
      const p = v128.load_splat<i32>(x0), q = v128.load_splat<i32>(x1);
      let v = v128.load(w), V = v128.load(w, 16);
      a0 = mac(a0, v, p);
      a1 = mac(a1, V, p);
      b0 = mac(b0, v, q);
      b1 = mac(b1, V, q);
      v = v128.load(w, 32);
      V = v128.load(w, 48);
      a2 = mac(a2, v, p);
      a3 = mac(a3, V, p);
      b2 = mac(b2, v, q);
      b3 = mac(b3, V, q);
      x0 += 4;
      x1 += 4;
      w += 64;
    }
    const s = f32x4.splat(load<f32>(scales0) * unit), t = f32x4.splat(load<f32>(scales1) * unit);
    finish(to0, panel, s, a0, a1);
    finish(to1, panel, t, b0, b1);
    finish(to0 + 32, panel + 32, s, a2, a3);
    finish(to1 + 32, panel + 32, t, b2, b3);
    scales0 += 4;
    scales1 += 4;
    panel += 2112;
  }
}
