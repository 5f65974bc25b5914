// Measures the most that a thread of this machine can do: reading memory, and the arithmetic of the kernels. No op uses these loops:
// they give limits to compare kernels with. In each loop, only the work that it is to measure holds it up.

import { madd } from "./lanes";

/** Reads `bytes` (a multiple of 512) from `from` on as four streams, and leaves their sum at `to` (32 bytes). */
export function probe_read(to: usize, from: usize, bytes: i32): void {
  const quarter = <usize>(bytes >> 2);
  let a = from, b = from + quarter, c = b + quarter, d = c + quarter;
  const end = b;
  let s0 = i32x4.splat(0), s1 = s0, t0 = s0, t1 = s0, u0 = s0, u1 = s0, v0 = s0, v1 = s0;
  while (a < end) {
    s0 = i32x4.add(s0, v128.load(a));
    s1 = i32x4.add(s1, v128.load(a, 16));
    t0 = i32x4.add(t0, v128.load(b));
    t1 = i32x4.add(t1, v128.load(b, 16));
    u0 = i32x4.add(u0, v128.load(c));
    u1 = i32x4.add(u1, v128.load(c, 16));
    v0 = i32x4.add(v0, v128.load(d));
    v1 = i32x4.add(v1, v128.load(d, 16));
    s0 = i32x4.add(s0, v128.load(a, 32));
    s1 = i32x4.add(s1, v128.load(a, 48));
    t0 = i32x4.add(t0, v128.load(b, 32));
    t1 = i32x4.add(t1, v128.load(b, 48));
    u0 = i32x4.add(u0, v128.load(c, 32));
    u1 = i32x4.add(u1, v128.load(c, 48));
    v0 = i32x4.add(v0, v128.load(d, 32));
    v1 = i32x4.add(v1, v128.load(d, 48));
    a += 64;
    b += 64;
    c += 64;
    d += 64;
  }
  const low = i32x4.add(i32x4.add(s0, t0), i32x4.add(u0, v0));
  const high = i32x4.add(i32x4.add(s1, t1), i32x4.add(u1, v1));
  v128.store(to, high, 16);
  v128.store(to, low);
}

// @ts-ignore: decorator
@inline
function dot8(sum: v128, signed: v128, codes: v128): v128 {
  if (ASC_FEATURE_RELAXED_SIMD) {
    return i16x8.add(sum, i16x8.relaxed_dot_i8x16_i7x16_s(signed, codes));
  }
  return i32x4.add(sum, i32x4.dot_i16x8_s(signed, codes));
}

// @ts-ignore: decorator
@inline
function dot32(sum: v128, signed: v128, codes: v128): v128 {
  if (ASC_FEATURE_RELAXED_SIMD) return i32x4.relaxed_dot_i8x16_i7x16_add_s(signed, codes, sum);
  return i32x4.add(sum, i32x4.dot_i16x8_s(signed, codes));
}

/** How many products a turn of probe_int8 computes, at 128 bits: 8 dot products of 16 bytes (without relaxed SIMD: of 8 words). */
export function probe_int8_products(): i32 {
  return ASC_FEATURE_RELAXED_SIMD ? 128 : 64;
}

/** The 8-bit dot product of the Q4 kernels, with sums of 16 bits: `turns` times over 4 KiB at `from`; eight sums go to `to` (128 bytes). */
export function probe_int8(to: usize, from: usize, turns: i32): void {
  dots<i16>(to, from, turns);
}

/** The same with sums of 32 bits: one instruction where the processor has it (VNNI, dotprod). */
export function probe_int8_wide(to: usize, from: usize, turns: i32): void {
  dots<i32>(to, from, turns);
}

// @ts-ignore: decorator
@inline
function dot<S>(sum: v128, signed: v128, codes: v128): v128 {
  return sizeof<S>() == 2 ? dot8(sum, signed, codes) : dot32(sum, signed, codes);
}

// @ts-ignore: decorator
@inline
function dots<S>(to: usize, from: usize, turns: i32): void {
  const x0 = v128.load(from), x1 = v128.load(from, 16);
  let a0 = i32x4.splat(0), a1 = a0, b0 = a0, b1 = a0, c0 = a0, c1 = a0, d0 = a0, d1 = a0;
  let p = from;
  const end = from + 4096;
  for (let turn = 0; turn < turns; turn++) {
    a0 = dot<S>(a0, x0, v128.load(p));
    a1 = dot<S>(a1, x1, v128.load(p, 16));
    b0 = dot<S>(b0, x0, v128.load(p, 32));
    b1 = dot<S>(b1, x1, v128.load(p, 48));
    c0 = dot<S>(c0, x0, v128.load(p, 64));
    c1 = dot<S>(c1, x1, v128.load(p, 80));
    d0 = dot<S>(d0, x0, v128.load(p, 96));
    d1 = dot<S>(d1, x1, v128.load(p, 112));
    p += 128;
    p = p == end ? from : p;
  }
  v128.store(to, a1, 16);
  v128.store(to, a0);
  v128.store(to, b1, 48);
  v128.store(to, b0, 32);
  v128.store(to, c1, 80);
  v128.store(to, c0, 64);
  v128.store(to, d1, 112);
  v128.store(to, d0, 96);
}

/** Fused multiply-add of the f32 kernels, `turns` times 40 products over 4 KiB at `from`: ten sums, left at `to` (160 bytes). */
export function probe_f32(to: usize, from: usize, turns: i32): void {
  const x0 = v128.load(from), x1 = v128.load(from, 16);
  let a0 = f32x4.splat(0), a1 = a0, b0 = a0, b1 = a0, c0 = a0, c1 = a0, d0 = a0, d1 = a0, e0 = a0, e1 = a0;
  let p = from;
  const end = from + 4096;
  for (let turn = 0; turn < turns; turn++) {
    const y0 = v128.load(p), y1 = v128.load(p, 16);
    a0 = madd(x0, y0, a0);
    a1 = madd(x1, y1, a1);
    b0 = madd(x0, y0, b0);
    b1 = madd(x1, y1, b1);
    c0 = madd(x0, y0, c0);
    c1 = madd(x1, y1, c1);
    d0 = madd(x0, y0, d0);
    d1 = madd(x1, y1, d1);
    e0 = madd(x0, y0, e0);
    e1 = madd(x1, y1, e1);
    p += 32;
    p = p == end ? from : p;
  }
  v128.store(to, a1, 16);
  v128.store(to, a0);
  v128.store(to, b1, 48);
  v128.store(to, b0, 32);
  v128.store(to, c1, 80);
  v128.store(to, c0, 64);
  v128.store(to, d1, 112);
  v128.store(to, d0, 96);
  v128.store(to, e1, 144);
  v128.store(to, e0, 128);
}
