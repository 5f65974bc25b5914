// A tensor of plain numbers as a weight of the model. Knows no method of quantisation.

import { findFormat } from "../formats/format.ts";
import { plainFormat } from "../formats/plain.ts";
import { matrixShape } from "../formats/weight-format.ts";
import type { StoredWeight } from "./stored-weight.ts";
import type { Checkpoint, TensorEntry } from "./weights.ts";

/** How many numbers are read at once: 4 Mi, which bounds the buffers. */
const PIECE = 1 << 22;

/** A tensor of F32, F16 or BF16 as a weight; undefined for another dtype. */
export function plainWeight(checkpoint: Checkpoint, entry: TensorEntry): StoredWeight | undefined {
  const plain = findFormat(entry.dtype);
  if (plain === undefined) return undefined;
  const { name, shape, bytes } = entry;
  const { columns } = matrixShape(shape);
  const read = (from: number, to: number, target: Uint8Array<ArrayBufferLike>): Promise<void> =>
    checkpoint.read(name, target, plain.bytes(from * columns), plain.bytes(to * columns));
  return {
    ...{ name, shape, bytes },
    encoding: entry.dtype,
    format: plainFormat(plain),
    plain: { format: plain, read },

    async fill([target], onBytes) {
      const step = plain.bytes(PIECE);
      for (let from = 0; from < bytes; from += step) {
        const to = Math.min(from + step, bytes);
        await checkpoint.read(name, target.subarray(from, to), from, to);
        onBytes(to - from);
      }
    },

    async readRows(from, to, out) {
      const stored = new Uint8Array(plain.bytes(out.length));
      await read(from, to, stored);
      plain.unpack(stored, out);
    },
  };
}
