// Checks a config before anything is allocated: types, ranges, divisibility, and the size of the model that it asks for. After
// checkConfig every count is a whole number that fits into an i32, and every product into a double. Does not know the weights' file.

import { CheckpointError, InputError, MemoryError } from "../errors.ts";
import { activation } from "./activation.ts";
import type { MistralConfig } from "./config.ts";
import { countParameters } from "./config-weights.ts";
import { checkRope } from "./rope.ts";
import { showValue } from "../show-value.ts";

const MAX_COUNT = 2 ** 31 - 1;
/** Published Mistral models have at most a few hundred. */
const MAX_LAYERS = 10_000;
const MAX_HEAD_DIM = 65_536;
/** 2^40 numbers: 2 TiB in 16 bits. */
const MAX_PARAMETERS = 2 ** 40;

/**
 * Refuses a config that no model can be built from.
 *
 * @param source the file that it was read from, as messages name it. Default: config.json of its folder
 * @throws CheckpointError if it was read from a file; InputError if it was made in code (name_or_path is "")
 * @throws MemoryError its weights would take more than 2^40 numbers, with the arithmetic
 */
export function checkConfig(config: MistralConfig, source?: string): void {
  const { fail, within } = placeOf(config, source);
  if ("layer_types" in config) {
    throw fail(
      "layer_types",
      "no such field: layers of several kinds are a Ministral model, which is another architecture",
    );
  }
  for (const field of COUNTS) {
    if (!isCount(config[field], 1)) throw fail(field, `a whole number from 1 to ${MAX_COUNT}`);
  }
  if (config.num_hidden_layers > MAX_LAYERS)
    throw fail("num_hidden_layers", `at most ${MAX_LAYERS}`);
  checkHeads(config, fail);
  if (!isCount(config.sliding_window, 1) && config.sliding_window !== null) {
    throw fail("sliding_window", `null (no window) or a whole number from 1 to ${MAX_COUNT}`);
  }
  const { rms_norm_eps: eps, attention_dropout: dropout, initializer_range: std } = config;
  if (!(isNumber(eps) && eps > 0 && eps < 1))
    throw fail("rms_norm_eps", "a number above 0 and below 1");
  if (!(isNumber(dropout) && dropout >= 0 && dropout < 1))
    throw fail("attention_dropout", "a number from 0 to below 1");
  if (!(isNumber(std) && std >= 0)) throw fail("initializer_range", "a number of at least 0");
  if (typeof config.tie_word_embeddings !== "boolean")
    throw fail("tie_word_embeddings", "true or false");
  if (typeof config.use_cache !== "boolean") throw fail("use_cache", "true or false");
  checkTokens(config, fail);
  checkLabels(config, fail);
  if (typeof config.hidden_act !== "string") throw fail("hidden_act", "the name of an activation");
  within(() => activation(config.hidden_act));
  const rope: unknown = config.rope_parameters;
  if (typeof rope !== "object" || rope === null || Array.isArray(rope)) {
    throw fail("rope_parameters", "an object with rope_type and rope_theta");
  }
  checkSize(config); // before checkRope, which allocates head_dim / 2 frequencies
  within(() => checkRope(config));
}

const COUNTS = [
  "vocab_size",
  "hidden_size",
  "intermediate_size",
  "num_hidden_layers",
  "num_attention_heads",
  "num_key_value_heads",
  "head_dim",
  "max_position_embeddings",
] as const;

type Fail = (field: keyof MistralConfig | "layer_types", expected: string) => Error;

/** How errors say where the config is from, and what to do. */
type Place = {
  readonly fail: Fail;
  /** Runs a check whose errors name the field alone, and adds the place. */
  readonly within: (check: () => unknown) => void;
};

function placeOf(config: MistralConfig, source?: string): Place {
  const file = config.name_or_path !== "";
  const where = file ? (source ?? `${config.name_or_path}: config.json`) : "MistralConfig";
  const remedy = file ? "; correct it, or take the file of the model's publisher" : "";
  const placed = (what: string, options?: ErrorOptions): Error => {
    const text = `${where}: ${what}${remedy}`;
    return file ? new CheckpointError(text, options) : new InputError(text, options);
  };
  return {
    fail: (field, expected) =>
      placed(
        `${field} is ${field === "layer_types" ? "given" : showValue(config[field])}, expected ${expected}`,
      ),
    within(check) {
      try {
        check();
      } catch (cause) {
        throw cause instanceof CheckpointError ? placed(cause.message, { cause }) : cause;
      }
    },
  };
}

function checkHeads(c: MistralConfig, fail: Fail): void {
  if (c.num_attention_heads % c.num_key_value_heads !== 0) {
    throw fail(
      "num_attention_heads",
      `a multiple of num_key_value_heads, which is ${c.num_key_value_heads}`,
    );
  }
  // head_dim may be any number of its own. But if it is hidden_size / heads rounded down, the config most likely gave none.
  const quotient = c.hidden_size / c.num_attention_heads;
  if (!Number.isInteger(quotient) && c.head_dim === Math.floor(quotient)) {
    throw fail(
      "hidden_size",
      `a multiple of num_attention_heads, which is ${c.num_attention_heads}, or another head_dim than ${c.head_dim}`,
    );
  }
  if (c.head_dim > MAX_HEAD_DIM) throw fail("head_dim", `at most ${MAX_HEAD_DIM}`);
  if (c.head_dim % 2 !== 0)
    throw fail("head_dim", "an even number: rotary embeddings turn pairs of dimensions");
}

function checkTokens(c: MistralConfig, fail: Fail): void {
  for (const field of ["pad_token_id", "bos_token_id"] as const) {
    // -1 stands for "none" in some published files.
    const id: unknown = c[field];
    if (id !== null && !isCount(id, -1)) throw fail(field, "null or a token id");
  }
  const eos: unknown = c.eos_token_id;
  const list: unknown[] = Array.isArray(eos) ? eos : eos === null ? [] : [eos];
  if (list.length > 1000 || !list.every((id) => isCount(id, -1))) {
    throw fail("eos_token_id", "null, a token id or a list of at most 1000 token ids");
  }
}

function checkLabels(c: MistralConfig, fail: Fail): void {
  const labels: unknown = c.id2label;
  const isMap = typeof labels === "object" && labels !== null && !Array.isArray(labels);
  if (!isMap || !Object.keys(labels).every((key, i) => key === String(i))) {
    throw fail("id2label", "an object from 0, 1, … to names");
  }
  const known: unknown[] = [
    null,
    "regression",
    "single_label_classification",
    "multi_label_classification",
  ];
  if (!known.includes(c.problem_type))
    throw fail("problem_type", `one of ${known.map(showValue).join(", ")}`);
  if (c.problem_type === "single_label_classification" && c.num_labels === 1) {
    throw fail("problem_type", 'more than one label, or "regression" for a single output');
  }
}

function checkSize(config: MistralConfig): void {
  const parameters = countParameters(config);
  if (parameters <= MAX_PARAMETERS) return;
  const { hidden_size: H, intermediate_size: F, num_hidden_layers: L, vocab_size: V } = config;
  const [q, kv] = [config.num_attention_heads, config.num_key_value_heads].map(
    (heads) => heads * config.head_dim,
  );
  throw new MemoryError(
    `${config.name_or_path || "MistralConfig"}: the config asks for ${parameters.toExponential(2)} weights, at most 2^40 are taken: ` +
      `${L} layers × (hidden ${H} × (2 × ${q} heads' width + 2 × ${kv} key and value width + 3 × intermediate ${F})) + ` +
      `vocabulary ${V} × hidden ${H} × ${config.tie_word_embeddings ? 1 : 2}; is config.json the model's own?`,
  );
}

function isNumber(value: unknown): value is number {
  return typeof value === "number" && Number.isFinite(value);
}

function isCount(value: unknown, from: number): boolean {
  return Number.isInteger(value) && (value as number) >= from && (value as number) <= MAX_COUNT;
}
