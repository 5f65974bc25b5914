// pack_rows_int8_halves: rows of activations as int8, in blocks of 64 numbers, in the order in which linear_nf4_int8 reads them, or machine
// code (../../native/four-bit-words.ts). Knows no weights, except that 64 stands for zero there.

import { PLANE_BLOCK } from "../../native/four-bit-words";
import { largestLane } from "./lanes";
import { eight, evens, LEAST_SUM, odds } from "./pack-rows-fixed16";

// A packed row of K numbers, a multiple of 64, is K/64 blocks:
//   offset  bytes  content
//        0     64  int8: of each 32 numbers the even ones, then the odd ones
//       64     32  for each 32 numbers eight i16, one a lane, where its sum starts: −64 · the sum of the lane's numbers
//       96      4  scale, f32: the largest size / 127
//      100     12  unused

/** Bytes of a block, and the offsets of its start values and its scale. */
export const HALVES_BLOCK: usize = 112;
export const HALVES_STARTS: usize = 64;
export const HALVES_SCALE: usize = 96;

/** Rows [begin, end) of x [rows, K], one after the other. `planes`: in the order that machine code reads. */
export function pack_rows_int8_halves(to: usize, x: usize, K: i32, rows: i32, planes: i32, begin: i32, end: i32): void {
  const blocks = <usize>K >> 6;
  x += <usize>begin * (<usize>K << 2);
  if (planes) {
    for (let row = begin; row < end; row++) {
      packPlanes(to, x, blocks, rows, row);
      x += <usize>K << 2;
    }
    return;
  }
  to += <usize>begin * blocks * HALVES_BLOCK;
  for (let n = <usize>(end - begin) * blocks; n > 0; --n) {
    const largest = largestOf(x);
    store<f32>(to + HALVES_SCALE, largest / 127);
    const inverse = f32x4.splat(largest == 0 ? 0 : 127 / largest);
    v128.store(to + HALVES_STARTS, i16x8.neg(i16x8.shl(packHalf(to, 16, x, inverse), 6)));
    v128.store(to + HALVES_STARTS + 16, i16x8.neg(i16x8.shl(packHalf(to + 32, 16, x + 128, inverse), 6)));
    x += 256;
    to += HALVES_BLOCK;
  }
}

function packPlanes(to: usize, x: usize, blocks: usize, rows: i32, row: i32): void {
  const count = blocks * <usize>rows, starts = count << 2, plane = count * PLANE_BLOCK;
  let scale = to + (<usize>row << 2), codes = to + 2 * starts + <usize>row * PLANE_BLOCK;
  for (; blocks > 0; --blocks) {
    const largest = largestOf(x);
    store<f32>(scale, largest / 127);
    const inverse = f32x4.splat(largest == 0 ? 0 : 127 / largest);
    const sums = i32x4.extadd_pairwise_i16x8_s(
      i16x8.add(packHalf(codes, plane, x, inverse), packHalf(codes + 16, plane, x + 128, inverse)),
    );
    const first = i32x4.extract_lane(sums, 0) + i32x4.extract_lane(sums, 1);
    store<i32>(scale + starts, -64 * (first + i32x4.extract_lane(sums, 2) + i32x4.extract_lane(sums, 3)));
    scale += <usize>rows << 2;
    codes += <usize>rows * PLANE_BLOCK;
    x += 256;
  }
}

/** The largest size of 64 numbers: 0 if their scale would be too small to have an inverse, not finite when a number is not. */
function largestOf(x: usize): f32 {
  let most = f32x4.splat(0);
  for (let i: usize = 0; i < 256; i += 16) most = f32x4.max(most, f32x4.abs(v128.load(x + i)));
  const largest = largestLane(most);
  return largest < LEAST_SUM ? 0 : largest;
}

/** Packs 32 numbers: the even ones to `to`, the odd ones `gap` bytes behind. Returns the sums of each lane's numbers, i16. */
// @ts-ignore: decorator
@inline
function packHalf(to: usize, gap: usize, x: usize, inverse: v128): v128 {
  const a = eight(x, inverse), b = eight(x + 32, inverse), c = eight(x + 64, inverse), d = eight(x + 96, inverse);
  const even = i8x16.narrow_i16x8_s(evens(a, b), evens(c, d)), odd = i8x16.narrow_i16x8_s(odds(a, b), odds(c, d));
  v128.store(to, even);
  v128.store(to + gap, odd);
  return i16x8.add(i16x8.extadd_pairwise_i8x16_s(even), i16x8.extadd_pairwise_i8x16_s(odd));
}
