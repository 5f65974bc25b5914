// Reads 4-bit GPTQ checkpoints (Frantar et al. 2022, arXiv:2210.17323), as AutoGPTQ, GPTQModel and Transformers write them.
// checkpoint_format "gptq" (the default) stores each zero point less 1, "gptq_v2" stores it as it is. A stored 15 under "gptq"
// came from a zero point of 0 and is read as 0; other readers differ there. Does not know how codes were chosen.

import { groupsOf } from "../../formats/int4.ts";
import type { Checkpoint, TensorEntry } from "../weights.ts";
import { inputMajorMatrix } from "./input-major.ts";
import { areF16Scales } from "./packed-as-q4.ts";
import { packedWeights } from "./packed-int4.ts";
import { groupTable, type PackedLayer, SCALE_DTYPES, wordsOf } from "./packed-layer.ts";
import type { PackedMatrix } from "./packed-matrix.ts";
import { type Settings, SettingsReader } from "./packed-settings.ts";
import type { QuantizedWeights } from "./quantized-weights.ts";

type GptqSettings = {
  readonly groupSize: number;
  readonly actOrder: boolean;
  /** The settings say that every zero point is 8; the zero points themselves are checked. */
  readonly symmetric: boolean;
  /** Added to a stored zero point, modulo 16. */
  readonly zeroOffset: number;
};

/**
 * The weights of a GPTQ checkpoint.
 * @param settings `quantization_config` of config.json, or what quantize_config.json holds
 * @throws CheckpointError settings that are not read (other bits, packings, settings for single layers), a part that is missing or
 *   has another shape, a group outside the scales, a bias that is not zero
 */
export async function gptqWeights(
  checkpoint: Checkpoint,
  settings: Settings,
): Promise<QuantizedWeights> {
  const known = gptqSettings(checkpoint.dir, settings);
  return packedWeights(checkpoint, "gptq", ["qweight", "qzeros", "scales", "g_idx"], (layer) =>
    gptqMatrix(layer, known),
  );
}

function gptqSettings(dir: string, settings: Settings): GptqSettings {
  const reader = new SettingsReader(`${dir}: settings of gptq`, settings);
  reader.fourBits("bits", "w_bit");
  reader.only("is_marlin_format", [false], "weights in the order of the Marlin kernel");
  reader.only("pack_dtype", ["int32", "torch.int32"], "codes packed into other words than int32");
  reader.only("lora", [{}], "adapters inside the checkpoint");
  // A rule that begins with "-:" only says which layers are not packed.
  for (const rule of reader.object("dynamic")?.names() ?? []) {
    if (!rule.startsWith("-:"))
      throw reader.refuse("dynamic", rule, "no settings for single layers");
  }
  const version = reader.word(["gptq", "gptq_v2"], "checkpoint_format", "format");
  return {
    groupSize: reader.groupSize(undefined, "group_size", "q_group_size"),
    actOrder: reader.flag("desc_act") ?? false,
    symmetric: reader.flag("sym") ?? true,
    zeroOffset: version === "gptq" ? 1 : 0,
  };
}

/**
 * Checks the tensors of a layer with K inputs, O outputs and G groups of inputs.
 *
 * | tensor  | dtype          | shape       | content                                                              |
 * | ------- | -------------- | ----------- | -------------------------------------------------------------------- |
 * | qweight | I32            | [K/8, O]    | 4-bit codes: a word holds eight inputs of one output                 |
 * | qzeros  | I32            | [G, ⌈O/8⌉]  | 4-bit zero points: a word holds eight outputs                        |
 * | scales  | F16, BF16, F32 | [G, O]      | weight = scale · (code − zero point)                                 |
 * | g_idx   | I32, I64       | [K]         | the group of each input; may be missing if inputs are in order       |
 */
async function gptqMatrix(layer: PackedLayer, settings: GptqSettings): Promise<PackedMatrix> {
  const { groupSize, actOrder, symmetric, zeroOffset } = settings;
  const qweight = layer.need("qweight", ["I32"]);
  const scales = layer.need("scales", SCALE_DTYPES);
  const qzeros = layer.need("qzeros", ["I32"]);
  const [words, O] = layer.matrix("qweight", qweight);
  const K = words * 8;
  const group = groupSize === -1 ? K : groupSize;
  const G = groupsOf(K, group);
  const why = `for qweight [${words}, ${O}] and group_size ${groupSize}`;
  layer.checkShape("scales", scales, [G, O], why);
  layer.checkShape("qzeros", qzeros, [G, Math.ceil(O / 8)], why);
  const order = actOrder
    ? layer.need("g_idx", ["I32", "I64"])
    : layer.find("g_idx", ["I32", "I64"]);
  if (order !== undefined) layer.checkShape("g_idx", order, [K], why);
  const plain =
    symmetric &&
    (await areF16Scales(layer, scales)) &&
    (await areZerosEight(layer, qzeros, zeroOffset));
  const table = order && groupTable(layer, "g_idx", await layer.readIntegers(order), group, G);
  return inputMajorMatrix(layer, {
    ...{ encoding: "gptq", qweight, qzeros, scales, group, table, plain, zeroOffset },
    wordsHold: "inputs",
    outputs: [0, 1, 2, 3, 4, 5, 6, 7],
  });
}

async function areZerosEight(
  layer: PackedLayer,
  qzeros: TensorEntry,
  zeroOffset: number,
): Promise<boolean> {
  const word = (8 - zeroOffset) * 0x11111111;
  return wordsOf(await layer.read(qzeros)).every((zeros) => zeros === word);
}
