// The settings of one call of generate(), merged in the order of Transformers 5.23: the call > the generation_config passed to it >
// the model's own > the defaults. The result was checked field by field, and every setting in it has its value.
// Which fields are acted on is said in generation-fields.ts. Knows no files.

import { checkOptions } from "../did-you-mean.ts";
import { InputError } from "../errors.ts";
import { generationDefaults } from "../models/config-generation.ts";
import {
  checkValues,
  GenerationConfig,
  type GenerationOptions,
  misfits,
} from "./generation-config.ts";
import { showValue } from "../show-value.ts";
import { fieldNames, fields, GREEDY } from "./generation-fields.ts";
import type { FieldName, GenerationFields } from "./generation-options.ts";

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
  "encoder_repetition_penalty",
  "encoder_no_repeat_ngram_size",
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
  /** Told of settings that have no effect. Default: nobody. */
  onNote?: (text: string) => void;
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
  checkValues({ ...options }, refusal);
  if (context.generation_config) checkValues(context.generation_config, refusal);
  const merged = merge(options, context);
  const originOf = (name: string): Origin => findOrigin(name as FieldName, options, context);
  replaceIdle(merged, originOf, context);
  judgeUnhonoured(merged, originOf, context);
  tellOfTwoLimits(merged, originOf, context);

  const s = Object.assign(new GenerationConfig(), merged as GenerationOptions);
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
  const forcedEos = ids(s.forced_eos_token_id);
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
    forced_bos_token_id: ids(s.forced_bos_token_id)[0] ?? null,
    forced_eos_token_id: forcedEos.length === 0 ? null : forcedEos,
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

/** Where a setting comes from: `code` is the call, or the generation_config passed to it. */
type Origin = "code" | "model" | "default";

function findOrigin(
  name: FieldName,
  options: Partial<GenerationFields>,
  { generation_config, model }: GenerationContext,
): Origin {
  if (options[name] !== undefined || (generation_config?.[name] ?? null) !== null) return "code";
  return model[name] === null ? "default" : "model";
}

const defaults: Readonly<Record<string, unknown>> = generationDefaults;

function merge(
  options: Partial<GenerationFields>,
  { generation_config, model }: GenerationContext,
): Record<string, unknown> {
  return Object.fromEntries(
    ([...fieldNames] as FieldName[]).map((name) => [
      name,
      options[name] !== undefined
        ? options[name]
        : (generation_config?.[name] ?? model[name] ?? defaults[name] ?? null),
    ]),
  );
}

const fromFile = (origin: Origin, { model }: GenerationContext): string =>
  origin === "model" && model.file !== null ? ` (from ${model.file})` : "";

/** Gives a field that cannot have its value the default where no value of it has an effect; refuses it elsewhere. */
function replaceIdle(
  merged: Record<string, unknown>,
  originOf: (name: string) => Origin,
  context: GenerationContext,
): void {
  for (const { name, value, expected, idle } of misfits(merged)) {
    const from = originOf(name);
    const text = `${name} is ${showValue(value)}${fromFile(from, context)}, expected ${expected}`;
    if (!idle) {
      throw refusal(from === "model" ? `${text}; give this call another ${name}` : text);
    }
    context.onNote?.(`${text}; it has no effect in this call`);
    merged[name] = defaults[name] ?? null;
  }
}

/** Tells of settings without effect, and refuses those that are not honoured. */
function judgeUnhonoured(
  merged: Record<string, unknown>,
  originOf: (name: string) => Origin,
  context: GenerationContext,
): void {
  for (const [name, { standing, isIdle }] of fields) {
    const value = merged[name];
    if (value === null || value === undefined || value === (defaults[name] ?? null)) continue;
    const from = originOf(name);
    const what = `${name} is ${showValue(value)}${fromFile(from, context)}`;
    const idle = isIdle(value, merged);
    if (typeof idle === "string") {
      // Published files hold settings for sampling, and a greedy call does without them.
      if (from === "code" || idle !== GREEDY)
        context.onNote?.(`${what}, which has no effect: ${idle}`);
      continue;
    }
    const isNeutral = value === false || (Array.isArray(value) && value.length === 0);
    if (idle || isNeutral || standing === "honoured" || standing === "note") continue;
    const [kind, ...why] = standing.split(": ");
    if (kind === "no effect" || (kind === "not returned" && from === "model")) {
      context.onNote?.(`${what}, which has no effect: ${why.join(": ")}`);
      continue;
    }
    const remedy =
      from === "model"
        ? `give this call ${name}: ${JSON.stringify(defaults[name] ?? null)}`
        : "leave it out";
    throw refusal(`${what}: ${why.join(": ")}; ${remedy}`);
  }
}

/** As in Transformers, max_new_tokens goes before max_length, wherever each comes from. */
function tellOfTwoLimits(
  { max_length, max_new_tokens }: Record<string, unknown>,
  originOf: (name: string) => Origin,
  { onNote }: GenerationContext,
): void {
  if (originOf("max_length") !== "code" || max_length === null || max_new_tokens === null) return;
  const [owner, remedy] =
    originOf("max_new_tokens") === "code"
      ? ["", "leave one of them out"]
      : ["the model's own ", "pass max_new_tokens"];
  onNote?.(
    `max_length is ${showValue(max_length)}, but ${owner}max_new_tokens (${showValue(max_new_tokens)}) takes precedence; ${remedy}`,
  );
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
