// Reads 4-bit AWQ checkpoints (Lin et al. 2023, arXiv:2306.00978) of version "gemm", as AutoAWQ writes them. The settings have the
// names of Transformers, or AutoAWQ's own (w_bit, q_group_size). Does not know how the scales were found: the result is the same.

import type { Checkpoint } from "../weights.ts";
import { inputMajorMatrix } from "./input-major.ts";
import { packedWeights } from "./packed-int4.ts";
import { type PackedLayer, SCALE_DTYPES } from "./packed-layer.ts";
import type { PackedMatrix } from "./packed-matrix.ts";
import { type Settings, SettingsReader } from "./packed-settings.ts";
import type { QuantizedWeights } from "./quantized-weights.ts";

/** For each nibble of a word, from the lowest on, which of the word's eight outputs its code belongs to. */
const OUTPUTS: readonly number[] = [0, 2, 4, 6, 1, 3, 5, 7];

/**
 * The weights of an AWQ checkpoint.
 * @param settings `quantization_config` of config.json, or what quant_config.json holds
 * @throws CheckpointError settings that are not read (other bits, another version than gemm), a part that is missing or has
 *   another shape, a bias that is not zero
 */
export async function awqWeights(
  checkpoint: Checkpoint,
  settings: Settings,
): Promise<QuantizedWeights> {
  const reader = new SettingsReader(`${checkpoint.dir}: settings of awq`, settings);
  reader.fourBits("bits", "w_bit");
  reader.word(["gemm"], "version", "format", "checkpoint_format");
  if (reader.value("backend") === "llm-awq") {
    throw reader.refuse("backend", "llm-awq", "autoawq: the packing of AutoAWQ");
  }
  reader.only("pack_dtype", ["int32", "torch.int32"], "codes packed into other words than int32");
  const groupSize = reader.groupSize(undefined, "group_size", "q_group_size");
  return packedWeights(checkpoint, "awq", ["qweight", "qzeros", "scales"], async (layer) =>
    awqMatrix(layer, groupSize),
  );
}

/**
 * Checks the tensors of a layer with K inputs, O outputs and G groups of inputs.
 *
 * | tensor  | dtype          | shape    | content                                                                             |
 * | ------- | -------------- | -------- | ----------------------------------------------------------------------------------- |
 * | qweight | I32            | [K, O/8] | 4-bit codes: a word holds one input's codes of eight outputs, the even outputs first |
 * | qzeros  | I32            | [G, O/8] | 4-bit zero points, in words likewise                                                |
 * | scales  | F16, BF16, F32 | [G, O]   | weight = scale · (code − zero point)                                                |
 */
function awqMatrix(layer: PackedLayer, groupSize: number): PackedMatrix {
  const qweight = layer.need("qweight", ["I32"]);
  const scales = layer.need("scales", SCALE_DTYPES);
  const qzeros = layer.need("qzeros", ["I32"]);
  const [K, width] = layer.matrix("qweight", qweight);
  const group = groupSize === -1 ? K : groupSize;
  if (K % 8 !== 0 || K % group !== 0) {
    throw layer.error(
      `qweight has ${K} inputs, expected a multiple of 8 and of group_size ${groupSize}; are the settings the ones of these weights?`,
    );
  }
  const why = `for qweight [${K}, ${width}] and group_size ${groupSize}`;
  layer.checkShape("scales", scales, [K / group, width * 8], why);
  layer.checkShape("qzeros", qzeros, [K / group, width], why);
  return inputMajorMatrix(layer, {
    ...{ encoding: "awq", qweight, qzeros, scales, group },
    table: undefined,
    plain: false,
    wordsHold: "outputs",
    outputs: OUTPUTS,
    zeroOffset: 0,
  });
}
