// What the models return; the names are those of Transformers.
// B batch, S tokens given, T columns seen so far, H hidden, V vocabulary, L layers, Hq heads.

import type { DynamicCache } from "./cache.ts";
import type { Tensor } from "./tensor.ts";

export type BaseModelOutputWithPast = {
  /** [B, S, H], after the final norm; 0 in padded places */
  last_hidden_state: Tensor;
  past_key_values?: DynamicCache;
  /** (L + 1) × [B, S, H]: what enters each layer, and the last hidden state */
  hidden_states?: Tensor[];
  /** L × [B, Hq, S, T]; needs `attn_implementation: "eager"` */
  attentions?: Tensor[];
};

export type CausalLMOutputWithPast = {
  /** []: mean over the labels that are not −100, or their sum divided by `num_items_in_batch`; `loss.item()` is the number */
  loss?: Tensor;
  /** [B, S, V], or the kept columns of S; 0 in padded places */
  logits: Tensor;
  past_key_values?: DynamicCache;
  /** (L + 1) × [B, S, H]: what enters each layer, and the last hidden state */
  hidden_states?: Tensor[];
  /** L × [B, Hq, S, T]; needs `attn_implementation: "eager"` */
  attentions?: Tensor[];
};

export type GenerateDecoderOnlyOutput = {
  /** [B · num_return_sequences, S + new] */
  sequences: Tensor;
  /** Per new token [B, V]: after the processors (`output_scores`) */
  scores?: Tensor[];
  /** Per new token [B, V]: before them (`output_logits`) */
  logits?: Tensor[];
  past_key_values?: DynamicCache;
};
