// Products with weights on every compute path: cuts a product into units of work (some columns of some rows of y), calls the kernel
// that computes a unit, and packs rows for the paths that need it. An op's arguments stand in the order of ../encode-products.ts.

import {
  CODE_WORD, FORMAT_BF16, FORMAT_F16, FORMAT_F32, FORMAT_FP4_DQ, FORMAT_INT8, FORMAT_Q4, FORMAT_Q4K, FORMAT_Q4R, FORMAT_Q6R, FORMAT_Q8, LINEAR,
  LINEAR_FIXED16, LINEAR_INT8, LINEAR_LLM_INT8, LINEAR_PACKED, NATIVE, NATIVE_FOUR_BIT, NATIVE_INT8, PACK_FIXED16, PACK_INT8, PACK_INT8_HALVES,
  PACK_LLM_INT8, PACK_LLM_INT8_CALL, SUMS_32, WIDE,
} from "./header";
import { linear_bf16, linear_f16, linear_f32, manyFrom } from "./linear";
import { EIGHT_ROWS_PANEL_FROM, linear_q4, linear_q4k, linear_q4r, linear_q6k, linear_q6r, linear_q8 } from "./linear-eight-rows";
import { linear_llm_int8 } from "./linear-int8";
import { linear_fixed16 } from "./linear-nf4";
import { linear_nf4_int8 } from "./linear-nf4-int8";
import { linear_packed } from "./linear-packed";
import { address, arg, ceilDiv, word } from "./op-words";
import { denseFewRows, isNativeDense, native_dense } from "./native-dense";
import { isNativeEightRows, NATIVE_FEW_ROWS, native_eight_rows } from "./native";
import { isNativeFourBit, native_four_bit } from "./native-four-bit";
import { pack_rows_fixed16 } from "./pack-rows-fixed16";
import { pack_rows_int8 } from "./pack-rows-int8";
import { pack_rows_int8_halves } from "./pack-rows-int8-halves";
import { pack_rows_llm_int8 } from "./pack-rows-llm-int8";

/**
 * Bytes of weights that a thread claims at a time when there are few rows: shorter streams lose a tenth of the speed, because the
 * processor's prefetcher starts anew with each.
 */
const CLAIM_BYTES: i32 = 524288;

// @ts-ignore: decorator
@inline
export function isProduct(code: i32): bool {
  return code == LINEAR || (code >= LINEAR_PACKED && code <= LINEAR_LLM_INT8);
}

/** Whether machine code computes the product. */
// @ts-ignore: decorator
@inline
function isNative(op: usize): bool {
  const code = word(op, CODE_WORD), format = arg(op, 8);
  return (code == LINEAR_INT8 && isNativeEightRows(format)) || (code != LINEAR_PACKED && isNativeFourBit(format));
}

/** Whether there are so few rows that each unit has all of them. */
// @ts-ignore: decorator
@inline
function isFew(op: usize, rows: i32): bool {
  const code = word(op, CODE_WORD);
  if (code == LINEAR && isNativeDense()) return rows <= denseFewRows(arg(op, 8));
  if (isNative(op)) return rows <= NATIVE_FEW_ROWS;
  if (code == LINEAR_INT8 && arg(op, 8) >= FORMAT_Q4) return rows < EIGHT_ROWS_PANEL_FROM;
  return rows < (code == LINEAR || code == LINEAR_PACKED ? manyFrom(arg(op, 8)) : 2);
}

/** Columns of a unit: a multiple of the columns of the kernel's tile. */
// @ts-ignore: decorator
@inline
function columnsOf(op: usize, rows: i32): i32 {
  const code = word(op, CODE_WORD);
  if (code == LINEAR_INT8) return 32;
  if (code == LINEAR && isNativeDense()) return isFew(op, rows) ? 8 : 48;
  if (code == LINEAR || code == LINEAR_LLM_INT8) return isFew(op, rows) ? 12 : 48;
  // For one row of x the weights are read as four streams at once, a quarter of the columns each.
  if (rows == 1) return arg(op, 6) > 8192 ? 24 : 48;
  return code == LINEAR_FIXED16 ? 32 : 48;
}

/** The most rows of a unit, when there are many. */
// @ts-ignore: decorator
@inline
function mostRows(op: usize): i32 {
  // Every unit unpacks its own weights. Packed formats take longer, so more rows must share it.
  return word(op, CODE_WORD) == LINEAR && !isNativeDense() ? 64 : 128;
}

export function productUnits(op: usize, rows: i32): i32 {
  if (rows == 0) return 0;
  return ceilDiv(arg(op, 7), columnsOf(op, rows)) * (isFew(op, rows) ? 1 : ceilDiv(rows, mostRows(op)));
}

/** How many units a thread claims at a time. `even`: as many as give all threads the same share. */
export function productChunk(op: usize, rows: i32, even: i32): i32 {
  if (!isFew(op, rows)) return 1;
  return min(even, max(1, CLAIM_BYTES / (columnsOf(op, rows) * arg(op, 6) * halfBytesOf(arg(op, 8)) / 2)));
}

/** About how many half bytes a weight takes. */
// @ts-ignore: decorator
@inline
function halfBytesOf(format: i32): i32 {
  if (format == FORMAT_F32) return 8;
  if (format <= FORMAT_F16) return 4;
  return format == FORMAT_INT8 || format == FORMAT_Q8 ? 2 : 1;
}

/** Computes units [begin, end) of a product. */
export function callProduct(op: usize, rows: i32, scratch: usize, begin: i32, end: i32): void {
  const O = arg(op, 7), columns = columnsOf(op, rows);
  if (isFew(op, rows)) return call(op, rows, scratch, 0, rows, begin * columns, min(end * columns, O));
  const blocks = ceilDiv(rows, mostRows(op));
  // Blocks of rows have one size, an even number, since tiles take two rows. Units that follow one another have the same columns,
  // and so share their weights in the processor's cache.
  const blockRows = (ceilDiv(rows, blocks) + 1) & ~1;
  for (let unit = begin; unit < end; unit++) {
    const row = (unit % blocks) * blockRows, column = (unit / blocks) * columns;
    call(op, rows, scratch, row, min(row + blockRows, rows), column, min(column + columns, O));
  }
}

/** Computes columns [begin, end) of rows [rowBegin, rowEnd), of `rows` in all. */
function call(op: usize, rows: i32, scratch: usize, rowBegin: i32, rowEnd: i32, begin: i32, end: i32): void {
  const y = address(op, 0), x = address(op, 1), p0 = address(op, 2), p1 = address(op, 3), p2 = address(op, 4), p3 = address(op, 5);
  const K = arg(op, 6), O = arg(op, 7), format = arg(op, 8), param = arg(op, 9), wide = load<i32>(WIDE);
  const tiles = wide | (load<i32>(SUMS_32) << 1);
  switch (word(op, CODE_WORD)) {
    case LINEAR:
      if (isNativeDense()) return native_dense(y, x, p0, format, K, O, scratch, rowBegin, rowEnd, begin, end);
      if (format == FORMAT_F32) linear_f32(y, x, p0, K, O, scratch, wide, rowBegin, rowEnd, begin, end);
      else if (format == FORMAT_BF16) linear_bf16(y, x, p0, K, O, scratch, wide, rowBegin, rowEnd, begin, end);
      else linear_f16(y, x, p0, K, O, scratch, wide, rowBegin, rowEnd, begin, end);
      return;
    case LINEAR_PACKED:
      return linear_packed(y, x, p0, p1, p2, p3, format, param, K, O, scratch, wide, rowBegin, rowEnd, begin, end);
    case LINEAR_INT8:
      if (isNativeEightRows(format))
        return native_eight_rows(y, x, p0, p1, format, K, O, scratch, rows, rowBegin, rowEnd, begin, end);
      if (isNativeFourBit(format))
        return native_four_bit(false, y, x, p0, p1, p2, p3, format, param, K, O, scratch, rows, rowBegin, rowEnd, begin, end);
      if (format <= FORMAT_FP4_DQ)
        linear_nf4_int8(y, x, p0, p1, p2, p3, format, param, K, O, scratch, rowBegin, rowEnd, begin, end);
      else if (format == FORMAT_Q4) linear_q4(y, x, p0, p1, K, O, scratch, tiles, rows, rowBegin, rowEnd, begin, end);
      else if (format == FORMAT_Q4R) linear_q4r(y, x, p0, p1, K, O, scratch, tiles, rows, rowBegin, rowEnd, begin, end);
      else if (format == FORMAT_Q6R) linear_q6r(y, x, p0, p1, K, O, scratch, tiles, rows, rowBegin, rowEnd, begin, end);
      else if (format == FORMAT_Q8) linear_q8(y, x, p0, p1, K, O, scratch, tiles, rows, rowBegin, rowEnd, begin, end);
      else if (format == FORMAT_Q4K) linear_q4k(y, x, p0, p1, K, O, scratch, tiles, rows, rowBegin, rowEnd, begin, end);
      else linear_q6k(y, x, p0, p1, K, O, scratch, tiles, rows, rowBegin, rowEnd, begin, end);
      return;
    case LINEAR_FIXED16:
      if (isNativeFourBit(format))
        return native_four_bit(true, y, x, p0, p1, p2, p3, format, param, K, O, scratch, rows, rowBegin, rowEnd, begin, end);
      return linear_fixed16(y, x, p0, p1, p2, p3, format, param, K, O, scratch, wide, rowBegin, rowEnd, begin, end);
    case LINEAR_LLM_INT8:
      return linear_llm_int8(y, x, p0, p1, K, O, scratch, rowBegin, rowEnd, begin, end);
    default:
      unreachable();
  }
}

/** Units of packing: one for each row, or one for all rows where outlier columns are chosen for all of them together. */
export function packUnits(op: usize, rows: i32): i32 {
  return arg(op, 3) == PACK_LLM_INT8_CALL ? min(rows, 1) : rows;
}

/** Packs rows [begin, end), of `rows` in all, for the products that read them. */
export function packRows(op: usize, rows: i32, scratch: usize, begin: i32, end: i32): void {
  const to = address(op, 0), x = address(op, 1), K = arg(op, 2), param = reinterpret<f32>(arg(op, 4));
  switch (arg(op, 3)) {
    case PACK_INT8:
      return pack_rows_int8(to, x, K, rows, <i32>param, load<i32>(NATIVE) & NATIVE_INT8, scratch, begin, end);
    case PACK_INT8_HALVES:
      return pack_rows_int8_halves(to, x, K, rows, load<i32>(NATIVE) & NATIVE_FOUR_BIT, begin, end);
    case PACK_FIXED16:
      return pack_rows_fixed16(to, x, K, rows, load<i32>(NATIVE) & NATIVE_FOUR_BIT, begin, end);
    case PACK_LLM_INT8:
      return pack_rows_llm_int8(to, x, K, param, 0, scratch, begin, end);
    case PACK_LLM_INT8_CALL:
      return pack_rows_llm_int8(to, x, K, param, 1, scratch, 0, rows);
    default:
      unreachable();
  }
}
