// Calls of machine code, which computes what WebAssembly has no instructions for; see ../native-choice.ts.

import {
  BLOCKS, CALL_BYTES, COLUMNS, COLUMNS_SECOND, COLUMNS_STEP, FOUR_STREAMS_ROWS, HAS_ROW_SCALES, KERNEL, NATIVE_Q4, NATIVE_Q4K, NATIVE_Q4R, NATIVE_Q6K, NATIVE_Q6R, NATIVE_Q8, PANEL, PANEL_BLOCK, ROW_SCALES,
  ROWS, STEPS, STREAMS, TILE, TILE_ROWS, W, W_SECOND, W_STEP, X, X_BLOCK, X_STRIDE, Y, Y_STRIDE,
} from "../../native/call-words";
import { bytesOf } from "./generated/tiles";
import { BASE, FORMAT_Q4, FORMAT_Q4K, FORMAT_Q4R, FORMAT_Q6K, FORMAT_Q6R, FORMAT_Q8, NATIVE, NATIVE_INT8 } from "./header";

/** Runs machine code. `call`: the address in the process (not in the memory) of 64-bit words, of which word 0 chooses the kernel. */
// @ts-ignore: decorator
@external("env", "native")
declare function native(call: f64): void;

/** For tests: the call alone. */
export function call_native(call: f64): void {
  native(call);
}

/** Calls kernel number `kernel` with the words at `call`, an address in the memory. */
export function callNative(call: usize, kernel: i32): void {
  store<u64>(call, kernel, KERNEL);
  native(<f64>(load<u64>(BASE) + call));
}

/**
 * Traps, as an access by WebAssembly would, unless `bytes` bytes from `from` on lie in the memory: machine code does not check. Comes before
 * the calls that read or write there.
 */
export function expectInMemory(from: usize, bytes: u64): void {
  if (<u64>from + bytes > <u64>memory.size() << 16) unreachable();
}

/** Traps unless all counts are positive: loops of machine code run at least once. */
export function expectCounts(a: i32, b: i32, c: i32): void {
  if (a < 1 || b < 1 || c < 1) unreachable();
}

/** Traps unless y [., O] and what products read of rows of x and w lie in the memory. */
export function expectProduct(y: usize, O: i32, x: usize, xBytes: u64, w: usize, wBytes: u64, rowEnd: i32, end: i32): void {
  expectInMemory(y, (<u64>(rowEnd - 1) * <u64>O + <u64>end) << 2);
  expectInMemory(x, xBytes);
  expectInMemory(w, wBytes);
}

/** Up to so many rows read weights where they lie, so that a unit has all rows. */
export const NATIVE_FEW_ROWS: i32 = TILE_ROWS;

/** Whether machine code computes products of the int8 compute path with a format; false too if its rows do not lie in groups of eight. */
// @ts-ignore: decorator
@inline
export function isNativeEightRows(format: i32): bool {
  return (load<i32>(NATIVE) & NATIVE_INT8) != 0 && format >= FORMAT_Q4 && format <= FORMAT_Q6R;
}

function kernelOf(format: i32): i32 {
  if (format == FORMAT_Q4) return NATIVE_Q4;
  if (format == FORMAT_Q4R) return NATIVE_Q4R;
  if (format == FORMAT_Q6R) return NATIVE_Q6R;
  if (format == FORMAT_Q8) return NATIVE_Q8;
  return format == FORMAT_Q4K ? NATIVE_Q4K : NATIVE_Q6K;
}

/** Bytes of a group of eight rows. */
function groupBytes(format: i32, blocks: i32): usize {
  if (format == FORMAT_Q4) return bytesOf<u8>(blocks);
  if (format == FORMAT_Q4R) return bytesOf<u32>(blocks);
  if (format == FORMAT_Q6R) return bytesOf<i32>(blocks);
  if (format == FORMAT_Q8) return bytesOf<i8>(blocks);
  return format == FORMAT_Q4K ? bytesOf<u16>(blocks) : bytesOf<i16>(blocks);
}

/** Columns [begin, end) of rows [rowBegin, rowEnd); begin is a multiple of 8, `rowsOfStep` the rows that `packed` has. */
export function native_eight_rows(
  y: usize, packed: usize, w: usize, ofRows: usize, format: i32, K: i32, O: i32, scratch: usize, rowsOfStep: i32,
  rowBegin: i32, rowEnd: i32, begin: i32, end: i32,
): void {
  const base = load<u64>(BASE), blocks = (K + 31) >> 5, rows = rowEnd - rowBegin;
  const stride = groupBytes(format, blocks);
  expectCounts(rows, blocks, end - begin);
  expectProduct(
    y, O, packed, (<u64>(blocks - 1) * <u64>rowsOfStep + <u64>rowEnd) * X_BLOCK, w, <u64>((end + 7) >> 3) * <u64>stride, rowEnd, end,
  );
  if (ofRows) expectInMemory(ofRows, <u64>end << 2);
  expectInMemory(scratch, CALL_BYTES + <u64>blocks * PANEL_BLOCK);
  const tiles = (rows + TILE_ROWS - 1) / TILE_ROWS;
  store<u64>(scratch, base + y + ((<usize>rowBegin * <usize>O + <usize>begin) << 2), Y);
  store<u64>(scratch, <usize>O << 2, Y_STRIDE);
  store<u64>(scratch, base + packed + <usize>rowBegin * X_BLOCK, X);
  store<u64>(scratch, <usize>rowsOfStep * X_BLOCK, X_STRIDE);
  store<u64>(scratch, rows, ROWS);
  store<u64>(scratch, (rows + tiles - 1) / tiles, TILE);
  store<u64>(scratch, base + w + <usize>(begin >> 3) * stride, W);
  // Few rows read long streams, which are halves or quarters of the groups. Many go through neighbouring groups side by side.
  const groups = (end - begin + 7) >> 3, isFew = rows <= NATIVE_FEW_ROWS;
  const streams = rows <= FOUR_STREAMS_ROWS && format != FORMAT_Q4K && format != FORMAT_Q6K ? 4 : 2;
  const apart = isFew ? (groups + streams - 1) / streams : 1, step = isFew ? 1 : 2;
  store<u64>(scratch, streams, STREAMS);
  store<u64>(scratch, isFew ? apart : (groups + 1) >> 1, STEPS);
  store<u64>(scratch, <usize>apart * stride, W_SECOND);
  store<u64>(scratch, <usize>step * stride, W_STEP);
  store<u64>(scratch, end - begin, COLUMNS);
  store<u64>(scratch, apart << 3, COLUMNS_SECOND);
  store<u64>(scratch, step << 3, COLUMNS_STEP);
  store<u64>(scratch, base + ofRows + (<usize>begin << 2), ROW_SCALES);
  store<u64>(scratch, ofRows != 0, HAS_ROW_SCALES);
  store<u64>(scratch, blocks, BLOCKS);
  store<u64>(scratch, base + scratch + CALL_BYTES, PANEL);
  callNative(scratch, kernelOf(format));
}
