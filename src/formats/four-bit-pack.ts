// Quantises a matrix to nf4 or fp4, block by block as its rows come. Gives the bits that bitsandbytes gives on the CPU: the numbers of a
// block are multiplied by 1 / its largest magnitude; those of a shorter last block are divided by it instead.
// Does not know where rows come from.

import { CheckpointError } from "../errors.ts";
import { CELLS, type Ranks } from "./four-bit-codes.ts";
import { packNestedScales } from "./four-bit-scales.ts";
import { bitsOf, largestMagnitude } from "./magnitude.ts";
import type { MatrixShape, Packer, Parts } from "./weight-format.ts";
import { bytesOf } from "./words.ts";

/** The least divisor: it stands in for a block's largest magnitude if that is smaller, 0 for example. */
const SMALLEST = Math.fround(1e-38);

export type FourBitPacking = {
  readonly name: string;
  readonly block: number;
  readonly nested: boolean;
  readonly ranks: Ranks;
};

/** Quantises the rows of a matrix into `parts`. @throws CheckpointError from rows() and finish(): a number is NaN or infinite */
export function fourBitPacker(how: FourBitPacking, parts: Parts, shape: MatrixShape): Packer {
  const { name, block, nested, ranks } = how;
  const [codes] = parts;
  const blocks = Math.ceil((shape.rows * shape.columns) / block);
  const scales = new Float32Array(blocks);
  // The beginning of a block whose end comes with later rows.
  const held = new Float32Array(block);
  const heldBits = bitsOf(held);
  let holding = 0;
  let done = 0;

  const packBlock = (values: Float32Array, bits: Int32Array, from: number): void => {
    const scale = largestMagnitude(bits, from, from + block);
    if (!(scale < Infinity)) throw notFinite(name, done, block, shape.columns);
    scales[done] = scale;
    const inverse = Math.fround(1 / Math.max(scale, SMALLEST));
    encode(values, from, from + block, inverse, ranks, codes, (done * block) / 2);
    done++;
  };

  return {
    rows(values) {
      const bits = bitsOf(values);
      let at = 0;
      if (holding > 0) {
        at = Math.min(block - holding, values.length);
        held.set(values.subarray(0, at), holding);
        holding += at;
        if (holding < block) return;
        packBlock(held, heldBits, 0);
        holding = 0;
      }
      for (; at + block <= values.length; at += block) packBlock(values, bits, at);
      held.set(values.subarray(at));
      holding = values.length - at;
    },

    finish() {
      if (holding > 0) {
        const largest = largestMagnitude(heldBits, 0, holding);
        if (!(largest < Infinity)) throw notFinite(name, done, block, shape.columns);
        const scale = Math.max(largest, SMALLEST);
        scales[done] = scale;
        for (let i = 0; i < holding; i++) held[i] /= scale;
        // An odd number of codes is padded with the code of 0.
        held.fill(0, holding);
        encode(held, 0, holding + (holding % 2), 1, ranks, codes, (done * block) / 2);
      }
      if (nested) packNestedScales(scales, parts);
      else parts[1].set(bytesOf(scales));
    },
  };
}

/** Writes the codes of values[from … to) · inverse, an even number of them, two in a byte, from target[at] on. */
function encode(
  values: Float32Array,
  from: number,
  to: number,
  inverse: number,
  { cells, bounds, codes }: Ranks,
  target: Uint8Array,
  at: number,
): void {
  for (let i = from; i < to; i += 2) {
    const first = Math.fround(values[i] * inverse);
    const second = Math.fround(values[i + 1] * inverse);
    let high = cells[((first + 1) * CELLS) | 0];
    let low = cells[((second + 1) * CELLS) | 0];
    high += first > bounds[high] ? 1 : 0;
    low += second > bounds[low] ? 1 : 0;
    target[at++] = (codes[high] << 4) | codes[low];
  }
}

function notFinite(name: string, block: number, size: number, columns: number): CheckpointError {
  const from = block * size;
  return new CheckpointError(
    `quantising to ${name}: row ${Math.floor(from / columns)} holds NaN or an infinity at or after column ${from % columns}; ` +
      "a block takes its scale from its largest number, so every weight must be finite: the checkpoint is damaged",
  );
}
