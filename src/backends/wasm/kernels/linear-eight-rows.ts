// linear on the int8 compute path: y [T, O] = packed x [T, K] · w [O, K]ᵀ. Weights lie in groups of 8 rows (q4, q4r, q6r, q8, q4k,
// q6k; see src/formats/); activations come from pack_rows_int8. Four groups, 32 columns, are computed at a time.
// Order of summation, the same for any number of rows: integers are summed exactly within 32 k, and blocks of 32 k are added one
// after the other, in f32.

import {
  any_2x2, any_2x2_32, any_4x1, any_4x2, any_4x2_32, any_panel, any_stream_1, any_stream_2, bytesOf, hasRowScales, panelBlocks,
} from "./generated/tiles";
import { X_BLOCK } from "./pack-rows-int8";
import { EIGHT_ROWS_PANEL, EIGHT_ROWS_SCALES } from "./scratch";

/** Bits of `tiles`: use the tiles for 256-bit vectors; sum in 32 bits, where one instruction adds four products to a sum. */
const WIDE_TILES: i32 = 1;
const SUMS_32: i32 = 2;
/** Columns that are computed at a time; a range of columns begins at a multiple of it. */
export const EIGHT_ROWS_COLUMNS: i32 = 32;
/** Rows of x whose sums are kept in scratch; a panel of weights, which stays in the first-level cache, serves all of them. */
export const EIGHT_ROWS_ROWS: i32 = 128;
/** From this many rows of x on, unpacking weights to a panel pays. Fewer read them where they lie, two rows at a time. */
export const EIGHT_ROWS_PANEL_FROM: i32 = 6;
/** Four streams read the weights where they lie. */
const STREAMS: i32 = 4;
/** Bytes of 32 columns of sums. */
const SUMS: usize = 128;

// The type parameter F stands for a format, see scripts/generate-formats.ts. The 16 vector registers hold the sums of 4 groups ×
// 2 rows of x when they have 256 bits, and of 2 groups × 2 rows when they have 128.

/** Whether a format can be summed in 32 bits. q6k cannot: a 32-bit sum adds four products, and two of them have another scale. */
// @ts-ignore: decorator
@inline
function has32<F>(): bool {
  return !(sizeof<F>() == 2 && isSigned<F>());
}

// @ts-ignore: decorator
@inline
function fourByTwo<F>(c: usize, panel: usize, x: usize, blocks: i32, xStride: usize, sums32: i32): void {
  if (sums32 && has32<F>()) any_4x2_32<F>(c, panel, x, blocks, xStride);
  else any_4x2<F>(c, panel, x, blocks, xStride);
}

// @ts-ignore: decorator
@inline
function twoByTwo<F>(c: usize, panel: usize, x: usize, blocks: i32, xStride: usize, sums32: i32): void {
  if (sums32 && has32<F>()) any_2x2_32<F>(c, panel, x, blocks, xStride);
  else any_2x2<F>(c, panel, x, blocks, xStride);
}

/** Adds the products with a panel, which holds some blocks of k, to the sums of all rows. */
function addPanel<F>(c: usize, panel: usize, x: usize, blocks: i32, xStride: usize, rows: i32, tiles: i32): void {
  for (; rows > 1; rows -= 2) {
    if (tiles & WIDE_TILES) fourByTwo<F>(c, panel, x, blocks, xStride, tiles & SUMS_32);
    else {
      twoByTwo<F>(c, panel, x, blocks, xStride, tiles & SUMS_32);
      twoByTwo<F>(c + 64, panel + 64, x, blocks, xStride, tiles & SUMS_32);
    }
    c += 2 * SUMS;
    x += 2 * X_BLOCK;
  }
  if (rows) any_4x1<F>(c, panel, x, blocks, xStride);
}

/** Multiplies the sums of 32 columns by the scales of their rows of w. Nobody reads the sums beyond the last group. */
function scaleRows(c: usize, rows: i32, scales: usize): void {
  for (; rows > 0; --rows) {
    for (let at: usize = 0; at < SUMS; at += 16)
      v128.store(c + at, f32x4.mul(v128.load(c + at), v128.load(scales + at)));
    c += SUMS;
  }
}

/** Copies sums of 32 columns to rows of y, in which only the first `count` of these columns exist. */
function copyOut(y: usize, yStride: usize, c: usize, rows: i32, count: i32): void {
  if (count < EIGHT_ROWS_COLUMNS) {
    for (; rows > 0; --rows) {
      memory.copy(y, c, <usize>count << 2);
      y += yStride;
      c += SUMS;
    }
    return;
  }
  for (; rows > 0; --rows) {
    for (let at: usize = 0; at < SUMS; at += 32) {
      const low = v128.load(c + at), high = v128.load(c + at, 16);
      v128.store(y + at, high, 16);
      v128.store(y + at, low);
    }
    y += yStride;
    c += SUMS;
  }
}

/**
 * Few rows read the weights where they lie, as four streams, each of which is a quarter of the groups: a stream then goes on from group to
 * group without a jump, and the processor's prefetcher goes with it.
 */
// @ts-ignore: decorator
@inline
function fewRows<F>(
  y: usize, packed: usize, w: usize, ofRows: usize, K: i32, O: i32, scratch: usize, rowsOfStep: i32,
  rowBegin: i32, rowEnd: i32, begin: i32, end: i32,
): void {
  const blocks = (K + 31) >> 5, last = (O - 1) >> 3, rows = rowEnd - rowBegin;
  const groupBytes = bytesOf<F>(blocks);
  const xStride = <usize>rowsOfStep * X_BLOCK;
  const first = begin >> 3, quarter = (end - begin + EIGHT_ROWS_COLUMNS - 1) / EIGHT_ROWS_COLUMNS;
  for (let group = first; group < first + quarter; group++) {
    // Beyond the last group it is read again; nobody reads those columns.
    const w0 = w + <usize>group * groupBytes, w1 = w + <usize>min(group + quarter, last) * groupBytes;
    const w2 = w + <usize>min(group + 2 * quarter, last) * groupBytes, w3 = w + <usize>min(group + 3 * quarter, last) * groupBytes;
    let x = packed + <usize>rowBegin * X_BLOCK, c = scratch, rest = rows;
    for (; rest > 1; rest -= 2) {
      any_stream_2<F>(c, w0, w1, w2, w3, x, blocks, xStride);
      x += 2 * X_BLOCK;
      c += 2 * SUMS;
    }
    if (rest) any_stream_1<F>(c, w0, w1, w2, w3, x, blocks, xStride);
    let column = group << 3;
    for (let stream = 0; stream < STREAMS && column < end; stream++) {
      const sums = scratch + (<usize>stream << 5), to = y + ((<usize>rowBegin * <usize>O + <usize>column) << 2);
      copyGroup(to, <usize>O << 2, sums, rows, min(8, end - column), hasRowScales<F>() ? ofRows + (<usize>column << 2) : 0);
      column += quarter << 3;
    }
  }
}

/** Copies sums of a group's 8 columns, of which the first `count` exist, to rows of y; times the scales of its rows, if there are any. */
function copyGroup(y: usize, yStride: usize, c: usize, rows: i32, count: i32, ofRows: usize): void {
  for (; rows > 0; --rows) {
    if (ofRows) {
      v128.store(c, f32x4.mul(v128.load(c), v128.load(ofRows)));
      v128.store(c, f32x4.mul(v128.load(c, 16), v128.load(ofRows, 16)), 16);
    }
    memory.copy(y, c, <usize>count << 2);
    y += yStride;
    c += SUMS;
  }
}

// @ts-ignore: decorator
@inline
function linear<F>(
  y: usize, packed: usize, w: usize, ofRows: usize, K: i32, O: i32, scratch: usize, tiles: i32, rowsOfStep: i32,
  rowBegin: i32, rowEnd: i32, begin: i32, end: i32,
): void {
  if (rowEnd - rowBegin < EIGHT_ROWS_PANEL_FROM)
    return fewRows<F>(y, packed, w, ofRows, K, O, scratch, rowsOfStep, rowBegin, rowEnd, begin, end);
  const blocks = (K + 31) >> 5, last = (O - 1) >> 3;
  const groupBytes = bytesOf<F>(blocks);
  const xStride = <usize>rowsOfStep * X_BLOCK, yStride = <usize>O << 2;
  const scales = scratch + EIGHT_ROWS_SCALES, panel = scratch + EIGHT_ROWS_PANEL;
  for (let o = begin; o < end; o += EIGHT_ROWS_COLUMNS) {
    const group = o >> 3, count = min(EIGHT_ROWS_COLUMNS, end - o);
    // Beyond the last group it is read again; nobody reads those columns.
    const w0 = w + <usize>group * groupBytes, w1 = w + <usize>min(group + 1, last) * groupBytes;
    const w2 = w + <usize>min(group + 2, last) * groupBytes, w3 = w + <usize>min(group + 3, last) * groupBytes;
    // Copied, since there may be fewer scales for the last columns than the vectors read.
    if (hasRowScales<F>()) memory.copy(scales, ofRows + (<usize>o << 2), <usize>min(EIGHT_ROWS_COLUMNS, ((last + 1) << 3) - o) << 2);
    for (let row = rowBegin; row < rowEnd; row += EIGHT_ROWS_ROWS) {
      const rows = min(EIGHT_ROWS_ROWS, rowEnd - row);
      memory.fill(scratch, 0, <usize>rows * SUMS);
      let x = packed + <usize>row * X_BLOCK, offset: usize = 0;
      for (let block = 0; block < blocks; block += panelBlocks<F>()) {
        const n = min(panelBlocks<F>(), blocks - block);
        any_panel<F>(panel, w0 + offset, w1 + offset, w2 + offset, w3 + offset, n);
        addPanel<F>(scratch, panel, x, n, xStride, rows, tiles);
        offset += bytesOf<F>(panelBlocks<F>());
        x += <usize>panelBlocks<F>() * xStride;
      }
      if (hasRowScales<F>()) scaleRows(scratch, rows, scales);
      copyOut(y + <usize>row * yStride + (<usize>o << 2), yStride, scratch, rows, count);
    }
  }
}

/**
 * Columns [begin, end) of rows [rowBegin, rowEnd); begin is a multiple of 32, `rowsOfStep` the rows that `packed` has.
 * `tiles`: WIDE_TILES, SUMS_32, both or none, which all give the same bits. ofRows: the scales of rows, if the format has them.
 */
export function linear_q4(
  y: usize, packed: usize, w: usize, ofRows: usize, K: i32, O: i32, scratch: usize, tiles: i32, rowsOfStep: i32,
  rowBegin: i32, rowEnd: i32, begin: i32, end: i32,
): void {
  linear<u8>(y, packed, w, ofRows, K, O, scratch, tiles, rowsOfStep, rowBegin, rowEnd, begin, end);
}

export function linear_q4r(
  y: usize, packed: usize, w: usize, ofRows: usize, K: i32, O: i32, scratch: usize, tiles: i32, rowsOfStep: i32,
  rowBegin: i32, rowEnd: i32, begin: i32, end: i32,
): void {
  linear<u32>(y, packed, w, ofRows, K, O, scratch, tiles, rowsOfStep, rowBegin, rowEnd, begin, end);
}

export function linear_q6r(
  y: usize, packed: usize, w: usize, ofRows: usize, K: i32, O: i32, scratch: usize, tiles: i32, rowsOfStep: i32,
  rowBegin: i32, rowEnd: i32, begin: i32, end: i32,
): void {
  linear<i32>(y, packed, w, ofRows, K, O, scratch, tiles, rowsOfStep, rowBegin, rowEnd, begin, end);
}

export function linear_q8(
  y: usize, packed: usize, w: usize, ofRows: usize, K: i32, O: i32, scratch: usize, tiles: i32, rowsOfStep: i32,
  rowBegin: i32, rowEnd: i32, begin: i32, end: i32,
): void {
  linear<i8>(y, packed, w, ofRows, K, O, scratch, tiles, rowsOfStep, rowBegin, rowEnd, begin, end);
}

export function linear_q4k(
  y: usize, packed: usize, w: usize, ofRows: usize, K: i32, O: i32, scratch: usize, tiles: i32, rowsOfStep: i32,
  rowBegin: i32, rowEnd: i32, begin: i32, end: i32,
): void {
  linear<u16>(y, packed, w, ofRows, K, O, scratch, tiles, rowsOfStep, rowBegin, rowEnd, begin, end);
}

export function linear_q6k(
  y: usize, packed: usize, w: usize, ofRows: usize, K: i32, O: i32, scratch: usize, tiles: i32, rowsOfStep: i32,
  rowBegin: i32, rowEnd: i32, begin: i32, end: i32,
): void {
  linear<i16>(y, packed, w, ofRows, K, O, scratch, tiles, rowsOfStep, rowBegin, rowEnd, begin, end);
}
