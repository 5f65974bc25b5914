// Products with plain weights (f32, bf16, f16) by machine code, eight columns a call, with the bits of linear.ts. See native.ts.

import {
  DENSE_ADDED, DENSE_BLOCK, DENSE_COLUMNS, DENSE_FEW_F32, DENSE_K, DENSE_LAST, DENSE_MANY_F32, DENSE_NEXT, DENSE_ROWS, DENSE_ROWS_OF_TILE, DENSE_STORED,
  DENSE_SUMS, DENSE_TILE, DENSE_W, DENSE_W_STRIDE, DENSE_X, DENSE_X_STRIDE, DENSE_Y, DENSE_Y_STRIDE,
} from "../../native/dense-call-words";
import { BASE, FORMAT_F32, NATIVE, NATIVE_DENSE } from "./header";
import { callNative, expectCounts, expectInMemory, expectProduct } from "./native";
import { linearScratch } from "./scratch";

/**
 * Up to so many rows read weights where they lie, one tile of rows after the other: widening 16-bit numbers anew for each tile takes less time
 * than writing them to a panel and reading them there. f32 is read from memory at full speed only once, so it goes to a panel sooner.
 */
// @ts-ignore: decorator
@inline
export function denseFewRows(format: i32): i32 {
  return format == FORMAT_F32 ? DENSE_TILE : 4 * DENSE_TILE;
}

/** Whether machine code computes products with plain weights. */
// @ts-ignore: decorator
@inline
export function isNativeDense(): bool {
  return (load<i32>(NATIVE) & NATIVE_DENSE) != 0;
}

/** Columns [begin, end) of rows [rowBegin, rowEnd). */
export function native_dense(
  y: usize, x: usize, w: usize, format: i32, K: i32, O: i32, scratch: usize, rowBegin: i32, rowEnd: i32, begin: i32, end: i32,
): void {
  const base = load<u64>(BASE), rows = rowEnd - rowBegin;
  expectCounts(rows, K, end - begin);
  expectProduct(y, O, x, <u64>rowEnd * <u64>K << 2, w, <u64>end * <u64>strideOf(format, K), rowEnd, end);
  expectInMemory(scratch, <u64>linearScratch(K));
  const tiles = (rows + DENSE_TILE - 1) / DENSE_TILE, tile = (rows + tiles - 1) / tiles;
  store<u64>(scratch, <usize>K << 2, DENSE_X_STRIDE);
  store<u64>(scratch, rows, DENSE_ROWS);
  x += <usize>rowBegin * (<usize>K << 2);
  y += <usize>rowBegin * (<usize>O << 2);
  if (rows <= denseFewRows(format)) fewRows(base, y, x, w, format, K, O, scratch, rows, tile, begin, end);
  else manyRows(base, y, x, w, format, K, O, scratch, tile, begin, end);
}

// @ts-ignore: decorator
@inline
function strideOf(format: i32, K: i32): usize {
  return <usize>K << (format == FORMAT_F32 ? 2 : 1);
}

/**
 * The columns are cut into eight runs, and a call computes one column of each: each row of weights is followed by the next that is
 * read, so that the processor can ask for weights ahead. The last runs may begin earlier, and compute columns once more.
 */
function fewRows(
  base: u64, y: usize, x: usize, w: usize, format: i32, K: i32, O: i32, scratch: usize, rows: i32, tile: i32, begin: i32, end: i32,
): void {
  const stride = strideOf(format, K), columns = end - begin;
  const run = (columns + DENSE_COLUMNS - 1) / DENSE_COLUMNS;
  store<u64>(scratch, base + scratch + DENSE_SUMS, DENSE_Y);
  store<u64>(scratch, DENSE_COLUMNS << 2, DENSE_Y_STRIDE);
  store<u64>(scratch, 0xff, DENSE_STORED);
  store<u64>(scratch, (1 << (K & 7)) - 1, DENSE_LAST);
  store<u64>(scratch, K, DENSE_K);
  for (let i = 0; i < run; i++) {
    for (let r = 0; r < DENSE_COLUMNS; r++) {
      const column = begin + min(r * run, columns - run) + i;
      store<u64>(scratch + (<usize>r << 3), base + w + <usize>column * stride, DENSE_W);
    }
    for (let t = 0; t < rows; t += tile) {
      const count = min(tile, rows - t);
      store<u64>(scratch, base + x + <usize>t * (<usize>K << 2), DENSE_X);
      store<u64>(scratch, count, DENSE_ROWS_OF_TILE);
      store<u64>(scratch, 0, DENSE_ADDED);
      callNative(scratch, DENSE_FEW_F32 + format);
      let to = y + <usize>t * (<usize>O << 2) + (<usize>(begin + i) << 2), sums = scratch + DENSE_SUMS;
      for (let n = count; n > 0; --n) {
        for (let r = 0; r < DENSE_COLUMNS; r++)
          store<f32>(to + (<usize>min(r * run, columns - run) << 2), load<f32>(sums + (<usize>r << 2)));
        to += <usize>O << 2;
        sums += DENSE_COLUMNS << 2;
      }
    }
  }
}

/** In each block of k, eight rows of weights after the other are unpacked for all rows of x. */
function manyRows(
  base: u64, y: usize, x: usize, w: usize, format: i32, K: i32, O: i32, scratch: usize, tile: i32, begin: i32, end: i32,
): void {
  const stride = strideOf(format, K), bytes = <usize>(format == FORMAT_F32 ? 4 : 2);
  store<u64>(scratch, <usize>O << 2, DENSE_Y_STRIDE);
  for (let k = 0; k < K; k += DENSE_BLOCK) {
    const length = min(DENSE_BLOCK, K - k);
    store<u64>(scratch, base + x + (<usize>k << 2), DENSE_X);
    store<u64>(scratch, length, DENSE_K);
    store<u64>(scratch, (1 << (length & 7)) - 1, DENSE_LAST);
    for (let o = begin; o < end; o += DENSE_COLUMNS) {
      const count = min(DENSE_COLUMNS, end - o), stored = (1 << count) - 1;
      // What lies beyond the last row of weights is not read: the last one stands for it, and its sums are not stored.
      for (let r = 0; r < DENSE_COLUMNS; r++) {
        const from = w + <usize>(o + min(r, count - 1)) * stride + <usize>k * bytes;
        store<u64>(scratch + (<usize>r << 3), base + from, DENSE_W);
      }
      const isLast = o + DENSE_COLUMNS >= end;
      const next = w + <usize>(isLast ? begin : o + DENSE_COLUMNS) * stride + <usize>(isLast ? k + DENSE_BLOCK : k) * bytes;
      store<u64>(scratch, base + next, DENSE_NEXT);
      store<u64>(scratch, stride, DENSE_W_STRIDE);
      store<u64>(scratch, base + y + (<usize>o << 2), DENSE_Y);
      store<u64>(scratch, tile, DENSE_ROWS_OF_TILE);
      store<u64>(scratch, stored, DENSE_STORED);
      store<u64>(scratch, k == 0 ? 0 : stored, DENSE_ADDED);
      callNative(scratch, DENSE_MANY_F32 + format);
    }
  }
}
