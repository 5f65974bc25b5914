// What quantization_config and compute_dtype mean: the format of each kind of weight, and how products are computed.
// Knows the methods by name; no bytes.

import { checkOptions, unknownName } from "../did-you-mean.ts";
import { InputError } from "../errors.ts";
import type { Compute } from "../engine/kept-formats.ts";
import type { Quantisation } from "../engine/messages.ts";
import { BitsAndBytesConfig } from "./bits-and-bytes-config.ts";

/** Our own methods: 4 or 8 bits in blocks of 32, with kernels for the CPU. */
export type OwnQuantization = {
  /** "q4": linear layers in 4 bits, the head in 8; "q8": both in 8. Embeddings and norms stay as they are. */
  method: "q4" | "q8";
  /** "int8" (the default): activations of 8 bits; "float32": exact products, slower. */
  compute_dtype?: string;
  /** Modules that stay as they are, by the end of their name. */
  skip_modules?: readonly string[];
};

export type QuantizationConfig = BitsAndBytesConfig | OwnQuantization | true;

/** A config in the engine's words. */
export type QuantizationPlan = { readonly quantisation: Quantisation; readonly compute: Compute };

const computes: Readonly<Record<string, Compute>> = {
  float32: "float32",
  float16: "fixed16",
  bfloat16: "fixed16",
  int8: "int8",
};

/** The road of a compute dtype, with or without "torch.". @throws InputError an unknown one */
export function computeOf(where: string, dtype: unknown): Compute {
  const name = typeof dtype === "string" ? dtype.replace(/^torch\./, "") : dtype;
  if (typeof name === "string" && Object.hasOwn(computes, name)) return computes[name];
  const names = Object.keys(computes);
  throw new InputError(
    `${where}: ${unknownName("compute_dtype", dtype, names)} (known: ${names.join(", ")})`,
  );
}

let told = false;

/** @throws InputError a config that is none, an unknown method or option */
export function planQuantization(
  where: string,
  config: QuantizationConfig | null,
): QuantizationPlan | undefined {
  if (config === null) return undefined;
  if (config === true) {
    if (!told) {
      console.warn(
        `${where}: quantization_config: true is read as new BitsAndBytesConfig({ load_in_4bit: true, ` +
          `bnb_4bit_quant_type: "nf4", bnb_4bit_compute_dtype: "float16" })`,
      );
    }
    told = true;
    return planQuantization(
      where,
      new BitsAndBytesConfig({
        load_in_4bit: true,
        bnb_4bit_quant_type: "nf4",
        bnb_4bit_compute_dtype: "float16",
      }),
    );
  }
  if (config instanceof BitsAndBytesConfig) return ofBitsAndBytes(where, config);
  return ofOwn(where, config);
}

function ofBitsAndBytes(where: string, config: BitsAndBytesConfig): QuantizationPlan | undefined {
  const skip = config.llm_int8_skip_modules ?? ["lm_head"];
  if (config.load_in_4bit) {
    const { bnb_4bit_quant_type: type, bnb_4bit_use_double_quant: nested } = config;
    const linear = `${type}-64${nested ? "-dq" : ""}`;
    const compute = computeOf(where, config.bnb_4bit_compute_dtype);
    return { quantisation: { linear, head: linear, skip }, compute };
  }
  if (!config.load_in_8bit) return undefined;
  const linear = `int8-${config.llm_int8_threshold}`;
  return { quantisation: { linear, head: linear, skip }, compute: "float32" };
}

function ofOwn(where: string, config: OwnQuantization): QuantizationPlan {
  const at = `${where}: quantization_config`;
  if (typeof config !== "object") {
    throw new InputError(
      `${at}: got ${String(config)}; expected a BitsAndBytesConfig, true, or { method: "q4" }`,
    );
  }
  checkOptions(at, config, new Set(["method", "compute_dtype", "skip_modules"]));
  const { method, compute_dtype = "int8", skip_modules = [] } = config;
  if (method !== "q4" && method !== "q8") {
    throw new InputError(
      `${at}: ${unknownName("method", method, ["q4", "q8"])} (known: q4, q8, and new BitsAndBytesConfig({ … }))`,
    );
  }
  const compute = computeOf(at, compute_dtype);
  return { quantisation: { linear: method, head: "q8", skip: skip_modules }, compute };
}
