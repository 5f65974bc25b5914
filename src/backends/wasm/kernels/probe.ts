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
  return 8 * productsOfDot();
}

/** The same of probe_int8_12 and probe_int8_24. */
export function probe_int8_12_products(): i32 {
  return 12 * productsOfDot();
}

export function probe_int8_24_products(): i32 {
  return 24 * productsOfDot();
}

// @ts-ignore: decorator
@inline
function productsOfDot(): i32 {
  return ASC_FEATURE_RELAXED_SIMD ? 16 : 8;
}

/** The 8-bit dot product of the Q4 kernels, with sums of 16 bits: `turns` times over 4 KiB at `from`; eight sums go to `to` (128 bytes). */
export function probe_int8(to: usize, from: usize, turns: i32): void {
  const x0 = v128.load(from), x1 = v128.load(from, 16);
  let a0 = i32x4.splat(0), a1 = a0, b0 = a0, b1 = a0, c0 = a0, c1 = a0, d0 = a0, d1 = a0;
  let p = from;
  const end = from + 4096;
  for (let turn = 0; turn < turns; turn++) {
    a0 = dot8(a0, x0, v128.load(p));
    a1 = dot8(a1, x1, v128.load(p, 16));
    b0 = dot8(b0, x0, v128.load(p, 32));
    b1 = dot8(b1, x1, v128.load(p, 48));
    c0 = dot8(c0, x0, v128.load(p, 64));
    c1 = dot8(c1, x1, v128.load(p, 80));
    d0 = dot8(d0, x0, v128.load(p, 96));
    d1 = dot8(d1, x1, v128.load(p, 112));
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

/**
 * The same with sums of 32 bits, of registers alone: one instruction where the processor has it (VNNI, dotprod). It takes up to five cycles,
 * and two begin in each, so ten must be in flight: 12 sums of 128 bits are enough, and fit into 16 registers.
 */
export function probe_int8_12(to: usize, from: usize, turns: i32): void {
  const x = v128.load32_splat(from), w = v128.load32_splat(from, 4);
  let a0 = i32x4.splat(0), a1 = a0, b0 = a0, b1 = a0, c0 = a0, c1 = a0, d0 = a0, d1 = a0, e0 = a0, e1 = a0, f0 = a0, f1 = a0;
  for (let turn = 0; turn < turns; turn++) {
    a0 = dot32(a0, x, w); a1 = dot32(a1, x, w); b0 = dot32(b0, x, w); b1 = dot32(b1, x, w);
    c0 = dot32(c0, x, w); c1 = dot32(c1, x, w); d0 = dot32(d0, x, w); d1 = dot32(d1, x, w);
    e0 = dot32(e0, x, w); e1 = dot32(e1, x, w); f0 = dot32(f0, x, w); f1 = dot32(f1, x, w);
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
  v128.store(to, f1, 176);
  v128.store(to, f0, 160);
}

/** The same with 24 sums, which are twelve of 256 bits where V8 joins them. */
export function probe_int8_24(to: usize, from: usize, turns: i32): void {
  const x = v128.load32_splat(from), w = v128.load32_splat(from, 4);
  let a0 = i32x4.splat(0), a1 = a0, b0 = a0, b1 = a0, c0 = a0, c1 = a0, d0 = a0, d1 = a0, e0 = a0, e1 = a0, f0 = a0, f1 = a0, g0 = a0, g1 =
    a0, h0 = a0, h1 = a0, i0 = a0, i1 = a0, j0 = a0, j1 = a0, k0 = a0, k1 = a0, l0 = a0, l1 = a0;
  for (let turn = 0; turn < turns; turn++) {
    a0 = dot32(a0, x, w); a1 = dot32(a1, x, w); b0 = dot32(b0, x, w); b1 = dot32(b1, x, w);
    c0 = dot32(c0, x, w); c1 = dot32(c1, x, w); d0 = dot32(d0, x, w); d1 = dot32(d1, x, w);
    e0 = dot32(e0, x, w); e1 = dot32(e1, x, w); f0 = dot32(f0, x, w); f1 = dot32(f1, x, w);
    g0 = dot32(g0, x, w); g1 = dot32(g1, x, w); h0 = dot32(h0, x, w); h1 = dot32(h1, x, w);
    i0 = dot32(i0, x, w); i1 = dot32(i1, x, w); j0 = dot32(j0, x, w); j1 = dot32(j1, x, w);
    k0 = dot32(k0, x, w); k1 = dot32(k1, x, w); l0 = dot32(l0, x, w); l1 = dot32(l1, x, w);
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
  v128.store(to, f1, 176);
  v128.store(to, f0, 160);
  v128.store(to, g1, 208);
  v128.store(to, g0, 192);
  v128.store(to, h1, 240);
  v128.store(to, h0, 224);
  v128.store(to, i1, 272);
  v128.store(to, i0, 256);
  v128.store(to, j1, 304);
  v128.store(to, j0, 288);
  v128.store(to, k1, 336);
  v128.store(to, k0, 320);
  v128.store(to, l1, 368);
  v128.store(to, l0, 352);
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
