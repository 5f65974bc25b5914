// pack_rows_llm_int8: rows of activations for linear_llm_int8, bit for bit as src/formats/llm-int8-product.ts has it. Numbers are
// rounded to float16. A column is an outlier when the size of its number reaches the threshold: in the row itself or, on the compute
// path "call", in any row of the call. Knows no weights.

import { packLlmInt8Scratch } from "./scratch";

// A packed row of K numbers; K' is K rounded up to 16:
//   offset     bytes  content
//        0         4  scale, f32
//        4         4  how many outliers, i32
//        8        56  unused
//       64      2·K'  a code for each column, i16: 0 for outliers and beyond K
//  64 + 2·K'     8·K  of each outlier its column, i32, and its number as it came, f32; room for K of them

/** Bytes before the codes of a packed row. */
export const INT8_ROW_CODES: usize = 64;

/** Bytes of the codes of a packed row. */
// @ts-ignore: decorator
@inline
export function int8CodeBytes(K: i32): usize {
  return <usize>((K + 15) & ~15) << 1;
}

/** Bytes of a packed row. */
// @ts-ignore: decorator
@inline
export function int8RowBytes(K: i32): usize {
  return INT8_ROW_CODES + int8CodeBytes(K) + (<usize>K << 3);
}

/**
 * Rows [begin, end) of x [·, K]. threshold 0: no outliers. `sharedOutliers`: outlier columns are chosen once for all these rows, else for
 * each row.
 */
export function pack_rows_llm_int8(
  to: usize, x: usize, K: i32, threshold: f32, sharedOutliers: i32, scratch: usize, begin: i32, end: i32,
): void {
  const rowBytes = int8RowBytes(K), xBytes = <usize>K << 2;
  const few = sharedOutliers ? end - begin : 1;
  for (let t = begin; t < end; t += few) {
    memory.fill(scratch, 0, <usize>packLlmInt8Scratch(K));
    if (threshold > 0) {
      for (let r = t; r < t + few; r++) mark(scratch, x + <usize>r * xBytes, K, threshold);
    }
    for (let r = t; r < t + few; r++) packRow(to + <usize>r * rowBytes, x + <usize>r * xBytes, K, threshold, scratch);
  }
}

/** Sets the mask of each column whose number is an outlier. */
function mark(masks: usize, x: usize, K: i32, threshold: f32): void {
  const limit = f32x4.splat(threshold);
  for (let k = 0; k < K; k += 4) {
    v128.store(masks, v128.or(v128.load(masks), f32x4.ge(f32x4.abs(halves(x, K - k)), limit)));
    masks += 16;
    x += 16;
  }
}

function packRow(to: usize, x: usize, K: i32, threshold: f32, masks: usize): void {
  // Outliers do not count for the scale; without a threshold there are none.
  const scale = scaleOf(x, K, threshold > 0 ? threshold : Infinity);
  const inverse: f32 = <f32>1 / scale * 127;
  const factor = f32x4.splat(inverse == Infinity ? 0 : inverse);
  let codes = to + INT8_ROW_CODES, outlier = codes + int8CodeBytes(K);
  store<f32>(to, scale);
  v128.store(outlier - 32, i32x4.splat(0));
  v128.store(outlier - 16, i32x4.splat(0));
  let count = 0;
  for (let k = 0; k < K; k += 4) {
    const mask = v128.load(masks);
    const code = v128.andnot(i32x4.trunc_sat_f32x4_s(f32x4.nearest(f32x4.mul(halves(x, K - k), factor))), mask);
    v128.store64_lane(codes, i16x8.narrow_i32x4_s(code, code), 0);
    if (v128.any_true(mask)) {
      for (let i = 0; i < 4; i++) {
        if (!load<i32>(masks + (<usize>i << 2))) continue;
        store<i32>(outlier, k + i);
        store<f32>(outlier, load<f32>(x + (<usize>i << 2)), 4);
        outlier += 8;
        count++;
      }
    }
    masks += 16;
    x += 16;
    codes += 8;
  }
  store<i32>(to, count, 4);
}

/** The largest size below the limit, or NaN. */
function scaleOf(x: usize, K: i32, limit: f32): f32 {
  const limits = f32x4.splat(limit), sign = i32x4.splat(0x7fffffff);
  // The bits of sizes, compared as integers, have the order of the sizes; a NaN is the largest.
  let most = i32x4.splat(0);
  for (let k = 0; k < K; k += 4) {
    const size = v128.and(halves(x, K - k), sign);
    most = i32x4.max_s(most, limit == Infinity ? size : v128.andnot(size, f32x4.ge(size, limits)));
    x += 16;
  }
  return reinterpret<f32>(
    max(max(i32x4.extract_lane(most, 0), i32x4.extract_lane(most, 1)), max(i32x4.extract_lane(most, 2), i32x4.extract_lane(most, 3))),
  );
}

/** Four numbers rounded to float16. If fewer are `left` in the row, zeros follow them. */
// @ts-ignore: decorator
@inline
function halves(x: usize, left: i32): v128 {
  let v = left >= 4 ? v128.load(x) : v128.load32_zero(x);
  if (left == 2 || left == 3) v = f32x4.replace_lane(v, 1, load<f32>(x, 4));
  if (left == 3) v = f32x4.replace_lane(v, 2, load<f32>(x, 8));
  const size = f32x4.abs(v);
  const odd = v128.and(i32x4.shr_u(v, 13), i32x4.splat(1));
  const normal = v128.and(i32x4.add(i32x4.add(v, i32x4.splat(0xfff)), odd), i32x4.splat(0xffffe000));
  // Adding 0.75 rounds to 2⁻²⁴, the last bit of 0.75 in f32 and the unit of float16's subnormals.
  const subnormal = f32x4.sub(f32x4.add(v, f32x4.splat(0.75)), f32x4.splat(0.75));
  const finite = v128.bitselect(subnormal, normal, f32x4.lt(size, f32x4.splat(6.103515625e-5)));
  return v128.bitselect(finite, f32x4.mul(v, f32x4.splat(Infinity)), f32x4.lt(size, f32x4.splat(65520)));
}
