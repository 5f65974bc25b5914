// A weight as a checkpoint holds it, whatever tensors of the file it is made of: its shape in the model, the format that
// keeps it without loss, and two ways to read it. Knows no model, no backend.

import type { WeightFormat } from "../formats/weight-format.ts";

export type StoredWeight = {
  /** Its name in the checkpoint, such as "model.layers.0.mlp.up_proj.weight". */
  readonly name: string;
  /** Its shape in the model: [out, in], [n]. */
  readonly shape: readonly number[];
  /** What files call its encoding: "F32", "nf4", "Q4_K", "gptq". */
  readonly encoding: string;
  /** Holds it exactly, in the least memory. */
  readonly format: WeightFormat;
  /** Bytes that it takes in the file. */
  readonly bytes: number;
  /**
   * Fills the parts of `format`, which may be views on shared memory; peak memory besides them is one small buffer.
   * @param onBytes how many bytes of the file were read since the last call
   * @throws CheckpointError values that the format does not allow, such as a scale that is NaN
   */
  fill(parts: readonly Uint8Array[], onBytes: (bytes: number) => void): Promise<void>;
  /** Where the parts of `format` lie in the file, when they lie there as they are: they can then be mapped. The first does. */
  readonly file?: {
    readonly path: string;
    readonly parts: readonly (
      | { readonly offset: number; readonly bytes: number }
      | { readonly known: Uint8Array }
    )[];
  };
  /**
   * The same numbers regrouped for the road of int8 activations, when there is such a format.
   * GGUF's Q4_0 blocks, for example, become those of q4.
   */
  readonly regrouped?: {
    readonly format: WeightFormat;
    fill(parts: readonly Uint8Array[], onBytes: (bytes: number) => void): Promise<void>;
  };
  /** Rows [from, to) as f32; `out` has (to − from) · columns numbers. */
  readRows(from: number, to: number, out: Float32Array): Promise<void>;
};

/** A row of the table of a checkpoint. */
export type TableEntry = {
  readonly name: string;
  /** The file's dtype; of a quantised weight, the method's name for it. */
  readonly dtype: string;
  readonly shape: readonly number[];
  readonly quantised?: boolean;
};

/** The weights of an opened checkpoint. */
export type WeightSource = {
  /** Folder or file, for messages. */
  readonly dir: string;
  readonly weights: ReadonlyMap<string, StoredWeight>;
  /** The weights, and what else is in the file, as a table: packed tensors appear as the weights that they make. */
  readonly tensors: ReadonlyMap<string, TableEntry>;
  close(): Promise<void>;
};
