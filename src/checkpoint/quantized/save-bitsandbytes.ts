// A quantised weight as the tensors in which bitsandbytes and Transformers save it: names, dtypes, shapes and bytes (the tables of
// bitsandbytes.ts). Does not know how files are written, nor which other weights a model has.

import { InputError } from "../../errors.ts";
import { fourBitValues } from "../../formats/four-bit-codes.ts";
import { NESTED_BLOCK } from "../../formats/four-bit-scales.ts";
import { type FourBitSettings, fourBitSettings } from "../../formats/four-bit.ts";
import { matrixShape, type Parts, type WeightFormat } from "../../formats/weight-format.ts";
import { bytesOf, floats32 } from "../../formats/words.ts";
import type { TensorToSave } from "../save-safetensors.ts";

/** A tensor whose name, dtype and shape are known before the weight is quantised. */
export type BitsandbytesTensor = Omit<TensorToSave, "data"> & {
  /** Its bytes, from the parts of the format. */
  bytes(parts: Parts): Uint8Array<ArrayBufferLike>;
};

/**
 * The tensors of a quantised weight, byte for byte as Transformers saves them.
 * @param name the weight's name: "….weight"
 * @param dtype the model's dtype before quantisation, "float32", "bfloat16" or "float16": quant_state of 4-bit weights says it
 * @throws InputError a format that bitsandbytes does not have
 */
export function bitsandbytesTensors(
  name: string,
  format: WeightFormat,
  shape: readonly number[],
  parts: Parts,
  dtype = "float32",
): TensorToSave[] {
  const settings = fourBitSettings(format.name);
  const state = settings && stateBytes(settings, shape, dtype, parts).length;
  return layout(name, format, shape, dtype, state).map(({ bytes, ...tensor }) => ({
    ...tensor,
    data: () => [bytes(parts)],
  }));
}

/**
 * The tensors of a weight that has not been quantised yet, so that a file's header can be written first. The length of quant_state,
 * JSON with a number that is not known yet, is that of the longest number, padded with spaces to a multiple of 64 bytes.
 * @throws InputError a format that bitsandbytes does not have
 */
export function bitsandbytesLayout(
  name: string,
  format: WeightFormat,
  shape: readonly number[],
  dtype = "float32",
): BitsandbytesTensor[] {
  const settings = fourBitSettings(format.name);
  const longest = settings && stateText(settings, shape, dtype, LONGEST).length;
  const state = longest && Math.ceil(longest / 64) * 64;
  return layout(name, format, shape, dtype, state);
}

function layout(
  name: string,
  format: WeightFormat,
  shape: readonly number[],
  dtype: string,
  stateLength: number | undefined,
): BitsandbytesTensor[] {
  const settings = fourBitSettings(format.name);
  if (settings !== undefined && stateLength !== undefined)
    return fourBitLayout(name, format, shape, settings, stateLength, (parts) =>
      padded(stateBytes(settings, shape, dtype, parts), stateLength),
    );
  if (format.family !== "int8")
    throw new InputError(
      `saving ${name}: bitsandbytes has no format ${format.name}; it has nf4, fp4 and int8`,
    );
  const layer = name.replace(/weight$/, "");
  return [
    { name, dtype: "I8", shape, bytes: ([codes]) => codes },
    { name: `${layer}SCB`, dtype: "F32", shape: [shape[0]], bytes: ([, scales]) => scales },
    { name: `${layer}weight_format`, dtype: "U8", shape: [], bytes: () => Uint8Array.of(0) },
  ];
}

function fourBitLayout(
  name: string,
  format: WeightFormat,
  shape: readonly number[],
  { type, nested }: FourBitSettings,
  stateLength: number,
  state: (parts: Parts) => Uint8Array,
): BitsandbytesTensor[] {
  const { rows, columns } = matrixShape(shape);
  const [codeBytes, scaleBytes, nestedBytes] = format.parts(rows, columns);
  const tensor = (
    ending: string,
    dtype: "F32" | "U8",
    sizes: readonly number[],
    bytes: BitsandbytesTensor["bytes"],
  ): BitsandbytesTensor => ({ name: name + ending, dtype, shape: sizes, bytes });

  const codes = tensor("", "U8", [codeBytes, 1], (parts) => parts[0]);
  const values = tensor(".quant_map", "F32", [16], () =>
    // bitsandbytes' table has 0 where ours has -0.
    bytesOf(fourBitValues[type].map((value) => value + 0)),
  );
  const quantState = tensor(`.quant_state.bitsandbytes__${type}`, "U8", [stateLength], state);
  if (!nested)
    return [
      codes,
      tensor(".absmax", "F32", [scaleBytes / 4], (parts) => parts[1]),
      values,
      quantState,
    ];
  return [
    codes,
    tensor(".absmax", "U8", [scaleBytes], (parts) => parts[1]),
    tensor(".nested_absmax", "F32", [nestedBytes / 4], (parts) => parts[2]),
    tensor(".nested_quant_map", "F32", [256], (parts) => parts[3].subarray(0, 1024)),
    ...[values, quantState],
  ];
}

/** A number of the longest text: the length of quant_state is planned with it. */
const LONGEST = -1.2345678901234567e-100;

function stateBytes(
  settings: FourBitSettings,
  shape: readonly number[],
  dtype: string,
  parts: Parts,
): Uint8Array {
  const offset = settings.nested ? floats32(parts[3])[256] : 0;
  return new TextEncoder().encode(stateText(settings, shape, dtype, offset));
}

function padded(text: Uint8Array, length: number): Uint8Array {
  const bytes = new Uint8Array(length).fill(0x20);
  bytes.set(text);
  return bytes;
}

/** quant_state as Python's json module writes it. */
function stateText(
  { type, block, nested }: FourBitSettings,
  shape: readonly number[],
  dtype: string,
  offset: number,
): string {
  const text = `"quant_type": "${type}", "blocksize": ${block}, "dtype": "${dtype}", "shape": [${shape.join(", ")}]`;
  if (!nested) return `{${text}}`;
  return `{${text}, "nested_blocksize": ${NESTED_BLOCK}, "nested_dtype": "float32", "nested_offset": ${pythonFloat(offset)}}`;
}

/** A number as Python writes it: 8189.0, 2.789887730614282e-06. */
function pythonFloat(value: number): string {
  const [digits, exponent] = value.toExponential().split("e");
  const power = Number(exponent);
  if (value !== 0 && (power < -4 || power >= 16)) {
    return `${digits}e${power < 0 ? "-" : "+"}${String(Math.abs(power)).padStart(2, "0")}`;
  }
  const text = String(value);
  return Number.isInteger(value) ? `${text}.0` : text;
}
