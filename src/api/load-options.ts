// The options of from_pretrained: which are known, which act, and which are refused with a reason.

import type { Quantisation } from "../engine/kept-formats.ts";
import { checkOptions, unknownName } from "../did-you-mean.ts";
import { InputError } from "../errors.ts";
import type { Compute } from "../engine/kept-formats.ts";
import type { LoadProgress } from "../engine/load.ts";
import { findFormat } from "../formats/format.ts";
import { GenerationConfig } from "../generate/generation-config.ts";
import type { CacheDType } from "../models/attend.ts";
import { MistralConfig } from "../models/config.ts";
import {
  computeOf,
  planQuantization,
  type QuantizationConfig,
  storedCompute,
} from "./quantization.ts";

export type LoadOptions = {
  /** How weights are kept: "auto" (as in the file, the default), "float32", "bfloat16", "float16". The CPU computes in float32. */
  dtype?: string;
  /** The older name of `dtype`. */
  torch_dtype?: string;
  /**
   * How weights are quantised while they are loaded: a BitsAndBytesConfig, `true` (4-bit nf4, as the page's example means), or
   * `{ method: "q4" }` and `{ method: "q8" }`, the fastest ones on a CPU. A checkpoint that is quantised already needs none.
   */
  quantization_config?: QuantizationConfig;
  /**
   * How products with quantised weights are computed: "float32" (exact), "float16" and "bfloat16" (16-bit fixed point, an error
   * of that type's order), "int8" (activations of 8 bits: fastest, least exact). Default: what quantization_config says.
   */
  compute_dtype?: string;
  /** The name of a GGUF file in the folder: config, tokenizer and weights come from it. */
  gguf_file?: string | null;
  /**
   * How keys and values are kept: "float32", "float16", "bfloat16" or "int8". Default: "float16" where products are computed with
   * activations of 8 bits (`compute_dtype: "int8"`, which "q4" and "q8" mean), whose error is far above its own; else "float32".
   */
  cacheDtype?: string;
  /**
   * Read the files of a quantised checkpoint instead of mapping them into memory (Linux with Node 26.1 or later). Mapped weights
   * are there at once, and the system can drop them; read ones always lie in large pages, mapped ones where the system keeps
   * the file so: else decoding is up to an eighth slower. Default false.
   */
  disable_mmap?: boolean;
  /** "auto" (the default), "cpu", or "reference": the plain loops in float64, slow and exact. */
  device_map?: string;
  /** The same as `device_map`. */
  device?: string;
  /** "flash_attention_2" and "sdpa" (the default): no matrix of probabilities; "eager": with it, for `output_attentions`. */
  attn_implementation?: string;
  /** In place of the folder's config.json. */
  config?: MistralConfig;
  /** In place of the folder's generation_config.json. */
  generation_config?: GenerationConfig;
  /** A folder within the folder. */
  subfolder?: string;
  /** The middle of the weights' file names. */
  variant?: string;
  /** Return `{ model, loading_info }`. */
  output_loading_info?: boolean;
  /** Worker threads that compute. Default: physical cores. */
  threads?: number;
  /** Bytes that weights, cache and scratch may take together. Default: what the machine has available. */
  memoryLimit?: number;
  /** Stops loading; the promise rejects with the signal's reason and nothing stays allocated. */
  signal?: AbortSignal;
  onProgress?: (progress: LoadProgress) => void;
};

/** Options of the reference that change nothing for a local folder of safetensors. */
const indifferent = [
  ...["cache_dir", "force_download", "local_files_only", "token", "revision", "use_safetensors"],
  ...["weights_only", "low_cpu_mem_usage", "trust_remote_code"],
];

/** Options of the reference that would change the result, and cannot yet. */
const refused: Readonly<Record<string, string>> = {
  max_memory: "use memoryLimit (bytes)",
  adapter_name: "adapters are not supported yet; merge the adapter into the checkpoint",
  state_dict: "load from a folder",
  key_mapping: "rename the tensors in the file",
  ignore_mismatched_sizes: "every tensor must have the shape that config.json asks for",
  offload_folder: "weights are kept in memory",
  tp_plan: "one machine runs the whole model",
};

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
    "gguf_file",
    "cacheDtype",
    "config",
    "generation_config",
  ],
  ...[
    "subfolder",
    "variant",
    "output_loading_info",
    "threads",
    "memoryLimit",
    "signal",
    "onProgress",
  ],
  ...indifferent,
  ...Object.keys(refused),
]);

const attentions: Readonly<Record<string, "flash" | "eager">> = {
  eager: "eager",
  sdpa: "flash",
  flash_attention_2: "flash",
  flash_attention_3: "flash",
  flash_attention_4: "flash",
};

const devices: Readonly<Record<string, "wasm" | "reference">> = {
  auto: "wasm",
  cpu: "wasm",
  reference: "reference",
};

const caches: Readonly<Record<string, CacheDType>> = {
  float32: "f32",
  float16: "f16",
  bfloat16: "bf16",
  int8: "int8",
};

export type Chosen = {
  /** A format's name for the weights, or "auto". */
  readonly dtype: string;
  readonly quantisation?: Quantisation;
  readonly compute?: Compute;
  readonly cacheDtype: CacheDType;
  readonly backend: "wasm" | "reference";
  readonly attention: "flash" | "eager";
};

/** Checks the options of from_pretrained. @throws InputError an unknown option or value, with the nearest known one */
export function checkLoadOptions(where: string, options: LoadOptions): void {
  checkOptions(where, options, known);
  for (const [name, reason] of Object.entries(refused)) {
    const value = (options as Record<string, unknown>)[name];
    if (value !== undefined && value !== null && value !== false) {
      throw new InputError(`${where}: ${name}: ${reason}`);
    }
  }
  const { config, generation_config, threads, memoryLimit } = options;
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
}

/** What the options choose, in the engine's words. @throws InputError a value that is not known */
export function choose(where: string, options: LoadOptions, config: MistralConfig): Chosen {
  const dtype = options.dtype ?? options.torch_dtype ?? "auto";
  const format = dtype === "auto" ? undefined : findFormat(dtype);
  if (dtype !== "auto" && format === undefined) {
    const names = ["auto", "float32", "bfloat16", "float16"];
    throw new InputError(
      `${where}: ${unknownName("dtype", dtype, names)} (known: ${names.join(", ")})`,
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
    ...(plan && { quantisation: plan.quantisation }),
    ...(compute && { compute }),
    cacheDtype: pick(where, "cacheDtype", options.cacheDtype ?? usualCache(compute), caches),
    backend: pick(where, "device", options.device ?? options.device_map ?? "auto", devices),
    attention: pick(where, "attn_implementation", attention, attentions),
  };
}

const usualCache = (compute?: Compute): string => (compute === "int8" ? "float16" : "float32");

function pick<T>(where: string, kind: string, name: unknown, from: Readonly<Record<string, T>>): T {
  if (typeof name === "string" && Object.hasOwn(from, name)) return from[name];
  const names = Object.keys(from);
  throw new InputError(`${where}: ${unknownName(kind, name, names)} (known: ${names.join(", ")})`);
}
