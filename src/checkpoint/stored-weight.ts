// A weight as a checkpoint holds it, whatever tensors of the file it consists of: its shape in the model, the format that keeps it
// without loss, and ways to read it. Knows no model and no backend.

import type { NumberFormat } from "../formats/number-format.ts";
import type { WeightFormat } from "../formats/weight-format.ts";

export type StoredWeight = {
  /** Its name in the checkpoint, such as "model.layers.0.mlp.up_proj.weight". */
  readonly name: string;
  /** Its shape in the model: [out, in] of a matrix, [n] of a vector. */
  readonly shape: readonly number[];
  /** The file's word for its encoding: "F32", "nf4", "Q4_K", "gptq". */
  readonly encoding: string;
  /** The format that keeps its numbers exactly, in the least memory. */
  readonly format: WeightFormat;
  /** How many bytes it takes in the file. */
  readonly bytes: number;
  /**
   * Reads the weight into the parts of `format`, which may be views on shared memory. Takes no more memory besides than a small buffer.
   * @param onBytes called with the number of bytes read from the file since its last call
   * @throws CheckpointError values that the format does not allow, such as a scale that is NaN
   */
  fill(parts: readonly Uint8Array[], onBytes: (bytes: number) => void): Promise<void>;
  /**
   * Where the parts of `format` lie in the file, if the file has them byte for byte: they can then be mapped instead of read.
   * The first part is always in the file; `known` holds the bytes of a part that is not.
   */
  readonly file?: {
    readonly path: string;
    readonly parts: readonly (
      | { readonly offset: number; readonly bytes: number }
      | { readonly known: Uint8Array }
    )[];
  };
  /**
   * The same numbers in a layout for products with int8 activations, if there is one: GGUF's Q4_0, for example, becomes q4.
   */
  readonly regrouped?: {
    readonly format: WeightFormat;
    fill(parts: readonly Uint8Array[], onBytes: (bytes: number) => void): Promise<void>;
  };
  /** For plain numbers: reads them as the file has them, which `readRows` widens to f32, and may round first. */
  readonly plain?: {
    readonly format: NumberFormat;
    /** The smaller format to which `readRows` rounds them. */
    readonly rounded?: NumberFormat;
    /** Rows [from, to); `target` has just their bytes, and may be a view on shared memory. */
    read(from: number, to: number, target: Uint8Array<ArrayBufferLike>): Promise<void>;
  };
  /** Rows [from, to) as f32; `out` has (to − from) · columns numbers. */
  readRows(from: number, to: number, out: Float32Array): Promise<void>;
};

/** One line of a checkpoint's table of tensors. */
export type TableEntry = {
  readonly name: string;
  /** The file's dtype; for a quantised weight the word of its method, such as "nf4". */
  readonly dtype: string;
  readonly shape: readonly number[];
  readonly quantised?: boolean;
};

/** The weights of an opened checkpoint. */
export type WeightSource = {
  /** The folder or file, as messages name it. */
  readonly dir: string;
  readonly weights: ReadonlyMap<string, StoredWeight>;
  /** All that the file holds, as a table. The tensors that make up one packed weight are one line, the weight's. */
  readonly tensors: ReadonlyMap<string, TableEntry>;
  close(): Promise<void>;
};
