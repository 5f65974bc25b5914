// The fields of a generation config become a list of logits processors, in the order of HF's `_get_logits_processor`
// (Transformers 5.23).
// Knows no model. guidance_scale needs a second forward, and watermarking_config torch's random numbers: they are not made here.

import type { LogitsProcessor } from "./logits-processor.ts";
import {
  epsilonProcessor,
  etaProcessor,
  minPProcessor,
  removeInvalidProcessor,
  renormalizeProcessor,
  temperatureProcessor,
  topHProcessor,
  topKProcessor,
  topPProcessor,
  typicalPProcessor,
} from "./processors-distribution.ts";
import {
  badWordsProcessor,
  exponentialDecayProcessor,
  forcedBosProcessor,
  forcedEosProcessor,
  minLengthProcessor,
  minNewTokensProcessor,
  noRepeatNGramProcessor,
  noRepeatPromptNGramProcessor,
  prefixConstrainedProcessor,
  promptRepetitionProcessor,
  repetitionPenaltyProcessor,
  type SequenceBias,
  sequenceBiasProcessor,
  suppressAtBeginProcessor,
  suppressTokensProcessor,
} from "./processors-tokens.ts";

/** The fields of a generation config that become processors. Absent, null or neutral: off. */
export type ProcessorFields = {
  /** Has no default: without it, processors that need it are left out */
  readonly eos_token_id: number | readonly number[] | null;
  readonly do_sample?: boolean | null;
  readonly num_beams?: number | null;
  readonly max_length?: number | null;
  readonly sequence_bias?: readonly SequenceBias[] | null;
  readonly encoder_repetition_penalty?: number | null;
  readonly repetition_penalty?: number | null;
  readonly no_repeat_ngram_size?: number | null;
  readonly encoder_no_repeat_ngram_size?: number | null;
  readonly bad_words_ids?: readonly (readonly number[])[] | null;
  readonly min_length?: number | null;
  readonly min_new_tokens?: number | null;
  readonly forced_bos_token_id?: number | null;
  readonly forced_eos_token_id?: number | readonly number[] | null;
  readonly remove_invalid_values?: boolean | null;
  readonly exponential_decay_length_penalty?: readonly [number, number] | null;
  readonly suppress_tokens?: readonly number[] | null;
  readonly begin_suppress_tokens?: readonly number[] | null;
  readonly temperature?: number | null;
  readonly top_h?: number | null;
  readonly top_k?: number | null;
  readonly top_p?: number | null;
  readonly min_p?: number | null;
  readonly typical_p?: number | null;
  readonly epsilon_cutoff?: number | null;
  readonly eta_cutoff?: number | null;
  readonly renormalize_logits?: boolean | null;
};

/** What the processors of one call need beside the config. */
export type ProcessorSetting = {
  readonly vocabSize: number;
  /** Columns of the prompts, left padding included */
  readonly promptLength: number;
  readonly prefix_allowed_tokens_fn?: (sequence: number, ids: Int32Array) => Iterable<number>;
  /** The caller's own, in HF's place: after the config's, before temperature and the cuts */
  readonly logits_processor?: readonly LogitsProcessor[];
};

/** The processors of one `generate` call, in HF's order. @throws InputError for a value out of its range */
export function buildProcessors(
  config: ProcessorFields,
  setting: ProcessorSetting,
): LogitsProcessor[] {
  return [...tokenProcessors(config, setting), ...distributionProcessors(config)];
}

/** The first of them: those that look at the ids so far, and the caller's own. */
export function tokenProcessors(
  config: ProcessorFields,
  setting: ProcessorSetting,
): LogitsProcessor[] {
  return [...settingProcessors(config, setting), ...(setting.logits_processor ?? [])];
}

/** The others: those that know the scores alone. */
export function distributionProcessors(config: ProcessorFields): LogitsProcessor[] {
  return [
    ...(config.do_sample ? samplingProcessors(config) : []),
    ...(config.renormalize_logits ? [renormalizeProcessor()] : []),
  ];
}

function settingProcessors(config: ProcessorFields, setting: ProcessorSetting): LogitsProcessor[] {
  const { vocabSize, promptLength } = setting;
  const eos = asList(config.eos_token_id);
  const list: LogitsProcessor[] = [];
  if (config.sequence_bias) list.push(sequenceBiasProcessor(config.sequence_bias, vocabSize));
  if (isSet(config.encoder_repetition_penalty, 1)) {
    list.push(promptRepetitionProcessor(config.encoder_repetition_penalty));
  }
  if (isSet(config.repetition_penalty, 1)) {
    list.push(repetitionPenaltyProcessor(config.repetition_penalty));
  }
  if (isSet(config.no_repeat_ngram_size, 0)) {
    list.push(noRepeatNGramProcessor(config.no_repeat_ngram_size));
  }
  if (isSet(config.encoder_no_repeat_ngram_size, 0)) {
    list.push(noRepeatPromptNGramProcessor(config.encoder_no_repeat_ngram_size));
  }
  const badWords = config.bad_words_ids && badWordsProcessor(config.bad_words_ids, eos, vocabSize);
  if (badWords) list.push(badWords);
  if (isSet(config.min_length, 0) && eos.length > 0) {
    list.push(minLengthProcessor(config.min_length, eos));
  }
  if (isSet(config.min_new_tokens, 0) && eos.length > 0) {
    list.push(minNewTokensProcessor(config.min_new_tokens, eos));
  }
  const allowed = setting.prefix_allowed_tokens_fn;
  if (allowed !== undefined) list.push(prefixConstrainedProcessor(allowed));
  const bos = config.forced_bos_token_id ?? undefined;
  if (bos !== undefined) list.push(forcedBosProcessor(bos, vocabSize));
  const forcedEos = asList(config.forced_eos_token_id);
  if (forcedEos.length > 0) {
    list.push(forcedEosProcessor(config.max_length ?? Infinity, forcedEos, vocabSize));
  }
  if (config.remove_invalid_values) list.push(removeInvalidProcessor());
  if (config.exponential_decay_length_penalty) {
    list.push(exponentialDecayProcessor(config.exponential_decay_length_penalty, eos));
  }
  if (config.suppress_tokens) list.push(suppressTokensProcessor(config.suppress_tokens));
  if (config.begin_suppress_tokens) {
    // Behind a prompt of one token, a forced bos token comes first: the tokens are then suppressed one step later, as in HF.
    const begin = promptLength + (promptLength === 1 && bos !== undefined ? 1 : 0);
    list.push(suppressAtBeginProcessor(config.begin_suppress_tokens, begin));
  }
  return list;
}

function samplingProcessors(config: ProcessorFields): LogitsProcessor[] {
  // With beams, enough tokens must stay that one is left when all eos tokens are among the best.
  const minKeep =
    (config.num_beams ?? 1) > 1 ? Math.max(1, asList(config.eos_token_id).length) + 1 : 1;
  const list: LogitsProcessor[] = [];
  if (isSet(config.temperature, 1)) list.push(temperatureProcessor(config.temperature));
  if (isSet(config.top_h)) list.push(topHProcessor(config.top_h));
  if (isSet(config.top_k, 0)) list.push(topKProcessor(config.top_k, minKeep));
  if (isSet(config.top_p, 1)) list.push(topPProcessor(config.top_p, minKeep));
  if (isSet(config.min_p, 0)) list.push(minPProcessor(config.min_p, minKeep));
  if (isSet(config.typical_p, 1)) list.push(typicalPProcessor(config.typical_p, minKeep));
  if (isSet(config.epsilon_cutoff, 0)) list.push(epsilonProcessor(config.epsilon_cutoff, minKeep));
  if (isSet(config.eta_cutoff, 0)) list.push(etaProcessor(config.eta_cutoff, minKeep));
  return list;
}

/** Whether a field is given and not the value that changes nothing. */
export function isSet(value: number | null | undefined, off?: number): value is number {
  return value !== null && value !== undefined && value !== off;
}

function asList(ids: number | readonly number[] | null | undefined): readonly number[] {
  if (ids === null || ids === undefined) return [];
  return typeof ids === "number" ? [ids] : ids;
}
