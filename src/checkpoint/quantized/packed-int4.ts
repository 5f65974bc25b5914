// What packed 4-bit checkpoints share: finds and checks the tensors of a layer by their last names, and makes a StoredWeight of format
// int4 from a description of how to read codes, scales and zero points. In files a 32-bit word holds eight codes.
// Memory besides the weight's parts: one band of codes and the scales of one layer. Does not know whose files these are.

import { CheckpointError } from "../../errors.ts";
import { groupsOf, int4Format, rowBytes } from "../../formats/int4.ts";
import { bytesOf } from "../../formats/words.ts";
import { shown } from "../json-reader.ts";
import type { StoredWeight } from "../stored-weight.ts";
import type { QuantizedWeights } from "../weight-source.ts";
import type { Checkpoint, TensorEntry } from "../weights.ts";
import { regroupedAsQ4 } from "./packed-as-q4.ts";

/** How to read one matrix [rows, columns]. */
export type PackedMatrix = {
  /** The name of its method. */
  readonly encoding: string;
  readonly rows: number;
  readonly columns: number;
  /** Columns that share a scale. */
  readonly group: number;
  /** The group of each column, if columns are not in the order of their groups. */
  readonly table: Int32Array | undefined;
  /** Whether every zero point is 8 and f16 holds every scale, as in Q4_0. */
  readonly plain: boolean;
  /**
   * Reads the codes of rows [from, to), in the order of format int4.
   * @param onBytes called with the number of bytes read from the file since its last call
   */
  readCodes(
    from: number,
    to: number,
    target: Uint8Array,
    onBytes: (bytes: number) => void,
  ): Promise<void>;
  /** Reads all scales [rows, groups]. */
  readScales(target: Float32Array): Promise<void>;
  /** Reads all zero points [rows, groups], each on the scale of the codes, 0 … 15. */
  readZeros(target: Int16Array): Promise<void>;
};

/** The tensors of one linear layer of a packed checkpoint. */
export class PackedLayer {
  /** Its name, such as "model.layers.0.mlp.up_proj". */
  readonly name: string;
  readonly #checkpoint: Checkpoint;
  readonly #parts: ReadonlyMap<string, TensorEntry>;

  constructor(checkpoint: Checkpoint, name: string, parts: ReadonlyMap<string, TensorEntry>) {
    this.name = name;
    this.#checkpoint = checkpoint;
    this.#parts = parts;
  }

  /** Names of its tensors. */
  get tensors(): string[] {
    return [...this.#parts.values()].map(({ name }) => name);
  }

  get bytes(): number {
    return [...this.#parts.values()].reduce((sum, { bytes }) => sum + bytes, 0);
  }

  /** A part that may be missing. @throws CheckpointError another dtype */
  find(part: string, dtypes: readonly string[]): TensorEntry | undefined {
    const entry = this.#parts.get(part);
    if (entry === undefined || dtypes.includes(entry.dtype)) return entry;
    throw this.error(
      `${part} has dtype ${entry.dtype}, expected ${dtypes.join(", ")}; the file was written by a tool that is not known here`,
    );
  }

  /** A part that must exist. @throws CheckpointError it is missing, or has another dtype */
  need(part: string, dtypes: readonly string[]): TensorEntry {
    const entry = this.find(part, dtypes);
    if (entry !== undefined) return entry;
    throw this.error(
      `${part} is missing beside ${[...this.#parts.keys()].join(", ")}; the checkpoint is incomplete, or of another method than its settings say`,
    );
  }

  /** Refuses another shape than the expected one; `why` says in the message where that comes from. @throws CheckpointError */
  checkShape(part: string, { shape }: TensorEntry, expected: readonly number[], why: string): void {
    if (shape.length === expected.length && shape.every((size, i) => size === expected[i])) return;
    throw this.error(
      `${part} has shape [${shape.join(", ")}], expected [${expected.join(", ")}] ${why}; ` +
        "are the settings the ones of these weights?",
    );
  }

  /** Both sizes of a matrix. @throws CheckpointError the tensor is no matrix, or empty */
  matrix(part: string, { shape }: TensorEntry): readonly [rows: number, columns: number] {
    if (shape.length === 2 && shape[0] > 0 && shape[1] > 0) return [shape[0], shape[1]];
    throw this.error(
      `${part} has shape [${shape.join(", ")}], expected a matrix that is not empty; the file is damaged`,
    );
  }

  /** A whole tensor's bytes. */
  async read({ name, bytes }: TensorEntry): Promise<Uint8Array<ArrayBuffer>> {
    const target = new Uint8Array(bytes);
    await this.#checkpoint.read(name, target);
    return target;
  }

  /** A whole tensor of scales as f32. */
  readScales({ name }: TensorEntry): Promise<Float32Array<ArrayBuffer>> {
    return this.#checkpoint.readValues(name);
  }

  /** A whole tensor of I32 or I64 as numbers. */
  async readIntegers(entry: TensorEntry): Promise<number[]> {
    const { buffer } = await this.read(entry);
    return entry.dtype === "I64"
      ? Array.from(new BigInt64Array(buffer), Number)
      : Array.from(new Int32Array(buffer));
  }

  /**
   * Reads rows [from, to) of a matrix of words band by band, and calls `take` with each.
   * @param multiple each band but the last has a multiple of so many rows
   */
  async readBands(
    { name, shape }: TensorEntry,
    { from, to, multiple }: { from: number; to: number; multiple: number },
    take: (words: Uint32Array, firstRow: number, rows: number) => void,
    onBytes: (bytes: number) => void,
  ): Promise<void> {
    const width = shape[1];
    const step = Math.max(1, Math.floor(BAND_BYTES / (width * 4 * multiple))) * multiple;
    const band = new Uint32Array(Math.min(step, to - from) * width);
    for (let row = from; row < to; row += step) {
      const rows = Math.min(step, to - row);
      const words = band.subarray(0, rows * width);
      const [begin, end] = [row * width * 4, (row + rows) * width * 4];
      await this.#checkpoint.read(name, bytesOf(words), begin, end);
      take(words, row, rows);
      onBytes(words.byteLength);
    }
  }

  error(message: string): CheckpointError {
    return new CheckpointError(`${this.#checkpoint.dir}: ${shown(this.name)}: ${message}`);
  }
}

/** About how many bytes of codes are read at once: 2 MiB. */
const BAND_BYTES = 1 << 21;

/** The dtypes that scales may have. */
export const SCALE_DTYPES: readonly string[] = ["F16", "BF16", "F32"];

/**
 * Every packed layer of a checkpoint as a weight.
 * @param lastNames what the names of a packed layer's tensors end in, such as "qweight"
 * @param read checks a layer and says how to read it
 * @throws CheckpointError besides those of `read`: no layer is packed; one has a plain weight too, or a bias that is not zero
 */
export async function packedWeights(
  checkpoint: Checkpoint,
  method: string,
  lastNames: readonly string[],
  read: (layer: PackedLayer) => Promise<PackedMatrix>,
): Promise<QuantizedWeights> {
  const weights = new Map<string, StoredWeight>();
  const used = new Set<string>();
  for (const layer of await packedLayers(checkpoint, method, lastNames)) {
    const weight = storedInt4(layer, await read(layer));
    weights.set(weight.name, weight);
    for (const name of layer.tensors) used.add(name);
  }
  return { weights, used };
}

/**
 * The group of each column, or undefined when they are in order.
 * @throws CheckpointError a group outside [0, groups)
 */
export function groupTable(
  layer: PackedLayer,
  part: string,
  table: readonly number[],
  group: number,
  groups: number,
): Int32Array | undefined {
  const bad = table.findIndex((g) => g < 0 || g >= groups);
  if (bad >= 0) {
    throw layer.error(
      `${part} puts column ${bad} into group ${table[bad]}, expected 0 to ${groups - 1}; the file is damaged, or group_size is not its own`,
    );
  }
  return table.every((g, k) => g === Math.floor(k / group)) ? undefined : Int32Array.from(table);
}

/** The bytes as 32-bit words: a view. */
export function wordsOf(bytes: Uint8Array): Uint32Array {
  return new Uint32Array(bytes.buffer, bytes.byteOffset, bytes.byteLength >>> 2);
}

// Finds the packed layers. A bias of zeros belongs to its layer and is dropped: GPTQ's tools write one for layers without a bias.
async function packedLayers(
  checkpoint: Checkpoint,
  method: string,
  lastNames: readonly string[],
): Promise<PackedLayer[]> {
  const layers = new Map<string, Map<string, TensorEntry>>();
  for (const [name, entry] of checkpoint.tensors) {
    const dot = name.lastIndexOf(".");
    const last = name.slice(dot + 1);
    if (dot < 0 || !lastNames.includes(last)) continue;
    const layer = name.slice(0, dot);
    layers.set(layer, (layers.get(layer) ?? new Map<string, TensorEntry>()).set(last, entry));
  }
  if (layers.size === 0) {
    throw new CheckpointError(
      `${checkpoint.dir}: the settings say ${method}, but no tensor is called ${lastNames.map((last) => `*.${last}`).join(", ")}; ` +
        "are the weights and the settings of one checkpoint?",
    );
  }
  const found: PackedLayer[] = [];
  for (const [name, parts] of layers) {
    const bias = checkpoint.tensors.get(`${name}.bias`);
    if (bias !== undefined) parts.set("bias", bias);
    const layer = new PackedLayer(checkpoint, name, parts);
    if (checkpoint.tensors.has(`${name}.weight`)) {
      throw layer.error(
        "there are both packed and plain weights of this layer; remove one of them",
      );
    }
    if (bias !== undefined && (await checkpoint.readValues(bias.name)).some((b) => b !== 0)) {
      throw layer.error(
        "bias holds numbers that are not zero, but a linear layer of Mistral has no bias; is this a Mistral checkpoint?",
      );
    }
    found.push(layer);
  }
  return found;
}

/** The weight of a layer, which is read as `matrix` says. */
function storedInt4(layer: PackedLayer, matrix: PackedMatrix): StoredWeight {
  const { rows, columns, group, table } = matrix;
  const format = int4Format(group, table !== undefined);
  const groups = groupsOf(columns, group);

  return {
    name: `${layer.name}.weight`,
    shape: [rows, columns],
    encoding: matrix.encoding,
    format,
    bytes: layer.bytes,

    async fill([codes, scales, zeros, order], onBytes) {
      let read = 0;
      await matrix.readScales(new Float32Array(scales.buffer, scales.byteOffset, rows * groups));
      await matrix.readZeros(new Int16Array(zeros.buffer, zeros.byteOffset, rows * groups));
      if (table !== undefined) order.set(bytesOf(table));
      await matrix.readCodes(0, rows, codes, (bytes) => {
        read += bytes;
        onBytes(bytes);
      });
      onBytes(layer.bytes - read);
    },

    regrouped: regroupedAsQ4(matrix),

    async readRows(from, to, out) {
      const count = to - from;
      const scales = new Float32Array(rows * groups);
      const zeros = new Int16Array(rows * groups);
      const codes = new Uint8Array(count * rowBytes(columns));
      await matrix.readScales(scales);
      await matrix.readZeros(zeros);
      await matrix.readCodes(from, to, codes, () => {});
      const [begin, end] = [from * groups, to * groups];
      const parts = [
        codes,
        bytesOf(scales.subarray(begin, end)),
        bytesOf(zeros.subarray(begin, end)),
        ...(table === undefined ? [] : [bytesOf(table)]),
      ];
      format.unpack(parts, { rows: count, columns }, 0, count, out);
    },
  };
}
