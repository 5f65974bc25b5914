// The options of from_pretrained: which are known, what they choose, and which are refused with a reason.
// Does not know how a model is loaded.

import { checkOptions, unknownName } from "../../did-you-mean.ts";
import { InputError } from "../../errors.ts";
import type { Compute, Quantisation } from "../../engine/kept-formats.ts";
import type { LoadProgress } from "../../engine/load.ts";
import type { DownloadProgress } from "../../hub/meter.ts";
import { findFormat } from "../../formats/format.ts";
import { GenerationConfig } from "../../generate/generation-config.ts";
import type { CacheDType } from "../../models/attend.ts";
import { checkConfig } from "../../models/config-check.ts";
import { MistralConfig, type ProblemType } from "../../models/config.ts";
import { showValue } from "../../show-value.ts";
import { warnOnce } from "../../warn-once.ts";
import { backendOf, type Device, type DeviceMap } from "../device.ts";
import { placeOfOption } from "./misplaced-options.ts";
import {
  computeOf,
  planQuantization,
  type QuantizationConfig,
  storedCompute,
} from "../quantization/quantization.ts";
import { FILE_OPTIONS, PLACE_OPTIONS, type WeightFileOptions } from "../model-files.ts";
import {
  type ComputeDType,
  type Spelled,
  type WeightDType,
  withoutTorch,
} from "../tensor/torch.ts";

/** Fields of the config that `from_pretrained` takes as options: they replace those of config.json. */
export type ConfigOverrides = {
  /** How many labels a classifier has. Other than in the checkpoint: with `ignore_mismatched_sizes` the head is drawn anew. */
  num_labels?: number;
  /** The name of each label, from 0: `{ 0: "bad", 1: "good" }`. */
  id2label?: Record<number, string>;
  /** The number of each label's name. */
  label2id?: Record<string, number>;
  /** How a classifier of texts reads labels, and how its pipeline makes scores of logits. Default: the number of labels decides. */
  problem_type?: ProblemType | null;
  /** The token that pads batches; a classifier of texts takes the rightmost token that is not this one. */
  pad_token_id?: number | null;
};

type Attention = "sdpa" | "eager" | "flash_attention_2" | "flash_attention_3" | "flash_attention_4";

/** Options of `from_config`. `dtype` "auto" (the default) means the config's, else float32; `seed` decides all weights. */
export type NewModelOptions = {
  /**
   * How weights are kept: "auto" (the default: as in the file), "float32", "bfloat16" or "float16", also as `torch.float16` or
   * "torch.float16". The CPU computes in float32.
   */
  dtype?: "auto" | Spelled<WeightDType> | null;
  /** The older name of `dtype`; if both are given, `dtype` counts. */
  torch_dtype?: "auto" | Spelled<WeightDType> | null;
  /**
   * How weights are quantised while they are loaded: a BitsAndBytesConfig; `{ method: "q4" }` or `{ method: "q8" }`, the fastest on a
   * CPU; or `true`: 4-bit NF4 with float16 products, as the example on Transformers' Mistral page intends. A checkpoint that is
   * quantised already stays as it is. Default: none.
   */
  quantization_config?: QuantizationConfig;
  /**
   * How products with quantised weights are computed: "float32" (exact); "float16" or "bfloat16" (16-bit fixed point, with an error of
   * that type's order); "int8" (activations in 8 bits: fastest, least exact). Default: what `quantization_config` or the quantised
   * checkpoint says, else "float32".
   */
  compute_dtype?: Spelled<ComputeDType>;
  /**
   * How keys and values are kept: "float32", "float16", "bfloat16" or "int8". Default: "float16" if activations are rounded to 8 bits
   * (`compute_dtype: "int8"`, the default of "q4" and "q8"), since that error is far larger than float16's; else "float32".
   */
  cacheDtype?: Spelled<ComputeDType>;
  /**
   * What computes: "auto" (the default) and "cpu", or a GPU by any of its names ("cuda", "cuda:0", "mps", "webgpu"), for which the CPU
   * computes, with one warning, as long as no GPU can be used; "reference": plain loops in float64, slow and exact. All layers are on
   * one device: { "": "cpu" } is the same as "cpu".
   */
  device_map?: DeviceMap;
  /** One device, as in `device_map`, which it precedes. Default: that of `device_map`. */
  device?: Device | number;
  /**
   * "sdpa" (the default) and "flash_attention_2" to "flash_attention_4": one kernel, without a matrix of probabilities. "eager": computes
   * it, for `output_attentions`. Default: what config.json says, else "sdpa".
   */
  attn_implementation?: Attention;
  /** Replaces the folder's generation_config.json. */
  generation_config?: GenerationConfig;
  /** Decides the numbers of weights that are drawn because the checkpoint lacks them, as a new head's. Default 0. */
  seed?: number;
  /** How many worker threads compute, 1 to 64. Default: the number of physical cores. */
  threads?: number;
  /** The most bytes that weights, cache and scratch may take in total. Default: the machine's available memory. */
  memoryLimit?: number;
  /** Stops loading; the promise rejects with the signal's reason and nothing stays allocated. What was downloaded stays in the cache. */
  signal?: AbortSignal;
  /**
   * Called while files are fetched from the hub (then `progress` has `file`), and while weights are loaded (then it has `tensor`);
   * `loaded` of `total` bytes in both cases.
   */
  onProgress?: (progress: LoadProgress | DownloadProgress) => void;
};

/** Options that speak of a checkpoint, which a new model does not have. */
type CheckpointOptions = {
  /** Replaces the folder's config.json. */
  config?: MistralConfig;
  /**
   * Whether to read the files of a quantised checkpoint rather than map them into memory (which Linux with Node 26.1 or later can).
   * Mapped weights need no loading, and the system can drop them from memory. But decoding is up to an eighth slower if the system
   * keeps the file in small pages (4 KiB); weights that are read lie in large ones (2 MiB). Default false.
   */
  disable_mmap?: boolean;
  /**
   * Whether weights whose shapes differ from those that the config asks for are drawn anew, as those of a head with another number
   * of labels. Default false: such a checkpoint is refused.
   */
  ignore_mismatched_sizes?: boolean;
  /** Whether to return `{ model, loading_info }`. Default false. */
  output_loading_info?: boolean;
  /** Accepted, and changes nothing: weights are read from safetensors (or GGUF) only, and never unpickled. */
  use_safetensors?: boolean | null;
  /** Accepted, and changes nothing, of which the user is told: files that hold code (pickles) are never read. */
  weights_only?: boolean;
  /** Accepted, and changes nothing: loading takes little memory beside the weights themselves. */
  low_cpu_mem_usage?: boolean;
};

/**
 * The options of `from_pretrained`. Values with a fixed set are literal types; a `string` that a program reads from elsewhere needs a
 * cast, such as `dtype as LoadOptions["dtype"]`, and is checked when the model is loaded.
 */
export type LoadOptions = NewModelOptions & CheckpointOptions & ConfigOverrides & WeightFileOptions;

/** Options with which the result is an object. (An interface: TypeScript shows no text for an option that an intersection has twice.) */
export interface LoadOptionsWithInfo extends LoadOptions {
  output_loading_info: true;
}

/** Options of Transformers that change nothing here. */
const indifferent = ["use_safetensors", "low_cpu_mem_usage"];

/** Options of Transformers that have no effect here, and of which the user is told once. */
const withoutEffect: Readonly<Record<string, string>> = {
  weights_only: "files that hold code (pickles) are never read",
  trust_remote_code: "code that comes with a model is never run",
  tp_plan: "one machine runs the whole model",
  tp_size: "one machine runs the whole model",
  offload_folder: "weights are kept in memory",
  offload_state_dict: "weights are kept in memory",
  offload_buffers: "weights are kept in memory",
};

const overrideNames: readonly (keyof ConfigOverrides)[] = [
  ...(["num_labels", "id2label", "label2id", "problem_type", "pad_token_id"] as const),
];

/** The given fields of the config. @throws InputError the whole config is given too */
export function overridesOf(where: string, options: LoadOptions): ConfigOverrides {
  const given = overrideNames.filter((name) => options[name] !== undefined);
  if (given.length > 0 && options.config !== undefined) {
    throw new InputError(`${where}: ${given[0]} came beside config; set it in that config`);
  }
  return Object.fromEntries(given.map((name) => [name, options[name]]));
}

const known: ReadonlySet<string> = new Set([
  ...[
    "dtype",
    "torch_dtype",
    "device_map",
    "device",
    "attn_implementation",
    "quantization_config",
    "compute_dtype",
    "disable_mmap",
    "cacheDtype",
    "config",
    "generation_config",
    "ignore_mismatched_sizes",
    "seed",
  ],
  ...overrideNames,
  ...["variant", "output_loading_info", "threads", "memoryLimit"],
  ...PLACE_OPTIONS,
  ...indifferent,
  ...Object.keys(withoutEffect),
]);

const fileOptions: readonly (keyof LoadOptions)[] = [
  ...overrideNames,
  ...(["config", "variant", "disable_mmap"] as const),
  ...(["output_loading_info", "ignore_mismatched_sizes"] as const),
];
const knownOfNew: ReadonlySet<string> = known.difference(
  new Set<string>([...fileOptions, ...FILE_OPTIONS]),
);

const flags = ["disable_mmap", "ignore_mismatched_sizes", "output_loading_info"] as const;

const attentions: Readonly<Record<Attention, "flash" | "eager">> = {
  eager: "eager",
  sdpa: "flash",
  flash_attention_2: "flash",
  flash_attention_3: "flash",
  flash_attention_4: "flash",
};

const caches: Readonly<Record<ComputeDType, CacheDType>> = {
  float32: "f32",
  float16: "f16",
  bfloat16: "bf16",
  int8: "int8",
};

/** The engine's settings that follow from the options. */
export type Chosen = {
  /** The name of the weights' format, or "auto". */
  readonly dtype: string;
  readonly quantisation?: Quantisation;
  readonly compute?: Compute;
  readonly cacheDtype: CacheDType;
  readonly backend: "wasm" | "reference";
  readonly attention: "flash" | "eager";
  /** `quantization_config` of a saved checkpoint, if weights are quantised while they are loaded. */
  readonly settings?: Record<string, unknown>;
};

/**
 * Checks the options of from_pretrained as far as that needs no file, so that a wrong one is refused before anything is looked for.
 * @throws InputError an unknown option or value, with the nearest known one
 */
export function checkLoadOptions(where: string, options: LoadOptions): void {
  for (const [name, value] of Object.entries(options as Record<string, unknown>)) {
    const isOff = value === undefined || value === null || value === false;
    if (known.has(name)) {
      if (!isOff && Object.hasOwn(withoutEffect, name))
        warnOnce(`${where}: ${name} has no effect: ${withoutEffect[name]}`);
      continue;
    }
    const place = placeOfOption(name, value);
    if (place === undefined)
      throw new InputError(`${where}: ${unknownName("option", name, known)}`);
    if (!isOff) throw new InputError(`${where}: ${name}: ${place}`);
  }
  const { config, generation_config, threads, memoryLimit, seed } = options;
  if (seed !== undefined && !(Number.isSafeInteger(seed) && seed >= 0)) {
    throw new InputError(`${where}: seed: ${seed}: expected an integer from 0 to 2^53 − 1`);
  }
  if (config !== undefined && !(config instanceof MistralConfig)) {
    throw new InputError(
      `${where}: config: expected a MistralConfig, such as new MistralConfig({ … })`,
    );
  }
  if (generation_config !== undefined && !(generation_config instanceof GenerationConfig)) {
    throw new InputError(
      `${where}: generation_config: expected a GenerationConfig, such as new GenerationConfig({ … })`,
    );
  }
  if (threads !== undefined && !(Number.isInteger(threads) && threads >= 1 && threads <= 64)) {
    throw new InputError(`${where}: threads: ${threads}: expected an integer from 1 to 64`);
  }
  if (memoryLimit !== undefined && !(memoryLimit > 0)) {
    throw new InputError(`${where}: memoryLimit: ${memoryLimit}: expected a number of bytes`);
  }
  for (const name of flags) {
    const value: unknown = options[name] ?? false;
    if (typeof value !== "boolean") {
      throw new InputError(`${where}: ${name}: ${showValue(value)}: expected true or false`);
    }
  }
  if (typeof (options.variant ?? "") !== "string") {
    throw new InputError(
      `${where}: variant: ${showValue(options.variant)}: expected the middle of a file's name, such as "fp16"`,
    );
  }
  // Labels depend on nothing else of the config; the padding token does, on the vocabulary's size.
  const { pad_token_id: _, ...labels } = overridesOf(where, options);
  checkConfig(new MistralConfig(labels));
  choose(where, options);
}

/** Checks what from_config got. @throws InputError no config, an unknown option or value */
export function checkNewModelOptions(
  where: string,
  config: unknown,
  options: NewModelOptions,
): void {
  if (!(config instanceof MistralConfig)) {
    throw new InputError(
      `${where}: expected a MistralConfig, such as new MistralConfig({ … }) or what AutoConfig.from_pretrained returns`,
    );
  }
  checkOptions(where, options, knownOfNew);
  checkLoadOptions(where, options);
}

/**
 * Translates the options into settings of the engine.
 * @param config the model's, which decides where the options are silent. Default: that of no model, to check the options alone
 * @throws InputError a value that is not known
 */
export function choose(
  where: string,
  options: LoadOptions,
  config: MistralConfig = new MistralConfig(),
): Chosen {
  const dtype = options.dtype ?? options.torch_dtype ?? "auto";
  const format = dtype === "auto" ? undefined : findFormat(dtype);
  if (dtype !== "auto" && format === undefined) {
    const names = ["auto", "float32", "bfloat16", "float16"];
    throw new InputError(
      `${where}: ${unknownName("dtype", dtype, names)} (known: ${names.join(", ")})${dtypeHint(dtype)}`,
    );
  }
  const asked = options.quantization_config ?? null;
  const plan = planQuantization(where, asked, config.tie_word_embeddings);
  const compute =
    options.compute_dtype === undefined
      ? (plan?.compute ?? storedCompute(config.to_dict().quantization_config))
      : computeOf(where, options.compute_dtype);
  const attention = options.attn_implementation ?? config.attn_implementation ?? "sdpa";
  return {
    dtype: format?.name ?? "auto",
    ...(plan && { quantisation: plan.quantisation, settings: plan.settings }),
    ...(compute && { compute }),
    cacheDtype: pick(
      where,
      "cacheDtype",
      withoutTorch(options.cacheDtype ?? usualCache(compute)),
      caches,
    ),
    backend: backendOf(where, options.device ?? options.device_map ?? "auto"),
    attention: pick(where, "attn_implementation", attention, attentions),
  };
}

/** What other libraries' names of dtypes are called here. */
const otherNames: Readonly<Record<string, string>> = {
  ...{ fp16: "float16", half: "float16", fp32: "float32", float: "float32" },
};

function dtypeHint(dtype: unknown): string {
  if (typeof dtype !== "string") return '; write its name, such as "float16" or torch.float16';
  const name = dtype.toLowerCase();
  if (Object.hasOwn(otherNames, name)) return `; write ${JSON.stringify(otherNames[name])}`;
  return /^(q\d|int|uint|nf4|fp4|fp8|float8|\d+-?bit)/.test(name)
    ? '; to quantise the weights, write quantization_config: { method: "q4" } or new BitsAndBytesConfig({ … })'
    : "";
}

const usualCache = (compute?: Compute): ComputeDType =>
  compute === "int8" ? "float16" : "float32";

function pick<T>(where: string, kind: string, name: unknown, from: Readonly<Record<string, T>>): T {
  if (typeof name === "string" && Object.hasOwn(from, name)) return from[name];
  const names = Object.keys(from);
  throw new InputError(`${where}: ${unknownName(kind, name, names)} (known: ${names.join(", ")})`);
}
