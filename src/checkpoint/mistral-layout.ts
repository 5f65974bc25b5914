// The weights of Mistral AI's own layout (consolidated.safetensors) under the names and with the order of rows that Transformers gives them
// (its convert_mistral_weights_to_hf.py). Does not know what the model does with a weight.

import { findFormat } from "../formats/format.ts";
import { plainFormat } from "../formats/plain.ts";
import { matrixShape } from "../formats/weight-format.ts";
import { hasHeads, rowsInOrder } from "./interleaved-heads.ts";
import { transformersName } from "./mistral-names.ts";
import { plainWeight } from "./plain-weight.ts";
import type { StoredWeight, TableEntry, WeightSource } from "./stored-weight.ts";
import type { Checkpoint, TensorEntry } from "./weights.ts";

/** About how many bytes are read at once: 16 MiB, which bounds the buffers. */
const PIECE = 1 << 24;

/** The weights of an open checkpoint. @param config its config, for the size of a head */
export function mistralLayoutWeights(
  checkpoint: Checkpoint,
  config: Readonly<Record<string, unknown>>,
): WeightSource {
  const headDim = headDimOf(config);
  const weights = new Map<string, StoredWeight>();
  const tensors = new Map<string, TableEntry>();
  for (const entry of checkpoint.tensors.values()) {
    const name = transformersName(entry.name);
    tensors.set(name, { ...entry, name });
    const { rows } = matrixShape(entry.shape);
    const isRotated = /\.[qk]_proj\.weight$/.test(name) && hasHeads(rows, headDim);
    const weight = isRotated
      ? rotatedWeight(checkpoint, entry, headDim)
      : plainWeight(checkpoint, entry);
    if (weight !== undefined) weights.set(name, { ...weight, name });
  }
  return { dir: checkpoint.dir, weights, tensors, close: () => checkpoint.close() };
}

function headDimOf({
  head_dim,
  hidden_size,
  num_attention_heads,
}: Readonly<Record<string, unknown>>): number {
  return typeof head_dim === "number"
    ? head_dim
    : Math.floor(Number(hidden_size) / Number(num_attention_heads));
}

/** A plain matrix whose heads have their halves interleaved in the file. Undefined: its dtype is none of F32, F16, BF16. */
function rotatedWeight(
  checkpoint: Checkpoint,
  { name, shape, bytes, dtype }: TensorEntry,
  headDim: number,
): StoredWeight | undefined {
  const plain = findFormat(dtype);
  if (plain === undefined) return undefined;
  const { rows, columns } = matrixShape(shape);
  const rowBytes = plain.bytes(columns);
  const read = rowsInOrder(
    (from, to, target) => checkpoint.read(name, target, from * rowBytes, to * rowBytes),
    headDim,
    rowBytes,
  );
  const step = Math.max(1, Math.floor(PIECE / (headDim * rowBytes))) * headDim;
  return {
    ...{ name, shape, bytes, encoding: dtype, format: plainFormat(plain) },
    plain: { format: plain, read },

    async fill([target], onBytes) {
      for (let from = 0; from < rows; from += step) {
        const to = Math.min(from + step, rows);
        await read(from, to, target.subarray(from * rowBytes, to * rowBytes));
        onBytes((to - from) * rowBytes);
      }
    },

    async readRows(from, to, out) {
      const stored = new Uint8Array((to - from) * rowBytes);
      await read(from, to, stored);
      plain.unpack(stored, out);
    },
  };
}
