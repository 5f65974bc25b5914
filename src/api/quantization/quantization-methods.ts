// The quantisation methods under one name each, as the command and `quantize` take them. Does not know formats.

import { unknownName } from "../../did-you-mean.ts";
import { InputError } from "../../errors.ts";
import { BitsAndBytesConfig } from "./bits-and-bytes-config.ts";
import type { OwnQuantization } from "./quantization.ts";

/** "nf4", "fp4" and "int8" are methods of bitsandbytes ("-dq": double quantisation, of the scales too); "q4" and "q8" are our own. */
export const quantizationMethods = ["nf4", "nf4-dq", "fp4", "fp4-dq", "int8", "q4", "q8"] as const;

export type QuantizationMethod = (typeof quantizationMethods)[number];

/** The `quantization_config` of a method. @throws InputError an unknown method, with the nearest known one */
export function methodConfig(where: string, method: unknown): BitsAndBytesConfig | OwnQuantization {
  const known = quantizationMethods.find((name) => name === method);
  if (known === undefined) {
    const names = quantizationMethods.join(", ");
    throw new InputError(
      `${where}: ${unknownName("method", method, quantizationMethods)} (known: ${names})`,
    );
  }
  if (known === "q4" || known === "q8") return { method: known };
  if (known === "int8") return new BitsAndBytesConfig({ load_in_8bit: true });
  return new BitsAndBytesConfig({
    load_in_4bit: true,
    bnb_4bit_quant_type: known.startsWith("nf4") ? "nf4" : "fp4",
    bnb_4bit_use_double_quant: known.endsWith("-dq"),
  });
}

/**
 * The method by which a checkpoint is quantised, and how products are computed unless something else is asked for. Undefined: it is not
 * quantised.
 * @param settings `quantization_config` of its config.json
 */
export function storedMethod(
  settings: unknown,
): { readonly method: string; readonly compute_dtype: string } | undefined {
  if (typeof settings !== "object" || settings === null) return undefined;
  const s = settings as Readonly<Record<string, unknown>>;
  const name = typeof s.quant_method === "string" ? s.quant_method : "quantised";
  const compute = s.compute_dtype ?? s.bnb_4bit_compute_dtype;
  const compute_dtype = typeof compute === "string" ? compute : "float32";
  if (name !== "bitsandbytes") return { method: name.replace(/^mistral_/, ""), compute_dtype };
  if (s.load_in_4bit !== true) return { method: "int8", compute_dtype: "int8" };
  const double = s.bnb_4bit_use_double_quant === true ? "-dq" : "";
  return { method: `${String(s.bnb_4bit_quant_type)}${double}`, compute_dtype };
}

/** The compute_dtype of a method when weights are quantised while they are loaded, unless something else is asked for. */
export function defaultCompute(method: string): string {
  return ["q4", "q8", "int8"].includes(method) ? "int8" : "float32";
}
