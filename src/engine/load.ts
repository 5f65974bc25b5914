// Brings the weights of a checkpoint into a backend. A weight whose format is kept is read straight into its place; another one is converted
// piece by piece through two buffers. The most memory in use is the placed model plus these buffers. Knows no model.

import type { Backend, LeafSpec } from "../backends/backend.ts";
import { CheckpointError, EngineError, MemoryError } from "../errors.ts";
import type { StoredWeight } from "../checkpoint/stored-weight.ts";
import { findFormat } from "../formats/format.ts";
import { weightDType } from "../formats/registry.ts";
import { matrixShape, type Parts, type WeightFormat } from "../formats/weight-format.ts";
import { showBytes } from "../show-bytes.ts";
import { smallerWay } from "./smaller.ts";

export type LoadProgress = {
  readonly loaded: number;
  readonly total: number;
  readonly tensor: string;
};

/** How many numbers of a weight are read and converted at a time, when the stored format differs from the kept one. */
const PIECE = 1 << 22;

/**
 * Places the leaves and fills them.
 * @param storedAs the checkpoint's weight of a leaf
 * @param disableMmap read all weights, also those whose files could be mapped into memory
 * @returns names of tensors that hold NaN or Inf: loading warns of them, and generating fails with a typed error
 * @throws CheckpointError, MemoryError
 */
export async function loadWeights(
  backend: Backend,
  leaves: readonly LeafSpec[],
  storedAs: (leaf: string) => StoredWeight,
  onProgress: (progress: LoadProgress) => void,
  disableMmap = false,
): Promise<string[]> {
  await place(backend, leaves, storedAs, disableMmap);
  const total = leaves.reduce((sum, leaf) => sum + storedAs(leaf.name).bytes, 0);
  let loaded = 0;
  const nonFinite: string[] = [];
  const load = async (leaf: LeafSpec): Promise<void> => {
    const stored = storedAs(leaf.name);
    const { format } = weightDType(leaf.dtype);
    const onBytes = (bytes: number): void => {
      loaded += bytes;
      onProgress({ loaded, total, tensor: stored.name });
    };
    await backend.load(leaf.name, async (parts, alreadyMapped) => {
      if (alreadyMapped) onBytes(stored.bytes);
      else await fill(parts, format, stored, onBytes);
      if (format.isFinite?.(parts, backend.areFinite?.bind(backend)) ?? true) return;
      if (findFormat(stored.encoding) === undefined) throw brokenScale(stored);
      nonFinite.push(stored.name);
    });
  };
  // Weights that are only read are read two at a time. Converting one takes buffers and the whole thread: one at a time.
  const whole = leaves.every(({ name, dtype }) => sameFormat(storedAs(name), dtype) !== undefined);
  await inLanes(whole ? 2 : 1, inFileOrder(leaves, storedAs), load);
  return nonFinite;
}

/** The leaves in the order of their bytes: the system reads ahead in a file that is read from front to back, mapped or not. */
function inFileOrder(
  leaves: readonly LeafSpec[],
  storedAs: (leaf: string) => StoredWeight,
): LeafSpec[] {
  const places = leaves.map((leaf) => {
    const { path = "", parts } = storedAs(leaf.name).file ?? {};
    const [first] = parts ?? [];
    return { leaf, path, offset: first !== undefined && "offset" in first ? first.offset : 0 };
  });
  places.sort((a, b) => (a.path < b.path ? -1 : a.path > b.path ? 1 : a.offset - b.offset));
  return places.map(({ leaf }) => leaf);
}

/** Runs all items in order, `lanes` at a time. @throws the first error, once nothing runs any more */
async function inLanes<T>(
  lanes: number,
  items: readonly T[],
  run: (item: T) => Promise<void>,
): Promise<void> {
  let next = 0;
  const lane = async (): Promise<void> => {
    try {
      while (next < items.length) await run(items[next++]);
    } catch (error) {
      next = items.length;
      throw error;
    }
  };
  const ends = await Promise.allSettled(Array.from({ length: lanes }, lane));
  const failed = ends.find((end) => end.status === "rejected");
  if (failed !== undefined) throw failed.reason;
}

/** How to fill a format from the file without converting, if that is possible. */
function sameFormat(
  stored: StoredWeight,
  format: string,
): Pick<StoredWeight, "format" | "fill"> | undefined {
  return [stored, stored.regrouped].find((way) => way?.format.name === format);
}

/** Places the leaves, mapped where possible. @throws MemoryError with the arithmetic, and an option that makes the weights smaller */
async function place(
  backend: Backend,
  leaves: readonly LeafSpec[],
  storedAs: (leaf: string) => StoredWeight,
  disableMmap: boolean,
): Promise<void> {
  const mapped = leaves.map((leaf) => withFile(leaf, storedAs(leaf.name)));
  try {
    await backend.place(disableMmap ? leaves : mapped);
  } catch (error) {
    const way = error instanceof MemoryError ? smallerWay(leaves, storedAs) : undefined;
    if (way === undefined) throw error;
    throw new MemoryError(
      `${(error as MemoryError).message}; with ${way.option} the weights take ${showBytes(way.bytes)}`,
      { cause: error },
    );
  }
}

/** A quantised weight's codes are always finite; kernels rely on its scales being finite too. */
function brokenScale({ name, encoding }: StoredWeight): CheckpointError {
  return new CheckpointError(
    `${name} (${encoding}): a scale is NaN or infinite; the file is damaged: fetch it again, or quantise the model again`,
  );
}

/** The leaf, with its place in the file if it is kept in the file's format: then the backend may map it. */
function withFile(leaf: LeafSpec, { format, file }: StoredWeight): LeafSpec {
  return file !== undefined && format.name === leaf.dtype ? { ...leaf, file } : leaf;
}

/** Fills the parts of a format from a stored weight. */
export async function fill(
  parts: Parts,
  format: WeightFormat,
  stored: StoredWeight,
  onBytes: (bytes: number) => void,
): Promise<void> {
  const same = sameFormat(stored, format.name);
  if (same !== undefined) return same.fill(parts, onBytes);
  const shape = matrixShape(stored.shape);
  const packer = format.packer?.(parts, shape);
  if (packer === undefined)
    throw new EngineError(
      `${stored.name}: ${format.name} can be read, but not made from ${stored.encoding}`,
    );
  const step = format.step(shape.columns);
  const rows = Math.max(step, Math.floor(PIECE / shape.columns / step) * step);
  const buffers = [0, 1].map(() => new Float32Array(Math.min(rows, shape.rows) * shape.columns));
  const read = async (from: number): Promise<Float32Array> => {
    const to = Math.min(from + rows, shape.rows);
    const piece = buffers[Math.ceil(from / rows) % 2].subarray(
      0,
      Math.max(0, to - from) * shape.columns,
    );
    if (to > from) await stored.readRows(from, to, piece);
    return piece;
  };
  // The next piece is read while one is packed.
  let next = read(0);
  for (let from = 0; from < shape.rows; from += rows) {
    const to = Math.min(from + rows, shape.rows);
    const piece = await next;
    next = read(to);
    next.catch(() => {}); // if packing this piece throws, nobody awaits the next one: its error must not end the process
    packer.rows(piece, from, to);
    onBytes((stored.bytes * (to - from)) / shape.rows);
  }
  await next;
  packer.finish();
}
