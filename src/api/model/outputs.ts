// What the models return, under the names of Transformers. Computes nothing.
// B batch, S new tokens, T columns so far (cached ones included), H hidden, V vocabulary, N labels, L layers, Hq heads.

import type { DynamicCache } from "./cache.ts";
import type { Tensor } from "../tensor/tensor.ts";

export type BaseModelOutputWithPast = {
  /** [B, S, H], after the final norm; 0 for padding */
  last_hidden_state: Tensor;
  past_key_values?: DynamicCache;
  /** (L + 1) × [B, S, H]: the input of each layer, then the last hidden state */
  hidden_states?: Tensor[];
  /** L × [B, Hq, S, T]; needs `attn_implementation: "eager"` */
  attentions?: Tensor[];
};

export type CausalLMOutputWithPast = {
  /** []: the mean over labels that are not −100, or their sum divided by `num_items_in_batch`. `loss.item()` is the number */
  loss?: Tensor;
  /** [B, S, V], or only the columns of `logits_to_keep`; 0 for padding */
  logits: Tensor;
  past_key_values?: DynamicCache;
  /** (L + 1) × [B, S, H]: the input of each layer, then the last hidden state */
  hidden_states?: Tensor[];
  /** L × [B, Hq, S, T]; needs `attn_implementation: "eager"` */
  attentions?: Tensor[];
};

export type SequenceClassifierOutputWithPast = {
  /** []: as the config's problem type says. `loss.item()` is the number */
  loss?: Tensor;
  /** [B, N]: of the rightmost token of each row that is not the pad token */
  logits: Tensor;
  past_key_values?: DynamicCache;
  /** (L + 1) × [B, S, H]: the input of each layer, then the last hidden state */
  hidden_states?: Tensor[];
  /** L × [B, Hq, S, T]; needs `attn_implementation: "eager"` */
  attentions?: Tensor[];
};

export type TokenClassifierOutput = {
  /** []: the mean over labels that are not −100, or their sum divided by `num_items_in_batch`. `loss.item()` is the number */
  loss?: Tensor;
  /** [B, S, N]; 0 for padding */
  logits: Tensor;
  /** (L + 1) × [B, S, H]: the input of each layer, then the last hidden state */
  hidden_states?: Tensor[];
  /** L × [B, Hq, S, T]; needs `attn_implementation: "eager"` */
  attentions?: Tensor[];
};

export type QuestionAnsweringModelOutput = {
  /** []: the mean of the losses of start and end. `loss.item()` is the number */
  loss?: Tensor;
  /** [B, S]; 0 for padding */
  start_logits: Tensor;
  /** [B, S]; 0 for padding */
  end_logits: Tensor;
  /** (L + 1) × [B, S, H]: the input of each layer, then the last hidden state */
  hidden_states?: Tensor[];
  /** L × [B, Hq, S, T]; needs `attn_implementation: "eager"` */
  attentions?: Tensor[];
};

export type GenerateDecoderOnlyOutput = {
  /** [B · num_return_sequences, S + new], prompt included */
  sequences: Tensor;
  /** With `output_scores`: for each new token [B · num_return_sequences, V], the scores after the processors */
  scores?: Tensor[];
  /** With `output_logits`: for each new token [B · num_return_sequences, V], the model's logits */
  logits?: Tensor[];
  past_key_values?: DynamicCache;
};
