// pack_rows_int8: rows of activations as int8 with one scale for 32 k, largest size / 127; rounded to nearest, ties to even.
// A block of 40 bytes: scale · 2¹¹² (f32), -8 · Σx over k % 4 < 2 and over the other k (i16 each: where the sums of codes with
// zero point 8 start), 32 × i8. Laid out [block][row]; k beyond K are 0. What it means: src/formats/int8-road.ts.

/** Bytes of a packed block. */
export const X_BLOCK: usize = 40;
/** 2¹¹²: what f16 bits shifted into an f32 lack. */
const F16_BIAS: f32 = 5.192296858534828e33;
/** Blocks whose numbers are all smaller than this are zeros: 127 over their largest may be no number. */
const LEAST: f32 = 7.888609052210118e-31; // 2⁻¹⁰⁰

// @ts-ignore: decorator
@inline
function code(v: v128, inverse: v128): v128 {
  return i32x4.trunc_sat_f32x4_s(f32x4.nearest(f32x4.mul(v, inverse)));
}

/** 32 numbers as a block at `to`. One that is not finite makes the scale infinite or NaN, and so every sum NaN. */
function packBlock(to: usize, a: v128, b: v128, c: v128, d: v128, e: v128, f: v128, g: v128, h: v128): void {
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
  const p = i8x16.narrow_i16x8_s(
    i16x8.narrow_i32x4_s(code(a, inverse), code(b, inverse)),
    i16x8.narrow_i32x4_s(code(c, inverse), code(d, inverse)),
  );
  const q = i8x16.narrow_i16x8_s(
    i16x8.narrow_i32x4_s(code(e, inverse), code(f, inverse)),
    i16x8.narrow_i32x4_s(code(g, inverse), code(h, inverse)),
  );
  let sums = i16x8.add(i16x8.extadd_pairwise_i8x16_s(p), i16x8.extadd_pairwise_i8x16_s(q));
  sums = i16x8.add(sums, i8x16.shuffle(sums, sums, 8, 9, 10, 11, 12, 13, 14, 15, 0, 1, 2, 3, 4, 5, 6, 7));
  sums = i16x8.add(sums, i8x16.shuffle(sums, sums, 4, 5, 6, 7, 0, 1, 2, 3, 12, 13, 14, 15, 8, 9, 10, 11));
  store<f32>(to, largest / <f32>127 * F16_BIAS);
  v128.store32_lane(to, i16x8.shl(i16x8.neg(sums), 3), 0, 4);
  v128.store(to, p, 8);
  v128.store(to, q, 24);
}

/** The first `count` of four numbers at x, the others 0. */
function part(x: usize, count: i32): v128 {
  if (count >= 4) return v128.load(x);
  if (count == 3) return v128.load32_lane(x, v128.load64_zero(x), 2, 8);
  if (count == 2) return v128.load64_zero(x);
  return count == 1 ? v128.load32_zero(x) : i32x4.splat(0);
}

/** Rows [begin, end) of x [rows, K]. */
export function pack_rows_int8(to: usize, x: usize, K: i32, rows: i32, begin: i32, end: i32): void {
  const stride = <usize>rows * X_BLOCK;
  for (let row = begin; row < end; row++) {
    let from = x + <usize>row * (<usize>K << 2), block = to + <usize>row * X_BLOCK;
    for (let n = K >> 5; n > 0; --n) {
      packBlock(
        block,
        v128.load(from), v128.load(from, 16), v128.load(from, 32), v128.load(from, 48),
        v128.load(from, 64), v128.load(from, 80), v128.load(from, 96), v128.load(from, 112),
      );
      from += 128;
      block += stride;
    }
    const rest = K & 31;
    if (rest) {
      packBlock(
        block,
        part(from, rest), part(from + 16, rest - 4), part(from + 32, rest - 8), part(from + 48, rest - 12),
        part(from + 64, rest - 16), part(from + 80, rest - 20), part(from + 96, rest - 24), part(from + 112, rest - 28),
      );
    }
  }
}
