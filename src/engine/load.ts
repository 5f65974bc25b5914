// Brings the weights of a checkpoint into a backend: each tensor is read by range, straight into its place where the format
// is kept, else through one small buffer. Peak memory is the placed model plus one buffer. Knows no model.

import type { Backend, LeafSpec } from "../backends/backend.ts";
import type { Checkpoint } from "../checkpoint/weights.ts";
import { CheckpointError } from "../errors.ts";
import { findFormat, type Format, formats } from "../formats/format.ts";
import { elements } from "../graph/graph.ts";

export type LoadProgress = {
  readonly loaded: number;
  readonly total: number;
  readonly tensor: string;
};

/** Numbers converted at once when the stored format differs from the kept one. */
const PIECE = 1 << 22;

/**
 * Places the leaves and fills them.
 * @param nameOf the checkpoint's name of a leaf
 * @returns tensors that hold NaN or Inf: loading warns, generating fails with a typed error
 * @throws CheckpointError, MemoryError
 */
export async function loadWeights(
  backend: Backend,
  leaves: readonly LeafSpec[],
  checkpoint: Checkpoint,
  nameOf: (leaf: string) => string,
  onProgress: (progress: LoadProgress) => void,
): Promise<string[]> {
  await backend.place(leaves);
  const total = leaves.reduce((sum, leaf) => sum + stored(checkpoint, nameOf(leaf.name)).bytes, 0);
  let loaded = 0;
  const nonFinite: string[] = [];
  for (const leaf of leaves) {
    const name = nameOf(leaf.name);
    await backend.load(leaf.name, async (target) => {
      const finite = await fill(target, leaf, checkpoint, name, (bytes) => {
        loaded += bytes;
        onProgress({ loaded, total, tensor: name });
      });
      if (!finite) nonFinite.push(name);
    });
  }
  return nonFinite;
}

async function fill(
  target: Uint8Array,
  leaf: LeafSpec,
  checkpoint: Checkpoint,
  name: string,
  onBytes: (bytes: number) => void,
): Promise<boolean> {
  const kept = formats.get(leaf.dtype as Format["name"]);
  if (kept === undefined)
    throw new CheckpointError(`${name}: no weight format is called ${leaf.dtype}`);
  const { format } = stored(checkpoint, name);
  const count = elements(leaf.shape);
  let finite = true;
  for (let from = 0; from < count; from += PIECE) {
    const to = Math.min(from + PIECE, count);
    const [begin, end] = [format.bytes(from), format.bytes(to)];
    const place = target.subarray(kept.bytes(from), kept.bytes(to));
    if (format === kept) {
      await checkpoint.read(name, place, begin, end);
    } else {
      const bytes = new Uint8Array(end - begin);
      const values = new Float32Array(to - from);
      await checkpoint.read(name, bytes, begin, end);
      format.unpack(bytes, values);
      kept.pack(values, place);
    }
    finite &&= isFinite(place, kept);
    onBytes(end - begin);
  }
  return finite;
}

function stored(checkpoint: Checkpoint, name: string): { format: Format; bytes: number } {
  const entry = checkpoint.tensors.get(name);
  if (entry === undefined)
    throw new CheckpointError(`${checkpoint.dir}: tensor ${name} is missing`);
  const format = findFormat(entry.dtype);
  if (format === undefined) {
    const known = [...formats.values()].map((f) => f.safetensors).join(", ");
    throw new CheckpointError(
      `${checkpoint.dir}: tensor ${name} is ${entry.dtype}; weights can be ${known}`,
    );
  }
  return { format, bytes: format.bytes(elements(entry.shape)) };
}

/** Whether no number is NaN or Inf, that is, has all bits of its exponent set; two 16-bit numbers are looked at together. */
function isFinite(bytes: Uint8Array, format: Format): boolean {
  const words = new Uint32Array(bytes.buffer, bytes.byteOffset, bytes.byteLength >> 2);
  const [high, low] = EXPONENTS[format.name];
  for (let i = 0; i < words.length; i++) {
    if ((words[i] & high) === high || (low !== 0 && (words[i] & low) === low)) return false;
  }
  const odd =
    bytes.byteLength % 4 === 2 ? bytes[bytes.length - 2] | (bytes[bytes.length - 1] << 8) : 0;
  return (odd & low) !== low || low === 0;
}

const EXPONENTS: Record<Format["name"], readonly [high: number, low: number]> = {
  f32: [0x7f800000, 0],
  f16: [0x7c000000, 0x7c00],
  bf16: [0x7f800000, 0x7f80],
};
