// unpack: numbers of one row of a weight matrix of any format as f32, exactly what its bytes mean. Used by embeddings, and by products
// without a compute path of their own. Chooses the format's function, and does not know what that does.

import {
  FORMAT_BF16, FORMAT_F16, FORMAT_F32, FORMAT_FP4, FORMAT_FP4_DQ, FORMAT_GGUF, FORMAT_INT4, FORMAT_INT4_ACT, FORMAT_INT8, FORMAT_NF4,
  FORMAT_NF4_DQ, FORMAT_Q4, FORMAT_Q4K, FORMAT_Q4R, FORMAT_Q6K, FORMAT_Q6R, FORMAT_Q8,
} from "./header";
import { unpack_q4, unpack_q4k, unpack_q4r, unpack_q6k, unpack_q6r, unpack_q8 } from "./unpack-eight-rows";
import { unpack_fp4, unpack_fp4_dq, unpack_nf4, unpack_nf4_dq } from "./unpack-four-bit";
import { unpack_gguf } from "./unpack-gguf";
import { unpack_int4, unpack_int4_act } from "./unpack-int4";
import { unpack_int8 } from "./unpack-int8";
import { widenRow } from "./widen";

/**
 * Writes `count` numbers of row `row`, from column k on, to `to`. p0 … p3: the parts of the matrix [·, K]; param: the format's
 * parameter. k is a multiple of 256. count is at most 1024, and a multiple of 256 except at the end of a row.
 */
export function unpack(
  to: usize, p0: usize, p1: usize, p2: usize, p3: usize, format: i32, param: i32, K: i32, row: i32, k: i32, count: i32,
): void {
  switch (format) {
    case FORMAT_F32:
    case FORMAT_BF16:
    case FORMAT_F16:
      return widenRow(to, p0, <usize>row * <usize>K + <usize>k, count, format);
    case FORMAT_NF4:
      return unpack_nf4(to, p0, p1, p2, p3, param, K, row, k, count);
    case FORMAT_FP4:
      return unpack_fp4(to, p0, p1, p2, p3, param, K, row, k, count);
    case FORMAT_NF4_DQ:
      return unpack_nf4_dq(to, p0, p1, p2, p3, param, K, row, k, count);
    case FORMAT_FP4_DQ:
      return unpack_fp4_dq(to, p0, p1, p2, p3, param, K, row, k, count);
    case FORMAT_INT8:
      return unpack_int8(to, p0, p1, p2, p3, param, K, row, k, count);
    case FORMAT_INT4:
      return unpack_int4(to, p0, p1, p2, p3, param, K, row, k, count);
    case FORMAT_INT4_ACT:
      return unpack_int4_act(to, p0, p1, p2, p3, param, K, row, k, count);
    case FORMAT_Q4:
      return unpack_q4(to, p0, p1, p2, p3, param, K, row, k, count);
    case FORMAT_Q4R:
      return unpack_q4r(to, p0, p1, p2, p3, param, K, row, k, count);
    case FORMAT_Q6R:
      return unpack_q6r(to, p0, p1, p2, p3, param, K, row, k, count);
    case FORMAT_Q8:
      return unpack_q8(to, p0, p1, p2, p3, param, K, row, k, count);
    case FORMAT_Q4K:
      return unpack_q4k(to, p0, p1, p2, p3, param, K, row, k, count);
    case FORMAT_Q6K:
      return unpack_q6k(to, p0, p1, p2, p3, param, K, row, k, count);
    default:
      return unpack_gguf(to, p0, format - FORMAT_GGUF, K, row, k, count);
  }
}
