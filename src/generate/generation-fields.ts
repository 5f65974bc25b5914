// Every field of Transformers' GenerationConfig (5.23): what values it may have, and whether this engine acts on it.
// When a field becomes honoured, this is the place to edit: change its standing. No field is ignored silently: one that is not honoured
// is refused, with the reason, as soon as it has a value that would change the result.

/** What a value must be: undefined when it is fine, else the words for "expected …". */
type Check = (value: unknown) => string | undefined;

/**
 * `honoured`: the engine acts on it. `indifferent`: no value of it changes a token. `with X`: it matters only when X is set, and X is
 * refused. `refused: why`: values that would change the result are refused, for that reason.
 */
type Standing = "honoured" | "indifferent" | `with ${string}` | `refused: ${string}`;

export type Field = { readonly check: Check; readonly standing: Standing };

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

const BEAMS = "with num_beams";
const ASSISTANT = "with assistant_model";
const HUB =
  "refused: Transformers 5 moved this strategy to code on the Hub, which is never run here";

const table: Readonly<Record<string, readonly [Check, Standing]>> = {
  // length
  max_length: [count(1), "honoured"],
  max_new_tokens: [count(1), "honoured"],
  min_length: [count(0), "honoured"],
  min_new_tokens: [count(0), "honoured"],
  early_stopping: [oneOf(true, false, "never"), BEAMS],
  max_time: [above0, "honoured"],
  stop_strings: [textOrTexts, "honoured"],
  // strategy
  do_sample: [flag, "honoured"],
  num_beams: [count(1), "refused: beam search is not built yet"],
  use_mtp: [flag, "refused: a Mistral model has no heads for several tokens at once"],
  // cache
  use_cache: [flag, "honoured"],
  cache_implementation: [
    oneOf("dynamic", "static", "offloaded", "offloaded_static", "hybrid", "paged", "quantized"),
    "refused: the cache keeps keys and values in full precision",
  ],
  cache_config: [anything, "with cache_implementation"],
  max_cache_len: [count(1), "indifferent"],
  prefill_chunk_size: [count(1), "indifferent"],
  // logits
  temperature: [atLeast0, "honoured"],
  top_k: [count(0), "honoured"],
  top_p: [between(0, 1), "honoured"],
  min_p: [between(0, 1), "honoured"],
  top_h: [between(0, 1), "honoured"],
  typical_p: [between(0, 1), "honoured"],
  epsilon_cutoff: [between(0, 1), "honoured"],
  eta_cutoff: [between(0, 1), "honoured"],
  repetition_penalty: [above0, "honoured"],
  encoder_repetition_penalty: [above0, "refused: Mistral has no encoder"],
  length_penalty: [finite, BEAMS],
  no_repeat_ngram_size: [count(0), "honoured"],
  bad_words_ids: [listOf("lists of token ids", words), "honoured"],
  renormalize_logits: [flag, "honoured"],
  forced_bos_token_id: [token, "honoured"],
  forced_eos_token_id: [tokenOrTokens, "honoured"],
  remove_invalid_values: [flag, "honoured"],
  exponential_decay_length_penalty: [pair, "honoured"],
  suppress_tokens: [tokens, "honoured"],
  begin_suppress_tokens: [tokens, "honoured"],
  sequence_bias: [listOf("[token ids, bias] pairs", biased), "honoured"],
  token_healing: [flag, "refused: token healing is not built yet"],
  guidance_scale: [finite, "refused: guidance needs a second forward, which is not built yet"],
  watermarking_config: [anything, "refused: watermarks are not built yet"],
  // outputs
  num_return_sequences: [count(1), "honoured"],
  output_attentions: [
    flag,
    "refused: generate() keeps no attentions; call the model on the sequence that comes out",
  ],
  output_hidden_states: [
    flag,
    "refused: generate() keeps no hidden states; call the model on the sequence that comes out",
  ],
  output_scores: [flag, "honoured"],
  output_logits: [flag, "honoured"],
  return_dict_in_generate: [flag, "honoured"],
  // tokens
  pad_token_id: [token, "honoured"],
  bos_token_id: [token, "honoured"],
  eos_token_id: [tokenOrTokens, "honoured"],
  // encoder and decoder
  encoder_no_repeat_ngram_size: [count(0), "refused: Mistral has no encoder"],
  decoder_start_token_id: [tokenOrTokens, "indifferent"],
  // assistants
  is_assistant: [flag, ASSISTANT],
  num_assistant_tokens: [count(1), ASSISTANT],
  num_assistant_tokens_schedule: [oneOf("constant", "heuristic", "heuristic_transient"), ASSISTANT],
  assistant_confidence_threshold: [between(0, 1), ASSISTANT],
  prompt_lookup_num_tokens: [count(1), "refused: prompt lookup is not built yet"],
  max_matching_ngram_size: [count(1), "with prompt_lookup_num_tokens"],
  assistant_early_exit: [count(1), "refused: Mistral has no early-exit heads"],
  assistant_lookbehind: [count(0), ASSISTANT],
  target_lookbehind: [count(0), ASSISTANT],
  assistant_ensemble_weight: [between(0, 1), ASSISTANT],
  speculation_type: [anything, ASSISTANT],
  // performance
  compile_config: [anything, "indifferent"],
  disable_compile: [flag, "indifferent"],
  continuous_batching_config: [
    anything,
    "refused: it belongs to generate_batch(), which is not built yet",
  ],
  // moved to the Hub in Transformers 5
  low_memory: [flag, "indifferent"],
  penalty_alpha: [finite, HUB],
  dola_layers: [anything, HUB],
  diversity_penalty: [finite, BEAMS],
  num_beam_groups: [count(1), HUB],
  constraints: [anything, HUB],
  force_words_ids: [anything, HUB],
  // notes in files
  _from_model_config: [flag, "indifferent"],
  transformers_version: [anything, "indifferent"],
  // ours: sampling is keyed by (seed, sequence, step)
  seed: [seed, "honoured"],
};

/** Every field by its name, in the order of Transformers' documentation. GenerationConfig has a property of each name, and no other. */
export const fields: ReadonlyMap<string, Field> = new Map(
  Object.entries(table).map(([name, [check, standing]]) => [name, { check, standing }]),
);

/** The names of all fields. */
export const fieldNames: ReadonlySet<string> = new Set(fields.keys());

/** Whether a field with this value changes nothing, though it is not the default. */
export function isNeutral(name: string, value: unknown): boolean {
  if (value === null || value === undefined || value === false) return true;
  if (Array.isArray(value)) return value.length === 0;
  if (name === "guidance_scale") return value === 1;
  if (name === "penalty_alpha") return value === 0;
  // The other implementations only say where keys and values are stored.
  if (name === "cache_implementation") return value !== "quantized";
  return false;
}
