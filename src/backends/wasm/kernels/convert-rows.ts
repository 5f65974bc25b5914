// Converts rows of plain numbers to another format of plain numbers: f32, bf16 or f16, rounded to nearest, ties to even. NaN and infinity
// stay what they are. The specification are the files of these formats in src/formats/.

import { storeRounded } from "./cache-format";
import { FORMAT_BF16, FORMAT_F32 } from "./header";
import { widenRow } from "./widen";

/** Rows [begin, end) of K numbers at `from`. scratch: a row as f32. */
export function convertRows(
  to: usize, format: i32, from: usize, source: i32, K: i32, scratch: usize, begin: i32, end: i32,
): void {
  for (let row = begin; row < end; row++) {
    const first = <usize>row * <usize>K;
    if (format == FORMAT_F32) {
      widenRow(to + (first << 2), from, first, K, source);
      continue;
    }
    widenRow(scratch, from, first, K, source);
    if (format == FORMAT_BF16) store16<u16>(to + (first << 1), scratch, K);
    else store16<i16>(to + (first << 1), scratch, K);
  }
}

/** F: as in lanes.ts. */
function store16<F>(to: usize, from: usize, count: i32): void {
  for (; count > 0; --count) {
    storeRounded<F>(to, load<f32>(from));
    to += 2;
    from += 4;
  }
}
