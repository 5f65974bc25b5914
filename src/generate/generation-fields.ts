// Every field of Transformers' GenerationConfig (5.23): the values it may have, when it has an effect, and what this engine then does.
// The one place that decides it: when a field becomes honoured, edit its line here. A value without effect, in Transformers as here,
// is accepted wherever it stands; one that would change the result and is not honoured is refused, with the reason.

import type { FieldName } from "./generation-options.ts";

/** What a value must be: undefined when it is fine, else the words for "expected …". */
type Check = (value: unknown) => string | undefined;

/** Settings of a call or a file, by their names. */
type Settings = Readonly<Record<string, unknown>>;

/**
 * Whether a value changes nothing in a call with these settings, as in Transformers: false, true, or the reason, which the user is told.
 */
type Idle = (value: unknown, settings: Settings) => boolean | string;

/**
 * What the engine does with a value that is not idle.
 * `honoured`: acts on it. `note`: a remark in a file, which nothing reads.
 * `no effect: why`: no value of it changes a token here; the user is told once.
 * `not returned: why`: it asks for more in the result. Refused if the caller asks for it; if the model's file does, the user is told once.
 * `refused: why`: it would change the result.
 */
type Standing =
  | "honoured"
  | "note"
  | `no effect: ${string}`
  | `not returned: ${string}`
  | `refused: ${string}`;

export type Field = { readonly check: Check; readonly standing: Standing; readonly isIdle: Idle };

const MAX_COUNT = 2 ** 31 - 1;
/** The longest list of tokens or strings. Every step looks at each of them: a longer list is a mistake or an attack. */
const MAX_LIST = 4096;
const MAX_STRING = 10_000;

const isNumber = (value: unknown): value is number =>
  typeof value === "number" && Number.isFinite(value);
const isInteger = (value: unknown): value is number =>
  Number.isInteger(value) && Math.abs(value as number) <= MAX_COUNT;

const count =
  (from: number): Check =>
  (value) =>
    isInteger(value) && value >= from ? undefined : `a whole number from ${from} to ${MAX_COUNT}`;
const between =
  (from: number, to: number): Check =>
  (value) =>
    isNumber(value) && value >= from && value <= to ? undefined : `a number from ${from} to ${to}`;
const seed: Check = (value) =>
  Number.isSafeInteger(value) && (value as number) >= 0
    ? undefined
    : "a whole number from 0 to 2^53 − 1";
const above0: Check = (value) => (isNumber(value) && value > 0 ? undefined : "a number above 0");
const atLeast0: Check = (value) =>
  isNumber(value) && value >= 0 ? undefined : "a number of at least 0";
const finite: Check = (value) => (isNumber(value) ? undefined : "a number");
const flag: Check = (value) => (typeof value === "boolean" ? undefined : "true or false");
const anything: Check = () => undefined;
const oneOf =
  (...words: unknown[]): Check =>
  (value) =>
    words.includes(value)
      ? undefined
      : `one of ${words.map((word) => JSON.stringify(word)).join(", ")}`;
// -1 stands for "none" in some published files.
const token: Check = (value) => (isInteger(value) && value >= -1 ? undefined : "a token id");
const tokens: Check = (value) =>
  Array.isArray(value) && value.length <= MAX_LIST && value.every((id) => token(id) === undefined)
    ? undefined
    : `a list of at most ${MAX_LIST} token ids`;
const tokenOrTokens: Check = (value) =>
  Array.isArray(value) ? tokens(value) : token(value) && `a token id or ${tokens(null)}`;
const words: Check = (value) =>
  Array.isArray(value) && value.length > 0 ? tokens(value) : "a list of token ids";
const biased: Check = (value) =>
  Array.isArray(value) && value.length === 2 && words(value[0]) === undefined && isNumber(value[1])
    ? undefined
    : "a list of token ids and a number";
const listOf =
  (kind: string, item: Check): Check =>
  (value) =>
    Array.isArray(value) && value.length <= MAX_LIST && value.every((v) => item(v) === undefined)
      ? undefined
      : `a list of at most ${MAX_LIST} ${kind}`;
const pair: Check = (value) =>
  Array.isArray(value) &&
  value.length === 2 &&
  count(0)(value[0]) === undefined &&
  isNumber(value[1])
    ? undefined
    : "[first step, factor]";
const text: Check = (value) =>
  typeof value === "string" && value.length > 0 && value.length <= MAX_STRING
    ? undefined
    : "a text";
const textOrTexts: Check = (value) => {
  const fits = Array.isArray(value)
    ? value.length <= MAX_LIST && value.every((item) => text(item) === undefined)
    : text(value) === undefined;
  return fits
    ? undefined
    : `a text, or a list of at most ${MAX_LIST}, none empty or longer than ${MAX_STRING}`;
};

const never: Idle = () => false;
const is =
  (neutral: unknown): Idle =>
  (value) =>
    value === neutral;
const topK: Check = (value) => {
  const expected = count(0)(value);
  return expected && `${expected}; 0 keeps all tokens`;
};
/** Counts that Transformers reads as "none" when they are not positive. */
const notPositive: Idle = (value) => isNumber(value) && value <= 0;
const negative: Idle = (value) => isNumber(value) && value < 0;
/** Why settings of sampling have no effect in a greedy call. */
export const GREEDY = "only calls with do_sample: true read it";
/** Numbers that only sampling reads. @param cutsNothing those that leave all tokens */
const unlessSampling =
  (cutsNothing: (value: number) => boolean = () => false): Idle =>
  (value, { do_sample }) =>
    isNumber(value) && (do_sample ? cutsNothing(value) : GREEDY);
const unlessReturned: Idle = (value, { return_dict_in_generate: returned }) =>
  value === false || (!returned && "only calls with return_dict_in_generate: true return it");

const BEAMS = "no effect: it belongs to beam search";
const ASSISTANT = "no effect: it belongs to assistant models";
const SPECULATION =
  "no effect: it makes guesses that the model checks, which changes the speed, never the tokens, and is not built yet";
const HUB =
  "refused: Transformers 5 moved this strategy to code on the Hub, which is never run here";
const RESULT = "generate() keeps none; call the model on the sequence that comes out";

const CACHES: readonly unknown[] = [
  ...["dynamic", "static", "offloaded", "offloaded_static", "quantized", "paged"],
  ...["sliding_window", "hybrid", "hybrid_chunked", "offloaded_hybrid", "offloaded_hybrid_chunked"],
];

const table: Readonly<Record<FieldName, readonly [Check, Standing, Idle?]>> = {
  // length
  max_length: [count(1), "honoured"],
  max_new_tokens: [count(1), "honoured"],
  min_length: [count(0), "honoured", notPositive],
  min_new_tokens: [count(0), "honoured", notPositive],
  early_stopping: [oneOf(true, false, "never"), BEAMS],
  max_time: [above0, "honoured"],
  stop_strings: [textOrTexts, "honoured"],
  // strategy
  do_sample: [flag, "honoured"],
  num_beams: [count(1), "refused: beam search is not built yet", is(1)],
  use_mtp: [flag, "refused: a Mistral model has no heads for several tokens at once"],
  // cache
  use_cache: [flag, "honoured"],
  cache_implementation: [
    oneOf(...CACHES),
    "refused: generate() does not choose how keys and values are kept; load the model with cacheDtype instead",
    (value) =>
      CACHES.includes(value) &&
      value !== "quantized" &&
      "it says where keys and values are stored, and here they have one place, which stays small with a sliding window",
  ],
  cache_config: [anything, "no effect: the cache has its settings from the loading of the model"],
  max_cache_len: [anything, "no effect: the cache takes what it needs"],
  prefill_chunk_size: [anything, "no effect: a prompt is cut so that other calls are not held up"],
  // logits
  temperature: [atLeast0, "honoured", unlessSampling()],
  top_k: [topK, "honoured", unlessSampling()],
  top_p: [between(0, 1), "honoured", unlessSampling((p) => p >= 1)],
  min_p: [between(0, 1), "honoured", unlessSampling()],
  top_h: [between(0, 1), "honoured", unlessSampling()],
  typical_p: [between(0, 1), "honoured", unlessSampling((p) => p >= 1)],
  epsilon_cutoff: [between(0, 1), "honoured", unlessSampling((p) => p <= 0 || p >= 1)],
  eta_cutoff: [between(0, 1), "honoured", unlessSampling((p) => p <= 0 || p >= 1)],
  repetition_penalty: [above0, "honoured"],
  encoder_repetition_penalty: [above0, "honoured"],
  length_penalty: [finite, BEAMS],
  no_repeat_ngram_size: [count(0), "honoured", notPositive],
  bad_words_ids: [listOf("lists of token ids", words), "honoured"],
  renormalize_logits: [flag, "honoured"],
  forced_bos_token_id: [token, "honoured", negative],
  forced_eos_token_id: [tokenOrTokens, "honoured"],
  remove_invalid_values: [flag, "honoured"],
  exponential_decay_length_penalty: [pair, "honoured"],
  suppress_tokens: [tokens, "honoured"],
  begin_suppress_tokens: [tokens, "honoured"],
  sequence_bias: [listOf("[token ids, bias] pairs", biased), "honoured"],
  token_healing: [flag, "refused: token healing is not built yet"],
  guidance_scale: [
    finite,
    "refused: guidance needs a second forward, which is not built yet",
    is(1),
  ],
  watermarking_config: [anything, "refused: watermarks are not built yet"],
  // outputs
  num_return_sequences: [count(1), "honoured"],
  output_attentions: [flag, `not returned: ${RESULT}`, unlessReturned],
  output_hidden_states: [flag, `not returned: ${RESULT}`, unlessReturned],
  output_scores: [flag, "honoured"],
  output_logits: [flag, "honoured"],
  return_dict_in_generate: [flag, "honoured"],
  // tokens
  pad_token_id: [token, "honoured"],
  bos_token_id: [token, "honoured"],
  eos_token_id: [tokenOrTokens, "honoured"],
  // encoder and decoder; without an encoder, Transformers applies the first one to the prompt
  encoder_no_repeat_ngram_size: [count(0), "honoured", notPositive],
  decoder_start_token_id: [anything, "note"],
  // assistants
  is_assistant: [flag, ASSISTANT],
  num_assistant_tokens: [anything, ASSISTANT],
  num_assistant_tokens_schedule: [anything, ASSISTANT],
  assistant_confidence_threshold: [anything, ASSISTANT],
  prompt_lookup_num_tokens: [count(1), SPECULATION],
  max_matching_ngram_size: [anything, "no effect: it belongs to prompt lookup"],
  assistant_early_exit: [count(1), SPECULATION],
  assistant_lookbehind: [anything, ASSISTANT],
  target_lookbehind: [anything, ASSISTANT],
  assistant_ensemble_weight: [anything, ASSISTANT],
  speculation_type: [anything, ASSISTANT],
  // performance
  compile_config: [anything, "no effect: nothing is compiled"],
  disable_compile: [flag, "no effect: nothing is compiled"],
  continuous_batching_config: [
    anything,
    "no effect: calls on one model always share steps, and it belongs to generate_batch(), which is not built yet",
  ],
  // moved to the Hub in Transformers 5
  low_memory: [anything, "no effect: it belongs to a strategy that is not built yet"],
  penalty_alpha: [
    finite,
    HUB,
    (value, { do_sample, top_k }) =>
      isNumber(value) &&
      (value <= 0 || Boolean(do_sample) || !(isNumber(top_k) && top_k > 1)) &&
      "contrastive search needs it above 0, top_k above 1, and do_sample: false",
  ],
  dola_layers: [anything, HUB],
  diversity_penalty: [anything, BEAMS],
  num_beam_groups: [anything, BEAMS],
  constraints: [anything, HUB],
  force_words_ids: [anything, HUB],
  // notes in files
  _from_model_config: [anything, "note"],
  transformers_version: [anything, "note"],
  // ours: sampling is keyed by (seed, sequence, step)
  seed: [seed, "honoured"],
};

/** Every field by its name, in the order of Transformers' documentation. They are the fields of GenerationConfig. */
export const fields: ReadonlyMap<string, Field> = new Map(
  Object.entries(table).map(([name, [check, standing, isIdle = never]]) => [
    name,
    { check, standing, isIdle },
  ]),
);

/** The names of all fields. */
export const fieldNames: ReadonlySet<string> = new Set(fields.keys());
