// One linear layer of a packed 4-bit checkpoint: its tensors by the last part of their names, read and checked. Every complaint names
// the folder and the layer. Memory: one band of codes. Does not know which method packed it.

import { CheckpointError } from "../../errors.ts";
import { bytesOf } from "../../formats/words.ts";
import { shown } from "../json-reader.ts";
import type { Checkpoint, TensorEntry } from "../weights.ts";

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

  /** A part that must be there. @throws CheckpointError it is missing, or has another dtype */
  need(part: string, dtypes: readonly string[]): TensorEntry {
    const entry = this.find(part, dtypes);
    if (entry !== undefined) return entry;
    throw this.error(
      `${part} is missing beside ${[...this.#parts.keys()].join(", ")}; the checkpoint is incomplete, or of another method than its settings say`,
    );
  }

  /** Refuses another shape. @throws CheckpointError `why` tells where the expected one comes from */
  checkShape(part: string, { shape }: TensorEntry, expected: readonly number[], why: string): void {
    if (shape.length === expected.length && shape.every((size, i) => size === expected[i])) return;
    throw this.error(
      `${part} has shape [${shape.join(", ")}], expected [${expected.join(", ")}] ${why}; ` +
        "are the settings the ones of these weights?",
    );
  }

  /** Both sizes of a matrix. @throws CheckpointError it is none, or empty */
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

  /** A whole tensor of scales, widened. */
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
   * Calls `take` with bands of a matrix of words, from row `from` on.
   * @param multiple rows of a band, but for the last, are a multiple of this
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

/** The most bytes of codes that are read at once. */
const BAND_BYTES = 1 << 21;

/** Dtypes of scales. */
export const SCALE_DTYPES: readonly string[] = ["F16", "BF16", "F32"];

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

/** Bytes as words of 32 bits: a view. */
export function wordsOf(bytes: Uint8Array): Uint32Array {
  return new Uint32Array(bytes.buffer, bytes.byteOffset, bytes.byteLength >>> 2);
}
