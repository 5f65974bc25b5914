// BitsAndBytesConfig of Transformers 5.23: how weights are quantised to the formats of bitsandbytes while they are loaded. Fields may be
// assigned later; they are checked when the config is used. Knows no bytes and no kernels.

import { checkOptions, unknownName } from "../../did-you-mean.ts";
import { InputError } from "../../errors.ts";
import { pythonFloats } from "../../models/config.ts";
import { showValue } from "../../show-value.ts";
import { type ComputeDType, type Spelled, withoutTorch } from "../tensor/torch.ts";

type StorageDType = ComputeDType | "uint8" | "float64";

/** The fields of BitsAndBytesConfig; null and undefined mean a field's default. */
export type BitsAndBytesOptions = {
  /** Linear layers in 8 bits, by LLM.int8. Not together with `load_in_4bit`. Default false. */
  load_in_8bit?: boolean | null;
  /** Linear layers in 4 bits, in blocks of 64. Not together with `load_in_8bit`. Default false. */
  load_in_4bit?: boolean | null;
  /**
   * LLM.int8: a column of activations that reaches this magnitude is not rounded to 8 bits. 0: every column is. At least 0; default 6.
   */
  llm_int8_threshold?: number | null;
  /** Modules that are not quantised (4 bits too): names, beginnings or ends of names, or regular expressions. Null (the default): the head. */
  llm_int8_skip_modules?: string[] | null;
  /** Accepted, and changes nothing: there is one device here, and nothing is offloaded. Default false. */
  llm_int8_enable_fp32_cpu_offload?: boolean | null;
  /** Accepted, and changes nothing: it would keep 16-bit weights beside the 8-bit ones, for training. Default false. */
  llm_int8_has_fp16_weight?: boolean | null;
  /**
   * How products with 4-bit weights are computed. "float32": exact. "float16", "bfloat16": faster, with an error of that type's order.
   * "int8" (not in bitsandbytes): activations in 8 bits. "torch.float16" means "float16". Default "float32".
   */
  bnb_4bit_compute_dtype?: Spelled<ComputeDType> | null;
  /** "nf4" (steps of a normal distribution, as the page's example asks for) or "fp4" (4-bit floats). Default "fp4". */
  bnb_4bit_quant_type?: "nf4" | "fp4" | null;
  /** Quantises the scales too, which saves 0.4 bits a weight. Default false. */
  bnb_4bit_use_double_quant?: boolean | null;
  /** Accepted, and changes nothing: codes are bytes, whatever dtype a file gives them. Default "uint8". */
  bnb_4bit_quant_storage?: Spelled<StorageDType> | null;
};

type FieldName = keyof BitsAndBytesOptions;

/**
 * Quantisation by the methods of bitsandbytes: 4 bits (QLoRA's nf4, Dettmers et al. 2023, arXiv:2305.14314, or fp4), or LLM.int8
 * (Dettmers et al. 2022, arXiv:2208.07339). The bytes are those of bitsandbytes itself.
 * `BitsAndBytesOptions` describes the fields.
 *
 *     new BitsAndBytesConfig({ load_in_4bit: true, bnb_4bit_quant_type: "nf4", bnb_4bit_compute_dtype: "float16" })
 */
export class BitsAndBytesConfig {
  load_in_8bit = false;
  load_in_4bit = false;
  llm_int8_threshold = 6;
  llm_int8_skip_modules: string[] | null = null;
  llm_int8_enable_fp32_cpu_offload = false;
  llm_int8_has_fp16_weight = false;
  bnb_4bit_compute_dtype: ComputeDType = "float32";
  bnb_4bit_quant_type: "nf4" | "fp4" = "fp4";
  bnb_4bit_use_double_quant = false;
  bnb_4bit_quant_storage: StorageDType = "uint8";

  /** @throws InputError an unknown option, a value that the field cannot have, load_in_4bit and load_in_8bit at once */
  constructor(options: BitsAndBytesOptions = {}) {
    checkOptions("BitsAndBytesConfig", options, names);
    for (const [name, value] of Object.entries(options)) {
      if (value !== undefined && value !== null) Object.assign(this, { [name]: copied(value) });
    }
    Object.assign(this, {
      bnb_4bit_compute_dtype: withoutTorch(this.bnb_4bit_compute_dtype),
      bnb_4bit_quant_storage: withoutTorch(this.bnb_4bit_quant_storage),
    });
    checkBitsAndBytes("BitsAndBytesConfig", this);
  }

  /**
   * Makes a config from the result of to_dict(), or from `quantization_config` of a config.json.
   * @throws InputError as the constructor does; another quant_method
   */
  static from_dict(settings: Readonly<Record<string, unknown>>): BitsAndBytesConfig {
    const { quant_method = METHOD, _load_in_4bit, _load_in_8bit, ...options } = settings;
    if (quant_method !== METHOD) {
      throw new InputError(
        `BitsAndBytesConfig.from_dict: quant_method is ${JSON.stringify(quant_method)}, expected ${JSON.stringify(METHOD)}`,
      );
    }
    return new BitsAndBytesConfig({
      ...(_load_in_4bit !== undefined && { load_in_4bit: _load_in_4bit }),
      ...(_load_in_8bit !== undefined && { load_in_8bit: _load_in_8bit }),
      ...options,
    } as BitsAndBytesOptions);
  }

  /** "nf4", "fp4" or "llm_int8"; null if nothing is quantised. */
  quantization_method(): "nf4" | "fp4" | "llm_int8" | null {
    if (this.load_in_8bit) return "llm_int8";
    return this.load_in_4bit ? this.bnb_4bit_quant_type : null;
  }

  /** Every field as plain data, as config.json holds it. */
  to_dict(): Record<string, unknown> {
    const fields = new Map<string, unknown>(Object.entries(structuredClone({ ...this })));
    fields.set("_load_in_4bit", this.load_in_4bit);
    fields.set("_load_in_8bit", this.load_in_8bit);
    fields.set("quant_method", METHOD);
    return Object.fromEntries([...fields].toSorted(([a], [b]) => (a < b ? -1 : 1)));
  }

  /** to_dict() without the fields that have their default. */
  to_diff_dict(): Record<string, unknown> {
    const defaults = new BitsAndBytesConfig().to_dict();
    const differs = ([key, value]: [string, unknown]): boolean =>
      JSON.stringify(value) !== JSON.stringify(defaults[key]);
    return Object.fromEntries(Object.entries(this.to_dict()).filter(differs));
  }

  /** The fields as JSON: keys sorted, two spaces. @param use_diff whether to leave out fields that have their default */
  to_json_string(use_diff = true): string {
    const text = JSON.stringify(use_diff ? this.to_diff_dict() : this.to_dict(), undefined, 2);
    return `${pythonFloats(text)}\n`;
  }

  toJSON(): Record<string, unknown> {
    return this.to_dict();
  }
}

const METHOD = "bitsandbytes";

const computeDtypes = ["float32", "float16", "bfloat16", "int8"];
const storageDtypes = ["uint8", "int8", "float16", "bfloat16", "float32", "float64"];

type Check = (value: unknown) => string | undefined;

const flag: Check = (value) => (typeof value === "boolean" ? undefined : "true or false");

const oneOf =
  (kind: string, known: readonly string[]): Check =>
  (value) =>
    typeof value === "string" && known.includes(value)
      ? undefined
      : `${known.map((name) => JSON.stringify(name)).join(", ")} (${unknownName(kind, value, known)})`;

/** For each field a check: what the field must be, or undefined if the value is good. */
const checks: Readonly<Record<FieldName, Check>> = {
  load_in_8bit: flag,
  load_in_4bit: flag,
  llm_int8_threshold: (value) =>
    typeof value === "number" && value >= 0 && value < Infinity
      ? undefined
      : "a number that is not negative",
  llm_int8_skip_modules: (value) =>
    value === null || (Array.isArray(value) && value.every((name) => typeof name === "string"))
      ? undefined
      : "a list of module names",
  llm_int8_enable_fp32_cpu_offload: flag,
  llm_int8_has_fp16_weight: flag,
  bnb_4bit_compute_dtype: oneOf("dtype", computeDtypes),
  bnb_4bit_quant_type: oneOf("type", ["nf4", "fp4"]),
  bnb_4bit_use_double_quant: flag,
  bnb_4bit_quant_storage: oneOf("dtype", storageDtypes),
};

const names: ReadonlySet<string> = new Set(Object.keys(checks));

/** Checks all fields. @throws InputError a field has a value that it cannot have; load_in_4bit and load_in_8bit at once */
export function checkBitsAndBytes(where: string, config: BitsAndBytesConfig): void {
  for (const [name, check] of Object.entries(checks)) {
    const value = config[name as FieldName];
    const expected = check(value);
    if (expected !== undefined)
      throw new InputError(`${where}: ${name} is ${showValue(value)}, expected ${expected}`);
  }
  if (config.load_in_4bit && config.load_in_8bit) {
    throw new InputError(
      `${where}: load_in_4bit and load_in_8bit are both true, but only one can be used at the same time`,
    );
  }
}

function copied(value: unknown): unknown {
  return Array.isArray(value) ? [...(value as unknown[])] : value;
}
