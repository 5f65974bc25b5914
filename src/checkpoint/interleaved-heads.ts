// Rows of q_proj and k_proj in the order of Transformers, from a file that has them in the order of the original rotary embedding:
// it turns rows 2j and 2j + 1 of a head, Transformers rows j and j + D/2 (D rows a head). Knows no file and no format.

/** Reads rows [from, to) into `target`, one after the other. */
export type ReadRows = (
  from: number,
  to: number,
  target: Uint8Array<ArrayBufferLike>,
) => Promise<void>;

/** Whether a matrix of so many rows consists of heads whose halves can be interleaved. */
export function hasHeads(rows: number, headDim: number): boolean {
  return headDim > 0 && headDim % 2 === 0 && rows % headDim === 0;
}

/**
 * Reads the whole heads in which the rows lie, and gives those rows in the order of Transformers.
 * @param read reads rows as the file has them
 */
export function rowsInOrder(read: ReadRows, headDim: number, rowBytes: number): ReadRows {
  return async (from, to, target) => {
    const head = new Uint8Array(headDim * rowBytes);
    for (let begin = from - (from % headDim); begin < to; begin += headDim) {
      await read(begin, begin + headDim, head);
      const last = Math.min(begin + headDim, to);
      for (let row = Math.max(begin, from); row < last; row++) {
        const at = interleavedRow(row - begin, headDim) * rowBytes;
        target.set(head.subarray(at, at + rowBytes), (row - from) * rowBytes);
      }
    }
  };
}

/** The row of the file's head at which row `row` lies: the file has rows j and j + D/2 side by side. */
function interleavedRow(row: number, headDim: number): number {
  const half = headDim / 2;
  return row < half ? 2 * row : 2 * (row - half) + 1;
}
