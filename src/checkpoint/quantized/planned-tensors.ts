// The tensors in which a quantised weight is saved, whichever method its format belongs to. Does not know how files are written.

import { fourBitSettings } from "../../formats/four-bit.ts";
import type { WeightFormat } from "../../formats/weight-format.ts";
import type { PlannedTensor } from "../save-safetensors.ts";
import { isOwnFormat, ownLayout } from "./own.ts";
import { bitsandbytesLayout } from "./save-bitsandbytes.ts";

/** Whether there is a method that saves weights of that format. */
export const canBeSaved = (format: WeightFormat): boolean =>
  isOwnFormat(format) || fourBitSettings(format.name) !== undefined || format.family === "int8";

/**
 * @param name  the weight's name: "….weight"
 * @param dtype the model's dtype before quantisation, "float32", "bfloat16" or "float16": bitsandbytes notes it
 * @throws InputError a format of another method
 */
export function plannedTensors(
  name: string,
  format: WeightFormat,
  shape: readonly number[],
  dtype: string | undefined,
): PlannedTensor[] {
  return isOwnFormat(format)
    ? ownLayout(name, format, shape)
    : bitsandbytesLayout(name, format, shape, dtype);
}

/** Shapes, which are small, come last, so that the weights lie next to each other in the order in which they are read. */
export function shapesLast<T extends Pick<PlannedTensor, "name">>(tensors: readonly T[]): T[] {
  const isShape = ({ name }: T): boolean => name.endsWith("_shape");
  return [...tensors.filter((tensor) => !isShape(tensor)), ...tensors.filter(isShape)];
}
