// The tensors of a quantised checkpoint, made from those of a plain one: the format of each weight, and its bytes when they are written.
// The writer must ask for all tensors of a weight before those of the next: all weights use the same memory.
// Does not know how files are written.

import { plannedTensors, shapesLast } from "../../checkpoint/quantized/planned-tensors.ts";
import type { PlannedTensor, TensorToSave } from "../../checkpoint/save-safetensors.ts";
import type { StoredWeight, WeightSource } from "../../checkpoint/stored-weight.ts";
import { storedWeight, untie } from "../../engine/load-model.ts";
import { keptAs, type Quantisation } from "../../engine/kept-formats.ts";
import { fill } from "../../engine/load.ts";
import { findFormat } from "../../formats/format.ts";
import type { NumberFormat } from "../../formats/number-format.ts";
import { weightDType } from "../../formats/registry.ts";
import { matrixShape, type Parts, type WeightFormat } from "../../formats/weight-format.ts";
import { checkWeights, expectedWeights } from "../../models/config-weights.ts";
import type { MistralConfig } from "../../models/config.ts";
import type { ModelClass } from "../../models/heads.ts";

/**
 * All tensors of the new checkpoint, in the order in which they are to be written.
 * @param config  is changed to untied weights if the checkpoint holds two different matrices, as when it is loaded
 * @param quantisationOf what is quantised, for tied weights or others
 * @param onBytes called with the number of bytes read from the source since its last call, and the weight's name
 * @throws CheckpointError the weights do not fit the config
 */
export async function tensorsOf(
  source: WeightSource,
  config: MistralConfig,
  modelClass: ModelClass,
  quantisationOf: (tied: boolean) => Quantisation | undefined,
  onBytes: (bytes: number, tensor: string) => void,
): Promise<TensorToSave[]> {
  const found = checkWeights(config, source, modelClass);
  const match = await untie(config, source, found, modelClass);
  const asked = { dtype: "auto", quantisation: quantisationOf(config.tie_word_embeddings) };
  const tensors: TensorToSave[] = [];
  const workspace = new Workspace();
  for (const name of expectedWeights(config, modelClass).keys()) {
    const stored = storedWeight(source, match, name);
    const { format } = weightDType(keptAs(name, stored, asked));
    const weight = new Weight(stored, format, workspace, onBytes);
    const plain = findFormat(format.name);
    if (plain !== undefined) {
      const { shape, encoding: dtype } = stored;
      tensors.push({ name, dtype, shape, data: () => weight.asItIs(plain) });
      continue;
    }
    const dtype = findFormat(stored.encoding)?.torch;
    for (const { bytes, ...tensor } of plannedTensors(name, format, stored.shape, dtype))
      tensors.push({ ...tensor, data: () => weight.tensor(bytes) });
  }
  return shapesLast(tensors);
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
