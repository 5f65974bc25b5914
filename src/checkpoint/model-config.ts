// The settings of the model in a folder: config.json, or params.json of Mistral AI's own layout, translated. Transformers' file wins.
// Does not know what the settings mean to the model.

import { exists, joinPath } from "#platform";
import { CheckpointError } from "../errors.ts";
import { withoutConfig } from "./folder-diagnosis.ts";
import { readJsonObject } from "./json-file.ts";

const CONFIG = "config.json";
const PARAMS = "params.json";

/** The fields of config.json, and the file that they are from. @throws CheckpointError there is none, or it is of another model */
export async function readModelConfig(
  folder: string,
): Promise<{ path: string; values: Record<string, unknown> }> {
  const path = joinPath(folder, CONFIG);
  if (await exists(path)) return { path, values: await readJsonObject(path) };
  const params = joinPath(folder, PARAMS);
  if (await exists(params))
    return { path: params, values: configOfParams(params, await readJsonObject(params)) };
  throw await withoutConfig(folder);
}

/** params.json's name → config.json's. */
const FIELDS: Readonly<Record<string, string>> = {
  dim: "hidden_size",
  n_layers: "num_hidden_layers",
  head_dim: "head_dim",
  hidden_dim: "intermediate_size",
  n_heads: "num_attention_heads",
  n_kv_heads: "num_key_value_heads",
  norm_eps: "rms_norm_eps",
  vocab_size: "vocab_size",
  rope_theta: "rope_theta",
  sliding_window: "sliding_window",
  tied_embeddings: "tie_word_embeddings",
  max_seq_len: "max_position_embeddings",
  max_position_embeddings: "max_position_embeddings",
};

/** Fields without which there is no model. */
const REQUIRED = ["dim", "n_layers", "hidden_dim", "n_heads", "norm_eps", "vocab_size"];

/** Fields that make another model of it, unless they have the value that changes nothing. */
const OTHER_MODELS: Readonly<Record<string, { what: string; neutral?: unknown }>> = {
  moe: { what: "a mixture of experts (Mixtral)" },
  vision_encoder: { what: "a model that reads images (Pixtral)" },
  multimodal: { what: "a model of several modalities" },
  yarn: { what: "a model with YaRN, whose settings are read from config.json only" },
  rope_scaling: {
    what: "a model with scaled angles, whose settings are read from config.json only",
  },
  llama_4_scaling: { what: "a model that scales its queries (Ministral 3)" },
  quantization: { what: "quantised by Mistral AI's own method, which is not read" },
  q_lora_rank: { what: "a model with latent attention" },
  kv_lora_rank: { what: "a model with latent attention" },
  lora: { what: "an adapter, not a model" },
  use_biases: { what: "a model with biases", neutral: false },
  causal: { what: "an encoder", neutral: true },
  model_type: { what: "another architecture", neutral: "transformer" },
};

/** The positions of the published models of this layout, whose params.json does not say it. */
const USUAL_POSITIONS = 32_768;

/** The fields of config.json from those of params.json, as Transformers' convert_mistral_weights_to_hf.py does. */
function configOfParams(
  path: string,
  params: Readonly<Record<string, unknown>>,
): Record<string, unknown> {
  for (const [name, { what, neutral = null }] of Object.entries(OTHER_MODELS)) {
    const value = params[name] ?? null;
    if (value === null || value === neutral) continue;
    throw new CheckpointError(
      `${path}: ${name} is ${JSON.stringify(value).slice(0, 80)}: this is ${what}; only Mistral models run here. ` +
        "Fetch config.json and model*.safetensors of the repository if it has them",
    );
  }
  const missing = REQUIRED.find((name) => (params[name] ?? null) === null);
  if (missing !== undefined) {
    throw new CheckpointError(
      `${path}: there is no ${missing}; is it the params.json of a Mistral model? Fetch it again`,
    );
  }
  const given = Object.entries(FIELDS).filter(([name]) => (params[name] ?? null) !== null);
  const values = Object.fromEntries(given.map(([name, field]) => [field, params[name]]));
  const window = values.sliding_window ?? null;
  return {
    model_type: "mistral",
    architectures: ["MistralForCausalLM"],
    max_position_embeddings: USUAL_POSITIONS,
    num_key_value_heads: params.n_heads,
    rope_theta: 10_000,
    ...values,
    // Some files have it as a text.
    sliding_window: typeof window === "string" && /^\d+$/.test(window) ? Number(window) : window,
  };
}
