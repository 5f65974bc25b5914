// The tensors of a quantised checkpoint, made from those of a plain one: the format of each weight, and its bytes when they are written.
// The writer must ask for all tensors of a weight before those of the next: all weights use the same memory.
// Does not know how files are written.

import { bitsandbytesLayout } from "../checkpoint/quantized/save-bitsandbytes.ts";
import { ownLayout, ownSettings } from "../checkpoint/quantized/own.ts";
import type { PlannedTensor, TensorToSave } from "../checkpoint/save-safetensors.ts";
import type { StoredWeight, WeightSource } from "../checkpoint/stored-weight.ts";
import { storedWeight, untie } from "../engine/load-model.ts";
import { keptAs } from "../engine/kept-formats.ts";
import { fill } from "../engine/load.ts";
import { findFormat } from "../formats/format.ts";
import type { NumberFormat } from "../formats/number-format.ts";
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
 * @param config  is changed to untied weights if the checkpoint holds two different matrices, as when it is loaded
 * @param onBytes called with the number of bytes read from the source since its last call, and the weight's name
 * @throws CheckpointError the weights do not fit the config
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
  const workspace = new Workspace();
  for (const name of expectedWeights(config, KIND).keys()) {
    const stored = storedWeight(source, match, name);
    const { format } = weightDType(keptAs(name, stored, asked));
    const weight = new Weight(stored, format, workspace, onBytes);
    const plain = findFormat(format.name);
    if (plain !== undefined) {
      const { shape, encoding: dtype } = stored;
      tensors.push({ name, dtype, shape, data: () => weight.asItIs(plain) });
      continue;
    }
    for (const { bytes, ...tensor } of layout(name, stored, format, settings)) {
      // Shapes, which are small, come last, so that the weights lie next to each other in the order in which they are read.
      if (tensor.name.endsWith("_shape")) shapes.push({ ...tensor, data: () => [bytes([])] });
      else tensors.push({ ...tensor, data: () => weight.tensor(bytes) });
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
  return settings instanceof BitsAndBytesConfig
    ? bitsandbytesLayout(name, format, shape, findFormat(encoding)?.torch)
    : ownLayout(name, format, shape);
}

/** One weight. It is quantised when the first of its tensors is asked for. */
class Weight {
  readonly #stored: StoredWeight;
  readonly #format: WeightFormat;
  readonly #workspace: Workspace;
  readonly #onBytes: (bytes: number) => void;
  #parts: Parts | undefined;

  constructor(
    stored: StoredWeight,
    format: WeightFormat,
    workspace: Workspace,
    onBytes: (bytes: number, tensor: string) => void,
  ) {
    this.#stored = stored;
    this.#format = format;
    this.#workspace = workspace;
    this.#onBytes = (bytes) => onBytes(bytes, stored.name);
  }

  /** The bytes of one of its tensors. */
  async *tensor(of: PlannedTensor["bytes"]): AsyncGenerator<Uint8Array> {
    this.#parts ??= await this.#quantized();
    yield of(this.#parts);
  }

  /** The bytes of a weight that is not quantised, in pieces. */
  async *asItIs(plain: NumberFormat): AsyncGenerator<Uint8Array> {
    const { rows, columns } = matrixShape(this.#stored.shape);
    const step = Math.max(1, Math.floor(PIECE / columns));
    const values = new Float32Array(Math.min(step, rows) * columns);
    const [bytes] = this.#workspace.take([plain.bytes(values.length)]);
    for (let from = 0; from < rows; from += step) {
      const count = (Math.min(from + step, rows) - from) * columns;
      const [numbers, packed] = [values.subarray(0, count), bytes.subarray(0, plain.bytes(count))];
      await this.#stored.readRows(from, from + count / columns, numbers);
      plain.pack(numbers, packed);
      this.#onBytes(packed.length);
      yield packed;
    }
  }

  async #quantized(): Promise<Parts> {
    const { rows, columns } = matrixShape(this.#stored.shape);
    const parts = this.#workspace.take(this.#format.parts(rows, columns));
    await fill(parts, this.#format, this.#stored, this.#onBytes);
    return parts;
  }
}

/** How many numbers are copied at once: 4 Mi. */
const PIECE = 1 << 22;
const ALIGNMENT = 64;

/** The memory of one weight, which the next weight uses again: released buffers would stay until the garbage collector runs. */
class Workspace {
  #bytes = new Uint8Array(0);

  /** Arrays of zeros of these sizes. Arrays that were taken before must not be used any more. */
  take(sizes: readonly number[]): Uint8Array[] {
    const starts: number[] = [];
    let end = 0;
    for (const size of sizes) {
      starts.push(end);
      end += Math.ceil(size / ALIGNMENT) * ALIGNMENT;
    }
    if (this.#bytes.length < end) this.#bytes = new Uint8Array(end);
    else this.#bytes.fill(0, 0, end);
    return sizes.map((size, i) => this.#bytes.subarray(starts[i], starts[i] + size));
  }
}
