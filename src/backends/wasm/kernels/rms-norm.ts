// rms_norm: y [T, H] = x / √(mean(x²) + eps) · w [H], and rstd [T] = 1 / √(…). Either output may be absent (pointer 0).
// Sum order of the squares: eight lanes over h, the last h padded with zeros, then lane i + lane i + 4, then lanes::fold.

import { bytesOf, f16Limit, f16Mask, f16Ones, f16Scale, fold, high, low, madd, pairSum, weight } from "./lanes";

function squares(x: usize, H: i32, scratch: usize): f32 {
  let a = i32x4.splat(0), A = a;
  for (; H >= 8; H -= 8) {
    const v = v128.load(x), V = v128.load(x, 16);
    a = madd(v, v, a);
    A = madd(V, V, A);
    x += 32;
  }
  if (H) {
    v128.store(scratch, i32x4.splat(0), 16);
    v128.store(scratch, i32x4.splat(0));
    for (let i = 0; i < H; i++) store<f32>(scratch + (<usize>i << 2), load<f32>(x + (<usize>i << 2)));
    const v = v128.load(scratch), V = v128.load(scratch, 16);
    a = madd(v, v, a);
    A = madd(V, V, A);
  }
  v128.store(scratch, A, 16);
  v128.store(scratch, a);
  return fold(pairSum(scratch));
}

function scaled<F>(y: usize, x: usize, w: usize, H: i32, r: f32): void {
  const mask = f16Mask(), scale = f16Scale(), limit = f16Limit(), ones = f16Ones();
  const s = f32x4.splat(r);
  for (; H >= 8; H -= 8) {
    const v = f32x4.mul(f32x4.mul(v128.load(x), s), low<F>(w, mask, scale, limit, ones));
    const V = f32x4.mul(f32x4.mul(v128.load(x, 16), s), high<F>(w, mask, scale, limit, ones));
    v128.store(y, V, 16);
    v128.store(y, v);
    x += 32;
    y += 32;
    w += 8 * bytesOf<F>();
  }
  for (; H > 0; --H) {
    store<f32>(y, load<f32>(x) * r * weight<F>(w));
    x += 4;
    y += 4;
    w += bytesOf<F>();
  }
}

/** Rows [begin, end). Format of w: 0 f32, 1 bf16, 2 f16. */
export function rms_norm(
  y: usize, rstd: usize, x: usize, w: usize, H: i32, eps: f32, format: i32, scratch: usize, begin: i32, end: i32,
): void {
  for (let t = begin; t < end; t++) {
    const at = <usize>t * (<usize>H << 2);
    const r: f32 = 1 / sqrt<f32>(squares(x + at, H, scratch) / <f32>H + eps);
    if (rstd) store<f32>(rstd + (<usize>t << 2), r);
    if (!y) continue;
    if (format == 0) scaled<f32>(y + at, x + at, w, H, r);
    else if (format == 1) scaled<u16>(y + at, x + at, w, H, r);
    else scaled<i16>(y + at, x + at, w, H, r);
  }
}
