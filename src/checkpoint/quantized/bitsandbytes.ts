// Reads checkpoints that bitsandbytes quantised, as Transformers writes them: 4 bits (nf4, fp4), and 8 bits (LLM.int8). Checks all
// but the scales themselves before a weight is read. Does not know which weights a model needs.

import { CheckpointError } from "../../errors.ts";
import { type FourBitType, fourBitValues } from "../../formats/four-bit-codes.ts";
import { NESTED_BLOCK } from "../../formats/four-bit-scales.ts";
import { fourBitFormat, fourBitName } from "../../formats/four-bit.ts";
import { int8Format, int8Name } from "../../formats/llm-int8.ts";
import { bytesOf, floats32 } from "../../formats/words.ts";
import { shown } from "../json-reader.ts";
import type { StoredWeight } from "../stored-weight.ts";
import type { Checkpoint, TensorEntry } from "../weights.ts";
import { type Settings, SettingsReader } from "./packed-settings.ts";
import { type PartSource, type PlacedParts, placedWeight } from "./placed-parts.ts";
import { MAX_QUANT_STATE_BYTES, type QuantState, readQuantState } from "./quant-state.ts";
import type { QuantizedWeights } from "./quantized-weights.ts";

/**
 * The quantised weights of a bitsandbytes checkpoint.
 * @param settings `quantization_config` of config.json
 * @throws CheckpointError settings that are not read; a part that is missing, or has another dtype or shape than quant_state says;
 *   a quant_state that is malformed; a table of values that differs from the type's own
 */
export async function bitsandbytesWeights(
  checkpoint: Checkpoint,
  settings: Settings,
): Promise<QuantizedWeights> {
  const reader = new SettingsReader(`${checkpoint.dir}: settings of bitsandbytes`, settings);
  const eight = reader.flag("load_in_8bit", "_load_in_8bit") ?? false;
  const four = reader.flag("load_in_4bit", "_load_in_4bit") ?? false;
  if (four === eight)
    throw reader.refuse("load_in_4bit", four, "one of load_in_4bit and load_in_8bit to be true");
  if (eight)
    reader.only("llm_int8_has_fp16_weight", [false], "int8 weights that are kept in float16");
  const threshold = reader.value("llm_int8_threshold") ?? 6;
  if (!(typeof threshold === "number" && threshold >= 0 && threshold < Infinity))
    throw reader.refuse("llm_int8_threshold", threshold, "a number that is not negative");

  const weights = new Map<string, StoredWeight>();
  const used = new Set<string>();
  const names = four ? fourBitLayers(checkpoint) : int8Layers(checkpoint);
  const layers = [...names].map((name) => new Layer(checkpoint, name));
  // All layers are opened concurrently: each reads a few small tensors, and waiting for one read after the other would take longer
  // than everything that is done with them.
  const read = four ? fourBitWeight : (layer: Layer) => int8Weight(layer, threshold);
  for (const weight of await Promise.all(layers.map(read))) weights.set(weight.name, weight);
  for (const layer of layers) for (const name of layer.used) used.add(name);
  if (weights.size > 0) return { weights, used };
  throw new CheckpointError(
    `${checkpoint.dir}: config.json says ${four ? "load_in_4bit" : "load_in_8bit"}, but no tensor is called ` +
      `${four ? "*.quant_state.bitsandbytes__nf4 or __fp4" : "*.SCB"}; are the weights and config.json of one checkpoint?`,
  );
}

/** Names of the weights that have any tensor of the 4-bit kind beside them. */
function fourBitLayers({ tensors }: Checkpoint): Set<string> {
  const parts =
    /^(.+)\.(absmax|quant_map|nested_absmax|nested_quant_map|quant_state\.bitsandbytes__.+)$/;
  return namesOf(tensors, (name) => parts.exec(name)?.[1]);
}

/** Names of the weights that are integers, or have any tensor of the LLM.int8 kind beside them. */
function int8Layers({ tensors }: Checkpoint): Set<string> {
  return namesOf(tensors, (name, { dtype }) => {
    const layer = /^(.+)\.(SCB|weight_format)$/.exec(name)?.[1];
    if (layer !== undefined) return `${layer}.weight`;
    return name.endsWith(".weight") && dtype === "I8" ? name : undefined;
  });
}

function namesOf(
  tensors: Checkpoint["tensors"],
  weightOf: (name: string, entry: TensorEntry) => string | undefined,
): Set<string> {
  const names = [...tensors].map(([name, entry]) => weightOf(name, entry));
  return new Set(names.filter((name) => name !== undefined));
}

/** One weight: finds the tensors that belong to it, by their names. */
class Layer {
  readonly #checkpoint: Checkpoint;
  readonly #used = new Set<string>();
  /** The weight's name. */
  readonly name: string;

  constructor(checkpoint: Checkpoint, name: string) {
    this.#checkpoint = checkpoint;
    this.name = name;
  }

  /** Names of the tensors found so far. */
  get used(): ReadonlySet<string> {
    return this.#used;
  }

  get where(): string {
    return `${this.#checkpoint.dir}: ${shown(this.name)}`;
  }

  /** What follows `begin` in the names of the tensors that begin with it. */
  endings(begin: string): string[] {
    const names = [...this.#checkpoint.tensors.keys()].filter((name) => name.startsWith(begin));
    return names.map((name) => name.slice(begin.length));
  }

  /** A tensor that may be missing. */
  find(name: string): TensorEntry | undefined {
    const entry = this.#checkpoint.tensors.get(name);
    if (entry !== undefined) this.#used.add(name);
    return entry;
  }

  /** A tensor that must exist. @throws CheckpointError it is missing */
  need(name: string): TensorEntry {
    const entry = this.find(name);
    if (entry !== undefined) return entry;
    throw this.error(
      `the tensor ${shown(name)} is missing; the checkpoint is incomplete: fetch all of it again`,
    );
  }

  /** A tensor that must exist, in one of these dtypes and with that many bytes. @throws CheckpointError */
  needBytes(name: string, dtypes: readonly string[], bytes: number, why: string): TensorEntry {
    const entry = this.need(name);
    if (dtypes.includes(entry.dtype) && entry.bytes === bytes) return entry;
    throw this.error(
      `${shown(name)} is ${entry.dtype} [${entry.shape.join(", ")}], ${entry.bytes} bytes; expected ${dtypes.join(" or ")} of ${bytes} bytes ${why}; ` +
        "the file is damaged, or its parts are not of one checkpoint: fetch all of it again",
    );
  }

  async read(entry: TensorEntry): Promise<Uint8Array<ArrayBuffer>> {
    const bytes = new Uint8Array(entry.bytes);
    await this.#checkpoint.read(entry.name, bytes);
    return bytes;
  }

  stored(placed: Omit<PlacedParts, "name">): StoredWeight {
    return placedWeight(this.#checkpoint, { name: this.name, ...placed });
  }

  error(message: string): CheckpointError {
    return new CheckpointError(`${this.where}: ${message}`);
  }
}

/**
 * Checks the tensors of a 4-bit weight X [O, K], whose numbers are cut into N blocks. `absmax` is the largest magnitude of a block, its
 * scale. With double quantisation the scales themselves are codes, in M blocks of 256.
 *
 * | tensor                          | dtype | shape        | content                                              |
 * | ------------------------------- | ----- | ------------ | ---------------------------------------------------- |
 * | X                               | U8 ¹  | [⌈OK/2⌉, 1]  | codes, two in a byte, the first one in the high half |
 * | X.absmax                        | F32   | [N]          | scales; with double quantisation U8, their codes     |
 * | X.quant_map                     | F32   | [16]         | the value of each code                               |
 * | X.quant_state.bitsandbytes__nf4 | U8    | [length]     | settings, JSON as bytes (or …__fp4)                  |
 * | X.nested_absmax                 | F32   | [M]          | double quantisation: the scales of the scales        |
 * | X.nested_quant_map              | F32   | [256]        | double quantisation: the value of each scale's code  |
 *
 * ¹ or another dtype over the same bytes (bnb_4bit_quant_storage)
 */
async function fourBitWeight(layer: Layer): Promise<StoredWeight> {
  const { name } = layer;
  const { type, block, shape, offset } = await quantState(layer);
  const nested = offset !== undefined;
  const format = fourBitFormat(fourBitName({ type, block, nested }));
  if (format === undefined) throw layer.error(`blocks of ${block} are not read`);
  const [rows, columns] = shape;
  const why = `for ${type}, [${shape.join(", ")}] in blocks of ${block}`;
  const [codeBytes, scaleBytes, nestedBytes = 0] = format.parts(rows, columns);

  const codes = layer.needBytes(name, STORAGE, codeBytes, why);
  const scales = layer.needBytes(`${name}.absmax`, nested ? ["U8"] : ["F32"], scaleBytes, why);
  await checkValues(layer, type);
  const sources: PartSource[] = [{ entry: codes }, { entry: scales, scales: !nested }];
  if (nested) {
    const outer = layer.needBytes(`${name}.nested_absmax`, ["F32"], nestedBytes, why);
    sources.push({ entry: outer, scales: true }, { known: await nestedTail(layer, offset) });
  }

  return layer.stored({
    ...{ shape, encoding: type, format, sources },
    // Rows may begin within a block. So the cut begins with the block (with double quantisation, the block of scales) before them.
    cut(from, to) {
      const [begin, end] = [from * columns, to * columns];
      const unit = nested ? block * NESTED_BLOCK : block;
      const origin = Math.floor(begin / unit) * unit;
      const sizes = format.parts(end - origin, 1);
      const starts = format.parts(origin, 1);
      return {
        ranges: sizes.map((size, i) => (i === TAIL ? [0, size] : [starts[i], starts[i] + size])),
        shape: { rows: end - origin, columns: 1 },
        from: begin - origin,
        to: end - origin,
      };
    },
  });
}

/** Index of the part (scale values and offset) that is the same for all rows: a cut takes it whole. */
const TAIL = 3;
/** Dtypes that the tensor of codes may have (bnb_4bit_quant_storage); the bytes are the same. */
const STORAGE = ["U8", "I8", "F16", "BF16", "F32"];

async function quantState(layer: Layer): Promise<QuantState> {
  const begin = `${layer.name}.quant_state.`;
  const endings = layer.endings(begin);
  if (endings.length !== 1) {
    throw layer.error(
      `${endings.length === 0 ? "the tensor *.quant_state.bitsandbytes__nf4 or __fp4 is missing" : `there are ${endings.length} quant_states: ${endings.map(shown).join(", ")}`}; ` +
        "expected one; the file is damaged, or was written by an old version of bitsandbytes: quantise the model again",
    );
  }
  const entry = layer.need(begin + endings[0]);
  if (entry.dtype !== "U8" || entry.bytes > MAX_QUANT_STATE_BYTES) {
    throw layer.error(
      `quant_state is ${entry.dtype} of ${entry.bytes} bytes, expected U8 of at most ${MAX_QUANT_STATE_BYTES}; the file is damaged: fetch it again, or quantise the model again`,
    );
  }
  return readQuantState(layer.where, endings[0], await layer.read(entry));
}

/** @throws CheckpointError quant_map holds other values than bitsandbytes computes with */
async function checkValues(layer: Layer, type: FourBitType): Promise<void> {
  const entry = layer.needBytes(
    `${layer.name}.quant_map`,
    ["F32"],
    64,
    `for the values of ${type}`,
  );
  const values = floats32(await layer.read(entry));
  const expected = fourBitValues[type];
  const bad = values.findIndex((value, i) => !(Math.abs(value - expected[i]) <= 1e-6));
  if (bad < 0) return;
  throw layer.error(
    `quant_map gives code ${bad} the value ${values[bad]}, but ${type} gives it ${expected[bad]}; other tables are not read`,
  );
}

/** The last part of a format with double quantisation: the 256 values of scale codes, then the offset. */
async function nestedTail(layer: Layer, offset: number): Promise<Uint8Array> {
  const name = `${layer.name}.nested_quant_map`;
  const entry = layer.needBytes(name, ["F32"], 1024, "for 256 values of scales");
  const map = floats32(await layer.read(entry));
  const bad = map.findIndex((value) => !Number.isFinite(value));
  if (bad >= 0)
    throw layer.error(
      `nested_quant_map holds ${map[bad]} at place ${bad}, expected numbers; the file is damaged: fetch it again, or quantise the model again`,
    );
  return bytesOf(Float32Array.of(...map, offset));
}

/**
 * Checks the tensors of an LLM.int8 weight, L.weight.
 *
 * | tensor          | dtype | shape  | content                                                        |
 * | --------------- | ----- | ------ | -------------------------------------------------------------- |
 * | L.weight        | I8    | [O, K] | integers                                                       |
 * | L.SCB           | F32   | [O]    | the largest magnitude of each row; weight = integer · SCB / 127 |
 * | L.weight_format | U8    | []     | 0: the integers lie row by row                                 |
 */
async function int8Weight(layer: Layer, threshold: number): Promise<StoredWeight> {
  const entry = layer.need(layer.name);
  const [rows, columns] = entry.shape;
  if (entry.dtype !== "I8" || entry.shape.length !== 2) {
    throw layer.error(
      `its dtype is ${entry.dtype} [${entry.shape.join(", ")}], expected I8 [outputs, inputs] beside an SCB; the file is damaged: fetch it again, or quantise the model again`,
    );
  }
  const begin = layer.name.replace(/weight$/, "");
  const scales = layer.needBytes(`${begin}SCB`, ["F32"], rows * 4, `for ${rows} rows`);
  const order = layer.find(`${begin}weight_format`);
  if (order !== undefined && (await layer.read(order)).some((byte) => byte !== 0)) {
    throw layer.error(
      "weight_format is not 0: the integers lie in the order of a GPU's kernel, which is not read; save the model again with a newer bitsandbytes",
    );
  }
  const format = int8Format(int8Name(threshold));
  if (format === undefined) throw layer.error(`llm_int8_threshold ${threshold} is not read`);
  return layer.stored({
    ...{ shape: [rows, columns], encoding: "int8", format },
    sources: [{ entry }, { entry: scales, scales: true }],
    cut: (from, to) => ({
      ranges: [
        [from * columns, to * columns],
        [from * 4, to * 4],
      ],
      shape: { rows: to - from, columns },
      from: 0,
      to: to - from,
    }),
  });
}
