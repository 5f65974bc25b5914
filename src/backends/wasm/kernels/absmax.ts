// The scales (absmax) of 4-bit weights, for kernels that read four rows of w at a time: those of the four rows side by side, for each
// 64 k. Only for blocks of 64 numbers or more, and rows of a multiple of 64. Layout of the parts: src/formats/four-bit.ts.

import { FORMAT_FP4, FORMAT_FP4_DQ, FORMAT_NF4_DQ } from "./header";
import { firstHalves, lastHalves } from "./lanes";

// @ts-ignore: decorator
@inline
export function isFp4(format: i32): bool {
  return format == FORMAT_FP4 || format == FORMAT_FP4_DQ;
}

/** absmax of block i. `dq`: it is quantised itself, in the parts p1 … p3; otherwise it is an f32 of p1. */
// @ts-ignore: decorator
@inline
export function absmaxOf(p1: usize, p2: usize, p3: usize, dq: bool, i: usize): f32 {
  if (!dq) return load<f32>(p1 + (i << 2));
  return nested(p1, p3, i) * load<f32>(p2 + (i >> 8 << 2)) + load<f32>(p3, 1024);
}

// @ts-ignore: decorator
@inline
function nested(p1: usize, p3: usize, i: usize): f32 {
  return load<f32>(p3 + (<usize>load<u8>(p1 + i) << 2));
}

/** absmax of four times 64 numbers, one after the other, from number `at` of the matrix on. 2^shift numbers share one. */
// @ts-ignore: decorator
@inline
function fourAbsmax(p1: usize, p2: usize, p3: usize, dq: bool, shift: usize, at: usize): v128 {
  const i = at >> shift;
  if (shift == 6) {
    if (!dq) return v128.load(p1 + (i << 2));
    if ((i & 3) == 0) {
      const numbers = four(nested(p1, p3, i), nested(p1, p3, i + 1), nested(p1, p3, i + 2), nested(p1, p3, i + 3));
      const scale = v128.load_splat<f32>(p2 + (i >> 8 << 2));
      return f32x4.add(f32x4.mul(numbers, scale), v128.load_splat<f32>(p3, 1024));
    }
  }
  return four(
    absmaxOf(p1, p2, p3, dq, i), absmaxOf(p1, p2, p3, dq, (at + 64) >> shift),
    absmaxOf(p1, p2, p3, dq, (at + 128) >> shift), absmaxOf(p1, p2, p3, dq, (at + 192) >> shift),
  );
}

// @ts-ignore: decorator
@inline
function four(a: f32, b: f32, c: f32, d: f32): v128 {
  return f32x4.replace_lane(f32x4.replace_lane(f32x4.replace_lane(f32x4.splat(a), 1, b), 2, c), 3, d);
}

/**
 * Writes the absmax of rows o, o + gap, o + 2 · gap and o + 3 · gap side by side, for `count` times 64 k from column k on, each
 * `step` bytes after the last. A row from `end` on is replaced by the one before `end`.
 */
export function fourRows(
  to: usize, step: usize, p1: usize, p2: usize, p3: usize, format: i32, param: i32, K: i32, o: i32, gap: i32, end: i32,
  k: i32, count: i32,
): void {
  const shift = <usize>(31 - clz(param)), dq = format >= FORMAT_NF4_DQ;
  let a = <usize>o * <usize>K + <usize>k;
  const most = end - 1 - o;
  let b = a + <usize>(min(gap, most) * K), c = a + <usize>(min(2 * gap, most) * K), d = a + <usize>(min(3 * gap, most) * K);
  for (; count >= 4; count -= 4) {
    const r = fourAbsmax(p1, p2, p3, dq, shift, a), s = fourAbsmax(p1, p2, p3, dq, shift, b);
    const t = fourAbsmax(p1, p2, p3, dq, shift, c), u = fourAbsmax(p1, p2, p3, dq, shift, d);
    turn(to, step, r, s, t, u);
    to += step << 2;
    a += 256;
    b += 256;
    c += 256;
    d += 256;
  }
  for (; count > 0; --count) {
    store<f32>(to, absmaxOf(p1, p2, p3, dq, a >> shift));
    store<f32>(to, absmaxOf(p1, p2, p3, dq, b >> shift), 4);
    store<f32>(to, absmaxOf(p1, p2, p3, dq, c >> shift), 8);
    store<f32>(to, absmaxOf(p1, p2, p3, dq, d >> shift), 12);
    to += step;
    a += 64;
    b += 64;
    c += 64;
    d += 64;
  }
}

/** Transposes four vectors of four lanes, and stores them `step` bytes apart. */
// @ts-ignore: decorator
@inline
export function turn(to: usize, step: usize, a: v128, b: v128, c: v128, d: v128): void {
  const ab = firstHalves(a, b), AB = lastHalves(a, b), cd = firstHalves(c, d), CD = lastHalves(c, d);
  v128.store(to, i8x16.shuffle(ab, cd, 0, 1, 2, 3, 4, 5, 6, 7, 16, 17, 18, 19, 20, 21, 22, 23));
  v128.store(to + step, i8x16.shuffle(ab, cd, 8, 9, 10, 11, 12, 13, 14, 15, 24, 25, 26, 27, 28, 29, 30, 31));
  v128.store(to + 2 * step, i8x16.shuffle(AB, CD, 0, 1, 2, 3, 4, 5, 6, 7, 16, 17, 18, 19, 20, 21, 22, 23));
  v128.store(to + 3 * step, i8x16.shuffle(AB, CD, 8, 9, 10, 11, 12, 13, 14, 15, 24, 25, 26, 27, 28, 29, 30, 31));
}
