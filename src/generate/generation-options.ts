// The settings of generate() as options, each with what it means, its default and its range: an editor shows these texts where an option
// is typed (so they stand here, not at the fields of a class: TypeScript shows none through a mapped type). Which of them are acted on is
// decided in generation-fields.ts; how they are merged, in resolve-generation.ts.

/**
 * Settings of generate(). One that is not given is taken from the model's generation_config.json, then from the default; an explicit null
 * switches it off.
 */
export type GenerationOptions = {
  /**
   * The most tokens of prompt and continuation together. Not read if `max_new_tokens` is set. A whole number of at least 1; default: the
   * prompt's tokens + 20, at most the model's `max_position_embeddings`.
   */
  max_length?: number | null;
  /** The most new tokens; goes before `max_length`. A whole number of at least 1; default: not set. */
  max_new_tokens?: number | null;
  /** The fewest tokens of prompt and continuation together: until then no token ends a text. At least 0; default 0. */
  min_length?: number | null;
  /** The fewest new tokens: until then no token ends a text; goes before `min_length`. At least 0; default: not set. */
  min_new_tokens?: number | null;
  /** No effect here: it says when beam search may stop. Default false. */
  early_stopping?: boolean | "never" | null;
  /** Seconds after which no further token is begun. Above 0; default: no limit. */
  max_time?: number | null;
  /**
   * A row ends after the token that completes one of these texts, which stays in the result. Needs the option `tokenizer`. One text or up
   * to 4096, none empty; default: none.
   */
  stop_strings?: string | string[] | null;
  /**
   * Whether tokens are drawn by their probabilities. false: the likeliest token each time (greedy), and `temperature`, `top_k`, `top_p`
   * and the other cuts of probabilities have no effect. Default false.
   */
  do_sample?: boolean | null;
  /** Beams of a beam search. Refused above 1: beam search is not built yet. Default 1. */
  num_beams?: number | null;
  /** Refused if true: a Mistral model has no heads that predict several tokens at once. Default false. */
  use_mtp?: boolean | null;
  /** Whether the result keeps the cache, as `past_key_values`, if it is an object. It never changes a token. Default true. */
  use_cache?: boolean | null;
  /**
   * No effect here, but "quantized", which is refused: how keys and values are kept is chosen by `cacheDtype` when the model is loaded.
   * Default: "dynamic".
   */
  cache_implementation?:
    | "dynamic"
    | "static"
    | "offloaded"
    | "offloaded_static"
    | "quantized"
    | "paged"
    | "sliding_window"
    | "hybrid"
    | "hybrid_chunked"
    | "offloaded_hybrid"
    | "offloaded_hybrid_chunked"
    | null;
  /** No effect here: the cache has its settings from the loading of the model. */
  cache_config?: object | null;
  /** No effect here: the cache takes what it needs. */
  max_cache_len?: number | null;
  /** No effect here: a prompt is cut so that other calls are not held up. */
  prefill_chunk_size?: number | null;
  /**
   * With `do_sample`: divides the logits. Below 1 likely tokens become likelier, above 1 the choice is more even. Above 0; default 1.
   */
  temperature?: number | null;
  /** With `do_sample`: only that many likeliest tokens are drawn from; 0: all. A whole number of at least 0; default 50. */
  top_k?: number | null;
  /**
   * With `do_sample`: only the likeliest tokens are drawn from, as many as reach this sum of probabilities (nucleus sampling, Holtzman et
   * al. 2020, arXiv:1904.09751). From 0 to 1; default 1: all.
   */
  top_p?: number | null;
  /**
   * With `do_sample`: only tokens at least this many times as likely as the likeliest one are drawn from (Nguyen et al. 2024,
   * arXiv:2407.01082). From 0 to 1; default: not set.
   */
  min_p?: number | null;
  /**
   * With `do_sample`: only the likeliest tokens are drawn from, as many as have at most this share of the whole distribution's entropy
   * (Potraghloo et al. 2025, arXiv:2509.02510). From 0 to 1; default: not set.
   */
  top_h?: number | null;
  /**
   * With `do_sample`: only the tokens whose information is nearest to the entropy, as many as reach this sum of probabilities (Meister et
   * al. 2023, arXiv:2202.00666). From 0 to 1; default 1: all.
   */
  typical_p?: number | null;
  /** With `do_sample`: only tokens of at least this probability (Hewitt et al. 2022, arXiv:2210.15191). From 0 to 1; default 0: all. */
  epsilon_cutoff?: number | null;
  /** With `do_sample`: as `epsilon_cutoff`, lower where the entropy is high (arXiv:2210.15191). From 0 to 1; default 0: all. */
  eta_cutoff?: number | null;
  /**
   * Above 1, tokens of prompt and continuation become less likely; below 1, likelier (Keskar et al. 2019, arXiv:1909.05858). Above 0;
   * default 1: no change.
   */
  repetition_penalty?: number | null;
  /** Above 1, tokens of the prompt become likelier; below 1, less likely. Above 0; default 1: no change. */
  encoder_repetition_penalty?: number | null;
  /** No effect here: it belongs to beam search. Default 1. */
  length_penalty?: number | null;
  /** No sequence of this many tokens comes twice, prompt included. A whole number of at least 0; default 0: any may. */
  no_repeat_ngram_size?: number | null;
  /** Sequences of token ids that are never completed. Up to 4096; default: none. */
  bad_words_ids?: number[][] | null;
  /** Whether scores are log-probabilities again after all processors have changed them. Default false. */
  renormalize_logits?: boolean | null;
  /** The token that follows a prompt of one token. Default: none. */
  forced_bos_token_id?: number | null;
  /** The token, or one of the tokens, with which a text that reaches its length ends. Default: none. */
  forced_eos_token_id?: number | number[] | null;
  /** Whether scores that are NaN or infinite are replaced by finite ones. Default false. */
  remove_invalid_values?: boolean | null;
  /**
   * [start, factor]: from the new token numbered `start` on, the eos tokens become likelier, by `factor` to the power of the tokens since.
   * Default: none.
   */
  exponential_decay_length_penalty?: [start: number, factor: number] | null;
  /** Token ids that are never chosen. Up to 4096; default: none. */
  suppress_tokens?: number[] | null;
  /** Token ids that are not chosen as the first new token. Up to 4096; default: none. */
  begin_suppress_tokens?: number[] | null;
  /** Pairs of a sequence of token ids and a number, which is added to the score of the token that completes it. Default: none. */
  sequence_bias?: [tokens: number[], bias: number][] | null;
  /** Refused if true: token healing is not built yet. Default false. */
  token_healing?: boolean | null;
  /** Refused unless 1: guidance needs a second forward pass, which is not built yet. Default: not set. */
  guidance_scale?: number | null;
  /** Refused: watermarks are not built yet. */
  watermarking_config?: object | null;
  /** Continuations of each prompt, in rows one after another. At least 1, and more than 1 needs `do_sample`; default 1. */
  num_return_sequences?: number | null;
  /**
   * Not returned by generate(), and refused in a call that returns an object: call the model on the sequence that comes out. Default false.
   */
  output_attentions?: boolean | null;
  /**
   * Not returned by generate(), and refused in a call that returns an object: call the model on the sequence that comes out. Default false.
   */
  output_hidden_states?: boolean | null;
  /** With `return_dict_in_generate`: whether the result has `scores`, those after the processors, for each new token. Default false. */
  output_scores?: boolean | null;
  /** With `return_dict_in_generate`: whether the result has `logits`, those of the model, for each new token. Default false. */
  output_logits?: boolean | null;
  /** Whether generate() returns an object with `sequences` and what else was asked for, rather than the ids alone. Default false. */
  return_dict_in_generate?: boolean | null;
  /** The token with which rows that end early are filled. Default: the model's, else its first eos token. */
  pad_token_id?: number | null;
  /** The token that begins a text. It is not added to prompts: tokenizers do that. Default: the model's. */
  bos_token_id?: number | null;
  /** The token, or any of the tokens, that ends a row. Default: the model's. */
  eos_token_id?: number | number[] | null;
  /** No sequence of this many tokens of the prompt comes again in the continuation. At least 0; default 0: any may. */
  encoder_no_repeat_ngram_size?: number | null;
  /** No effect here: Mistral has no encoder. */
  decoder_start_token_id?: number | number[] | null;
  /** No effect here: it belongs to assistant models. */
  is_assistant?: boolean | null;
  /** No effect here: it belongs to assistant models. */
  num_assistant_tokens?: number | null;
  /** No effect here: it belongs to assistant models. */
  num_assistant_tokens_schedule?: "constant" | "heuristic" | "heuristic_transient" | null;
  /** No effect here: it belongs to assistant models. */
  assistant_confidence_threshold?: number | null;
  /** No effect here: prompt lookup changes the speed, never the tokens, and is not built yet. At least 1. */
  prompt_lookup_num_tokens?: number | null;
  /** No effect here: it belongs to prompt lookup. */
  max_matching_ngram_size?: number | null;
  /** No effect here: early exit changes the speed, never the tokens, and is not built yet. At least 1. */
  assistant_early_exit?: number | null;
  /** No effect here: it belongs to assistant models. */
  assistant_lookbehind?: number | null;
  /** No effect here: it belongs to assistant models. */
  target_lookbehind?: number | null;
  /** No effect here: it belongs to assistant models. */
  assistant_ensemble_weight?: number | null;
  /** No effect here: it belongs to assistant models. */
  speculation_type?: string | null;
  /** No effect here: nothing is compiled. */
  compile_config?: object | null;
  /** No effect here: nothing is compiled. */
  disable_compile?: boolean | null;
  /** No effect here: calls on one model always share steps. */
  continuous_batching_config?: object | null;
  /** No effect here: it belongs to a strategy that is not built yet. */
  low_memory?: boolean | null;
  /** Refused where it would act (above 0, greedy, `top_k` above 1): Transformers 5 moved contrastive search to the Hub. */
  penalty_alpha?: number | null;
  /** Refused: Transformers 5 moved DoLa decoding to code on the Hub, which is never run here. */
  dola_layers?: "low" | "high" | number[] | null;
  /** No effect here: it belongs to beam search. */
  diversity_penalty?: number | null;
  /** No effect here: it belongs to beam search. */
  num_beam_groups?: number | null;
  /** Refused: Transformers 5 moved constrained beams to code on the Hub, which is never run here. */
  constraints?: object[] | null;
  /** Refused: Transformers 5 moved constrained beams to code on the Hub, which is never run here. */
  force_words_ids?: number[][] | null;
  /**
   * Not in Transformers. With `do_sample`: the same seed gives the same tokens, alone and in a batch. A whole number from 0 to 2^53 − 1;
   * default: each call draws its own.
   */
  seed?: number | null;
};

/** Notes in files, which nothing reads: whether the settings come from config.json, and which version of Transformers wrote them. */
type Notes = { _from_model_config: boolean | null; transformers_version: string | null };

/** Every field of GenerationConfig, null if it is not set. */
export type GenerationFields = {
  -readonly [Name in keyof GenerationOptions]-?: Exclude<GenerationOptions[Name], undefined>;
} & Notes;

/** The name of a field of GenerationConfig. */
export type FieldName = keyof GenerationFields;
