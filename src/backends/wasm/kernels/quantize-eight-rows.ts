// Quantises rows to q4, q4r, q6r and q8: groups of 8 rows, in blocks of 32 k. The specification is src/formats/eight-rows.ts and the
// files of scales and codes beside it. Where it computes in f64, so do these kernels.
// No vector is passed to a function that is not inlined: V8 aborts the process when it tries to join such vectors to 256 bits.

import { storeRounded } from "./cache-format";
import { FORMAT_Q4, FORMAT_Q4R, FORMAT_Q6R, FORMAT_Q8 } from "./header";
import { INFINITE, largestOfLanes, loadNumbers } from "./quantize-source";

const GROUP: i32 = 8;
/** From here on f16 rounds to infinity. */
const OVERFLOW: f32 = 65520;
/** A row whose scales `ofRows` are all smaller becomes zeros. */
const LEAST: f32 = 7.888609052210118e-31; // 2⁻¹⁰⁰
const MOST: f32 = 127;
/** The bits of 2⁻¹¹⁰. The factor of a block with smaller numbers is 0, whatever scale fits it best: beside LEAST / 127 it is nothing. */
const TINY: i32 = 0x08800000;
/** 1.5 · 2²³: an f32 near it has a unit of 1. */
const MAGIC: f32 = 12582912;

/**
 * Groups [begin, end) of the `rows` rows of K numbers at `from`. False: a number is NaN or infinite, or a scale is too large for f16.
 * scratch: a row, filled up to whole blocks, then a scale for each block, all f32. `scales`: of a format that has scales of rows.
 */
export function quantizeEightRows(
  codes: usize, scales: usize, from: usize, source: i32, rounded: i32, rows: i32, K: i32, format: i32,
  scratch: usize, begin: i32, end: i32,
): bool {
  const blocks = (K + 31) >> 5, found = scratch + (<usize>blocks << 7);
  const ofRows = format == FORMAT_Q4R || format == FORMAT_Q6R;
  const head: usize = ofRows ? 8 : 16;
  const size = head + (format == FORMAT_Q8 ? 256 : format == FORMAT_Q6R ? 192 : 128);
  // Zeros fill up the last block.
  const filling = scratch + (<usize>K << 2), rest = <usize>((blocks << 5) - K) << 2;
  memory.fill(filling, 0, rest);
  for (let group = begin; group < end; group++) {
    const first = codes + <usize>group * <usize>blocks * size;
    for (let r = 0; r < GROUP; r++) {
      const row = group * GROUP + r;
      const at = first + head + <usize>(r << 2), rowScale = scales + (<usize>row << 2);
      if (row >= rows) {
        pad(first, at, rowScale, r, size, blocks, format);
        continue;
      }
      loadNumbers(scratch, from, <usize>row * <usize>K, K, source, rounded);
      if (ofRows) {
        if (!fitScales(found, scratch, blocks, format == FORMAT_Q4R ? 8 : 32)) return false;
        storeFactors(first + <usize>r, rowScale, size, found, blocks);
      } else {
        if (!(format == FORMAT_Q4 ? largestScales(found, scratch, blocks) : sizeScales(found, scratch, blocks))) return false;
        storeHalves(first + <usize>(r << 1), size, found, blocks);
      }
      if (format == FORMAT_Q8) {
        roundEight(at, size, scratch, found, blocks);
        continue;
      }
      scaleRow(scratch, found, blocks, format == FORMAT_Q6R ? 32.5 : 8.5);
      if (format == FORMAT_Q6R) roundSix(at, size, scratch, blocks);
      else roundFour(at, size, scratch, blocks);
      // What fills up the last block is zero again for the next row.
      memory.fill(filling, 0, rest);
    }
  }
  return true;
}

/** A row that fills up the last group. */
function pad(first: usize, at: usize, rowScale: usize, r: i32, size: usize, blocks: i32, format: i32): void {
  const ofRows = format == FORMAT_Q4R || format == FORMAT_Q6R;
  const code = format == FORMAT_Q8 ? 0x80808080 : format == FORMAT_Q6R ? 0 : 0x88888888;
  const runs = format == FORMAT_Q8 ? 8 : format == FORMAT_Q6R ? 6 : 4;
  if (ofRows) store<f32>(rowScale, 0);
  for (let block = 0; block < blocks; block++) {
    if (ofRows) store<u8>(first + <usize>r, 0);
    else store<u16>(first + <usize>(r << 1), 0);
    for (let run = 0; run < runs; run++) store<u32>(at + <usize>(run << 5), code);
    first += size;
    at += size;
  }
}

/** The bits of the largest magnitude of 32 numbers. */
// @ts-ignore: decorator
@inline
function magnitudeOf(x: usize): i32 {
  const size = i32x4.splat(0x7fffffff);
  const a = i32x4.max_s(v128.and(v128.load(x), size), v128.and(v128.load(x, 16), size));
  const b = i32x4.max_s(v128.and(v128.load(x, 32), size), v128.and(v128.load(x, 48), size));
  const c = i32x4.max_s(v128.and(v128.load(x, 64), size), v128.and(v128.load(x, 80), size));
  const d = i32x4.max_s(v128.and(v128.load(x, 96), size), v128.and(v128.load(x, 112), size));
  return largestOfLanes(i32x4.max_s(i32x4.max_s(a, b), i32x4.max_s(c, d)));
}

/** Of 32 numbers the first with that magnitude, sign included. */
// @ts-ignore: decorator
@inline
function firstOf(x: usize, bits: i32): f32 {
  if (!bits) return 0;
  const size = i32x4.splat(0x7fffffff), largest = i32x4.splat(bits);
  const a = i32x4.eq(v128.and(v128.load(x), size), largest), b = i32x4.eq(v128.and(v128.load(x, 16), size), largest);
  const c = i32x4.eq(v128.and(v128.load(x, 32), size), largest), d = i32x4.eq(v128.and(v128.load(x, 48), size), largest);
  const e = i32x4.eq(v128.and(v128.load(x, 64), size), largest), f = i32x4.eq(v128.and(v128.load(x, 80), size), largest);
  const g = i32x4.eq(v128.and(v128.load(x, 96), size), largest), h = i32x4.eq(v128.and(v128.load(x, 112), size), largest);
  const low = i8x16.bitmask(i8x16.narrow_i16x8_s(i16x8.narrow_i32x4_s(a, b), i16x8.narrow_i32x4_s(c, d)));
  const high = i8x16.bitmask(i8x16.narrow_i16x8_s(i16x8.narrow_i32x4_s(e, f), i16x8.narrow_i32x4_s(g, h)));
  return load<f32>(x + (<usize>ctz(low | (high << 16)) << 2));
}

/** Of each block the first number with the largest magnitude; 0 for blocks below `least`. False: a number is not finite. */
function findLargest(found: usize, x: usize, blocks: i32, least: i32): bool {
  for (; blocks > 0; --blocks) {
    const bits = magnitudeOf(x);
    if (bits >= INFINITE) return false;
    store<f32>(found, bits < least ? 0 : firstOf(x, bits));
    found += 4;
    x += 128;
  }
  return true;
}

/** q4: scales that take the largest numbers to −8. False: one is too large for f16. */
function largestScales(found: usize, x: usize, blocks: i32): bool {
  if (!findLargest(found, x, blocks, 1)) return false;
  for (const end = found + (<usize>blocks << 2); found < end; found += 4) {
    const scale = load<f32>(found) * -0.125;
    if (abs(scale) >= OVERFLOW) return false;
    store<f32>(found, scale);
  }
  return true;
}

/** q8: scales that take the largest magnitudes to 127. */
function sizeScales(found: usize, x: usize, blocks: i32): bool {
  for (; blocks > 0; --blocks) {
    const bits = magnitudeOf(x);
    const scale = reinterpret<f32>(bits) / 127;
    if (bits >= INFINITE || scale >= OVERFLOW) return false;
    store<f32>(found, scale);
    found += 4;
    x += 128;
  }
  return true;
}

/** q4r (zero 8) and q6r (zero 32): `fittedScale` of eight-rows.ts. Two blocks at a time, since sums must wait for sums. */
function fitScales(found: usize, x: usize, blocks: i32, zero: i32): bool {
  if (!findLargest(found, x, blocks, TINY)) return false;
  for (; blocks > 0; blocks -= 2) {
    const both = blocks > 1;
    fitTwo(found, both ? found + 4 : found, x, both ? x + 128 : x, <f64>zero);
    found += 8;
    x += 256;
  }
  return true;
}

// @ts-ignore: decorator
@inline
function integers(v: v128, inverse: v128, half: v128, most: v128, zero: v128): v128 {
  return f64x2.sub(f64x2.pmin(f64x2.floor(f64x2.add(f64x2.mul(v, inverse), half)), most), zero);
}

// @ts-ignore: decorator
@inline
function quotient(products: v128, squares: v128): f32 {
  return <f32>(
    (f64x2.extract_lane(products, 0) + f64x2.extract_lane(products, 1)) /
    (f64x2.extract_lane(squares, 0) + f64x2.extract_lane(squares, 1))
  );
}

/**
 * Replaces the largest numbers of the blocks at x and y, which lie at a and b, by scales. Each lane adds every other number, in order.
 * The numbers · inverse are at least −zero, so that rounding down is truncation.
 */
// @ts-ignore: decorator
@inline
function fitTwo(a: usize, b: usize, x: usize, y: usize, zero: f64): void {
  const first = <f64>load<f32>(a), second = <f64>load<f32>(b);
  const inverse = f64x2.splat(-zero / first), other = f64x2.splat(-zero / second);
  const half = f64x2.splat(zero + 0.5), most = f64x2.splat(2 * zero - 1), zeros = f64x2.splat(zero);
  let products = f64x2.splat(0), squares = products, others = products, otherSquares = products;
  for (let n = 8; n > 0; --n) {
    const p = f64x2.promote_low_f32x4(v128.load64_zero(x)), q = f64x2.promote_low_f32x4(v128.load64_zero(x, 8));
    const i = integers(p, inverse, half, most, zeros), j = integers(q, inverse, half, most, zeros);
    products = f64x2.add(f64x2.add(products, f64x2.mul(i, p)), f64x2.mul(j, q));
    squares = f64x2.add(squares, f64x2.add(f64x2.mul(i, i), f64x2.mul(j, j)));
    const r = f64x2.promote_low_f32x4(v128.load64_zero(y)), s = f64x2.promote_low_f32x4(v128.load64_zero(y, 8));
    const k = integers(r, other, half, most, zeros), l = integers(s, other, half, most, zeros);
    others = f64x2.add(f64x2.add(others, f64x2.mul(k, r)), f64x2.mul(l, s));
    otherSquares = f64x2.add(otherSquares, f64x2.add(f64x2.mul(k, k), f64x2.mul(l, l)));
    x += 16;
    y += 16;
  }
  store<f32>(a, first ? quotient(products, squares) : 0);
  store<f32>(b, second ? quotient(others, otherSquares) : 0);
}

/** Scales as f16, one for each block. */
function storeHalves(at: usize, size: usize, found: usize, blocks: i32): void {
  for (; blocks > 0; --blocks) {
    storeRounded<i16>(at, load<f32>(found));
    at += size;
    found += 4;
  }
}

/** Scales as i8 factors of one f32 of the row; what was stored replaces them. */
function storeFactors(at: usize, rowScale: usize, size: usize, found: usize, blocks: i32): void {
  const end = found + (<usize>blocks << 2);
  let bits = 0;
  for (let p = found; p < end; p += 4) bits = max(bits, load<i32>(p) & 0x7fffffff);
  const largest = reinterpret<f32>(bits);
  const ofRow: f32 = largest < LEAST ? 0 : largest / MOST;
  const inverse: f64 = ofRow ? 1 / <f64>ofRow : 0;
  store<f32>(rowScale, ofRow);
  for (; found < end; found += 4) {
    // Rounded half up, without a branch, which a processor could not predict.
    const x = <f64>load<f32>(found) * inverse, down = floor(x);
    const factor = <f32>down + <f32>i32(x - down >= 0.5);
    store<u8>(at, reinterpret<i32>(factor + MAGIC));
    store<f32>(found, ofRow * factor);
    at += size;
  }
}

/** 1 / scale, and 0 for a scale of 0. */
// @ts-ignore: decorator
@inline
function inverseOf(scale: f32): f32 {
  return scale ? 1 / scale : 0;
}

/** Turns a row's numbers into number · inverse + half: a product and a sum in f64, rounded to f32. Rounded down they are codes. */
function scaleRow(x: usize, found: usize, blocks: i32, halfway: f64): void {
  const half = f64x2.splat(halfway);
  for (; blocks > 0; --blocks) {
    const inverse = inverseOf(load<f32>(found)), factor = f64x2.splat(<f64>inverse);
    if (abs(inverse) < Infinity) {
      for (let end = x + 128, p = x; p < end; p += 16) {
        const a = f64x2.add(f64x2.mul(f64x2.promote_low_f32x4(v128.load64_zero(p)), factor), half);
        const b = f64x2.add(f64x2.mul(f64x2.promote_low_f32x4(v128.load64_zero(p, 8)), factor), half);
        v128.store64_lane(p, f32x4.demote_f64x2_zero(a), 0);
        v128.store64_lane(p, f32x4.demote_f64x2_zero(b), 0, 8);
      }
    } else memory.fill(x, 0, 128);
    found += 4;
    x += 128;
  }
}

// @ts-ignore: decorator
@inline
function fourCodes(x: usize, magic: v128): v128 {
  return i32x4.sub(f32x4.add(f32x4.floor(v128.load(x)), magic), magic);
}

/** 16 codes of what scaleRow made, not above `most`. */
// @ts-ignore: decorator
@inline
function sixteenCodes(x: usize, most: v128, magic: v128): v128 {
  const low = i16x8.narrow_i32x4_s(fourCodes(x, magic), fourCodes(x + 16, magic));
  const high = i16x8.narrow_i32x4_s(fourCodes(x + 32, magic), fourCodes(x + 48, magic));
  return i8x16.min_u(i8x16.narrow_i16x8_u(low, high), most);
}

/** A row's codes of q4 and q4r, for each block: four runs, of k 0 … 15 in the low halves and k 16 … 31 in the high ones. */
function roundFour(at: usize, size: usize, x: usize, blocks: i32): void {
  const most = i8x16.splat(15), magic = f32x4.splat(MAGIC);
  for (; blocks > 0; --blocks) {
    const bytes = v128.or(sixteenCodes(x, most, magic), i16x8.shl(sixteenCodes(x + 64, most, magic), 4));
    v128.store32_lane(at, bytes, 0);
    v128.store32_lane(at, bytes, 1, 32);
    v128.store32_lane(at, bytes, 2, 64);
    v128.store32_lane(at, bytes, 3, 96);
    at += size;
    x += 128;
  }
}

/** A row's codes of q6r, for each block: the low four bits as in q4, then two runs of the high two bits. */
function roundSix(at: usize, size: usize, x: usize, blocks: i32): void {
  const most = i8x16.splat(63), magic = f32x4.splat(MAGIC), nibble = i8x16.splat(15), pair = i8x16.splat(3);
  for (; blocks > 0; --blocks) {
    const p = sixteenCodes(x, most, magic), q = sixteenCodes(x + 64, most, magic);
    const low = v128.or(v128.and(p, nibble), i16x8.shl(v128.and(q, nibble), 4));
    v128.store32_lane(at, low, 0);
    v128.store32_lane(at, low, 1, 32);
    v128.store32_lane(at, low, 2, 64);
    v128.store32_lane(at, low, 3, 96);
    const tops = v128.or(v128.and(i16x8.shr_u(p, 4), pair), i16x8.shl(v128.and(i16x8.shr_u(q, 4), pair), 4));
    const others = i8x16.shuffle(tops, tops, 8, 9, 10, 11, 12, 13, 14, 15, 0, 1, 2, 3, 4, 5, 6, 7);
    const high = v128.or(tops, i16x8.shl(others, 2));
    v128.store32_lane(at, high, 0, 128);
    v128.store32_lane(at, high, 1, 160);
    at += size;
    x += 128;
  }
}

/** Four numbers · inverse, rounded to integers, halves away from zero. */
// @ts-ignore: decorator
@inline
function fourIntegers(x: usize, inverse: v128, magic: v128): v128 {
  const v = f32x4.mul(v128.load(x), inverse), whole = f32x4.trunc(v), rest = f32x4.sub(v, whole);
  return i32x4.sub(f32x4.add(f32x4.add(whole, f32x4.trunc(f32x4.add(rest, rest))), magic), magic);
}

/** 16 of them, plus 128. */
// @ts-ignore: decorator
@inline
function sixteenBytes(x: usize, inverse: v128): v128 {
  const magic = f32x4.splat(MAGIC);
  const low = i16x8.narrow_i32x4_s(fourIntegers(x, inverse, magic), fourIntegers(x + 16, inverse, magic));
  const high = i16x8.narrow_i32x4_s(fourIntegers(x + 32, inverse, magic), fourIntegers(x + 48, inverse, magic));
  return v128.xor(i8x16.narrow_i16x8_s(low, high), i8x16.splat(-128));
}

/** A row's codes of q8, for each block: eight runs of four. */
function roundEight(at: usize, size: usize, x: usize, found: usize, blocks: i32): void {
  for (; blocks > 0; --blocks) {
    const inverse = inverseOf(load<f32>(found));
    let p = i32x4.splat(0), q = p;
    if (inverse < Infinity) {
      const factor = f32x4.splat(inverse);
      p = sixteenBytes(x, factor);
      q = sixteenBytes(x + 64, factor);
    }
    v128.store32_lane(at, p, 0);
    v128.store32_lane(at, p, 1, 32);
    v128.store32_lane(at, p, 2, 64);
    v128.store32_lane(at, p, 3, 96);
    v128.store32_lane(at, q, 0, 128);
    v128.store32_lane(at, q, 1, 160);
    v128.store32_lane(at, q, 2, 192);
    v128.store32_lane(at, q, 3, 224);
    at += size;
    x += 128;
    found += 4;
  }
}
