// The tensors of a quantised checkpoint, from those of a plain one: what each weight becomes, and its bytes when their turn comes.
// Contract: tensors of one weight are asked for one after the other, and only then is the weight in memory.

import { bitsandbytesLayout } from "../checkpoint/quantized/save-bitsandbytes.ts";
import { ownLayout, ownSettings } from "../checkpoint/quantized/own.ts";
import type { PlannedTensor, TensorToSave } from "../checkpoint/save-safetensors.ts";
import type { StoredWeight, WeightSource } from "../checkpoint/stored-weight.ts";
import { storedWeight, untie } from "../engine/core.ts";
import { keptAs } from "../engine/kept-formats.ts";
import { fill } from "../engine/load.ts";
import { findFormat } from "../formats/format.ts";
import { weightDType } from "../formats/registry.ts";
import { matrixShape, type Parts, type WeightFormat } from "../formats/weight-format.ts";
import { checkWeights, expectedWeights } from "../models/config-weights.ts";
import type { MistralConfig } from "../models/config.ts";
import { BitsAndBytesConfig } from "./bits-and-bytes-config.ts";
import { type OwnQuantization, planQuantization } from "./quantization.ts";

type Settings = BitsAndBytesConfig | OwnQuantization;

const KIND = "MistralForCausalLM";

/**
 * All tensors of the new checkpoint, in the order in which they are to be written.
 * @param config is untied where the checkpoint holds two different matrices, as when it is loaded
 * @param onBytes so many bytes of the source were read, for that weight
 * @throws CheckpointError the weights are not those of the config
 */
export async function tensorsOf(
  source: WeightSource,
  config: MistralConfig,
  settings: Settings,
  onBytes: (bytes: number, tensor: string) => void,
): Promise<TensorToSave[]> {
  const match = await untie(config, source, checkWeights(config, source, KIND), KIND);
  const plan = planQuantization("quantize", settings, config.tie_word_embeddings);
  const asked = { dtype: "auto", quantisation: plan?.quantisation };
  const tensors: TensorToSave[] = [];
  const shapes: TensorToSave[] = [];
  for (const name of expectedWeights(config, KIND).keys()) {
    const stored = storedWeight(source, match, name);
    const { format } = weightDType(keptAs(name, stored, asked));
    const weight = new Weight(stored, format, onBytes);
    const planned = layout(name, stored, format, settings);
    for (const [i, { bytes, ...tensor }] of planned.entries()) {
      const isLast = i === planned.length - 1;
      const saved: TensorToSave = { ...tensor, data: () => weight.bytes(bytes, isLast) };
      // Small ones come last, so that weights lie one behind the other, as they are read, and numbers at multiples of 4.
      if (/(_shape|\.weight_format)$/.test(tensor.name))
        shapes.push({ ...tensor, data: () => [bytes([])] });
      else tensors.push(saved);
    }
  }
  return [...tensors, ...shapes];
}

/** `quantization_config` of the new config.json. */
export function configSettings(settings: Settings): Record<string, unknown> {
  return settings instanceof BitsAndBytesConfig
    ? settings.to_dict()
    : ownSettings(settings.method, settings.compute_dtype ?? "int8");
}

function layout(
  name: string,
  stored: StoredWeight,
  format: WeightFormat,
  settings: Settings,
): PlannedTensor[] {
  const { shape, encoding } = stored;
  if (format.name === stored.format.name)
    return [{ name, dtype: encoding, shape, bytes: ([bytes]) => bytes }];
  return settings instanceof BitsAndBytesConfig
    ? bitsandbytesLayout(name, format, shape, findFormat(encoding)?.torch)
    : ownLayout(name, format, shape);
}

/** One weight: quantised when the first of its tensors is asked for, let go after the last. */
class Weight {
  readonly #stored: StoredWeight;
  readonly #format: WeightFormat;
  readonly #onBytes: (bytes: number, tensor: string) => void;
  #parts: Parts | undefined;

  constructor(
    stored: StoredWeight,
    format: WeightFormat,
    onBytes: (bytes: number, tensor: string) => void,
  ) {
    this.#stored = stored;
    this.#format = format;
    this.#onBytes = onBytes;
  }

  async *bytes(of: PlannedTensor["bytes"], isLast: boolean): AsyncGenerator<Uint8Array> {
    this.#parts ??= await this.#quantized();
    yield of(this.#parts);
    if (isLast) this.#parts = undefined;
  }

  async #quantized(): Promise<Parts> {
    const { rows, columns } = matrixShape(this.#stored.shape);
    const parts = this.#format.parts(rows, columns).map((bytes) => new Uint8Array(bytes));
    await fill(parts, this.#format, this.#stored, (bytes) =>
      this.#onBytes(bytes, this.#stored.name),
    );
    return parts;
  }
}
