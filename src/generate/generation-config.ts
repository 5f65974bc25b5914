// GenerationConfig: every setting of generate(), from generation_config.json, from code, and from the call, merged in the
// order of Transformers 5.23: the call > the generation_config passed to it > the model's own > the defaults.
// The result of resolveGeneration was checked field by field, and every setting in it has its value. Knows no files.

import { checkOptions } from "../did-you-mean.ts";
import { CheckpointError, InputError } from "../errors.ts";
import { generationDefaults } from "../models/config-generation.ts";
import { type Field, fieldNames, fields, isNeutral } from "./generation-fields.ts";

/** The name of a field of GenerationConfig. */
type FieldName = Exclude<
  keyof GenerationConfig,
  "extra" | "to_dict" | "to_diff_dict" | "to_json_string"
>;

/** Settings of generate(); a field that is not given is taken from the model, then from the defaults. */
export type GenerationOptions = { -readonly [K in FieldName]?: GenerationConfig[K] | undefined };

/**
 * Settings of generate(). Every field is null when unset; fields can be assigned and are checked when generate() is called.
 * A field that this engine does not act on is refused there, with the reason, when its value would change anything.
 */
export class GenerationConfig {
  /** Length of prompt and new tokens together. */
  max_length: number | null = null;
  /** New tokens at most; goes before max_length. */
  max_new_tokens: number | null = null;
  min_length: number | null = null;
  min_new_tokens: number | null = null;
  early_stopping: boolean | "never" | null = null;
  /** Seconds. */
  max_time: number | null = null;
  /** Generation ends after a token that completes one of these texts; needs a tokenizer. */
  stop_strings: string | string[] | null = null;
  do_sample: boolean | null = null;
  num_beams: number | null = null;
  use_mtp: boolean | null = null;
  use_cache: boolean | null = null;
  cache_implementation: string | null = null;
  cache_config: object | null = null;
  max_cache_len: number | null = null;
  prefill_chunk_size: number | null = null;
  temperature: number | null = null;
  /** Only that many most likely tokens; 0: all. */
  top_k: number | null = null;
  /** Only the most likely tokens whose probabilities reach this sum. */
  top_p: number | null = null;
  /** Only tokens at least this many times as likely as the most likely one. */
  min_p: number | null = null;
  top_h: number | null = null;
  typical_p: number | null = null;
  epsilon_cutoff: number | null = null;
  eta_cutoff: number | null = null;
  /** Above 1: tokens of prompt and continuation become less likely. */
  repetition_penalty: number | null = null;
  encoder_repetition_penalty: number | null = null;
  length_penalty: number | null = null;
  no_repeat_ngram_size: number | null = null;
  bad_words_ids: number[][] | null = null;
  renormalize_logits: boolean | null = null;
  forced_bos_token_id: number | null = null;
  forced_eos_token_id: number | number[] | null = null;
  remove_invalid_values: boolean | null = null;
  exponential_decay_length_penalty: [start: number, factor: number] | null = null;
  suppress_tokens: number[] | null = null;
  begin_suppress_tokens: number[] | null = null;
  sequence_bias: [tokens: number[], bias: number][] | null = null;
  token_healing: boolean | null = null;
  guidance_scale: number | null = null;
  watermarking_config: object | null = null;
  /** Continuations of each prompt; more than one needs do_sample. */
  num_return_sequences: number | null = null;
  output_attentions: boolean | null = null;
  output_hidden_states: boolean | null = null;
  output_scores: boolean | null = null;
  output_logits: boolean | null = null;
  return_dict_in_generate: boolean | null = null;
  pad_token_id: number | null = null;
  bos_token_id: number | null = null;
  /** Tokens that end a sequence. */
  eos_token_id: number | number[] | null = null;
  encoder_no_repeat_ngram_size: number | null = null;
  decoder_start_token_id: number | number[] | null = null;
  is_assistant: boolean | null = null;
  num_assistant_tokens: number | null = null;
  num_assistant_tokens_schedule: "constant" | "heuristic" | "heuristic_transient" | null = null;
  assistant_confidence_threshold: number | null = null;
  prompt_lookup_num_tokens: number | null = null;
  max_matching_ngram_size: number | null = null;
  assistant_early_exit: number | null = null;
  assistant_lookbehind: number | null = null;
  target_lookbehind: number | null = null;
  assistant_ensemble_weight: number | null = null;
  speculation_type: string | null = null;
  compile_config: object | null = null;
  disable_compile: boolean | null = null;
  continuous_batching_config: object | null = null;
  low_memory: boolean | null = null;
  penalty_alpha: number | null = null;
  dola_layers: string | number[] | null = null;
  diversity_penalty: number | null = null;
  num_beam_groups: number | null = null;
  constraints: object[] | null = null;
  force_words_ids: number[][] | null = null;
  _from_model_config: boolean | null = null;
  transformers_version: string | null = null;
  /** Not in Transformers: the same seed gives the same tokens, alone and in a batch. null: each call draws its own. */
  seed: number | null = null;

  readonly #extra = new Map<string, unknown>();

  /** @throws InputError an unknown option, or a value that the field cannot have */
  constructor(options: GenerationOptions = {}) {
    checkOptions("GenerationConfig", options, fieldNames);
    checkValues(options, (text) => new InputError(`GenerationConfig: ${text}`));
    this.#assign(options);
  }

  /**
   * From the object in generation_config.json, whose unknown keys are kept, or from the one in config.json, of which only
   * the settings of generation are taken. @throws CheckpointError naming `file` and the field
   */
  static fromFile<T extends GenerationConfig>(
    this: new () => T,
    file: string,
    values: Record<string, unknown>,
    kind: "generation_config" | "config" = "generation_config",
  ): T {
    checkValues(
      values,
      (text) => new CheckpointError(`${file}: ${text}; correct the file or take the publisher's`),
    );
    const config = new this();
    config.#assign(values as GenerationOptions);
    if (kind === "config")
      Object.assign(config, { _from_model_config: true, transformers_version: null });
    else
      for (const [key, value] of Object.entries(values))
        if (!fieldNames.has(key)) config.#extra.set(key, value);
    return config;
  }

  /** Keys of a file that no field has; kept and written back. */
  get extra(): ReadonlyMap<string, unknown> {
    return this.#extra;
  }

  /** The fields that are set, and the keys that no field has, as plain data: what belongs into a file. */
  to_diff_dict(): Record<string, unknown> {
    const set = Object.entries(this).filter(([, value]) => value !== null);
    return structuredClone(Object.fromEntries([...set, ...this.#extra]));
  }

  /** Every field, as plain data. */
  to_dict(): Record<string, unknown> {
    return structuredClone(Object.fromEntries([...Object.entries(this), ...this.#extra]));
  }

  /** generation_config.json's text: keys sorted, two spaces. */
  to_json_string(): string {
    const entries = Object.entries(this.to_diff_dict()).toSorted(([a], [b]) => (a < b ? -1 : 1));
    return `${JSON.stringify(Object.fromEntries(entries), undefined, 2)}\n`;
  }

  #assign(options: GenerationOptions): void {
    for (const [name, value] of Object.entries(options)) {
      if (fieldNames.has(name) && value !== undefined)
        Object.assign(this, { [name]: structuredClone(value) });
    }
  }
}

function checkValues(values: object, error: (text: string) => Error): void {
  for (const [name, { check }] of fields) {
    const value = (values as Record<string, unknown>)[name];
    if (value === undefined || value === null) continue;
    const expected = check(value);
    if (expected !== undefined) throw error(`${name} is ${shown(value)}, expected ${expected}`);
  }
}

function shown(value: unknown): string {
  if (Array.isArray(value) && value.length > 8) return `a list of ${value.length}`;
  const text = typeof value === "number" ? String(value) : (JSON.stringify(value) ?? typeof value);
  return text.length <= 80 ? text : `${text.slice(0, 60)}… (${text.length} characters)`;
}

/** Settings that are off when they are null. */
const optionalFields = [
  "max_time",
  "top_h",
  "typical_p",
  "epsilon_cutoff",
  "eta_cutoff",
  "no_repeat_ngram_size",
  "bad_words_ids",
  "renormalize_logits",
  "forced_bos_token_id",
  "forced_eos_token_id",
  "remove_invalid_values",
  "exponential_decay_length_penalty",
  "suppress_tokens",
  "begin_suppress_tokens",
  "sequence_bias",
] as const;
type OptionalField = (typeof optionalFields)[number];

/** What generate() works with. */
export type ResolvedGeneration = Pick<GenerationConfig, OptionalField> & {
  do_sample: boolean;
  temperature: number;
  /** 0: all tokens. */
  top_k: number;
  top_p: number;
  /** 0: all tokens. */
  min_p: number;
  repetition_penalty: number;
  /** Of prompt and new tokens together. */
  max_length: number;
  min_length: number;
  /** Empty: a sequence ends at max_length only. */
  eos_token_ids: number[];
  /** What finished rows are filled with; null when neither it nor an eos token is known. */
  pad_token_id: number | null;
  bos_token_id: number | null;
  stop_strings: string[];
  use_cache: boolean;
  num_return_sequences: number;
  output_scores: boolean;
  output_logits: boolean;
  return_dict_in_generate: boolean;
  seed: number | null;
};

/** What resolveGeneration needs besides the call's own options. */
export type GenerationContext = {
  /** The `generation_config` that the call was given. */
  generation_config?: GenerationConfig | undefined;
  /** The model's own. */
  model: GenerationConfig;
  /** Columns of the prompt, padding included. */
  promptLength: number;
  max_position_embeddings: number;
};

/**
 * Merges and checks all settings of one call. An explicit null in the call switches a setting off.
 *
 * @throws InputError unknown option, impossible value or combination, a setting that is not honoured yet
 */
export function resolveGeneration(
  options: GenerationOptions,
  context: GenerationContext,
): ResolvedGeneration {
  checkOptions("generate", options, fieldNames);
  const merged = merge(options, context);
  checkValues(merged, refusal);
  refuseUnhonoured(merged);

  const s = Object.assign(new GenerationConfig(), merged);
  const do_sample = s.do_sample ?? false;
  const returned = s.num_return_sequences ?? 1;
  if (do_sample && s.temperature === 0) {
    throw refusal(
      "temperature is 0 with do_sample, expected a number above 0; for the most likely token leave do_sample false",
    );
  }
  if (!do_sample && returned > 1) {
    throw refusal(
      `num_return_sequences is ${returned}, but greedy decoding has one answer; set do_sample: true`,
    );
  }
  const eos_token_ids = ids(s.eos_token_id);
  return {
    do_sample,
    temperature: s.temperature ?? 1,
    top_k: s.top_k ?? 0,
    top_p: s.top_p ?? 1,
    min_p: s.min_p ?? 0,
    repetition_penalty: s.repetition_penalty ?? 1,
    ...lengths(s, options, context),
    eos_token_ids,
    pad_token_id: ids(s.pad_token_id)[0] ?? eos_token_ids[0] ?? null,
    bos_token_id: ids(s.bos_token_id)[0] ?? null,
    stop_strings: [s.stop_strings ?? []].flat(),
    use_cache: s.use_cache ?? true,
    num_return_sequences: returned,
    output_scores: s.output_scores ?? false,
    output_logits: s.output_logits ?? false,
    return_dict_in_generate: s.return_dict_in_generate ?? false,
    seed: s.seed,
    ...optionalOf(s),
  };
}

function optionalOf(s: GenerationConfig): Pick<GenerationConfig, OptionalField> {
  return Object.fromEntries(optionalFields.map((name) => [name, s[name]])) as Pick<
    GenerationConfig,
    OptionalField
  >;
}

const refusal = (text: string): InputError => new InputError(`generate: ${text}`);

// Negative ids stand for "none" in some published files.
const ids = (value: number | number[] | null): number[] =>
  [value ?? []].flat().filter((id) => id >= 0);

/** The same fields, typed by the properties of GenerationConfig. test/models/config-generation.test.ts checks that the names agree. */
const knownFields = fields as ReadonlyMap<FieldName, Field>;

function merge(
  options: GenerationOptions,
  { generation_config, model }: GenerationContext,
): GenerationOptions {
  const defaults: Partial<Record<FieldName, unknown>> = generationDefaults;
  return Object.fromEntries(
    [...knownFields.keys()].map((name) => [
      name,
      options[name] !== undefined
        ? options[name]
        : (generation_config?.[name] ?? model[name] ?? defaults[name] ?? null),
    ]),
  ) as GenerationOptions;
}

function refuseUnhonoured(merged: GenerationOptions): void {
  const defaults: Partial<Record<FieldName, unknown>> = generationDefaults;
  for (const [name, { standing }] of knownFields) {
    const value = merged[name];
    if (!standing.startsWith("refused: ") || isNeutral(name, value) || value === defaults[name])
      continue;
    throw refusal(
      `${name} is ${shown(value)}: ${standing.slice("refused: ".length)}; leave it out`,
    );
  }
}

function lengths(
  s: GenerationConfig,
  options: GenerationOptions,
  { generation_config, model, promptLength, max_position_embeddings }: GenerationContext,
): { max_length: number; min_length: number } {
  const isDefault =
    (options.max_length ?? generation_config?.max_length ?? model.max_length) === null;
  let max_length = s.max_length ?? generationDefaults.max_length;
  if (s.max_new_tokens !== null) max_length = promptLength + s.max_new_tokens;
  else if (isDefault) max_length = Math.min(promptLength + max_length, max_position_embeddings);
  if (promptLength >= max_length) {
    throw refusal(
      `the prompt has ${promptLength} tokens, and max_length is ${max_length}; raise max_length, or set max_new_tokens`,
    );
  }
  const min_length =
    s.min_new_tokens === null ? (s.min_length ?? 0) : promptLength + s.min_new_tokens;
  return { max_length, min_length };
}
