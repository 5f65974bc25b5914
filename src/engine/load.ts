// Brings the weights of a checkpoint into a backend. The most memory in use is the placed model plus the buffers through which weights
// are converted. Knows no model, and not how one weight is read or converted: fill.ts.

import type { Backend, LeafSpec, Quantizer } from "../backends/backend.ts";
import { CheckpointError, MemoryError } from "../errors.ts";
import type { StoredWeight } from "../checkpoint/stored-weight.ts";
import { findFormat } from "../formats/format.ts";
import { weightDType } from "../formats/registry.ts";
import { showBytes } from "../show-bytes.ts";
import { fill, sameFormat } from "./fill.ts";
import { smallerWay } from "./smaller.ts";

export type LoadProgress = {
  readonly loaded: number;
  readonly total: number;
  readonly tensor: string;
};

export type LoadHooks = {
  onProgress(progress: LoadProgress): void;
  placed(): void;
};

/**
 * Places the leaves and fills them.
 * @param storedAs the checkpoint's weight of a leaf
 * @param hooks    `placed`: called when the leaves have their places and some are to be converted, which other threads can help with
 * @param disableMmap read all weights, also those whose files could be mapped into memory
 * @returns names of tensors that hold NaN or Inf: loading warns of them, and generating fails with a typed error
 * @throws CheckpointError, MemoryError
 */
export async function loadWeights(
  backend: Backend,
  leaves: readonly LeafSpec[],
  storedAs: (leaf: string) => StoredWeight,
  { onProgress, placed }: LoadHooks,
  disableMmap = false,
): Promise<string[]> {
  await place(backend, leaves, storedAs, disableMmap);
  const converted = leaves.filter(
    ({ name, dtype }) => !sameFormat(storedAs(name), weightDType(dtype).format.name),
  );
  const widest = Math.max(0, ...converted.map(({ shape }) => shape.at(-1) ?? 1));
  const quantizer = widest === 0 ? undefined : backend.quantizer?.(widest);
  if (quantizer !== undefined) placed();
  try {
    // Weights that are only read are read two at a time. Converting one takes buffers and all threads: one at a time.
    const lanes = converted.length === 0 ? 2 : 1;
    return await loadInOrder(backend, leaves, storedAs, onProgress, quantizer, lanes);
  } finally {
    quantizer?.dispose();
  }
}

/** Fills the leaves, `lanes` at a time. @returns names of tensors that hold NaN or Inf */
async function loadInOrder(
  backend: Backend,
  leaves: readonly LeafSpec[],
  storedAs: (leaf: string) => StoredWeight,
  onProgress: (progress: LoadProgress) => void,
  quantizer: Quantizer | undefined,
  lanes: number,
): Promise<string[]> {
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
      else await fill(parts, format, stored, onBytes, quantizer);
      if (format.isFinite?.(parts, backend.areFinite?.bind(backend)) ?? true) return;
      if (findFormat(stored.encoding) === undefined) throw brokenScale(stored);
      nonFinite.push(stored.name);
    });
  };
  await inLanes(lanes, inFileOrder(leaves, storedAs), load);
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
