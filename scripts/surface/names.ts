// The names and options of Transformers' Mistral page, in groups. For those that work, the test that fails when the name is ignored, and
// for those whose standing the code does not say, why. All else about a name is asked of the code (standing.ts).

/** Where the code is asked about the names of a group. */
export type Place =
  | "MistralConfig"
  | "forward"
  | "from_pretrained"
  | "save_pretrained"
  | "generate"
  | "BitsAndBytesConfig"
  | "tokenizer"
  | "PreTrainedTokenizer"
  | "apply_chat_template"
  | "TextStreamer"
  | "DynamicCache"
  | "text-generation"
  | "text-classification"
  | "token-classification"
  | "question-answering"
  | "feature-extraction"
  | "package";

export type Group = {
  readonly title: string;
  readonly place: Place;
  /** Test → the names that it checks, with spaces between them. "test + data": the data holds the names. */
  readonly tests: Readonly<Record<string, string>>;
  /** Names that are refused, or have no effect. */
  readonly others?: string;
  /** Names that are accepted, and why they change nothing. */
  readonly withoutEffect?: Readonly<Record<string, string>>;
  /** Names without a meaning here, and why. */
  readonly notApplicable?: Readonly<Record<string, string>>;
};

const GENERATION = "test/golden/generation.test.ts + test/goldens/generation/base-f32.json";
const FORWARD = "test/golden/forward.test.ts + test/goldens/forward/base-f32.json";
const TOKENIZER = "test/text/tokenizer-options.test.ts";
const PIPELINES = "test/pipelines/pipelines.test.ts + test/pipelines/cases.json";
const TRAINING = "it acts in training, which is not built yet";

export const groups: readonly Group[] = [
  {
    title: "Classes and functions",
    place: "package",
    tests: {
      "test/models/config.test.ts": "AutoConfig MistralConfig",
      "test/models/config-generation.test.ts": "GenerationConfig",
      [TOKENIZER]: "AutoTokenizer",
      "test/api/forward.test.ts": "AutoModel AutoModelForCausalLM MistralModel MistralForCausalLM",
      "test/api/heads.test.ts":
        "AutoModelForSequenceClassification AutoModelForTokenClassification AutoModelForQuestionAnswering MistralForSequenceClassification MistralForTokenClassification MistralForQuestionAnswering",
      "test/api/bits-and-bytes-config.test.ts": "BitsAndBytesConfig",
      "test/api/cache.test.ts": "DynamicCache",
      "test/pipelines/pipelines.test.ts": "pipeline",
      "test/api/streaming.test.ts": "TextStreamer TextIteratorStreamer",
    },
    others:
      "AsyncTextIteratorStreamer StaticCache QuantizedCache LogitsProcessorList StoppingCriteriaList ContinuousBatchingConfig",
    notApplicable: {
      OffloadedCache: "keys and values have one place, so that there is nowhere to offload them to",
    },
  },
  {
    title: "Config",
    place: "MistralConfig",
    tests: {
      "test/models/config-check.test.ts":
        "vocab_size hidden_size intermediate_size num_hidden_layers num_attention_heads head_dim rms_norm_eps tie_word_embeddings",
      "test/models/config.test.ts":
        "num_key_value_heads rope_theta rope_scaling max_position_embeddings rope_parameters model_type architectures transformers_version label2id to_dict to_diff_dict to_json_string from_pretrained save_pretrained",
      "test/api/new-weights.test.ts": "num_labels id2label token_classification_bias",
      "test/api/option-effects.test.ts": "initializer_range",
      "test/api/forward.test.ts": "use_cache output_hidden_states output_attentions",
      "test/api/heads.test.ts": "pad_token_id problem_type",
      "test/models/config-generation.test.ts": "bos_token_id eos_token_id",
      "test/golden/forward.test.ts + test/goldens/models/sw8-f32/config.json": "sliding_window",
      "test/golden/forward.test.ts + test/goldens/models/mha-gelu-f32/config.json": "hidden_act",
      "test/api/load.test.ts": "dtype",
    },
    withoutEffect: {
      attention_dropout: TRAINING,
      return_dict: "results are always objects",
      chunk_size_feed_forward: "no result depends on it",
      is_encoder_decoder: "Mistral has no encoder",
      classifier_dropout: TRAINING,
    },
    notApplicable: {
      layer_types: "a config with layers of several types is Ministral's, which is refused",
    },
  },
  {
    title: "Inputs of a model",
    place: "forward",
    tests: {
      [FORWARD]: "input_ids attention_mask position_ids num_items_in_batch",
      "test/api/forward.test.ts":
        "past_key_values inputs_embeds use_cache labels logits_to_keep output_hidden_states output_attentions",
      "test/api/heads.test.ts": "start_positions end_positions",
    },
    others: "return_dict cu_seq_lens_q cu_seq_lens_k max_length_q max_length_k is_causal seq_idx",
  },
  {
    title: "from_pretrained",
    place: "from_pretrained",
    tests: {
      "test/api/load.test.ts":
        "config dtype device_map device attn_implementation generation_config output_loading_info",
      "test/api/device.test.ts": "torch_dtype cacheDtype compute_dtype",
      "test/golden/quant-bnb.test.ts": "quantization_config",
      "test/api/gguf.test.ts": "gguf_file",
      "test/checkpoint/weights.test.ts": "subfolder variant",
      "test/api/new-weights.test.ts":
        "ignore_mismatched_sizes seed num_labels id2label problem_type",
      "test/hub/cache.test.ts": "cache_dir force_download local_files_only token",
      "test/hub/model-files.test.ts": "revision",
      "test/engine/abort.test.ts": "signal onProgress",
      "test/engine/limits.test.ts": "memoryLimit",
      "test/api/option-effects.test.ts": "disable_mmap threads",
    },
    others:
      "use_safetensors weights_only low_cpu_mem_usage max_memory adapter_name adapter_kwargs key_mapping state_dict offload_folder tp_plan trust_remote_code",
  },
  {
    title: "save_pretrained",
    place: "save_pretrained",
    tests: { "test/api/save-model.test.ts": "max_shard_size variant" },
    others: "safe_serialization push_to_hub state_dict save_peft_format",
  },
  {
    title: "generate: settings (GenerationConfig)",
    place: "generate",
    tests: {
      [GENERATION]:
        "max_length max_new_tokens min_length min_new_tokens stop_strings repetition_penalty no_repeat_ngram_size bad_words_ids renormalize_logits forced_bos_token_id forced_eos_token_id exponential_decay_length_penalty suppress_tokens begin_suppress_tokens sequence_bias pad_token_id eos_token_id",
      "test/generate/stopping.test.ts": "max_time",
      "test/api/sampling.test.ts":
        "do_sample temperature top_k top_p min_p num_return_sequences seed output_scores return_dict_in_generate",
      "test/golden/processors.test.ts": "top_h typical_p epsilon_cutoff eta_cutoff",
      "test/generate/processors.test.ts":
        "encoder_repetition_penalty encoder_no_repeat_ngram_size remove_invalid_values",
      "test/golden/generation.test.ts": "output_logits",
      "test/api/generate.test.ts": "use_cache",
    },
    others:
      "early_stopping num_beams use_mtp cache_implementation cache_config max_cache_len prefill_chunk_size length_penalty token_healing guidance_scale watermarking_config output_attentions output_hidden_states num_assistant_tokens num_assistant_tokens_schedule assistant_confidence_threshold is_assistant prompt_lookup_num_tokens max_matching_ngram_size assistant_early_exit assistant_lookbehind target_lookbehind assistant_ensemble_weight speculation_type compile_config disable_compile continuous_batching_config low_memory penalty_alpha dola_layers diversity_penalty num_beam_groups constraints force_words_ids",
    withoutEffect: {
      bos_token_id: "prompts come with their tokens, which tokenizers put in front",
    },
    notApplicable: { decoder_start_token_id: "Mistral has no encoder and decoder" },
  },
  {
    title: "generate: arguments beside the settings",
    place: "generate",
    tests: {
      "test/api/generate.test.ts": "inputs input_ids attention_mask past_key_values tokenizer",
      "test/api/load.test.ts": "generation_config",
      "test/api/streaming.test.ts": "streamer",
      "test/engine/abort.test.ts": "signal",
    },
    others:
      "inputs_embeds logits_processor stopping_criteria prefix_allowed_tokens_fn assistant_model negative_prompt_ids negative_prompt_attention_mask custom_generate",
    notApplicable: { synced_gpus: "one machine computes" },
  },
  {
    title: "BitsAndBytesConfig",
    place: "BitsAndBytesConfig",
    tests: {
      "test/api/bits-and-bytes-config.test.ts":
        "load_in_8bit load_in_4bit llm_int8_threshold llm_int8_skip_modules bnb_4bit_quant_type bnb_4bit_use_double_quant",
      "test/golden/compute-dtype.test.ts": "bnb_4bit_compute_dtype",
    },
    others: "llm_int8_enable_fp32_cpu_offload llm_int8_has_fp16_weight bnb_4bit_quant_storage",
  },
  {
    title: "tokenizer(…)",
    place: "tokenizer",
    tests: {
      [TOKENIZER]:
        "text_pair text_target add_special_tokens padding max_length stride is_split_into_words pad_to_multiple_of padding_side return_tensors return_tensor return_token_type_ids return_attention_mask return_overflowing_tokens return_offsets_mapping split_special_tokens",
      "test/golden/tokenization.test.ts": "truncation return_special_tokens_mask",
      "test/api/option-effects.test.ts": "return_length",
    },
    others: "verbose",
  },
  {
    title: "Tokenizer: methods",
    place: "PreTrainedTokenizer",
    tests: {
      [TOKENIZER]:
        "decode batch_decode tokenize convert_tokens_to_ids convert_ids_to_tokens convert_tokens_to_string pad get_vocab get_added_vocab add_tokens add_special_tokens get_special_tokens_mask num_special_tokens_to_add encode_message_with_chat_template apply_chat_template save_pretrained",
      "test/golden/tokenization.test.ts": "encode",
      "test/api/option-effects.test.ts": "get_chat_template",
    },
    others: "parse_response",
    notApplicable: { train_new_from_iterator: "tokenizers are read here, not trained" },
  },
  {
    title: "apply_chat_template",
    place: "apply_chat_template",
    tests: {
      [TOKENIZER]: "tools chat_template tokenize sanitize_control_tokens return_tensors",
      "test/golden/jinja.test.ts": "documents add_generation_prompt continue_final_message",
      "test/golden/chat.test.ts": "padding truncation return_dict return_assistant_tokens_mask",
      "test/api/option-effects.test.ts": "max_length tokenizer_kwargs",
    },
  },
  {
    title: "TextStreamer, TextIteratorStreamer",
    place: "TextStreamer",
    tests: {
      "test/generate/streamers.test.ts":
        "skip_prompt skip_special_tokens timeout callback_function token_callback_function put end on_finalized_text",
    },
    others: "clean_up_tokenization_spaces",
  },
  {
    title: "DynamicCache: methods",
    place: "DynamicCache",
    tests: {
      "test/api/cache.test.ts":
        "get_seq_length crop reorder_cache batch_repeat_interleave batch_select_indices",
    },
    others: "update get_max_length get_mask_sizes reset",
  },
  {
    title: 'pipeline("text-generation")',
    place: "text-generation",
    tests: {
      [PIPELINES]:
        "return_full_text return_tensors prefix handle_long_generation stop_sequence truncation max_length skip_special_tokens tokenizer_encode_kwargs",
      "test/api/option-effects.test.ts": "return_text continue_final_message tools documents",
    },
    others: "clean_up_tokenization_spaces",
  },
  {
    title: 'pipeline("text-classification")',
    place: "text-classification",
    tests: { [PIPELINES]: "top_k function_to_apply" },
  },
  {
    title: 'pipeline("token-classification")',
    place: "token-classification",
    tests: { [PIPELINES]: "aggregation_strategy" },
  },
  {
    title: 'pipeline("question-answering")',
    place: "question-answering",
    tests: { [PIPELINES]: "top_k max_answer_len doc_stride" },
  },
  {
    title: 'pipeline("feature-extraction")',
    place: "feature-extraction",
    tests: { "test/pipelines/pipelines.test.ts": "pooling return_tensors" },
  },
];
