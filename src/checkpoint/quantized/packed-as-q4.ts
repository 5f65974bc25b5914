// Packed matrices that Q4_0 could hold with the same numbers: symmetric, groups of whole blocks in order, scales that f16 holds. They
// can be kept as q4, which has kernels for int8 activations. Memory besides the weight: the codes and scales of one layer.
// Does not know whose files these are.

import { blockRowBytes, int4ToBlocks, isWholeBlocks } from "../../formats/int4-blocks.ts";
import { groupsOf } from "../../formats/int4.ts";
import { q4, regroupQ4 } from "../../formats/q4.ts";
import { bytesOf } from "../../formats/words.ts";
import type { StoredWeight } from "../stored-weight.ts";
import type { TensorEntry } from "../weights.ts";
import type { PackedLayer } from "./packed-layer.ts";
import type { PackedMatrix } from "./packed-matrix.ts";

/** Rows of a group of q4: 8. */
const Q4_ROWS = q4.step(1);

/** How to read the matrix as q4; undefined if Q4_0 could not hold its numbers. */
export function regroupedAsQ4(matrix: PackedMatrix): StoredWeight["regrouped"] {
  const { rows, columns, group, table, plain } = matrix;
  if (!plain || table !== undefined || !isWholeBlocks(group) || !isWholeBlocks(columns)) {
    return undefined;
  }
  const groups = groupsOf(columns, group);
  return {
    format: q4,

    async fill([grouped], onBytes) {
      const scales = new Float32Array(rows * groups);
      const codes = new Uint32Array((rows * columns) / 8);
      await matrix.readScales(scales);
      await matrix.readCodes(0, rows, bytesOf(codes), onBytes);
      const blocks = new Uint16Array((Q4_ROWS * blockRowBytes(columns)) / 2);
      const groupedRow = grouped.length / Math.ceil(rows / Q4_ROWS);
      for (let from = 0; from < rows; from += Q4_ROWS) {
        const to = Math.min(from + Q4_ROWS, rows);
        const some = blocks.subarray(0, ((to - from) * blockRowBytes(columns)) / 2);
        const words = codes.subarray((from * columns) / 8, (to * columns) / 8);
        const shape = { rows: to - from, columns };
        int4ToBlocks(words, scales.subarray(from * groups, to * groups), shape, group, some);
        const at = (from / Q4_ROWS) * groupedRow;
        const place = grouped.subarray(at, at + groupedRow);
        regroupQ4(bytesOf(some), place, shape);
      }
    },
  };
}

/**
 * Whether f16 holds each of these scales exactly. A bf16 number has 8 significant bits, so f16 holds it from 2⁻¹⁷ to 65,504: below,
 * its subnormals (multiples of 2⁻²⁴) have fewer bits. Scales in f32 count as no.
 * @throws CheckpointError they cannot be read
 */
export async function areF16Scales(layer: PackedLayer, entry: TensorEntry): Promise<boolean> {
  if (entry.dtype === "F16") return true;
  if (entry.dtype !== "BF16") return false;
  return (await layer.readScales(entry)).every(
    (scale) => scale === 0 || (Math.abs(scale) >= 2 ** -17 && Math.abs(scale) <= 65_504),
  );
}
