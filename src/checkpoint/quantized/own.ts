// Reads and lays out checkpoints of our own methods, whose config.json has quantization_config { quant_method: "mistral_q4" or
// "mistral_q8", version: 2, compute_dtype }. Quantised weights are stored with the bytes that they have in memory, so that they are
// read, or mapped, without conversion; the others are plain tensors. Does not know how files are written.

import { CheckpointError, InputError } from "../../errors.ts";
import { GROUP } from "../../formats/eight-rows-scales.ts";
import { q4r } from "../../formats/q4r.ts";
import { q6r } from "../../formats/q6r.ts";
import { q8 } from "../../formats/q8.ts";
import type { Parts, WeightFormat } from "../../formats/weight-format.ts";
import { bytesOf } from "../../formats/words.ts";
import { shown } from "../json-reader.ts";
import type { StoredWeight } from "../stored-weight.ts";
import type { PlannedTensor } from "../save-safetensors.ts";
import type { Checkpoint, TensorEntry } from "../weights.ts";
import { type Settings, SettingsReader } from "./packed-settings.ts";
import { placedWeight } from "./placed-parts.ts";
import type { QuantizedWeights } from "./quantized-weights.ts";

const VERSION = 2;
const formats: readonly WeightFormat[] = [q4r, q6r, q8];

/** The names of our methods in config.json. */
export const ownMethods: readonly string[] = ["mistral_q4", "mistral_q8"];

/** Whether our own methods quantise into that format. */
export const isOwnFormat = (format: WeightFormat): boolean => formats.includes(format);

/** `quantization_config` of config.json for a method "q4" or "q8". */
export function ownSettings(method: string, compute_dtype: string): Record<string, unknown> {
  return { quant_method: `mistral_${method}`, version: VERSION, compute_dtype };
}

/**
 * The tensors that store a weight X, a matrix [O, K] in one of the formats q4r, q6r and q8.
 *
 * | tensor       | dtype | shape         | content                                                                         |
 * | ------------ | ----- | ------------- | ------------------------------------------------------------------------------- |
 * | X            | U8    | [bytes]       | the format's first part: groups of 8 rows (formats/eight-rows.ts)               |
 * | X.q4r_scales | F32   | [8 · ⌈O/8⌉]   | the scale of each row, padding rows of the last group included; q4r, q6r only   |
 * | X.q4r_shape  | I32   | [2]           | O, K                                                                            |
 *
 * For q6r and q8 the names end in q6r_… and q8_….
 * @throws InputError another format, or no matrix
 */
export function ownLayout(
  name: string,
  format: WeightFormat,
  shape: readonly number[],
): PlannedTensor[] {
  if (!isOwnFormat(format) || shape.length !== 2) {
    throw new InputError(
      `saving ${name}: ${format.name} [${shape.join(", ")}]; our own checkpoints hold matrices in ${names}`,
    );
  }
  const [bytes, scales] = format.parts(shape[0], shape[1]);
  return [
    { name, dtype: "U8", shape: [bytes], bytes: ([placed]: Parts) => placed },
    ...(scales === undefined
      ? []
      : [
          {
            name: scalesName(name, format),
            dtype: "F32" as const,
            shape: [scales / 4],
            bytes: ([, placed]: Parts) => placed,
          },
        ]),
    {
      name: shapeName(name, format),
      dtype: "I32",
      shape: [2],
      bytes: () => bytesOf(Int32Array.from(shape)),
    },
  ];
}

const names = formats.map(({ name }) => name).join(", ");

const scalesName = (weight: string, { name }: WeightFormat): string => `${weight}.${name}_scales`;
const shapeName = (weight: string, { name }: WeightFormat): string => `${weight}.${name}_shape`;

/**
 * The quantised weights of a checkpoint of our own methods.
 * @throws CheckpointError another version; a shape whose weight is missing or has another size; two shapes of one weight
 */
export async function ownWeights(
  checkpoint: Checkpoint,
  settings: Settings,
): Promise<QuantizedWeights> {
  const reader = new SettingsReader(
    `${checkpoint.dir}: settings of ${String(settings.quant_method)}`,
    settings,
  );
  const version = reader.whole("version");
  if (version !== VERSION) throw reader.refuse("version", version, `${VERSION}`);
  const weights = new Map<string, StoredWeight>();
  const used = new Set<string>();
  for (const entry of checkpoint.tensors.values()) {
    const format = formats.find(({ name }) => entry.name.endsWith(`.${name}_shape`));
    if (format === undefined) continue;
    const name = entry.name.slice(0, entry.name.lastIndexOf("."));
    const where = `${checkpoint.dir}: ${shown(name)}`;
    if (weights.has(name)) {
      throw new CheckpointError(
        `${where} has two shapes; the file is damaged: quantise the model again`,
      );
    }
    const [rows, columns] = await readShape(checkpoint, where, entry);
    const [bytes, scales] = format.parts(rows, columns);
    const expected = `${format.name} [${rows}, ${columns}]`;
    const entries = [partOf(checkpoint, name, { dtype: "U8", bytes }, expected)];
    if (scales !== undefined) {
      const part = { dtype: "F32", bytes: scales };
      entries.push(partOf(checkpoint, scalesName(name, format), part, expected));
    }
    weights.set(name, placedOwn(checkpoint, entries, format, [rows, columns]));
    for (const tensor of [entry, ...entries]) used.add(tensor.name);
  }
  if (weights.size > 0) return { weights, used };
  throw new CheckpointError(
    `${checkpoint.dir}: config.json says ${String(settings.quant_method)}, but no tensor is called ${formats.map(({ name }) => `*.${name}_shape`).join(", ")}; ` +
      "are the weights and config.json of one checkpoint?",
  );
}

/** The tensor of that name. @throws CheckpointError it is missing, or has another dtype or size */
function partOf(
  checkpoint: Checkpoint,
  name: string,
  { dtype, bytes }: { dtype: string; bytes: number },
  expected: string,
): TensorEntry {
  const entry = checkpoint.tensors.get(name);
  if (entry !== undefined && entry.dtype === dtype && entry.bytes === bytes) return entry;
  const came =
    entry === undefined
      ? "is missing"
      : `is ${entry.dtype} [${entry.shape.join(", ")}], ${entry.bytes} bytes`;
  throw new CheckpointError(
    `${checkpoint.dir}: ${shown(name)} ${came}; expected ${dtype} of ${bytes} bytes for ${expected}; the file is damaged: quantise the model again`,
  );
}

async function readShape(
  checkpoint: Checkpoint,
  where: string,
  entry: TensorEntry,
): Promise<readonly [rows: number, columns: number]> {
  const sizes = new Int32Array(2);
  const isPair = entry.dtype === "I32" && entry.bytes === sizes.byteLength;
  if (isPair) await checkpoint.read(entry.name, bytesOf(sizes));
  const [rows, columns] = sizes;
  if (rows > 0 && columns > 0) return [rows, columns];
  const came = isPair ? `[${rows}, ${columns}]` : `${entry.dtype} [${entry.shape.join(", ")}]`;
  throw new CheckpointError(
    `${where}: its shape is ${came}, expected two numbers above 0 (I32); the file is damaged: quantise the model again`,
  );
}

function placedOwn(
  checkpoint: Checkpoint,
  entries: readonly TensorEntry[],
  format: WeightFormat,
  [rows, columns]: readonly [rows: number, columns: number],
): StoredWeight {
  return placedWeight(checkpoint, {
    ...{ name: entries[0].name, shape: [rows, columns], encoding: format.name, format },
    sources: entries.map((entry) => ({ entry })),
    // Cuts out the whole groups of 8 rows in which [from, to) lies.
    cut(from, to) {
      const first = Math.floor(from / GROUP) * GROUP;
      const last = Math.min(rows, Math.ceil(to / GROUP) * GROUP);
      const ends = format.parts(last, columns);
      return {
        ranges: format.parts(first, columns).map((begin, part) => [begin, ends[part]]),
        shape: { rows: last - first, columns },
        from: from - first,
        to: to - first,
      };
    },
  });
}
