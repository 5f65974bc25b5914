// Fills a weight's place from a stored weight. A format that the file has is read straight into the place; another one is made piece by
// piece, by the backend's kernels or else by the format's packer: the next piece is read while one is converted. Knows no model.

import type { Numbers, Quantizer } from "../backends/backend.ts";
import type { StoredWeight } from "../checkpoint/stored-weight.ts";
import { EngineError } from "../errors.ts";
import { f32 } from "../formats/f32.ts";
import { matrixShape, type Parts, type WeightFormat } from "../formats/weight-format.ts";

/** How many numbers of a weight the format's packer gets at a time. */
const PIECE = 1 << 22;

/** How to fill a format from the file without converting, if that is possible. */
export function sameFormat(
  stored: StoredWeight,
  format: string,
): Pick<StoredWeight, "format" | "fill"> | undefined {
  return [stored, stored.regrouped].find((way) => way?.format.name === format);
}

/**
 * Fills the parts of a format from a stored weight.
 * @param onBytes called with the number of bytes read from the file since its last call
 * @throws CheckpointError numbers that the format cannot hold
 */
export async function fill(
  parts: Parts,
  format: WeightFormat,
  stored: StoredWeight,
  onBytes: (bytes: number) => void,
  quantizer?: Quantizer,
): Promise<void> {
  const same = sameFormat(stored, format.name);
  if (same !== undefined) return same.fill(parts, onBytes);
  const { rows } = matrixShape(stored.shape);
  let done = 0;
  const onRows = (to: number): void => {
    if (to <= done) return;
    onBytes((stored.bytes * (to - done)) / rows);
    done = to;
  };
  // If the kernels meet numbers that the format cannot hold, its packer says which, after it has come there.
  if (quantizer !== undefined && (await fillByKernels(quantizer, parts, format, stored, onRows)))
    return;
  await fillByPacker(parts, format, stored, onRows);
}

/**
 * Reads pieces in turn, each while the one before is used.
 * @param step rows of a piece
 * @param read reads rows [from, to) into one of two places, `slot` 0 or 1
 * @param use  uses what was read; false: no more is wanted
 */
async function readAhead<T>(
  rows: number,
  step: number,
  read: (from: number, to: number, slot: number) => Promise<T>,
  use: (piece: T, from: number, to: number, slot: number) => boolean,
): Promise<boolean> {
  const end = (from: number): number => Math.min(from + step, rows);
  let next: Promise<T> | undefined = read(0, end(0), 0);
  for (let from = 0, slot = 0; next !== undefined; from = end(from), slot = 1 - slot) {
    const piece = await next;
    const to = end(from);
    next = to < rows ? read(to, end(to), 1 - slot) : undefined;
    let goesOn = false;
    try {
      goesOn = use(piece, from, to, slot);
    } finally {
      if (!goesOn) await Promise.allSettled([next]); // nobody else waits for it, and its place may be freed
    }
    if (!goesOn) return false;
  }
  return true;
}

/** @returns false: there is no kernel for that, or some numbers are for the format's packer */
async function fillByKernels(
  quantizer: Quantizer,
  parts: Parts,
  format: WeightFormat,
  stored: StoredWeight,
  onRows: (to: number) => void,
): Promise<boolean> {
  const { rows, columns } = matrixShape(stored.shape);
  const { plain } = stored;
  const from: Numbers = { format: plain?.format.name ?? "f32", rounded: plain?.rounded?.name };
  // Double quantisation needs the scales of all rows.
  const single = format.single?.format ?? format;
  const step = quantizer.rows(from, single.name, columns);
  if (step === 0) return false;
  const [codes, ...others] = single.parts(rows, columns);
  const wanted =
    single === format
      ? parts
      : [parts[0].subarray(0, codes), ...others.map((n) => new Uint8Array(n))];

  const read = async (begin: number, end: number, slot: number): Promise<void> => {
    const count = (end - begin) * columns;
    const input = quantizer.input(slot, (plain?.format ?? f32).bytes(count));
    if (plain !== undefined) return plain.read(begin, end, input);
    return stored.readRows(begin, end, new Float32Array(input.buffer, input.byteOffset, count));
  };
  const quantize = (_: void, begin: number, end: number, slot: number): boolean => {
    const packed = quantizer.quantize(slot, from, single.name, end - begin, columns);
    if (packed === undefined) return false;
    const places = single.parts(begin, columns);
    packed.forEach((bytes, i) => wanted[i].set(bytes, places[i]));
    onRows(end);
    return true;
  };
  if (!(await readAhead(rows, Math.min(step, rows), read, quantize))) return false;
  format.single?.nest(wanted[1], parts);
  return true;
}

async function fillByPacker(
  parts: Parts,
  format: WeightFormat,
  stored: StoredWeight,
  onRows: (to: number) => void,
): Promise<void> {
  const shape = matrixShape(stored.shape);
  const { rows, columns } = shape;
  const packer = format.packer?.(parts, shape);
  if (packer === undefined)
    throw new EngineError(
      `${stored.name}: ${format.name} can be read, but not made from ${stored.encoding}`,
    );
  const step = format.step(columns);
  const most = Math.max(step, Math.floor(PIECE / columns / step) * step);
  const buffers = [0, 1].map(() => new Float32Array(Math.min(most, rows) * columns));
  const read = async (from: number, to: number, slot: number): Promise<Float32Array> => {
    const piece = buffers[slot].subarray(0, (to - from) * columns);
    await stored.readRows(from, to, piece);
    return piece;
  };
  await readAhead(rows, most, read, (piece, from, to) => {
    packer.rows(piece, from, to);
    onRows(to);
    return true;
  });
  packer.finish();
}
