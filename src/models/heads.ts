// The heads on the decoder: the model classes of Transformers, and the logits that each computes from the last hidden states.
// N rows, H hidden, V vocabulary, K labels. Knows no batch and no labels: losses.ts does.

import { InputError } from "../errors.ts";
import type { Tensor } from "../graph/graph.ts";
import { addBias } from "../ops/add-bias.ts";
import type { MistralConfig } from "./config.ts";
import type { Weights } from "./weights.ts";

/** The model classes. */
export const modelClasses = [
  "MistralModel",
  "MistralForCausalLM",
  "MistralForSequenceClassification",
  "MistralForTokenClassification",
  "MistralForQuestionAnswering",
] as const;

export type ModelClass = (typeof modelClasses)[number];

/** A linear layer from H to the logits of a row. */
export type Head = {
  /** Its module in the checkpoint. */
  readonly module: string;
  /** How many logits a row gets. */
  readonly width: number;
  readonly bias: boolean;
};

/** The head of a model class; undefined for the bare decoder. */
export function headOf(
  modelClass: ModelClass,
  c: Pick<MistralConfig, "vocab_size" | "num_labels" | "tie_word_embeddings"> & {
    /** A field of classifiers' configs that MistralConfig keeps as it comes. Default true. */
    token_classification_bias?: unknown;
  },
): Head | undefined {
  const { vocab_size: V, num_labels: K } = c;
  switch (modelClass) {
    case "MistralModel":
      return undefined;
    case "MistralForCausalLM": {
      const module = c.tie_word_embeddings ? "model.embed_tokens" : "lm_head";
      return { module, width: V, bias: false };
    }
    case "MistralForSequenceClassification":
      return { module: "score", width: K, bias: false };
    case "MistralForTokenClassification":
      return { module: "score", width: K, bias: c.token_classification_bias !== false };
    case "MistralForQuestionAnswering":
      return { module: "qa_outputs", width: 2, bias: true }; // start and end
  }
}

/** last [N, H] → logits [N, width] */
export function recordHead(
  last: Tensor,
  modelClass: ModelClass,
  c: MistralConfig,
  w: Weights,
): Tensor {
  const head = headOf(modelClass, c);
  if (head === undefined) {
    throw new InputError(`${modelClass} has no head, so it gives no logits; load another class`);
  }
  const { module, width, bias } = head;
  const logits = w.project(last, module, width, c.hidden_size);
  return bias ? addBias(logits, w.weight(`${module}.bias`, width)) : logits;
}

/**
 * The column of a sequence whose logits classify the sequence: its last token that is not the pad token. Padding may be on either side.
 * @param ids the tokens of its S columns. Undefined if embeddings were passed instead: the last column is taken then
 */
export function pooledColumn(
  ids: ArrayLike<number> | undefined,
  S: number,
  padTokenId: number | null,
): number {
  if (ids === undefined || padTokenId === null) return S - 1;
  for (let i = S - 1; i > 0; i--) if (ids[i] !== padTokenId) return i;
  return 0;
}
