// quantize: a piece of a matrix of plain numbers (f32, bf16 or f16) into another format, of fewer bits or of plain numbers too. Gives the
// bytes of the formats' own packers (src/formats/), which are the specification. Chooses the family's kernel, and does not know what
// that does.

import { convertRows } from "./convert-rows";
import { FORMAT_F16, FORMAT_FP4, FORMAT_INT8, FORMAT_NF4 } from "./header";
import { quantizeEightRows } from "./quantize-eight-rows";
import { quantizeFourBit } from "./quantize-four-bit";
import { quantizeInt8 } from "./quantize-int8";

/**
 * Units [begin, end): groups of 8 rows, blocks of `param` numbers (nf4, fp4), or rows (int8, and plain numbers).
 * @param codes, scales the parts of the piece
 * @param source        the format of the numbers at `from`, and `rounded` that to which they are rounded first (0: as they are); plain numbers
 *                      are not rounded twice
 * @param table         of nf4 and fp4, see quantize-four-bit.ts
 * @param failed        a word that becomes 1 if a unit holds numbers that the format cannot hold; its bytes are then undefined
 */
export function quantize(
  codes: usize, scales: usize, from: usize, source: i32, rounded: i32, rows: i32, K: i32, format: i32, param: i32, table: usize,
  failed: usize, scratch: usize, begin: i32, end: i32,
): void {
  if (format <= FORMAT_F16) return convertRows(codes, format, from, source, K, scratch, begin, end);
  let done: bool;
  if (format == FORMAT_NF4 || format == FORMAT_FP4)
    done = quantizeFourBit(codes, scales, from, source, rounded, rows * K, param, table, scratch, begin, end);
  else if (format == FORMAT_INT8) done = quantizeInt8(codes, scales, from, source, rounded, K, scratch, begin, end);
  else done = quantizeEightRows(codes, scales, from, source, rounded, rows, K, format, scratch, begin, end);
  if (!done) atomic.store<i32>(failed, 1);
}
