// The weights of a GGUF file under the names of Mistral's checkpoints, each in the file's own type, block by block as it is there.
// For architecture "llama" the converter interleaves the rows of q_proj and k_proj (permute in llama.cpp's convert_hf_to_gguf.py), and
// reading puts them back in order: interleaved-heads.ts.
// Does not know what the model does with a weight.

import { openFile } from "#platform";
import { CheckpointError } from "../errors.ts";
import { findFormat } from "../formats/format.ts";
import { GROUP } from "../formats/eight-rows-scales.ts";
import { q4, regroupQ4 } from "../formats/q4.ts";
import { q4k, regroupQ4K } from "../formats/q4k.ts";
import { q6k, regroupQ6K } from "../formats/q6k.ts";
import { q8, regroupQ8 } from "../formats/q8.ts";
import { type MatrixShape, matrixShape, type WeightFormat } from "../formats/weight-format.ts";
import { ggufArchitecture, ggufConfig } from "./gguf-config.ts";
import { type GgufHeader, type GgufTensor, readGgufHeader } from "./gguf-header.ts";
import { hasHeads, type ReadRows, rowsInOrder } from "./interleaved-heads.ts";
import { shown } from "./json-reader.ts";
import type { ByteSource } from "./safetensors.ts";
import type { StoredWeight, WeightSource } from "./stored-weight.ts";

/** About how many bytes are read at once: 4 MiB, which bounds the buffers. */
const PIECE = 1 << 22;

/** GGUF's names of the tensors outside the layers → the checkpoint's. */
const OUTSIDE: ReadonlyMap<string, string> = new Map([
  ["token_embd.weight", "model.embed_tokens.weight"],
  ["output_norm.weight", "model.norm.weight"],
  ["output.weight", "lm_head.weight"],
]);

/** The same within a layer: "blk.0.attn_q.weight" → "model.layers.0.self_attn.q_proj.weight". */
const IN_LAYER: ReadonlyMap<string, string> = new Map([
  ["attn_norm", "input_layernorm"],
  ["attn_q", "self_attn.q_proj"],
  ["attn_k", "self_attn.k_proj"],
  ["attn_v", "self_attn.v_proj"],
  ["attn_output", "self_attn.o_proj"],
  ["ffn_norm", "post_attention_layernorm"],
  ["ffn_gate", "mlp.gate_proj"],
  ["ffn_up", "mlp.up_proj"],
  ["ffn_down", "mlp.down_proj"],
]);

/**
 * Opens the weights of a GGUF file; close() closes it.
 * @throws CheckpointError the file is malformed, of another architecture, or has tensors that a Mistral layer does not have
 */
export async function openGgufWeights(path: string): Promise<WeightSource> {
  const file = await openFile(path);
  try {
    const weights = ggufWeights(await readGgufHeader(path, file), file);
    return {
      dir: path,
      weights,
      tensors: new Map(
        [...weights].map(([name, { shape, encoding: dtype }]) => {
          return [name, { name, dtype, shape, quantised: findFormat(dtype) === undefined }];
        }),
      ),
      close: () => file.close(),
    };
  } catch (error) {
    await file.close();
    throw error;
  }
}

/** The weights of an open file by their names in Mistral's checkpoints. @throws CheckpointError */
export function ggufWeights(
  header: GgufHeader,
  source: ByteSource,
): ReadonlyMap<string, StoredWeight> {
  const config = ggufConfig(header);
  const interleaved = ggufArchitecture(header) === "llama";
  const weights = new Map<string, StoredWeight>();
  for (const tensor of header.tensors.values()) {
    const name = nameOf(header.path, tensor.name);
    if (weights.has(name)) {
      throw new CheckpointError(
        `${header.path}: tensor ${shown(tensor.name)} stands for ${name}, and so does another tensor; the file is damaged or was made to deceive`,
      );
    }
    const headed = interleaved && /\.[qk]_proj\.weight$/.test(name);
    const headDim = headed ? (config.head_dim as number) : 0;
    weights.set(name, stored(name, tensor, { path: header.path, source }, headDim));
  }
  return weights;
}

function nameOf(path: string, name: string): string {
  const outside = OUTSIDE.get(name);
  if (outside !== undefined) return outside;
  const [, layer, part] = /^blk\.(0|[1-9]\d*)\.(.*)$/.exec(name) ?? [];
  if (layer === undefined) return name; // whoever loads the model reports it as unexpected
  const inLayer = part.endsWith(".weight")
    ? IN_LAYER.get(part.slice(0, -".weight".length))
    : undefined;
  if (inLayer !== undefined) return `model.layers.${layer}.${inLayer}.weight`;
  throw new CheckpointError(
    `${path}: tensor ${shown(name)} is part of a layer, but a Mistral layer has none of that kind; ` +
      "it is another model: only Mistral models run here",
  );
}

/** @param headDim rows of a head, if the file has the head's two halves interleaved; 0: rows are in order */
function stored(
  name: string,
  { type, format, shape, bytes, offset }: GgufTensor,
  { path, source }: { path: string; source: ByteSource },
  headDim: number,
): StoredWeight {
  const { rows, columns } = matrixShape(shape);
  const rowBytes = rows === 0 ? 0 : bytes / rows;
  const read: ReadRows = (from, to, target) =>
    source.readInto(target.subarray(0, (to - from) * rowBytes), offset + from * rowBytes);
  // Rows that are no whole number of heads contradict the config: the model refuses such a weight before it reads a row.
  const inHeads = hasHeads(rows, headDim);
  const readRows = inHeads ? rowsInOrder(read, headDim, rowBytes) : read;
  /** Row ranges of about PIECE bytes, each a whole number of heads and of groups of `group` rows. */
  const pieces = function* (group: number): Generator<[from: number, to: number]> {
    const unit = (inHeads ? headDim : 1) * group;
    const step = Math.max(1, Math.floor(PIECE / (unit * rowBytes))) * unit;
    for (let from = 0; from < rows; from += step) yield [from, Math.min(from + step, rows)];
  };
  const regroup = REGROUPED.get(type);
  const plain = findFormat(type);

  return {
    ...{ name, shape, bytes, format },
    encoding: type,
    file: inHeads ? undefined : { path, parts: [{ offset, bytes }] },
    ...(plain && { plain: { format: plain, read: readRows } }),

    async fill([target], onBytes) {
      for (const [from, to] of pieces(1)) {
        await readRows(from, to, target.subarray(from * rowBytes, to * rowBytes));
        onBytes((to - from) * rowBytes);
      }
    },

    regrouped: regroup && {
      format: regroup.format,
      async fill([target], onBytes) {
        const groupBytes = regroup.format.parts(GROUP, columns)[0];
        for (const [from, to] of pieces(GROUP)) {
          const blocks = new Uint8Array((to - from) * rowBytes);
          await readRows(from, to, blocks);
          const [begin, end] = [from, to].map((row) => Math.ceil(row / GROUP) * groupBytes);
          regroup.rows(blocks, target.subarray(begin, end), { rows: to - from, columns });
          onBytes(blocks.length);
        }
      },
    },

    async readRows(from, to, out) {
      const blocks = new Uint8Array((to - from) * rowBytes);
      await readRows(from, to, blocks);
      format.unpack([blocks], { rows: to - from, columns }, 0, to - from, out);
    },
  };
}

/** Types that can also be laid out in groups of 8 rows, with the same numbers, for products with int8 activations. */
const REGROUPED: ReadonlyMap<
  string,
  {
    format: WeightFormat;
    rows(rowMajor: Uint8Array, grouped: Uint8Array, shape: MatrixShape): void;
  }
> = new Map([
  ["Q4_0", { format: q4, rows: regroupQ4 }],
  ["Q8_0", { format: q8, rows: regroupQ8 }],
  ["Q4_K", { format: q4k, rows: regroupQ4K }],
  ["Q6_K", { format: q6k, rows: regroupQ6K }],
]);
