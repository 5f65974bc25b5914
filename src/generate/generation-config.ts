// GenerationConfig: every setting of generate() as data, made in code or from the object in generation_config.json.
// resolve-generation.ts merges the settings of one call. Opens no files.

import { checkOptions } from "../did-you-mean.ts";
import { CheckpointError, InputError } from "../errors.ts";
import { fieldNames, fields } from "./generation-fields.ts";

/** The name of a field of GenerationConfig. */
export type FieldName = Exclude<
  keyof GenerationConfig,
  "extra" | "file" | "to_dict" | "to_diff_dict" | "to_json_string"
>;

/** Settings of generate(); a field that is not given is taken from the model, then from the defaults. */
export type GenerationOptions = { -readonly [K in FieldName]?: GenerationConfig[K] | undefined };

const EXTRA_OUTPUTS = [
  "output_attentions",
  "output_hidden_states",
  "output_scores",
  "output_logits",
] as const;

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
  #file: string | null = null;

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
    // Whether a call will sample is not known yet: the ranges of what only sampling reads are checked by the call.
    for (const { name, value, expected, idle } of misfits(values, {
      ...values,
      do_sample: false,
    })) {
      if (idle) continue;
      throw new CheckpointError(
        `${file}: ${name} is ${shown(value)}, expected ${expected}; correct the file or take the publisher's`,
      );
    }
    const config = new this();
    config.#file = file;
    config.#assign(values as GenerationOptions);
    if (kind === "config") {
      Object.assign(config, { _from_model_config: true, transformers_version: null });
      // As Transformers does: these flags ask for a result that can hold more than ids.
      if (EXTRA_OUTPUTS.some((name) => config[name])) config.return_dict_in_generate = true;
    } else
      for (const [key, value] of Object.entries(values))
        if (!fieldNames.has(key)) config.#extra.set(key, value);
    return config;
  }

  /** Keys of a file that no field has; kept and written back. */
  get extra(): ReadonlyMap<string, unknown> {
    return this.#extra;
  }

  /** The file that it was read from; null if it was made in code. */
  get file(): string | null {
    return this.#file;
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

/** Refuses values that a field cannot have, given in code. A top_k of -1 is how other engines write "all tokens". */
export function checkValues(values: object, error: (text: string) => Error): void {
  for (const { name, value, expected, idle } of misfits(values)) {
    if (name === "top_k" && value === -1 && idle) continue;
    throw error(`${name} is ${shown(value)}, expected ${expected}`);
  }
}

/** The values that their fields cannot have, and whether they have no effect in a call with these settings. */
export function* misfits(
  values: object,
  settings = values as Readonly<Record<string, unknown>>,
): Generator<{ name: string; value: unknown; expected: string; idle: boolean }> {
  for (const [name, { check, isIdle }] of fields) {
    const value = (values as Readonly<Record<string, unknown>>)[name];
    if (value === undefined || value === null) continue;
    const expected = check(value);
    if (expected === undefined) continue;
    yield { name, value, expected, idle: isIdle(value, settings) !== false };
  }
}

/** A value as it stands in a message. */
export function shown(value: unknown): string {
  if (Array.isArray(value) && value.length > 8) return `a list of ${value.length}`;
  const text = typeof value === "number" ? String(value) : (JSON.stringify(value) ?? typeof value);
  return text.length <= 80 ? text : `${text.slice(0, 60)}… (${text.length} characters)`;
}
