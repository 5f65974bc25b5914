// The layers of a packed 4-bit checkpoint as weights of format int4, from descriptions of how their codes, scales and zero points
// are read. In files eight codes share a word of 32 bits. Memory besides the weight's parts: one band of codes and one layer's scales.
// Does not know which method packed them.

import { CheckpointError } from "../../errors.ts";
import { groupsOf, int4Format, rowBytes } from "../../formats/int4.ts";
import { bytesOf } from "../../formats/words.ts";
import type { StoredWeight } from "../stored-weight.ts";
import type { Checkpoint, TensorEntry } from "../weights.ts";
import { regroupedAsQ4 } from "./packed-as-q4.ts";
import { PackedLayer } from "./packed-layer.ts";
import type { PackedMatrix } from "./packed-matrix.ts";
import type { QuantizedWeights } from "./quantized-weights.ts";

/**
 * Every packed layer of a checkpoint as a weight.
 * @param lastNames what the names of a packed layer's tensors end in, such as "qweight"
 * @param read checks a layer and says how to read it
 * @throws CheckpointError besides those of `read`: no layer is packed; one has a plain weight too, or a bias that is not zero
 */
export async function packedWeights(
  checkpoint: Checkpoint,
  method: string,
  lastNames: readonly string[],
  read: (layer: PackedLayer) => Promise<PackedMatrix>,
): Promise<QuantizedWeights> {
  const weights = new Map<string, StoredWeight>();
  const used = new Set<string>();
  for (const layer of await packedLayers(checkpoint, method, lastNames)) {
    const weight = storedInt4(layer, await read(layer));
    weights.set(weight.name, weight);
    for (const name of layer.tensors) used.add(name);
  }
  return { weights, used };
}

// Finds the packed layers. A bias of zeros belongs to its layer and is dropped: GPTQ's tools write one for layers without a bias.
async function packedLayers(
  checkpoint: Checkpoint,
  method: string,
  lastNames: readonly string[],
): Promise<PackedLayer[]> {
  const layers = new Map<string, Map<string, TensorEntry>>();
  for (const [name, entry] of checkpoint.tensors) {
    const dot = name.lastIndexOf(".");
    const last = name.slice(dot + 1);
    if (dot < 0 || !lastNames.includes(last)) continue;
    const layer = name.slice(0, dot);
    layers.set(layer, (layers.get(layer) ?? new Map<string, TensorEntry>()).set(last, entry));
  }
  if (layers.size === 0) {
    throw new CheckpointError(
      `${checkpoint.dir}: the settings say ${method}, but no tensor is called ${lastNames.map((last) => `*.${last}`).join(", ")}; ` +
        "are the weights and the settings of one checkpoint?",
    );
  }
  const found: PackedLayer[] = [];
  for (const [name, parts] of layers) {
    const bias = checkpoint.tensors.get(`${name}.bias`);
    if (bias !== undefined) parts.set("bias", bias);
    const layer = new PackedLayer(checkpoint, name, parts);
    if (checkpoint.tensors.has(`${name}.weight`)) {
      throw layer.error(
        "there are both packed and plain weights of this layer; remove one of them",
      );
    }
    if (bias !== undefined && (await checkpoint.readValues(bias.name)).some((b) => b !== 0)) {
      throw layer.error(
        "bias holds numbers that are not zero, but a linear layer of Mistral has no bias; is this a Mistral checkpoint?",
      );
    }
    found.push(layer);
  }
  return found;
}

/** The weight of a layer, which is read as `matrix` says. */
function storedInt4(layer: PackedLayer, matrix: PackedMatrix): StoredWeight {
  const { rows, columns, group, table } = matrix;
  const format = int4Format(group, table !== undefined);
  const groups = groupsOf(columns, group);

  return {
    name: `${layer.name}.weight`,
    shape: [rows, columns],
    encoding: matrix.encoding,
    format,
    bytes: layer.bytes,

    async fill([codes, scales, zeros, order], onBytes) {
      let read = 0;
      await matrix.readScales(new Float32Array(scales.buffer, scales.byteOffset, rows * groups));
      await matrix.readZeros(new Int16Array(zeros.buffer, zeros.byteOffset, rows * groups));
      if (table !== undefined) order.set(bytesOf(table));
      await matrix.readCodes(0, rows, codes, (bytes) => {
        read += bytes;
        onBytes(bytes);
      });
      onBytes(layer.bytes - read);
    },

    regrouped: regroupedAsQ4(matrix),

    async readRows(from, to, out) {
      const count = to - from;
      const scales = new Float32Array(rows * groups);
      const zeros = new Int16Array(rows * groups);
      const codes = new Uint8Array(count * rowBytes(columns));
      await matrix.readScales(scales);
      await matrix.readZeros(zeros);
      await matrix.readCodes(from, to, codes, () => {});
      const [begin, end] = [from * groups, to * groups];
      const parts = [
        codes,
        bytesOf(scales.subarray(begin, end)),
        bytesOf(zeros.subarray(begin, end)),
        ...(table === undefined ? [] : [bytesOf(table)]),
      ];
      format.unpack(parts, { rows: count, columns }, 0, count, out);
    },
  };
}
