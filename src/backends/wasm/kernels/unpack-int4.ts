// unpack_int4, unpack_int4_act: numbers of one row of packed 4-bit weights as f32, scale · (code − zero), exactly what the bytes mean.
// Layout: src/formats/int4.ts. p0: codes; p1: scales; p2: zero points; p3: the group of each column (act only); param: columns in a
// group. The difference is exact, and the product is rounded once.

// @ts-ignore: decorator
@inline
function codeAt(codes: usize, k: i32): i32 {
  return (<i32>load<u8>(codes + <usize>(k >> 1)) >> ((k & 1) << 2)) & 15;
}

// Four codes of a 16-bit word become f32 without being shifted. The mask of lane i keeps code i where it is in the word. The base of
// lane i is the power of two for which those bits count as ones: base | code is base + code, exactly.
// They lie in memory, since V8 would build constants anew in every round of a loop.
const BASES: usize = memory.data<f32>([8388608, 524288, 32768, 2048]);
const MASKS: usize = memory.data<i32>([0xf, 0xf0, 0xf00, 0xf000]);
// @ts-ignore: decorator
@inline
function bases(): v128 {
  return v128.load(BASES);
}
// @ts-ignore: decorator
@inline
function masks(): v128 {
  return v128.load(MASKS);
}

/** Columns [k, end) of a row, all of one group. */
// @ts-ignore: decorator
@inline
function unpackRun(to: usize, codes: usize, k: i32, end: i32, scale: f32, zero: f32): void {
  if (k & 1) {
    store<f32>(to, scale * (<f32>codeAt(codes, k) - zero));
    to += 4;
    ++k;
  }
  const mask = masks(), base = bases(), scales = f32x4.splat(scale);
  const zeros = f32x4.add(base, f32x4.splat(zero));
  let p = codes + <usize>(k >> 1);
  for (; end - k >= 8; k += 8) {
    const word = v128.load32_splat(p);
    const low = f32x4.mul(f32x4.sub(v128.or(v128.and(word, mask), base), zeros), scales);
    const high = f32x4.mul(f32x4.sub(v128.or(v128.and(i32x4.shr_u(word, 16), mask), base), zeros), scales);
    v128.store(to, high, 16);
    v128.store(to, low);
    to += 32;
    p += 4;
  }
  for (; k < end; ++k) {
    store<f32>(to, scale * (<f32>codeAt(codes, k) - zero));
    to += 4;
  }
}

export function unpack_int4(
  to: usize, p0: usize, p1: usize, p2: usize, p3: usize, param: i32, K: i32, row: i32, k: i32, count: i32,
): void {
  const codes = p0 + <usize>row * <usize>((K + 1) >> 1), first = <usize>row * <usize>((K - 1) / param + 1), end = k + count;
  for (let group = k / param; k < end; ++group) {
    const stop = min(end, (group + 1) * param), at = first + <usize>group;
    unpackRun(to, codes, k, stop, load<f32>(p1 + (at << 2)), <f32>load<i16>(p2 + (at << 1)));
    to += <usize>(stop - k) << 2;
    k = stop;
  }
}

/** The scales of four columns; p has the number of the group of each. */
// @ts-ignore: decorator
@inline
function fourScales(scales: usize, p: usize): v128 {
  const two = v128.load32_lane(scales + (<usize>load<u32>(p, 4) << 2), v128.load32_zero(scales + (<usize>load<u32>(p) << 2)), 1);
  const three = v128.load32_lane(scales + (<usize>load<u32>(p, 8) << 2), two, 2);
  return v128.load32_lane(scales + (<usize>load<u32>(p, 12) << 2), three, 3);
}

/** The zero points of four columns, as f32. */
// @ts-ignore: decorator
@inline
function fourZeros(zeros: usize, p: usize): v128 {
  const one = v128.load16_lane(zeros + (<usize>load<u32>(p) << 1), i16x8.splat(0), 0);
  const two = v128.load16_lane(zeros + (<usize>load<u32>(p, 4) << 1), one, 1);
  const three = v128.load16_lane(zeros + (<usize>load<u32>(p, 8) << 1), two, 2);
  const four = v128.load16_lane(zeros + (<usize>load<u32>(p, 12) << 1), three, 3);
  return f32x4.convert_i32x4_s(i32x4.extend_low_i16x8_s(four));
}

export function unpack_int4_act(
  to: usize, p0: usize, p1: usize, p2: usize, p3: usize, param: i32, K: i32, row: i32, k: i32, count: i32,
): void {
  const codes = p0 + <usize>row * <usize>((K + 1) >> 1), first = <usize>row * <usize>((K - 1) / param + 1), end = k + count;
  const scales = p1 + (first << 2), zeros = p2 + (first << 1), mask = masks(), base = bases();
  let groups = p3 + (<usize>k << 2);
  for (; end - k >= 8; k += 8) {
    const word = v128.load32_splat(codes + <usize>(k >> 1));
    const low = f32x4.sub(f32x4.sub(v128.or(v128.and(word, mask), base), base), fourZeros(zeros, groups));
    const high = f32x4.sub(f32x4.sub(v128.or(v128.and(i32x4.shr_u(word, 16), mask), base), base), fourZeros(zeros, groups + 16));
    v128.store(to, f32x4.mul(high, fourScales(scales, groups + 16)), 16);
    v128.store(to, f32x4.mul(low, fourScales(scales, groups)));
    to += 32;
    groups += 32;
  }
  for (; k < end; ++k) {
    const group = <usize>load<u32>(groups);
    store<f32>(to, load<f32>(scales + (group << 2)) * (<f32>codeAt(codes, k) - <f32>load<i16>(zeros + (group << 1))));
    to += 4;
    groups += 4;
  }
}
