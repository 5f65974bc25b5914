// Reads compressed-tensors checkpoints of format "pack-quantized" with 4 bits (scheme W4A16 of vLLM's llm-compressor). Two older
// ways to write them are read too: int8 zero points (2024), and weight_g_idx, the group of each input (before August 2026).
// Does not know how the settings choose a layer's scheme: compressed-schemes.ts.

import { groupsOf, rowBytes } from "../../formats/int4.ts";
import { bytesOf } from "../../formats/words.ts";
import type { Checkpoint, TensorEntry } from "../weights.ts";
import { type CompressedScheme, compressedSchemes } from "./compressed-schemes.ts";
import { areF16Scales } from "./packed-as-q4.ts";
import { packedWeights } from "./packed-int4.ts";
import { groupTable, type PackedLayer, SCALE_DTYPES, wordsOf } from "./packed-layer.ts";
import type { PackedMatrix } from "./packed-matrix.ts";
import type { Settings } from "./packed-settings.ts";
import type { QuantizedWeights } from "./quantized-weights.ts";

const LAST_NAMES: readonly string[] = [
  "weight_packed",
  "weight_scale",
  "weight_shape",
  "weight_zero_point",
  "weight_g_idx",
];

/** Added to an int8 zero point, −8 … 7, to bring it to the scale of the codes, 0 … 15. (Packed ones are stored with it added.) */
const OFFSET = 8;

/**
 * The weights of a compressed-tensors checkpoint.
 * @param settings `quantization_config` of config.json, or its older name `compression_config`
 * @throws CheckpointError settings that are not read (other formats, bits, strategies; quantised activations or cache; transforms),
 *   a packed layer that no group of settings targets, a part that is missing or has another shape
 */
export async function compressedTensorsWeights(
  checkpoint: Checkpoint,
  settings: Settings,
): Promise<QuantizedWeights> {
  const schemeOf = compressedSchemes(checkpoint.dir, settings);
  return packedWeights(checkpoint, "compressed-tensors", LAST_NAMES, (layer) =>
    compressedMatrix(layer, schemeOf(layer.name)),
  );
}

/**
 * Checks the tensors of a layer with O outputs, K inputs and G groups of inputs.
 *
 * | tensor            | dtype          | shape       | content                                                                  |
 * | ----------------- | -------------- | ----------- | ------------------------------------------------------------------------ |
 * | weight_packed     | I32            | [O, ⌈K/8⌉]  | 4-bit codes (value + 8), a word holds eight inputs                       |
 * | weight_scale      | F16, BF16, F32 | [O, G]      |                                                                          |
 * | weight_shape      | I64, I32       | [2]         | O, K                                                                     |
 * | weight_zero_point | I32            | [⌈O/8⌉, G]  | zero point + 8, a word holds eight outputs; may be missing if symmetric  |
 * | or                | I8             | [O, G]      | in files of 2024                                                         |
 * | weight_g_idx      | I32, I64       | [K]         | the group of each input, if inputs were quantised in activation order    |
 */
async function compressedMatrix(
  layer: PackedLayer,
  { groupSize, symmetric }: CompressedScheme,
): Promise<PackedMatrix> {
  const packed = layer.need("weight_packed", ["I32"]);
  const scales = layer.need("weight_scale", SCALE_DTYPES);
  const zeros = symmetric
    ? layer.find("weight_zero_point", ["I32", "I8"])
    : layer.need("weight_zero_point", ["I32", "I8"]);
  const [O, K] = await readShape(layer, layer.need("weight_shape", ["I64", "I32"]));
  const group = groupSize === -1 ? K : groupSize;
  if (K % group !== 0) {
    throw layer.error(
      `weight_shape says ${K} inputs, expected a multiple of group_size ${group}; are the settings the ones of these weights?`,
    );
  }
  const G = groupsOf(K, group);
  const why = `for weight_shape (${O}, ${K}) and ${groupSize === -1 ? "one scale a row" : `group_size ${group}`}`;
  layer.checkShape("weight_packed", packed, [O, Math.ceil(K / 8)], why);
  layer.checkShape("weight_scale", scales, [O, G], why);
  if (zeros !== undefined) {
    const packedZeros = zeros.dtype === "I32";
    layer.checkShape("weight_zero_point", zeros, [packedZeros ? Math.ceil(O / 8) : O, G], why);
  }
  const order = layer.find("weight_g_idx", ["I32", "I64"]);
  if (order !== undefined) layer.checkShape("weight_g_idx", order, [K], why);

  return {
    encoding: "compressed-tensors",
    ...{ rows: O, columns: K, group },
    plain: zeros === undefined && K % 8 === 0 && (await areF16Scales(layer, scales)),
    table: order && (await readOrder(layer, order, group, G)),
    readCodes: (from, to, target, onBytes) =>
      readRowsOfCodes(layer, packed, K, from, to, target, onBytes),
    async readScales(target) {
      target.set(await layer.readScales(scales));
    },
    async readZeros(target) {
      if (zeros === undefined) target.fill(OFFSET);
      else if (zeros.dtype === "I8") {
        const stored = new Int8Array((await layer.read(zeros)).buffer);
        for (let i = 0; i < stored.length; i++) target[i] = stored[i] + OFFSET;
      } else {
        const words = wordsOf(await layer.read(zeros));
        for (let i = 0; i < O * G; i++) {
          const o = Math.floor(i / G);
          target[i] = (words[(o >>> 3) * G + (i % G)] >>> ((o & 7) * 4)) & 15;
        }
      }
    },
  };
}

/** The matrix's sizes (O, K), which the packed words do not tell: K may end within a word. @throws CheckpointError */
async function readShape(layer: PackedLayer, entry: TensorEntry): Promise<readonly number[]> {
  layer.checkShape("weight_shape", entry, [2], "for a matrix");
  const sizes = await layer.readIntegers(entry);
  if (sizes.every((size) => size > 0 && size < 2 ** 31)) return sizes;
  throw layer.error(
    `weight_shape holds (${sizes.join(", ")}), expected the sizes of a matrix; the file is damaged`,
  );
}

// A table of −1 was never filled in: the columns are in order.
async function readOrder(
  layer: PackedLayer,
  entry: TensorEntry,
  group: number,
  groups: number,
): Promise<Int32Array | undefined> {
  const table = await layer.readIntegers(entry);
  if (table.every((g) => g === -1)) return undefined;
  return groupTable(layer, "weight_g_idx", table, group, groups);
}

/** Copies rows of codes, without the padding in the last word of each. */
async function readRowsOfCodes(
  layer: PackedLayer,
  packed: TensorEntry,
  K: number,
  from: number,
  to: number,
  target: Uint8Array,
  onBytes: (bytes: number) => void,
): Promise<void> {
  const [stored, kept] = [packed.shape[1] * 4, rowBytes(K)];
  await layer.readBands(
    packed,
    { from, to, multiple: 1 },
    (band, row, rows) => {
      const bytes = bytesOf(band);
      for (let i = 0; i < rows; i++) {
        target.set(bytes.subarray(i * stored, i * stored + kept), (row - from + i) * kept);
      }
    },
    onBytes,
  );
}
