// The fields of config.json as options of MistralConfig, each with what it means, its default and its range: an editor shows these texts
// where an option is typed, and at the field of a config, which inherits them. Does not know how they are read or checked.

/** RoPE settings. `rope_type` decides which further keys count: rope.ts. */
export type RopeParameters = {
  rope_type: string;
  /** The base of the frequencies. */
  rope_theta: number;
  [key: string]: unknown;
};

export type ProblemType =
  | "regression"
  | "single_label_classification"
  | "multi_label_classification";

/** Any field of config.json. Its fields are declared only: a MistralConfig sets them. */
export class ConfigFields {
  /** V, how many tokens the vocabulary has: rows of the embedding. At least 1; default 32000. */
  declare vocab_size?: number | null;
  /** H, width of the residual stream. At least 1; default 4096. */
  declare hidden_size?: number | null;
  /** F, width inside the gated feed-forward layer. At least 1; default 14336. */
  declare intermediate_size?: number | null;
  /** L, how many layers the decoder has. At least 1; default 32. */
  declare num_hidden_layers?: number | null;
  /** Hq, query heads. At least 1; default 32. */
  declare num_attention_heads?: number | null;
  /** Hkv, heads of keys and values, of which Hq is a multiple. Default 8; null: as many as query heads. */
  declare num_key_value_heads?: number | null;
  /** D, the size of a head: even, at least 2. Default: hidden_size / num_attention_heads. */
  declare head_dim?: number | null;
  /** The activation of the feed-forward layer: "silu" (the default), "gelu", "relu" and others of Transformers' names. */
  declare hidden_act?: string | null;
  /** The longest text, in tokens, that the model is meant for. At least 1; default 131072. */
  declare max_position_embeddings?: number | null;
  /** Standard deviation of new random weights. At least 0; default 0.02. */
  declare initializer_range?: number | null;
  /** What RMSNorm adds to the mean of squares, so that it never divides by 0. Above 0; default 1e-6. */
  declare rms_norm_eps?: number | null;
  /** Whether `forward` returns `past_key_values` unless the call says. Default true. */
  declare use_cache?: boolean | null;
  /** The token that pads batches; its embedding gets no gradient. Default null: none. */
  declare pad_token_id?: number | null;
  /** The token that begins a text. Default 1. */
  declare bos_token_id?: number | null;
  /** The token, or any of the tokens, that ends a text. Default 2. */
  declare eos_token_id?: number | number[] | null;
  /** Whether the output head shares the embedding's weights. Default false. */
  declare tie_word_embeddings?: boolean | null;
  /** Rotary angles: `rope_type` ("default", "linear", "dynamic", "yarn", "longrope", "llama3"), `rope_theta` (default 10000), and more. */
  declare rope_parameters?: Partial<RopeParameters> | null;
  /** W: a token sees the last W tokens, itself included. At least 1; default 4096; null: all before it. */
  declare sliding_window?: number | null;
  /** Dropout of attention, which acts in training only. From 0 to below 1; default 0. */
  declare attention_dropout?: number | null;
  /** The model classes from which the weights were saved. Default null. */
  declare architectures?: string[] | null;
  /** The dtype of the stored weights: "float32", "bfloat16", "float16". Default null: not said. */
  declare dtype?: string | null;
  /** Whether results have `hidden_states` unless the call says. Default false. */
  declare output_hidden_states?: boolean | null;
  /** Whether results have `attentions` unless the call says; needs `attn_implementation: "eager"`. Default false. */
  declare output_attentions?: boolean | null;
  /** Accepted, and changes nothing: results are always objects. Default true. */
  declare return_dict?: boolean | null;
  /** Accepted, and changes nothing: no result depends on it. Default 0. */
  declare chunk_size_feed_forward?: number | null;
  /** Accepted, and changes nothing: Mistral has no encoder. Default false. */
  declare is_encoder_decoder?: boolean | null;
  /** The name of each label, from 0. Default `{ 0: "LABEL_0", 1: "LABEL_1" }`. */
  declare id2label?: Record<number, string> | null;
  /** The number of each label's name. Default `{ LABEL_0: 0, LABEL_1: 1 }`. */
  declare label2id?: Record<string, number> | null;
  /** How a classifier of texts reads labels. Default null: the number of labels and their type decide. */
  declare problem_type?: ProblemType | null;
  /** The version of Transformers that wrote the file. Default: the one that this package follows. */
  declare transformers_version?: string | null;
  /** Where the config was read from; "" if it was made in code. */
  declare name_or_path?: string | null;
  /** The attention unless the caller chooses: "eager", "sdpa", "flash_attention_2". Default null: "sdpa". */
  declare attn_implementation?: string | null;
}

/** What `new MistralConfig({ … })` takes: any field, also under its older name; unknown ones are kept. */
export type MistralConfigOptions = ConfigFields & {
  /** The number of labels of a classifier; names them LABEL_0 … From 1 to 100,000; default 2. */
  num_labels?: number;
  /** Older name of rope_parameters.rope_theta. */
  rope_theta?: number;
  /** Older name of rope_parameters. */
  rope_scaling?: Partial<RopeParameters> | null;
  /** Older name of dtype. */
  torch_dtype?: string | null;
  /** Any other field of the file. */
  [key: string]: unknown;
};
