// Calls of machine code for products with nf4 and fp4 weights, on the compute paths int8 and fixed16: four rows of w at a time for one row
// of x, else 16. Gathers their absmax, which may be quantised itself. What is computed: linear-nf4-int8.ts and linear-nf4.ts.

import { TILE_ROWS } from "../../native/call-words";
import {
  FOUR_BIT_ABSMAX, FOUR_BIT_AHEAD, FOUR_BIT_BLOCKS, FOUR_BIT_CALL_BYTES, FOUR_BIT_COLUMNS, FOUR_BIT_FIXED16_ROW,
  FOUR_BIT_FIXED16_ROWS, FOUR_BIT_INT8_ROW, FOUR_BIT_INT8_ROWS, FOUR_BIT_LAST, FOUR_BIT_PANEL, FOUR_BIT_PLANE, FOUR_BIT_RESULTS, FOUR_BIT_ROWS,
  FOUR_BIT_SCALES, FOUR_BIT_SCALE_STRIDE, FOUR_BIT_STARTS, FOUR_BIT_STORED, FOUR_BIT_TABLE, FOUR_BIT_TILE, FOUR_BIT_UNIT, FOUR_BIT_W,
  FOUR_BIT_X, FOUR_BIT_X_STRIDE, FOUR_BIT_Y, FOUR_BIT_Y_STRIDE, FIXED16_PLANES, GROUPS, INT8_PLANES, PLANE_BLOCK,
} from "../../native/four-bit-words";
import { fourRows, isFp4 } from "./absmax";
import { BASE, FORMAT_FP4_DQ, FORMAT_NF4, NATIVE, NATIVE_FOUR_BIT } from "./header";
import { scatter } from "./lanes";
import { fixed16Unit, putFixed16Integers } from "./linear-nf4";
import { int8Unit, putInt8Integers } from "./linear-nf4-int8";
import { callNative, expectCounts, expectInMemory, expectProduct } from "./native";
import { fixed16Scratch, fourBitPanelAt, nf4Int8Scratch } from "./scratch";

/** Whether machine code computes products of the compute paths int8 and fixed16 with a format, and reads packed rows. */
// @ts-ignore: decorator
@inline
export function isNativeFourBit(format: i32): bool {
  return (load<i32>(NATIVE) & NATIVE_FOUR_BIT) != 0 && format >= FORMAT_NF4 && format <= FORMAT_FP4_DQ;
}

/** One row of x, the only one of its step. The columns are cut into four quarters that are read at the same time, as four long streams. */
function oneRow(
  kernel: i32, y: usize, p0: usize, p1: usize, p2: usize, p3: usize, format: i32, param: i32, K: i32, scratch: usize, begin: i32, end: i32,
): void {
  const base = load<u64>(BASE), stride = <usize>K >> 1, blocks = K >> 6;
  const gap = (end - begin + 3) >> 2, last = end - 1;
  const absmax = scratch + FOUR_BIT_CALL_BYTES, absmaxBytes = <usize>((blocks + 7) & ~7) << 4;
  store<u64>(scratch, (<u64>1 << (<u64>(blocks & 7) << 3)) - 1, FOUR_BIT_LAST);
  for (let o = begin; o < begin + gap; o += GROUPS) {
    const groups = min(GROUPS, begin + gap - o);
    for (let g = 0; g < groups; g++) {
      fourRows(absmax + <usize>g * absmaxBytes, 16, p1, p2, p3, format, param, K, o + g, gap, end, 0, blocks);
      const w = scratch + FOUR_BIT_W + (<usize>g << 5);
      for (let i = 0; i < 4; i++) store<u64>(w + (<usize>i << 3), base + p0 + <usize>min(o + g + i * gap, last) * stride);
    }
    store<u64>(scratch, groups, FOUR_BIT_ROWS);
    callNative(scratch, kernel);
    for (let g = 0; g < groups; g++)
      scatter(
        y + (<usize>(o + g) << 2), <usize>gap << 2, y + (<usize>end << 2), v128.load(scratch + FOUR_BIT_RESULTS + (<usize>g << 4)),
      );
  }
}

/** `rows` rows of x, beginning with row `row`. */
function severalRows(
  kernel: i32, y: usize, x: usize, scales: usize, p0: usize, p1: usize, p2: usize, p3: usize, format: i32, param: i32, K: i32, O: i32,
  scratch: usize, row: i32, rows: i32, begin: i32, end: i32,
): void {
  const base = load<u64>(BASE), stride = <usize>K >> 1, last = end - 1, tiles = (rows + TILE_ROWS - 1) / TILE_ROWS;
  const absmax = scratch + FOUR_BIT_CALL_BYTES, absmaxStep = FOUR_BIT_COLUMNS * sizeof<f32>();
  store<u64>(scratch, <usize>O << 2, FOUR_BIT_Y_STRIDE);
  store<u64>(scratch, (rows + tiles - 1) / tiles, FOUR_BIT_TILE);
  store<u64>(scratch, base + scratch + <usize>fourBitPanelAt(K), FOUR_BIT_PANEL);
  store<u64>(scratch, <usize>FOUR_BIT_COLUMNS * stride, FOUR_BIT_AHEAD);
  for (let o = begin; o < end; o += FOUR_BIT_COLUMNS) {
    for (let r = 0; r < FOUR_BIT_COLUMNS; r += 4)
      fourRows(absmax + (<usize>r << 2), absmaxStep, p1, p2, p3, format, param, K, min(o + r, last), 1, end, 0, K >> 6);
    for (let r = 0; r < FOUR_BIT_COLUMNS; r++)
      store<u64>(scratch + (<usize>r << 3), base + p0 + <usize>min(o + r, last) * stride, FOUR_BIT_W);
    store<u64>(scratch, base + x + <usize>row * PLANE_BLOCK, FOUR_BIT_X);
    store<u64>(scratch, base + scales + (<usize>row << 2), FOUR_BIT_SCALES);
    store<u64>(scratch, rows, FOUR_BIT_ROWS);
    store<u64>(scratch, base + y + ((<usize>row * <usize>O + <usize>o) << 2), FOUR_BIT_Y);
    store<u64>(scratch, (1 << min(FOUR_BIT_COLUMNS, end - o)) - 1, FOUR_BIT_STORED);
    callNative(scratch, kernel);
  }
}

/**
 * Columns [begin, end) of rows [rowBegin, rowEnd) of y. `isFixed16`: on the compute path fixed16, otherwise int8. x: what the packing kernel of
 * that path made for machine code, of `rows` rows. The other arguments are those of linear_fixed16.
 */
export function native_four_bit(
  isFixed16: bool, y: usize, x: usize, p0: usize, p1: usize, p2: usize, p3: usize, format: i32, param: i32, K: i32, O: i32,
  scratch: usize, rows: i32, rowBegin: i32, rowEnd: i32, begin: i32, end: i32,
): void {
  const base = load<u64>(BASE), blocks = <usize>(K >> 6), isOne = rows == 1, count = blocks * <usize>rows;
  const planes = x + (count << (isFixed16 ? 2 : 3));
  const xBytes = <u64>count * (isFixed16 ? 4 + FIXED16_PLANES * PLANE_BLOCK : 8 + INT8_PLANES * PLANE_BLOCK);
  expectCounts(rowEnd - rowBegin, <i32>blocks, end - begin);
  expectProduct(y, O, x, xBytes, p0, <u64>end * (<u64>K >> 1), rowEnd, end);
  expectInMemory(scratch, <u64>(isFixed16 ? fixed16Scratch(K) : nf4Int8Scratch(K)));
  store<u64>(scratch, base + planes, FOUR_BIT_X);
  store<u64>(scratch, count * PLANE_BLOCK, FOUR_BIT_PLANE);
  store<u64>(scratch, <usize>rows * PLANE_BLOCK, FOUR_BIT_X_STRIDE);
  store<u64>(scratch, base + x, FOUR_BIT_SCALES);
  store<u64>(scratch, <usize>rows << 2, FOUR_BIT_SCALE_STRIDE);
  store<u64>(scratch, count << 2, FOUR_BIT_STARTS);
  store<u64>(scratch, blocks, FOUR_BIT_BLOCKS);
  store<u64>(scratch, base + scratch + FOUR_BIT_CALL_BYTES, FOUR_BIT_ABSMAX);
  if (isFixed16) {
    store<f32>(scratch, fixed16Unit(isFp4(format)), FOUR_BIT_UNIT);
    putFixed16Integers(scratch + FOUR_BIT_TABLE, isFp4(format));
  } else {
    store<f32>(scratch, int8Unit(isFp4(format)), FOUR_BIT_UNIT);
    putInt8Integers(scratch + FOUR_BIT_TABLE, isFp4(format));
  }
  const one = isFixed16 ? FOUR_BIT_FIXED16_ROW : FOUR_BIT_INT8_ROW, several = isFixed16 ? FOUR_BIT_FIXED16_ROWS : FOUR_BIT_INT8_ROWS;
  if (isOne) return oneRow(one, y, p0, p1, p2, p3, format, param, K, scratch, begin, end);
  severalRows(several, y, planes, x, p0, p1, p2, p3, format, param, K, O, scratch, rowBegin, rowEnd - rowBegin, begin, end);
}
