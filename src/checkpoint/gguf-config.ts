// Makes the fields of config.json from a GGUF file's metadata. Two architectures are known: "llama" (under which llama.cpp writes
// every Mistral) and "mistral". Metadata that a Mistral model cannot follow (experts, widths that differ between layers, rotary
// angles for a part of a head) is an error: nothing is ignored. Does not know the tensors' bytes.

import { CheckpointError } from "../errors.ts";
import type { GgufHeader } from "./gguf-header.ts";
import type { GgufValue } from "./gguf-value.ts";
import { shown } from "./json-reader.ts";

/** The fields of config.json. @throws CheckpointError another architecture; a value that is missing or impossible */
export function ggufConfig(header: GgufHeader): Record<string, unknown> {
  const { path, tensors } = header;
  const of = new Keys(header, ggufArchitecture(header));
  const parts = header.metadata.get("split.count") ?? 1;
  if (parts !== 1 && parts !== 0) {
    throw new CheckpointError(
      `${path}: the file is one of ${display(parts)} parts of a model (split.count); put them together with llama.cpp's gguf-split --merge`,
    );
  }
  if (of.integer("expert_count", 0) > 0) {
    throw new CheckpointError(
      `${path}: expert_count is ${of.integer("expert_count", 0)}: a mixture of experts (Mixtral) is another model; only Mistral models run here`,
    );
  }
  if (tensors.has("rope_freqs.weight")) {
    throw new CheckpointError(
      `${path}: the tensor rope_freqs.weight scales rotary frequencies one by one, as Llama 3 does; a Mistral model has none`,
    );
  }
  const hidden = of.integer("embedding_length");
  const heads = of.integer("attention.head_count");
  return {
    model_type: "mistral",
    architectures: ["MistralForCausalLM"],
    vocab_size: vocabSize(of, header),
    hidden_size: hidden,
    intermediate_size: of.integer("feed_forward_length"),
    num_hidden_layers: of.integer("block_count"),
    num_attention_heads: heads,
    num_key_value_heads: of.integer("attention.head_count_kv", heads),
    head_dim: headDim(of, Math.floor(hidden / heads)),
    max_position_embeddings: of.integer("context_length"),
    rms_norm_eps: of.number("attention.layer_norm_rms_epsilon"),
    rope_parameters: ropeParameters(of),
    // llama.cpp writes 0 for a model without a window
    sliding_window: of.integer("attention.sliding_window", 0) || null,
    tie_word_embeddings: tensors.size > 0 && !tensors.has("output.weight"),
    ...ggufTokenIds(header),
  };
}

/**
 * Fields of generation_config.json: the ids of bos, eos and padding. Where the metadata has none, they are those of a config that does
 * not name them, as in Transformers 5.23: 1, 2 and none.
 */
export function ggufTokenIds({ path, metadata }: GgufHeader): Record<string, number | null> {
  const ids: Record<string, number | null> = {};
  for (const [key, field, unnamed] of [
    ["bos", "bos_token_id", 1],
    ["eos", "eos_token_id", 2],
    ["padding", "pad_token_id", null],
  ] as const) {
    const name = `tokenizer.ggml.${key}_token_id`;
    const value = metadata.get(name) ?? unnamed;
    if (value !== null && !isCount(value)) throw wrong(path, name, value, "a token id");
    ids[field] = value;
  }
  return ids;
}

/** "llama" or "mistral". @throws CheckpointError any other */
export function ggufArchitecture({ path, metadata }: GgufHeader): "llama" | "mistral" {
  const name = metadata.get("general.architecture");
  if (name === "llama" || name === "mistral") return name;
  throw new CheckpointError(
    `${path}: general.architecture is ${display(name)}, expected "llama" or "mistral"; only Mistral models run here`,
  );
}

/** Reads the metadata keys that begin with the architecture's name, such as "llama.block_count". */
class Keys {
  readonly #header: GgufHeader;
  readonly #prefix: string;

  constructor(header: GgufHeader, architecture: string) {
    this.#header = header;
    this.#prefix = `${architecture}.`;
  }

  get(key: string): GgufValue | undefined {
    return this.#header.metadata.get(this.#prefix + key);
  }

  /** A whole number, 0 or more. A list (one value a layer) counts as one number if all its values are equal. */
  integer(key: string, otherwise?: number): number {
    const value = this.get(key) ?? otherwise;
    const list = typeof value === "object" ? Array.from<GgufValue>(value) : [value];
    if (list.length > 1 && list.some((item) => item !== list[0])) {
      throw this.wrong(key, "the same in every layer");
    }
    const number = typeof list[0] === "bigint" ? Number(list[0]) : list[0];
    if (isCount(number)) return number;
    throw this.wrong(key, "a whole number of 0 or more");
  }

  number(key: string, otherwise?: number): number {
    const value = this.get(key) ?? otherwise;
    if (typeof value === "number" && Number.isFinite(value)) return value;
    throw this.wrong(key, "a number");
  }

  wrong(key: string, expected: string): CheckpointError {
    return wrong(this.#header.path, this.#prefix + key, this.get(key), expected);
  }
}

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}

function wrong(
  path: string,
  key: string,
  value: GgufValue | undefined,
  expected: string,
): CheckpointError {
  return new CheckpointError(
    `${path}: ${key} is ${display(value)}, expected ${expected}; fetch another conversion of this model`,
  );
}

function display(value: GgufValue | undefined): string {
  if (typeof value === "string") return shown(value);
  if (typeof value === "object") return `a list of ${value.length}`;
  return value === undefined ? "missing" : String(value);
}

function vocabSize(of: Keys, { path, metadata, tensors }: GgufHeader): number {
  const embedding = tensors.get("token_embd.weight")?.shape;
  const tokens = metadata.get("tokenizer.ggml.tokens");
  const count = Array.isArray(tokens) ? tokens.length : undefined;
  const size = of.integer("vocab_size", embedding?.at(0) ?? count);
  if (embedding === undefined || embedding[0] === size) return size;
  throw new CheckpointError(
    `${path}: vocab_size is ${size}, but token_embd.weight has shape [${embedding.join(", ")}]; fetch another conversion of this model`,
  );
}

function headDim(of: Keys, quotient: number): number {
  const rotated = of.integer("rope.dimension_count", of.integer("attention.key_length", quotient));
  const key = of.integer("attention.key_length", rotated);
  if (rotated !== key) {
    throw of.wrong("rope.dimension_count", `${key}, a head's size: all of it is rotated`);
  }
  if (of.integer("attention.value_length", key) !== key) {
    throw of.wrong("attention.value_length", `${key}, as for keys`);
  }
  return key;
}

function ropeParameters(of: Keys): Record<string, unknown> {
  const rope_theta = of.number("rope.freq_base", 10000);
  // Older files have no keys rope.scaling.*, only a factor of linear scaling.
  const linear = of.number("rope.scale_linear", 1);
  const type = of.get("rope.scaling.type") ?? (linear === 1 ? "none" : "linear");
  if (type === "none") return { rope_type: "default", rope_theta };
  const factor = of.number("rope.scaling.factor", linear);
  if (type === "linear") return { rope_type: "linear", rope_theta, factor };
  if (type !== "yarn") throw of.wrong("rope.scaling.type", '"none", "linear" or "yarn"');
  return {
    rope_type: "yarn",
    rope_theta,
    factor,
    original_max_position_embeddings: of.integer("rope.scaling.original_context_length"),
  };
}
