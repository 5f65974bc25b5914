// What `quantization_config` and `compute_dtype` mean: the format of each kind of weight, and the compute path of products.
// Knows methods by their names; no bytes.

import { ownMethods, ownSettings } from "../../checkpoint/quantized/own.ts";
import { checkOptions, unknownName } from "../../did-you-mean.ts";
import { InputError } from "../../errors.ts";
import { type Compute, ownQuantisation, type Quantisation } from "../../engine/kept-formats.ts";
import { checkSkippedModules } from "../../engine/skipped-modules.ts";
import { fourBitName } from "../../formats/four-bit.ts";
import { int8Name } from "../../formats/llm-int8.ts";
import { warnOnce } from "../../warn-once.ts";
import {
  BitsAndBytesConfig,
  type BitsAndBytesOptions,
  checkBitsAndBytes,
} from "./bits-and-bytes-config.ts";
import { type ComputeDType, type Spelled, withoutTorch } from "../tensor/torch.ts";

/** Our own methods: 4 or 8 bits, with a scale for each 32 numbers of a row; made for the CPU's kernels. */
export type OwnQuantization = {
  /**
   * "q4": linear layers in 4 bits, the head in 6 bits (4.25 and 6.25 bits a weight, scales included). "q8": both in 8 bits (8.5).
   * Embeddings and norms are not quantised; an embedding that is tied to the head is quantised as the head.
   */
  method: "q4" | "q8";
  /** "int8" (the default): activations in 8 bits. "float32": exact products, slower. */
  compute_dtype?: Spelled<ComputeDType>;
  /** Modules that are not quantised, named as in `llm_int8_skip_modules` of BitsAndBytesConfig. Default: none. */
  skip_modules?: readonly string[];
};

/**
 * How weights are quantised while they are loaded. `true` means 4-bit NF4 with compute dtype float16. A plain object without `method`
 * has the options of BitsAndBytesConfig.
 */
export type QuantizationConfig = BitsAndBytesConfig | BitsAndBytesOptions | OwnQuantization | true;

/** A quantization_config as settings of the engine. */
export type QuantizationPlan = {
  readonly quantisation: Quantisation;
  readonly compute: Compute;
  /** What a saved checkpoint says of it: `quantization_config` of its config.json. */
  readonly settings: Record<string, unknown>;
};

/** The block size of 4-bit layers in Transformers. */
const BLOCK = 64;
/** Names that a model's head may have. As in Transformers it is not quantised unless `llm_int8_skip_modules` says otherwise. */
const HEADS = ["lm_head", "score", "qa_outputs"];

const computes: Readonly<Record<ComputeDType, Compute>> = {
  float32: "float32",
  float16: "fixed16",
  bfloat16: "fixed16",
  int8: "int8",
};

function computePathOf(dtype: unknown): Compute | undefined {
  const name = String(withoutTorch(dtype));
  return Object.hasOwn(computes, name) ? computes[name as ComputeDType] : undefined;
}

/** The compute path of a `compute_dtype`, with or without "torch.". @throws InputError an unknown one */
export function computeOf(where: string, dtype: unknown): Compute {
  const path = computePathOf(dtype);
  if (path !== undefined) return path;
  const names = Object.keys(computes);
  throw new InputError(
    `${where}: ${unknownName("compute_dtype", dtype, names)} (known: ${names.join(", ")})`,
  );
}

/**
 * The compute path that a quantised checkpoint asks for: bnb_4bit_compute_dtype of bitsandbytes' methods, compute_dtype of our own.
 * Undefined: it asks for none, or for one that is not known.
 * @param settings `quantization_config` of its config.json
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
  return computePathOf(isOwn ? compute_dtype : bnb_4bit_compute_dtype);
}

/**
 * What a `quantization_config` means for the engine; undefined: nothing is quantised.
 * @param tied whether the head is tied to the embedding: our methods then quantise the one matrix that is both
 * @throws InputError no config, an unknown method or option, a setting that is not supported
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
    const method = ownMethodLike(config);
    if (method !== undefined) {
      throw new InputError(`${at}: got ${JSON.stringify(config)}; write { method: "${method}" }`);
    }
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
  const options: BitsAndBytesOptions = {
    load_in_4bit: true,
    bnb_4bit_quant_type: "nf4",
    bnb_4bit_compute_dtype: "float16",
  };
  warnOnce(
    `${where}: quantization_config: true is read as new BitsAndBytesConfig({ load_in_4bit: true, ` +
      `bnb_4bit_quant_type: "nf4", bnb_4bit_compute_dtype: "float16" })`,
  );
  return ofBitsAndBytes(where, new BitsAndBytesConfig(options));
}

function ofBitsAndBytes(where: string, config: BitsAndBytesConfig): QuantizationPlan | undefined {
  checkBitsAndBytes(where, config);
  if (config.llm_int8_has_fp16_weight) {
    warnOnce(
      `${where}: llm_int8_has_fp16_weight has no effect: it keeps 16-bit weights for training beside those that are computed with`,
    );
  }
  const skip = config.llm_int8_skip_modules ?? HEADS;
  checkSkippedModules(`${where}: llm_int8_skip_modules`, skip);
  if (config.load_in_4bit) {
    const linear = fourBitName({
      type: config.bnb_4bit_quant_type,
      block: BLOCK,
      nested: config.bnb_4bit_use_double_quant,
    });
    const compute = computeOf(where, config.bnb_4bit_compute_dtype);
    return { quantisation: { linear, head: linear, skip }, compute, settings: config.to_dict() };
  }
  if (!config.load_in_8bit) return undefined;
  const linear = int8Name(config.llm_int8_threshold);
  const quantisation = { linear, head: linear, skip };
  return { quantisation, compute: "float32", settings: config.to_dict() };
}

/** Our method for another library's name that speaks of 4 or 8 bits, such as "int4" or "4bit"; undefined for any other, as "nf4". */
function ownMethodLike(name: unknown): "q4" | "q8" | undefined {
  const bits = typeof name === "string" ? /(?<!nf|fp)[48]/.exec(name)?.[0] : undefined;
  return bits === undefined ? undefined : `q${bits as "4" | "8"}`;
}

function ofOwn(at: string, config: OwnQuantization, tied: boolean): QuantizationPlan {
  checkOptions(at, config, new Set(["method", "compute_dtype", "skip_modules"]));
  const { method, compute_dtype = "int8", skip_modules = [] } = config;
  if (method !== "q4" && method !== "q8") {
    const meant = ownMethodLike(method);
    const unknown =
      meant === undefined
        ? unknownName("method", method, ["q4", "q8"])
        : `unknown method ${JSON.stringify(method)}; did you mean "${meant}"?`;
    throw new InputError(
      `${at}: ${unknown} (known: q4, q8; for nf4, fp4 and LLM.int8 give new BitsAndBytesConfig({ … }))`,
    );
  }
  if (!Array.isArray(skip_modules) || !skip_modules.every((name) => typeof name === "string"))
    throw new InputError(`${at}: skip_modules: expected a list of module names`);
  checkSkippedModules(`${at}: skip_modules`, skip_modules);
  const compute = computeOf(at, compute_dtype);
  const quantisation = ownQuantisation(method, tied, skip_modules);
  return { quantisation, compute, settings: ownSettings(method, withoutTorch(compute_dtype)) };
}
