// Reads quant_state of a 4-bit weight of bitsandbytes: JSON in the bytes of a tensor, whose name ends in the type. Checks what it
// says, not whether the weight's tensors agree with it.

import { CheckpointError } from "../../errors.ts";
import type { FourBitType } from "../../formats/four-bit-codes.ts";
import { NESTED_BLOCK } from "../../formats/four-bit-scales.ts";
import { FOUR_BIT_BLOCKS } from "../../formats/four-bit.ts";
import { SettingsReader } from "./packed-settings.ts";

export type QuantState = {
  readonly type: FourBitType;
  readonly block: number;
  readonly shape: readonly number[];
  /** Double quantisation: the mean that was subtracted from the scales before they were quantised. Undefined: scales are f32. */
  readonly offset: number | undefined;
};

/** The largest quant_state that is read, in bytes. Real ones have a few hundred. */
export const MAX_QUANT_STATE_BYTES = 65536;

/**
 * Reads a quant_state.
 * @param where what every message begins with
 * @param suffix what the tensor's name ends in: "bitsandbytes__nf4"
 * @throws CheckpointError no JSON, a field that is missing or impossible
 */
export function readQuantState(where: string, suffix: string, bytes: Uint8Array): QuantState {
  const state = new SettingsReader(`${where}: quant_state`, parse(where, bytes));
  const type = state.value("quant_type");
  if (type !== "nf4" && type !== "fp4") throw state.refuse("quant_type", type, '"nf4" or "fp4"');
  if (suffix !== `bitsandbytes__${type}`)
    throw state.refuse("quant_type", type, `the one that its tensor is named after (${suffix})`);
  const block = state.whole("blocksize");
  if (block === undefined || !FOUR_BIT_BLOCKS.includes(block))
    throw state.refuse("blocksize", block, `one of ${FOUR_BIT_BLOCKS.join(", ")}`);
  return { type, block, shape: shapeOf(state), offset: offsetOf(state) };
}

function parse(where: string, bytes: Uint8Array): Record<string, unknown> {
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
  } catch (cause) {
    throw new CheckpointError(
      `${where}: quant_state is no JSON text; the file is damaged: fetch it again, or quantise the model again`,
      { cause },
    );
  }
  if (typeof value === "object" && value !== null && !Array.isArray(value))
    return value as Record<string, unknown>;
  throw new CheckpointError(
    `${where}: quant_state is no JSON object; the file is damaged: fetch it again, or quantise the model again`,
  );
}

function shapeOf(state: SettingsReader): readonly number[] {
  const shape = state.value("shape");
  const sizes: unknown[] = Array.isArray(shape) ? shape : [];
  const isSize = (size: unknown): size is number => Number.isSafeInteger(size) && Number(size) > 0;
  const count = sizes.reduce<number>((product, size) => product * Number(size), 1);
  if (sizes.length === 2 && sizes.every(isSize) && Number.isSafeInteger(count)) return sizes;
  throw state.refuse("shape", shape, "[outputs, inputs]");
}

function offsetOf(state: SettingsReader): number | undefined {
  const offset = state.value("nested_offset");
  const block = state.whole("nested_blocksize");
  if (offset === undefined && block === undefined) return undefined;
  if (block !== NESTED_BLOCK) throw state.refuse("nested_blocksize", block, `${NESTED_BLOCK}`);
  const dtype = state.value("nested_dtype") ?? "float32";
  if (dtype !== "float32") throw state.refuse("nested_dtype", dtype, '"float32"');
  // The offset is a mean of magnitudes, so it is not negative.
  if (typeof offset === "number" && offset >= 0 && Math.fround(offset) < Infinity)
    return Math.fround(offset);
  throw state.refuse("nested_offset", offset, "a number that is not negative");
}
