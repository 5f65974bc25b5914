// What GPTQ and AWQ share: their tensors lie [inputs, outputs], the format wants [outputs, inputs]. So codes, scales and zero points
// are transposed while they are read. K inputs, O outputs, G groups of inputs. Does not know settings.

import type { TensorEntry } from "../weights.ts";
import { type PackedLayer, wordsOf } from "./packed-layer.ts";
import type { PackedMatrix } from "./packed-matrix.ts";
import { LINE_INPUTS, transposeNibbles, transposeWords } from "./transpose-codes.ts";

/** The tensors of one layer, whose shapes have been checked. */
export type InputMajor = {
  readonly encoding: string;
  /** Words [K/8, O] of eight inputs, or [K, O/8] of eight outputs. */
  readonly qweight: TensorEntry;
  readonly wordsHold: "inputs" | "outputs";
  /** Words [G, ⌈O/8⌉] of eight outputs. */
  readonly qzeros: TensorEntry;
  /** [G, O] */
  readonly scales: TensorEntry;
  /** For each nibble of a word of outputs, from the lowest on, which of the eight outputs it belongs to. */
  readonly outputs: readonly number[];
  /** Added to a stored zero point, modulo 16. */
  readonly zeroOffset: number;
  // As in PackedMatrix:
  readonly group: number;
  readonly table: Int32Array | undefined;
  readonly plain: boolean;
};

export function inputMajorMatrix(layer: PackedLayer, tensors: InputMajor): PackedMatrix {
  const { encoding, qweight, wordsHold, qzeros, scales, outputs, zeroOffset } = tensors;
  const { group, table, plain } = tensors;
  const [G, O] = scales.shape;
  const K = wordsHold === "inputs" ? qweight.shape[0] * 8 : qweight.shape[0];
  /** How many rows of qweight make up one word of the target. */
  const rowsOfWord = wordsHold === "inputs" ? 1 : 8;

  return {
    ...{ encoding, rows: O, columns: K, group, table, plain },

    readCodes(from, to, target, onBytes) {
      const codes = { words: wordsOf(target), stride: K / 8, from, to };
      const multiple = (LINE_INPUTS / 8) * rowsOfWord;
      return layer.readBands(
        qweight,
        { from: 0, to: qweight.shape[0], multiple },
        (band, row, rows) => {
          const [at, count] = [row / rowsOfWord, rows / rowsOfWord];
          if (wordsHold === "inputs") transposeWords(band, count, O, at, codes);
          else transposeNibbles(band, count, O, at, outputs, codes);
        },
        onBytes,
      );
    },

    async readScales(target) {
      const stored = await layer.readScales(scales);
      for (let o = 0; o < O; o++) {
        for (let g = 0; g < G; g++) target[o * G + g] = stored[g * O + o];
      }
    },

    async readZeros(target) {
      const words = wordsOf(await layer.read(qzeros));
      const width = qzeros.shape[1];
      for (let g = 0; g < G; g++) {
        for (let nibble = 0; nibble < width * 8; nibble++) {
          const o = (nibble & ~7) + outputs[nibble & 7];
          const stored = (words[g * width + (nibble >>> 3)] >>> ((nibble & 7) * 4)) & 15;
          if (o < O) target[o * G + g] = (stored + zeroOffset) & 15;
        }
      }
    },
  };
}
