// Turns a batch [B, S] into the rows of each sequence, and says to which place of the batch each row belongs. The left padding of a sequence
// is left out: column 0 is its first real token, so that its results are the same as alone. Where the mask is 0 behind that, right padding
// included, a column without a key stays (a hole). Pure functions: know no cache, no model and no backend.

import { InputError } from "../errors.ts";

/** One call's batch, row-major. The frame is what the caller sees: the columns of earlier calls (`past`), then S new ones. */
export type Batch = {
  readonly B: number;
  readonly S: number;
  /** Frame columns of earlier calls; 0 for a first call */
  readonly past: number;
  /** [B, S]; absent when embeddings come instead */
  readonly input_ids?: ArrayLike<number>;
  /** [B, past + S] 1: token, 0: padding; default all 1 */
  readonly attention_mask?: ArrayLike<number>;
  /** [B, S] positions. "frame": the column in the frame, as `forward` without position_ids; "mask": the number of tokens before, as `generate` */
  readonly positions: ArrayLike<number> | "frame" | "mask";
  /** All ids are below it */
  readonly vocabSize: number;
};

/** The new rows of one sequence. */
export type SequenceRows = {
  /** Columns of left padding in the frame; all columns while it has no token */
  readonly padding: number;
  /** Column of its first new row: its committed length */
  readonly first: number;
  /** [rows]; absent when embeddings come instead */
  readonly ids: Int32Array | undefined;
  /** [rows] */
  readonly positions: Int32Array;
  /** [rows] 1: has a key, 0: hole */
  readonly present: Uint8Array;
  /** [rows] b · S + s: where each row's result belongs, and its embedding comes from */
  readonly places: Int32Array;
};

/** The rows of every sequence. @throws InputError for a shape or a value that does not fit */
export function planRows(batch: Batch): SequenceRows[] {
  checkBatch(batch);
  return Array.from({ length: batch.B }, (_, b) => sequenceRows(batch, b));
}

function sequenceRows(batch: Batch, b: number): SequenceRows {
  const { S, past, input_ids, attention_mask, positions } = batch;
  const T = past + S;
  const mask = (column: number): number => attention_mask?.[b * T + column] ?? 1;
  let padding = 0;
  while (padding < T && mask(padding) === 0) padding++;
  let tokens = 0;
  for (let column = padding; column < past; column++) tokens += mask(column);

  const begin = Math.max(past, padding);
  const count = T - begin;
  const ids = input_ids && new Int32Array(count);
  const rows = {
    positions: new Int32Array(count),
    present: new Uint8Array(count),
    places: new Int32Array(count),
  };
  for (let i = 0; i < count; i++) {
    const column = begin + i;
    const place = b * S + column - past;
    rows.places[i] = place;
    rows.present[i] = mask(column);
    tokens += mask(column);
    if (positions === "frame") rows.positions[i] = column;
    else if (positions === "mask") rows.positions[i] = mask(column) === 0 ? 0 : tokens - 1;
    else rows.positions[i] = positions[place];
    if (ids && input_ids) ids[i] = input_ids[place];
  }
  return { padding, first: begin - padding, ids, ...rows };
}

/** The first sequence of a mask [B, T] that ends in padding: `generate` cannot continue it. */
export function rightPadded(mask: ArrayLike<number>, B: number, T: number): number | undefined {
  for (let b = 0; b < B; b++) if (mask[b * T + T - 1] === 0) return b;
  return undefined;
}

function checkBatch({ B, S, past, vocabSize, ...batch }: Batch): void {
  const { input_ids, attention_mask, positions } = batch;
  const T = past + S;
  if (input_ids) {
    checkSize("input_ids", input_ids, `[${B}, ${S}]`, B * S);
    for (let i = 0; i < input_ids.length; i++) {
      const id = input_ids[i];
      if (Number.isInteger(id) && id >= 0 && id < vocabSize) continue;
      throw new InputError(
        `input_ids: ${id} at [${Math.floor(i / S)}, ${i % S}]: expected ids from 0 to ${vocabSize - 1}`,
      );
    }
  }
  if (attention_mask) {
    const shape = `[${B}, ${T}] (${past} columns in the cache and ${S} new ones)`;
    checkSize("attention_mask", attention_mask, shape, B * T);
    for (let i = 0; i < attention_mask.length; i++) {
      if (attention_mask[i] === 0 || attention_mask[i] === 1) continue;
      throw new InputError(
        `attention_mask: ${attention_mask[i]} at [${Math.floor(i / T)}, ${i % T}]: expected 1 (token) or 0 (padding)`,
      );
    }
  }
  if (typeof positions === "string") return;
  checkSize("position_ids", positions, `[${B}, ${S}]`, B * S);
  for (let i = 0; i < positions.length; i++) {
    if (Number.isInteger(positions[i]) && positions[i] >= 0) continue;
    throw new InputError(
      `position_ids: ${positions[i]} at [${Math.floor(i / S)}, ${i % S}]: expected integers ≥ 0`,
    );
  }
}

function checkSize(name: string, values: ArrayLike<number>, shape: string, size: number): void {
  if (values.length === size) return;
  throw new InputError(`${name}: ${values.length} values, but the batch needs ${shape}: ${size}`);
}
