// unpack_nf4, unpack_fp4 and the same with doubly quantised scales (_dq): numbers of one row as f32, exactly what the bytes
// mean; layout: src/formats/four-bit.ts. Blocks run along the flattened matrix: a row may begin within a block, and within a byte.
// The 16 values are looked up byte by byte: each of four tables has one byte of every value, and the four are joined to f32.

// @ts-ignore: decorator
@inline
export function pick(table: v128, codes: v128): v128 {
  if (ASC_FEATURE_RELAXED_SIMD) return i8x16.relaxed_swizzle(table, codes);
  return i8x16.swizzle(table, codes);
}

// Byte 0 … 3 of each code's value; F stands for the format: u8 is nf4, i8 fp4.
// @ts-ignore: decorator
@inline
export function bytes0<F>(): v128 {
  return isSigned<F>()
    ? i8x16(0, -85, -85, 0, -85, 0, -85, 0, 0, -85, -85, 0, -85, 0, -85, 0)
    : i8x16(0, -79, 48, -96, 77, 63, 113, 0, -1, -29, -35, 58, -72, -85, -77, 0);
}
// @ts-ignore: decorator
@inline
export function bytes1<F>(): v128 {
  return isSigned<F>()
    ? i8x16(0, -86, -86, 0, -86, 0, -86, 0, 0, -86, -86, 0, -86, 0, -86, 0)
    : i8x16(0, 57, 107, 50, -94, 53, 120, 0, -6, -54, 4, 3, -92, 7, 19, 0);
}
// @ts-ignore: decorator
@inline
export function bytes2<F>(): v128 {
  return isSigned<F>()
    ? i8x16(0, -86, 42, -128, -86, 0, 42, -128, 0, -86, 42, -128, -86, 0, 42, -128)
    : i8x16(-128, 50, 6, -54, -111, 61, -70, 0, -94, 36, 124, -83, -31, 16, 57, -128);
}
// @ts-ignore: decorator
@inline
export function bytes3<F>(): v128 {
  return isSigned<F>()
    ? i8x16(0, 59, 63, 63, 62, 63, 62, 62, -128, -69, -65, -65, -66, -65, -66, -66)
    : i8x16(-65, -65, -65, -66, -66, -66, -67, 0, 61, 62, 62, 62, 62, 63, 63, 63);
}

// The bytes, or the pairs of bytes, of two vectors in turn.
// @ts-ignore: decorator
@inline
export function zipLow(a: v128, b: v128): v128 {
  return i8x16.shuffle(a, b, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
}
// @ts-ignore: decorator
@inline
export function zipHigh(a: v128, b: v128): v128 {
  return i8x16.shuffle(a, b, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31);
}
// @ts-ignore: decorator
@inline
export function pairLow(a: v128, b: v128): v128 {
  return i8x16.shuffle(a, b, 0, 1, 16, 17, 2, 3, 18, 19, 4, 5, 20, 21, 6, 7, 22, 23);
}
// @ts-ignore: decorator
@inline
export function pairHigh(a: v128, b: v128): v128 {
  return i8x16.shuffle(a, b, 8, 9, 24, 25, 10, 11, 26, 27, 12, 13, 28, 29, 14, 15, 30, 31);
}

/** The values of 16 codes times the scale. */
// @ts-ignore: decorator
@inline
function store16(to: usize, codes: v128, t0: v128, t1: v128, t2: v128, t3: v128, scale: v128): void {
  const b0 = pick(t0, codes), b1 = pick(t1, codes), b2 = pick(t2, codes), b3 = pick(t3, codes);
  const low = zipLow(b0, b1), high = zipLow(b2, b3);
  v128.store(to, f32x4.mul(pairLow(low, high), scale));
  v128.store(to, f32x4.mul(pairHigh(low, high), scale), 16);
  const low2 = zipHigh(b0, b1), high2 = zipHigh(b2, b3);
  v128.store(to, f32x4.mul(pairLow(low2, high2), scale), 32);
  v128.store(to, f32x4.mul(pairHigh(low2, high2), scale), 48);
}

/** `count` numbers from number `at` of the matrix on, all of one block. */
// @ts-ignore: decorator
@inline
function run<F>(to: usize, codes: usize, at: usize, count: i32, scale: f32): void {
  const t0 = bytes0<F>(), t1 = bytes1<F>(), t2 = bytes2<F>(), t3 = bytes3<F>();
  const scales = f32x4.splat(scale), mask = i8x16.splat(15);
  let p = codes + (at >> 1);
  if (at & 1) {
    one(to, load<u8>(p) & 15, t0, t1, t2, t3, scale);
    to += 4;
    p++;
    count--;
  }
  for (; count >= 32; count -= 32) {
    const pairs = v128.load(p);
    const first = v128.and(i16x8.shr_u(pairs, 4), mask), second = v128.and(pairs, mask);
    store16(to, zipLow(first, second), t0, t1, t2, t3, scales);
    store16(to + 64, zipHigh(first, second), t0, t1, t2, t3, scales);
    to += 128;
    p += 16;
  }
  for (; count > 0; count -= 2) {
    const pair = load<u8>(p);
    one(to, pair >> 4, t0, t1, t2, t3, scale);
    if (count > 1) one(to + 4, pair & 15, t0, t1, t2, t3, scale);
    to += 8;
    p++;
  }
}

// @ts-ignore: decorator
@inline
function one(to: usize, code: u8, t0: v128, t1: v128, t2: v128, t3: v128, scale: f32): void {
  const c = i8x16.splat(code);
  const low = zipLow(pick(t0, c), pick(t1, c)), high = zipLow(pick(t2, c), pick(t3, c));
  store<f32>(to, f32x4.extract_lane(pairLow(low, high), 0) * scale);
}

/** absmax of a block; S: f32, or u8 when it was quantised itself. */
// @ts-ignore: decorator
@inline
function scaleOf<S>(p1: usize, p2: usize, p3: usize, block: usize): f32 {
  if (sizeof<S>() == 4) return load<f32>(p1 + (block << 2));
  return load<f32>(p3 + (<usize>load<u8>(p1 + block) << 2)) * load<f32>(p2 + (block >> 8 << 2)) + load<f32>(p3, 1024);
}

// @ts-ignore: decorator
@inline
function unpackBlocks<F, S>(
  to: usize, p0: usize, p1: usize, p2: usize, p3: usize, param: i32, K: i32, row: i32, k: i32, count: i32,
): void {
  const size = <usize>param, shift = <usize>ctz(param);
  let at = <usize>row * <usize>K + <usize>k;
  while (count > 0) {
    const length = min(count, <i32>(size - (at & (size - 1))));
    run<F>(to, p0, at, length, scaleOf<S>(p1, p2, p3, at >> shift));
    to += <usize>length << 2;
    at += <usize>length;
    count -= length;
  }
}

export function unpack_nf4(
  to: usize, p0: usize, p1: usize, p2: usize, p3: usize, param: i32, K: i32, row: i32, k: i32, count: i32,
): void {
  unpackBlocks<u8, f32>(to, p0, p1, p2, p3, param, K, row, k, count);
}

export function unpack_fp4(
  to: usize, p0: usize, p1: usize, p2: usize, p3: usize, param: i32, K: i32, row: i32, k: i32, count: i32,
): void {
  unpackBlocks<i8, f32>(to, p0, p1, p2, p3, param, K, row, k, count);
}

export function unpack_nf4_dq(
  to: usize, p0: usize, p1: usize, p2: usize, p3: usize, param: i32, K: i32, row: i32, k: i32, count: i32,
): void {
  unpackBlocks<u8, u8>(to, p0, p1, p2, p3, param, K, row, k, count);
}

export function unpack_fp4_dq(
  to: usize, p0: usize, p1: usize, p2: usize, p3: usize, param: i32, K: i32, row: i32, k: i32, count: i32,
): void {
  unpackBlocks<i8, u8>(to, p0, p1, p2, p3, param, K, row, k, count);
}
