// Weights that no file holds, drawn as Transformers 5.23 initialises a model: matrices from a normal distribution with the standard
// deviation initializer_range, the padding token's row of the embedding 0, norms 1, biases 0. A weight depends on the seed, its name and
// its shape alone, so that a new head is the same on any body. Knows no backend.

import type { StoredWeight, TableEntry, WeightSource } from "../checkpoint/stored-weight.ts";
import type { NumberFormat } from "../formats/number-format.ts";
import { plainFormat } from "../formats/plain.ts";
import { matrixShape } from "../formats/weight-format.ts";
import { philox } from "../generate/sampler.ts";
import type { MistralConfig } from "../models/config.ts";
import { drawFrom, normalQuantiles } from "./normal-numbers.ts";

/** Numbers that are drawn from one state of the generator: where a range of rows begins, at most so many are drawn in vain. */
const BLOCK = 4096;
/** How many numbers are made at once: 4 Mi. */
const PIECE = 1 << 22;

export type Draw = {
  readonly seed: number;
  readonly config: Pick<MistralConfig, "initializer_range" | "pad_token_id">;
  /** How the numbers are kept, as if a file had them so. */
  readonly format: NumberFormat;
};

/**
 * The source with new weights in place of what it has under these names.
 * @param names each new weight's shape
 */
export function withNewWeights(
  source: WeightSource,
  names: ReadonlyMap<string, readonly number[]>,
  draw: Draw,
): WeightSource {
  const weights = new Map(source.weights);
  const tensors = new Map<string, TableEntry>(source.tensors);
  for (const [name, shape] of names) {
    weights.set(name, newWeight(name, shape, draw));
    tensors.set(name, { name, dtype: draw.format.safetensors, shape });
  }
  return { ...source, weights, tensors };
}

/** A source that holds nothing, for a model whose weights are all new. */
export const nothing: WeightSource = {
  dir: "from_config",
  weights: new Map(),
  tensors: new Map(),
  close: async () => {},
};

function newWeight(name: string, shape: readonly number[], draw: Draw): StoredWeight {
  const { format } = draw;
  const { rows, columns } = matrixShape(shape);
  const numbers = numbersOf(name, columns, shape.length === 1, draw);
  return {
    ...{ name, shape, encoding: format.safetensors, format: plainFormat(format) },
    bytes: format.bytes(rows * columns),

    async fill([target], onBytes) {
      const step = Math.max(1, Math.floor(PIECE / columns));
      const values = new Float32Array(Math.min(step, rows) * columns);
      for (let from = 0; from < rows; from += step) {
        const to = Math.min(from + step, rows);
        const piece = values.subarray(0, (to - from) * columns);
        numbers(from, to, piece);
        const [begin, end] = [format.bytes(from * columns), format.bytes(to * columns)];
        format.pack(piece, target.subarray(begin, end));
        onBytes(end - begin);
      }
    },

    readRows: async (from, to, out) => numbers(from, to, out),
  };
}

/** Writes rows [from, to) of a new weight. */
type Numbers = (from: number, to: number, out: Float32Array) => void;

function numbersOf(
  name: string,
  columns: number,
  isVector: boolean,
  { seed, config: { initializer_range, pad_token_id } }: Draw,
): Numbers {
  if (name.endsWith(".bias")) return (_from, _to, out) => out.fill(0);
  if (isVector) return (_from, _to, out) => out.fill(1);
  const normal = normalNumbers(name, seed, initializer_range || 0.02); // Transformers reads 0 as 0.02
  return (from, to, out) => {
    normal(from * columns, out.subarray(0, (to - from) * columns));
    const isEmbedding = name.endsWith("embed_tokens.weight");
    if (!isEmbedding || pad_token_id === null || pad_token_id < from || pad_token_id >= to) return;
    out.fill(0, (pad_token_id - from) * columns, (pad_token_id - from + 1) * columns);
  };
}

function normalNumbers(
  name: string,
  seed: number,
  deviation: number,
): (from: number, out: Float32Array) => void {
  const table = new Uint32Array(normalQuantiles().map((x) => x * deviation).buffer);
  const block = new Uint32Array(BLOCK);
  const drawn = new Float32Array(block.buffer);
  const key = [seed >>> 0, Math.floor(seed / 2 ** 32) ^ hashOf(name)] as const;
  return (from, out) => {
    for (let done = 0; done < out.length;) {
      const [index, skip] = [Math.floor((from + done) / BLOCK), (from + done) % BLOCK];
      const [state] = philox([index % 2 ** 32, Math.floor(index / 2 ** 32), 0, 0], key);
      drawFrom(block, table, state | 1);
      const count = Math.min(BLOCK - skip, out.length - done);
      out.set(drawn.subarray(skip, skip + count), done);
      done += count;
    }
  };
}

/** FNV-1a (Fowler, Noll and Vo): a 32-bit number from a name. */
function hashOf(name: string): number {
  let hash = 0x811c9dc5;
  for (const byte of new TextEncoder().encode(name)) hash = Math.imul(hash ^ byte, 0x01000193);
  return hash >>> 0;
}
