// linear with weights of any format, exactly: a few rows of w at a time are unpacked to f32, and the tiles of linear.ts take
// them from the first-level cache. A row's bits are those of linear with the unpacked weights, however many rows there are.

import { fillPairs, isAligned, oneRowFourBit, spreadFourBit } from "./linear-four-bit";
import { addSums, BLOCK, foldInto, fourByOne, spread, tileWidth } from "./linear";
import { tail, unpackedSixByTwo, unpackedThreeByTwo } from "./linear-tiles";
import { PACKED_ROW, PACKED_TILE, X_TAILS } from "./scratch";
import { unpack } from "./unpack";

/** One row of x: four rows of w at a time, so that four streams are read. */
function oneRow(
  y: usize, x: usize, p0: usize, p1: usize, p2: usize, p3: usize, format: i32, param: i32, K: i32, scratch: usize,
  begin: i32, end: i32,
): void {
  const rows = scratch + PACKED_ROW, sums = scratch + X_TAILS + 32;
  for (let o = begin; o < end; o += 4) {
    const count = min(4, end - o), to = y + (<usize>o << 2);
    for (let k = 0; k < K; k += BLOCK) {
      const length = min(BLOCK, K - k);
      for (let r = 0; r < count; r++) {
        unpack(rows + (<usize>r << 12), p0, p1, p2, p3, format, param, K, o + r, k, length);
      }
      fourByOne<f32>(sums, x + (<usize>k << 2), rows, rows + 4096, rows + 8192, rows + 12288, length, scratch, 4);
      addSums(to, sums, count, k == 0);
    }
  }
}

/** Two rows of x or more share the rows of w that are unpacked. */
function manyRows(
  y: usize, x: usize, p0: usize, p1: usize, p2: usize, p3: usize, format: i32, param: i32, K: i32, O: i32, scratch: usize,
  wide: i32, rowBegin: i32, rowEnd: i32, begin: i32, end: i32,
): void {
  const width = tileWidth(wide), row = scratch + PACKED_ROW, tile = scratch + PACKED_TILE;
  const xStride = <usize>K << 2, yStride = <usize>O << 2;
  const isFourBit = isAligned(format, param, K);
  // The table takes the place of an unpacked row.
  if (isFourBit) fillPairs(row, format);
  for (let k = 0; k < K; k += BLOCK) {
    const length = min(BLOCK, K - k);
    const rest = length & 7;
    for (let o = begin; o < end; o += width) {
      const count = min(width, end - o);
      for (let r = 0; r < width; r++) {
        const to = tile + (<usize>r << 5);
        if (isFourBit && r < count) {
          spreadFourBit(to, <usize>width << 5, row, p0, p1, p2, p3, format, param, K, o + r, k, length);
          continue;
        }
        if (r < count) unpack(row, p0, p1, p2, p3, format, param, K, o + r, k, length);
        spread<f32>(to, row, length, width, r < count);
      }
      for (let t = rowBegin; t < rowEnd; t += 2) {
        const two = t + 1 < rowEnd;
        const x0 = x + <usize>t * xStride + (<usize>k << 2), x1 = two ? x0 + xStride : x0;
        if (rest) {
          const whole = <usize>(length - rest) << 2;
          tail<f32>(scratch + X_TAILS, x0 + whole, rest);
          tail<f32>(scratch + X_TAILS + 32, x1 + whole, rest);
        }
        const tails = rest ? scratch + X_TAILS : 0;
        if (wide) unpackedSixByTwo(x0, x1, tile, length >> 3, tails, scratch);
        else unpackedThreeByTwo(x0, x1, tile, length >> 3, tails, scratch);
        const y0 = y + <usize>t * yStride + (<usize>o << 2);
        foldInto(y0, two ? y0 + yStride : 0, scratch, count, k == 0);
      }
    }
  }
}

/** Columns [begin, end) of rows [rowBegin, rowEnd) of y [T, O]; w lies at p0 … p3, see unpack. */
export function linear_packed(
  y: usize, x: usize, p0: usize, p1: usize, p2: usize, p3: usize, format: i32, param: i32, K: i32, O: i32,
  scratch: usize, wide: i32, rowBegin: i32, rowEnd: i32, begin: i32, end: i32,
): void {
  const rows = rowEnd - rowBegin;
  if (rows > 1) manyRows(y, x, p0, p1, p2, p3, format, param, K, O, scratch, wide, rowBegin, rowEnd, begin, end);
  else if (rows == 1) {
    y += <usize>rowBegin * (<usize>O << 2);
    x += <usize>rowBegin * (<usize>K << 2);
    if (isAligned(format, param, K)) oneRowFourBit(y, x, p0, p1, p2, p3, format, param, K, scratch, begin, end);
    else oneRow(y, x, p0, p1, p2, p3, format, param, K, scratch, begin, end);
  }
}
