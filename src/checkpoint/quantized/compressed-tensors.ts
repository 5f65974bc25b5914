// compressed-tensors checkpoints of format "pack-quantized" with 4 bits (vLLM's llm-compressor: w4a16). O outputs, K inputs, G groups:
// weight_packed [O, ⌈K/8⌉], a word = eight inputs, each value plus 8 · weight_scale [O, G] · weight_shape = (O, K) ·
// weight_zero_point: words [⌈O/8⌉, G] of eight outputs, plus 8; int8 [O, G] in files of 2024; none where symmetric ·
// weight_g_idx [K], the group of each input, in files of before August 2026 that were quantised in order of activation.

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

/** What is added to a stored value, and to an int8 zero point, so that codes are 0 … 15. */
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

/** The true sizes (O, K). @throws CheckpointError */
async function readShape(layer: PackedLayer, entry: TensorEntry): Promise<readonly number[]> {
  layer.checkShape("weight_shape", entry, [2], "for a matrix");
  const sizes = await layer.readIntegers(entry);
  if (sizes.every((size) => size > 0 && size < 2 ** 31)) return sizes;
  throw layer.error(
    `weight_shape holds (${sizes.join(", ")}), expected the sizes of a matrix; the file is damaged`,
  );
}

// A table that was never filled in holds −1 everywhere: its columns are in order.
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

/** Rows as they lie, without what fills up the last word of each. */
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
