// How one matrix of a packed 4-bit checkpoint is read, whatever its method: the readers of methods make such a description,
// packed-int4.ts and packed-as-q4.ts make weights of it.

/** How one matrix [rows, columns] is read. */
export type PackedMatrix = {
  /** What its method is called. */
  readonly encoding: string;
  readonly rows: number;
  readonly columns: number;
  /** Columns that share a scale. */
  readonly group: number;
  /** The group of each column, where they are not in order. */
  readonly table: Int32Array | undefined;
  /** Every zero point is 8, and f16 holds every scale: as in Q4_0. */
  readonly plain: boolean;
  /** Codes of rows [from, to) in the format's order. @param onBytes how many bytes of the file were read since the last call */
  readCodes(
    from: number,
    to: number,
    target: Uint8Array,
    onBytes: (bytes: number) => void,
  ): Promise<void>;
  /** All scales [rows, groups]. */
  readScales(target: Float32Array): Promise<void>;
  /** All zero points [rows, groups], on the scale of the codes 0 … 15. */
  readZeros(target: Int16Array): Promise<void>;
};
