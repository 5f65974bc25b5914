// The tensors of a quantised checkpoint, made from those of a plain one: the format of each weight, and its bytes when they are written.
// While a weight is written, the next one is quantised; they use two memories in turn. So the writer must ask for all tensors of a
// weight before those of the next. Does not know how files are written.

import { plannedTensors, shapesLast } from "../checkpoint/quantized/planned-tensors.ts";
import type { PlannedTensor, TensorToSave } from "../checkpoint/save-safetensors.ts";
import type { StoredWeight, WeightSource } from "../checkpoint/stored-weight.ts";
import { storedWeight, untie } from "./load-model.ts";
import { keptAs, type Quantisation } from "./kept-formats.ts";
import { fill } from "./fill.ts";
import type { Quantizer } from "../backends/backend.ts";
import { findFormat } from "../formats/format.ts";
import type { NumberFormat } from "../formats/number-format.ts";
import { weightDType } from "../formats/registry.ts";
import { matrixShape, type Parts } from "../formats/weight-format.ts";
import { checkWeights, expectedWeights } from "../models/config-weights.ts";
import type { MistralConfig } from "../models/config.ts";
import type { ModelClass } from "../models/heads.ts";

/** How tensors are made; see `tensorsOf`. */
export type TensorsOptions = {
  readonly modelClass: ModelClass;
  /** What is quantised, for tied weights or others. */
  quantisationOf(tied: boolean): Quantisation | undefined;
  readonly quantizer?: Quantizer;
  /** Called with the number of bytes read from the source since its last call, and the weight's name. */
  onBytes(bytes: number, tensor: string): void;
};

/**
 * All tensors of the new checkpoint, in the order in which they are to be written.
 * @param config is changed to untied weights if the checkpoint holds two different matrices, as when it is loaded
 * @throws CheckpointError the weights do not fit the config
 */
export async function tensorsOf(
  source: WeightSource,
  config: MistralConfig,
  { modelClass, quantisationOf, quantizer, onBytes }: TensorsOptions,
): Promise<TensorToSave[]> {
  const found = checkWeights(config, source, modelClass);
  const match = await untie(config, source, found, modelClass);
  const asked = { dtype: "auto", quantisation: quantisationOf(config.tie_word_embeddings) };
  const tensors: TensorToSave[] = [];
  const quantised: QuantizedWeight[] = [];
  const workspaces = [new Workspace(), new Workspace()];
  for (const name of expectedWeights(config, modelClass).keys()) {
    const stored = storedWeight(source, match, name);
    const { shape, encoding } = stored;
    const { format } = weightDType(keptAs(name, stored, asked));
    const plain = findFormat(format.name);
    const onWeight = (bytes: number): void => onBytes(bytes, stored.name);
    const following = quantised.length;
    if (plain !== undefined) {
      const data = (): AsyncGenerator<Uint8Array> => {
        void quantised[following]?.begin();
        return asItIs(stored, plain, onWeight);
      };
      tensors.push({ name, dtype: encoding, shape, data });
      continue;
    }
    const weight = new QuantizedWeight(
      (workspace) => {
        const { rows, columns } = matrixShape(shape);
        const parts = workspace.take(format.parts(rows, columns));
        return fill(parts, format, stored, onWeight, quantizer).then(() => parts);
      },
      workspaces[following % 2],
    );
    quantised.push(weight);
    const tensorOf = async function* (of: PlannedTensor["bytes"]): AsyncGenerator<Uint8Array> {
      const parts = await weight.begin();
      void quantised[following + 1]?.begin();
      yield of(parts);
    };
    for (const { bytes, ...tensor } of plannedTensors(
      name,
      format,
      shape,
      findFormat(encoding)?.torch,
    ))
      tensors.push({ ...tensor, data: () => tensorOf(bytes) });
  }
  return shapesLast(tensors);
}

/** A weight that is quantised once. */
class QuantizedWeight {
  readonly #make: (workspace: Workspace) => Promise<Parts>;
  readonly #workspace: Workspace;
  #parts: Promise<Parts> | undefined;

  constructor(make: (workspace: Workspace) => Promise<Parts>, workspace: Workspace) {
    this.#make = make;
    this.#workspace = workspace;
  }

  /** Begins to quantise it, unless that has happened. @returns its parts */
  begin(): Promise<Parts> {
    if (this.#parts === undefined) {
      this.#parts = this.#make(this.#workspace);
      this.#parts.catch(() => {}); // if writing fails before anybody asks for them, this error must not end the process
    }
    return this.#parts;
  }
}

/** How many numbers are copied at once: 4 Mi. */
const PIECE = 1 << 22;

/** The bytes of a weight that is not quantised, in pieces: the next one is read while one is written. */
async function* asItIs(
  stored: StoredWeight,
  format: NumberFormat,
  onBytes: (bytes: number) => void,
): AsyncGenerator<Uint8Array> {
  const { rows, columns } = matrixShape(stored.shape);
  const step = Math.max(1, Math.floor(PIECE / columns));
  const buffers = [0, 1].map(() => new Uint8Array(format.bytes(Math.min(step, rows) * columns)));
  const read = async (from: number): Promise<Uint8Array> => {
    const to = Math.min(from + step, rows);
    const bytes = buffers[(from / step) % 2].subarray(0, format.bytes((to - from) * columns));
    if (stored.plain !== undefined) await stored.plain.read(from, to, bytes);
    else {
      const values = new Float32Array((to - from) * columns);
      await stored.readRows(from, to, values);
      format.pack(values, bytes);
    }
    return bytes;
  };
  let next = read(0);
  for (let from = 0; from < rows; from += step) {
    const bytes = await next;
    if (from + step < rows) {
      next = read(from + step);
      next.catch(() => {}); // nobody awaits it if writing this piece fails
    }
    onBytes(bytes.length);
    yield bytes;
  }
}

const ALIGNMENT = 64;

/** The memory of one weight, which a later one uses again: released buffers would stay until the garbage collector runs. */
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
