// pack_rows_int8: rows of activations as int8, with one scale for each 32 k: the largest size / 127. Numbers are rounded to nearest,
// ties to even. The specification is src/formats/int8-compute-path.ts. No vector is passed to a function that is not inlined: V8 aborts the
// process when it tries to join such vectors to 256 bits.

import { F16_BIAS } from "./int8-dot";

// Blocks of 32 k lie in the order [block][row]; numbers beyond K are 0. A block:
//   offset  bytes  content
//        0      4  scale · 2¹¹², f32
//        4      4  two i16 where sums start, as codes have the zero point 8: −8 · Σx over k % 4 < 2, and over the other k;
//                  `whole`: one i32, −8 · Σx, which machine code wants
//        8     32  the numbers, int8

/** Bytes of a packed block. */
export const X_BLOCK: usize = 40;
/** A block whose numbers are all smaller counts as zeros: 127 / the largest might be infinite. */
const LEAST: f32 = 7.888609052210118e-31; // 2⁻¹⁰⁰

/** 1.5 · 2²³: an f32 near it has a unit of 1, so that adding it rounds to nearest, ties to even. */
const MAGIC: f32 = 12582912;

/** v · inverse, rounded to integers: the bits of v · inverse + MAGIC less the bits of MAGIC. */
// @ts-ignore: decorator
@inline
function code(v: v128, inverse: v128): v128 {
  return i32x4.sub(f32x4.add(f32x4.mul(v, inverse), f32x4.splat(MAGIC)), f32x4.splat(MAGIC));
}

/** Writes 32 numbers as a block. One that is not finite makes the scale infinite or NaN, and so every sum with it NaN. */
function packBlock(to: usize, x: usize, run: i32, whole: i32): void {
  const a = v128.load(x), b = v128.load(x, 16), c = v128.load(x, 32), d = v128.load(x, 48);
  const e = v128.load(x, 64), f = v128.load(x, 80), g = v128.load(x, 96), h = v128.load(x, 112);
  const low = f32x4.max(f32x4.max(f32x4.abs(a), f32x4.abs(b)), f32x4.max(f32x4.abs(c), f32x4.abs(d)));
  const high = f32x4.max(f32x4.max(f32x4.abs(e), f32x4.abs(f)), f32x4.max(f32x4.abs(g), f32x4.abs(h)));
  let most = f32x4.max(low, high);
  most = f32x4.max(most, i8x16.shuffle(most, most, 8, 9, 10, 11, 12, 13, 14, 15, 0, 1, 2, 3, 4, 5, 6, 7));
  const largest = max(f32x4.extract_lane(most, 0), f32x4.extract_lane(most, 1));
  if (largest < LEAST) {
    memory.fill(to, 0, X_BLOCK);
    return;
  }
  const inverse = f32x4.splat(<f32>127 / largest);
  let p = i8x16.narrow_i16x8_s(
    i16x8.narrow_i32x4_s(code(a, inverse), code(b, inverse)),
    i16x8.narrow_i32x4_s(code(c, inverse), code(d, inverse)),
  );
  let q = i8x16.narrow_i16x8_s(
    i16x8.narrow_i32x4_s(code(e, inverse), code(f, inverse)),
    i16x8.narrow_i32x4_s(code(g, inverse), code(h, inverse)),
  );
  if (run == 16) {
    const first = p;
    p = i8x16.shuffle(first, q, 0, 1, 16, 17, 2, 3, 18, 19, 4, 5, 20, 21, 6, 7, 22, 23);
    q = i8x16.shuffle(first, q, 8, 9, 24, 25, 10, 11, 26, 27, 12, 13, 28, 29, 14, 15, 30, 31);
  }
  let sums = i16x8.add(i16x8.extadd_pairwise_i8x16_s(p), i16x8.extadd_pairwise_i8x16_s(q));
  sums = i16x8.add(sums, i8x16.shuffle(sums, sums, 8, 9, 10, 11, 12, 13, 14, 15, 0, 1, 2, 3, 4, 5, 6, 7));
  sums = i16x8.add(sums, i8x16.shuffle(sums, sums, 4, 5, 6, 7, 0, 1, 2, 3, 12, 13, 14, 15, 8, 9, 10, 11));
  store<f32>(to, largest / <f32>127 * F16_BIAS);
  if (whole) store<i32>(to, -8 * (<i32>i16x8.extract_lane_s(sums, 0) + <i32>i16x8.extract_lane_s(sums, 1)), 4);
  else v128.store32_lane(to, i16x8.shl(i16x8.neg(sums), 3), 0, 4);
  v128.store(to, p, 8);
  v128.store(to, q, 24);
}

/**
 * Rows [begin, end) of x [rows, K]. `run`: how many weights of a row share a scale. If it is 16, pairs of a block's first 16 k and
 * pairs of its last 16 k lie in turn, as they do in src/formats/q6k.ts. `whole`: 1 for machine code; with a run of 16 nothing changes.
 */
export function pack_rows_int8(
  to: usize, x: usize, K: i32, rows: i32, run: i32, whole: i32, scratch: usize, begin: i32, end: i32,
): void {
  if (run == 16) whole = 0;
  const stride = <usize>rows * X_BLOCK;
  for (let row = begin; row < end; row++) {
    let from = x + <usize>row * (<usize>K << 2), block = to + <usize>row * X_BLOCK;
    for (let n = K >> 5; n > 0; --n) {
      packBlock(block, from, run, whole);
      from += 128;
      block += stride;
    }
    const rest = K & 31;
    if (rest) {
      memory.fill(scratch, 0, 128);
      memory.copy(scratch, from, <usize>rest << 2);
      packBlock(block, scratch, run, whole);
    }
  }
}
