// MistralForSequenceClassification: one result for each text. It checks inputs and shapes logits; an engine behind it computes.
// B batch, S tokens, N labels. Knows no backend.

import type { MistralConfig, ProblemType } from "../../models/config.ts";
import { type ModelClass, pooledColumn } from "../../models/heads.ts";
import type { Labels } from "../../models/losses.ts";
import { type Batch, checkInputs, readBatch, readCount, readRowIntegers } from "./inputs.ts";
import type { SequenceClassifierOutputWithPast } from "./outputs.ts";
import { type ForwardInputs, forwardKeys, PreTrainedModel } from "./pretrained-model.ts";
import { warnOnce } from "../../warn-once.ts";
import { type NestedInput, Tensor } from "../tensor/tensor.ts";

export type SequenceClassificationInputs = ForwardInputs & {
  /**
   * What each text is, as the config's `problem_type` says: the class [B] ("single_label_classification"; −100 is ignored), 0 or 1 for
   * each label [B, N] ("multi_label_classification"), or numbers [B, N], or [B] if N is 1 ("regression"). Without a problem type: a
   * regression if N is 1, one class if whole numbers [B] come, else several labels.
   */
  labels?: NestedInput;
  /** In single-label classification the summed loss is divided by this number. Default: the number of labels that are not −100 */
  num_items_in_batch?: number;
};

const keys: ReadonlySet<string> = new Set([...forwardKeys, "labels", "num_items_in_batch"]);

// oxlint-disable-next-line typescript/no-unsafe-declaration-merging -- only call signatures: instances are functions
export interface MistralForSequenceClassification {
  (inputs: SequenceClassificationInputs): Promise<SequenceClassifierOutputWithPast>;
}

/**
 * The classifier of texts: `await model({ input_ids })` gives logits [B, N]; `model.config.id2label` names the N labels. They are those of
 * the rightmost token of each row that is not `config.pad_token_id`, so that padding may be on either side.
 */
export class MistralForSequenceClassification extends PreTrainedModel<
  SequenceClassificationInputs,
  SequenceClassifierOutputWithPast
> {
  static readonly modelClass: ModelClass = "MistralForSequenceClassification";

  /**
   * Runs the model once over all tokens of `inputs`.
   * @throws InputError several rows, though the config has no pad_token_id; wrong shapes or labels, an unknown key
   * @throws MemoryError the cache does not fit; nothing has been allocated
   */
  async forward(inputs: SequenceClassificationInputs): Promise<SequenceClassifierOutputWithPast> {
    checkInputs("forward", inputs, keys);
    const { config } = this;
    const batch = readBatch("forward", inputs.input_ids, inputs.inputs_embeds, config);
    const { num_labels: N, pad_token_id: padTokenId } = config;
    if (batch.ids === undefined && padTokenId !== null) warnOfEmbeddings();
    const { result, shared } = await this.run(
      { ...inputs, use_cache: inputs.use_cache ?? defaultUseCache(inputs, batch, config) },
      batch,
      {
        ...readLabels(inputs.labels, config),
        numItems: readCount("forward", "num_items_in_batch", inputs.num_items_in_batch),
        padTokenId,
      },
      { logits: true, last: false },
    );
    const logits = new Tensor("float32", result.logits ?? new Float32Array(), [batch.B, N]);
    return { ...this.lossOf(result), logits, ...shared };
  }
}

/** Labels as the problem type asks for them. JavaScript's 1 may mean 1.0: shape and problem type decide, not the number. */
function readLabels(
  labels: NestedInput | undefined | null,
  { problem_type, num_labels: N }: MistralConfig,
): { labels?: Labels; problemType?: ProblemType } {
  if (labels == null) return {};
  const given = Tensor.from(labels);
  const isWhole = given.dtype !== "float32" && given.dtype !== "float64";
  const isColumn = given.dims.length < 2 || given.dims[1] === 1;
  const guessed =
    isWhole && isColumn ? "single_label_classification" : "multi_label_classification";
  const problemType = problem_type ?? (N === 1 ? "regression" : guessed);
  return {
    problemType,
    labels:
      problemType === "single_label_classification"
        ? readRowIntegers("forward", "labels", given)
        : Float32Array.from(given.data),
  };
}

/**
 * The config's `use_cache`; but false if there are labels, or if the mask hides the token that classifies a row: it sees other columns
 * than the rows of a cache do, so that such a call leaves none.
 */
function defaultUseCache(
  { labels, attention_mask }: SequenceClassificationInputs,
  { B, S, ids }: Batch,
  { use_cache, pad_token_id }: MistralConfig,
): boolean {
  if (labels != null || attention_mask == null) return labels == null && use_cache;
  const { data: mask } = Tensor.from(attention_mask);
  const T = mask.length / B;
  const isHidden = (_: unknown, b: number): boolean => {
    const own = ids?.subarray(b * S, (b + 1) * S);
    return mask[(b + 1) * T - S + pooledColumn(own, S, pad_token_id)] === 0;
  };
  return use_cache && !Array.from({ length: B }).some(isHidden);
}

function warnOfEmbeddings(): void {
  warnOnce(
    "MistralForSequenceClassification cannot see which inputs_embeds are padding: each row is classified by its last column",
  );
}
