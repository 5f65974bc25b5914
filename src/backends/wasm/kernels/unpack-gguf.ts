// unpack_gguf: numbers of one row of a matrix of any of GGUF's block types as f32. Rows are whole blocks, one after another.

import { unpack_iq4_nl, unpack_iq4_xs } from "./unpack-gguf-iq";
import { unpack_q2_k, unpack_q3_k, unpack_q4_k, unpack_q5_k, unpack_q6_k } from "./unpack-gguf-k";
import { unpack_q4_0, unpack_q4_1, unpack_q5_0, unpack_q5_1, unpack_q8_0 } from "./unpack-gguf-plain";

/** The address of the block with number k of a row. `numbers`: how many a block has, 32 or 256. */
// @ts-ignore: decorator
@inline
function blockAt(matrix: usize, bytes: usize, numbers: i32, K: i32, row: i32, k: i32): usize {
  return matrix + (<usize>row * <usize>(K / numbers) + <usize>(k / numbers)) * bytes;
}

/** type: ggml's number; the rest as for `unpack`. */
export function unpack_gguf(to: usize, p: usize, type: i32, K: i32, row: i32, k: i32, count: i32): void {
  switch (type) {
    case 2:
      return unpack_q4_0(to, blockAt(p, 18, 32, K, row, k), count);
    case 3:
      return unpack_q4_1(to, blockAt(p, 20, 32, K, row, k), count);
    case 6:
      return unpack_q5_0(to, blockAt(p, 22, 32, K, row, k), count);
    case 7:
      return unpack_q5_1(to, blockAt(p, 24, 32, K, row, k), count);
    case 8:
      return unpack_q8_0(to, blockAt(p, 34, 32, K, row, k), count);
    case 10:
      return unpack_q2_k(to, blockAt(p, 84, 256, K, row, k), count);
    case 11:
      return unpack_q3_k(to, blockAt(p, 110, 256, K, row, k), count);
    case 12:
      return unpack_q4_k(to, blockAt(p, 144, 256, K, row, k), count);
    case 13:
      return unpack_q5_k(to, blockAt(p, 176, 256, K, row, k), count);
    case 14:
      return unpack_q6_k(to, blockAt(p, 210, 256, K, row, k), count);
    case 20:
      return unpack_iq4_nl(to, blockAt(p, 18, 32, K, row, k), count);
    case 23:
      return unpack_iq4_xs(to, blockAt(p, 136, 256, K, row, k), count);
    default:
      unreachable();
  }
}
