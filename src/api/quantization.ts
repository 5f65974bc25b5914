// What quantization_config and compute_dtype mean: the format of each kind of weight, and how products are computed.
// Knows the methods by name; no bytes.

import { ownMethods } from "../checkpoint/quantized/own.ts";
import { checkOptions, unknownName } from "../did-you-mean.ts";
import { InputError } from "../errors.ts";
import { type Compute, ownQuantisation, type Quantisation } from "../engine/kept-formats.ts";
import { checkSkippedModules } from "../engine/skipped-modules.ts";
import { fourBitName } from "../formats/four-bit.ts";
import type { FourBitType } from "../formats/four-bit-codes.ts";
import { int8Name } from "../formats/llm-int8.ts";
import {
  BitsAndBytesConfig,
  type BitsAndBytesOptions,
  checkBitsAndBytes,
} from "./bits-and-bytes-config.ts";

/** Our own methods: 4 or 8 bits, a scale for each 32 numbers of a row, with kernels for the CPU. */
export type OwnQuantization = {
  /**
   * "q4": linear layers in 4 bits, the head in 6 (with their scales 4.25 and 6.25 bits a weight); "q8": both in 8 (8.5).
   * Embeddings and norms stay as they are, but an embedding that is the head too is quantised with it.
   */
  method: "q4" | "q8";
  /** "int8" (the default): activations of 8 bits; "float32": exact products, slower. */
  compute_dtype?: string;
  /** Modules that stay as they are: names as in BitsAndBytesConfig's `llm_int8_skip_modules`. */
  skip_modules?: readonly string[];
};

/**
 * How weights are quantised while they are loaded. `true` is read as 4 bits, nf4, compute dtype float16; a plain object without
 * `method` as the options of BitsAndBytesConfig.
 */
export type QuantizationConfig = BitsAndBytesConfig | BitsAndBytesOptions | OwnQuantization | true;

/** A config in the engine's words. */
export type QuantizationPlan = { readonly quantisation: Quantisation; readonly compute: Compute };

/** Block size of Transformers' 4-bit layers. */
const BLOCK = 64;
/** What a model's last layer is called: Transformers keeps it when no names are given. */
const HEADS = ["lm_head", "score", "qa_outputs"];

const computes: Readonly<Record<string, Compute>> = {
  float32: "float32",
  float16: "fixed16",
  bfloat16: "fixed16",
  int8: "int8",
};

function roadOf(dtype: unknown): Compute | undefined {
  const name = typeof dtype === "string" ? dtype.replace(/^torch\./, "") : "";
  return Object.hasOwn(computes, name) ? computes[name] : undefined;
}

/** The road of a compute dtype, with or without "torch.". @throws InputError an unknown one */
export function computeOf(where: string, dtype: unknown): Compute {
  const road = roadOf(dtype);
  if (road !== undefined) return road;
  const names = Object.keys(computes);
  throw new InputError(
    `${where}: ${unknownName("compute_dtype", dtype, names)} (known: ${names.join(", ")})`,
  );
}

/**
 * The road that a quantised checkpoint asks for itself: bnb_4bit_compute_dtype of its config.json, in ours compute_dtype.
 * Undefined: it asks for none, or for one that is not known.
 * @param settings quantization_config of config.json
 */
export function storedCompute(settings: unknown): Compute | undefined {
  if (typeof settings !== "object" || settings === null) return undefined;
  const { quant_method, load_in_4bit, bnb_4bit_compute_dtype, compute_dtype } = settings as Record<
    string,
    unknown
  >;
  const method = quant_method ?? "bitsandbytes";
  const isOwn = ownMethods.some((own) => own === method);
  if (!isOwn && (method !== "bitsandbytes" || load_in_4bit !== true)) return undefined;
  return roadOf(isOwn ? compute_dtype : bnb_4bit_compute_dtype);
}

let told = false;

/**
 * @param tied the head is the embedding: our methods then quantise the one matrix that serves both
 * @throws InputError a config that is none, an unknown method or option, a setting that is not honoured
 */
export function planQuantization(
  where: string,
  config: QuantizationConfig | null,
  tied = false,
): QuantizationPlan | undefined {
  if (config === null) return undefined;
  if (config === true) return planOfTrue(where);
  const at = `${where}: quantization_config`;
  if (config instanceof BitsAndBytesConfig) return ofBitsAndBytes(at, config);
  if (typeof config !== "object" || Array.isArray(config)) {
    throw new InputError(
      `${at}: got ${JSON.stringify(config) ?? typeof config}; expected new BitsAndBytesConfig({ … }), { method: "q4" }, or true`,
    );
  }
  if ("method" in config) return ofOwn(at, config, tied);
  const made = ofBitsAndBytes(at, BitsAndBytesConfig.from_dict(config));
  if (made !== undefined) return made;
  throw new InputError(
    `${at}: ${JSON.stringify(config)} names no method; give { load_in_4bit: true }, { load_in_8bit: true }, { method: "q4" } or { method: "q8" }`,
  );
}

function planOfTrue(where: string): QuantizationPlan | undefined {
  const options = {
    load_in_4bit: true,
    bnb_4bit_quant_type: "nf4",
    bnb_4bit_compute_dtype: "float16",
  };
  if (!told) {
    console.warn(
      `${where}: quantization_config: true is read as new BitsAndBytesConfig({ load_in_4bit: true, ` +
        `bnb_4bit_quant_type: "nf4", bnb_4bit_compute_dtype: "float16" })`,
    );
  }
  told = true;
  return ofBitsAndBytes(where, new BitsAndBytesConfig(options));
}

function ofBitsAndBytes(where: string, config: BitsAndBytesConfig): QuantizationPlan | undefined {
  checkBitsAndBytes(where, config);
  if (config.llm_int8_has_fp16_weight) {
    throw new InputError(
      `${where}: llm_int8_has_fp16_weight: weights are kept in 8 bits only, there is no training with them; leave it out`,
    );
  }
  const skip = config.llm_int8_skip_modules ?? HEADS;
  checkSkippedModules(`${where}: llm_int8_skip_modules`, skip);
  if (config.load_in_4bit) {
    const linear = fourBitName({
      type: config.bnb_4bit_quant_type as FourBitType,
      block: BLOCK,
      nested: config.bnb_4bit_use_double_quant,
    });
    const compute = computeOf(where, config.bnb_4bit_compute_dtype);
    return { quantisation: { linear, head: linear, skip }, compute };
  }
  if (!config.load_in_8bit) return undefined;
  const linear = int8Name(config.llm_int8_threshold);
  return { quantisation: { linear, head: linear, skip }, compute: "float32" };
}

function ofOwn(at: string, config: OwnQuantization, tied: boolean): QuantizationPlan {
  checkOptions(at, config, new Set(["method", "compute_dtype", "skip_modules"]));
  const { method, compute_dtype = "int8", skip_modules = [] } = config;
  if (method !== "q4" && method !== "q8") {
    throw new InputError(
      `${at}: ${unknownName("method", method, ["q4", "q8"])} (known: q4, q8; for nf4, fp4 and LLM.int8 give new BitsAndBytesConfig({ … }))`,
    );
  }
  if (!Array.isArray(skip_modules) || !skip_modules.every((name) => typeof name === "string"))
    throw new InputError(`${at}: skip_modules: expected a list of module names`);
  checkSkippedModules(`${at}: skip_modules`, skip_modules);
  const compute = computeOf(at, compute_dtype);
  return { quantisation: ownQuantisation(method, tied, skip_modules), compute };
}
