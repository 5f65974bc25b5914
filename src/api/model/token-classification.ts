// MistralForTokenClassification: one result for each token. It checks inputs and shapes logits; an engine behind it computes.
// B batch, S tokens, N labels. Knows no backend.

import type { ModelClass } from "../../models/heads.ts";
import { checkInputs, readBatch, readGrid } from "./inputs.ts";
import type { TokenClassifierOutput } from "./outputs.ts";
import { type ForwardInputs, forwardKeys, PreTrainedModel } from "./pretrained-model.ts";
import { type NestedInput, Tensor } from "../tensor/tensor.ts";

export type TokenClassificationInputs = ForwardInputs & {
  /** [B, S]: the class of each token, or −100 to ignore it. They are not shifted */
  labels?: NestedInput;
  /** The summed loss is divided by this number. Default: the number of labels that are not ignored */
  num_items_in_batch?: number;
};

const keys: ReadonlySet<string> = new Set([...forwardKeys, "labels", "num_items_in_batch"]);

// oxlint-disable-next-line typescript/no-unsafe-declaration-merging -- only call signatures: instances are functions
export interface MistralForTokenClassification {
  (inputs: TokenClassificationInputs): Promise<TokenClassifierOutput>;
}

/** The classifier of tokens: `await model({ input_ids })` gives logits [B, S, N]; `model.config.id2label` names the N labels. */
export class MistralForTokenClassification extends PreTrainedModel<
  TokenClassificationInputs,
  TokenClassifierOutput
> {
  static readonly modelClass: ModelClass = "MistralForTokenClassification";

  /**
   * Runs the model once over all tokens of `inputs`. As in Transformers the output has no cache.
   * @throws InputError wrong shapes or labels, ids outside the vocabulary, an unknown key
   * @throws MemoryError the cache does not fit; nothing has been allocated
   */
  async forward(inputs: TokenClassificationInputs): Promise<TokenClassifierOutput> {
    checkInputs("forward", inputs, keys);
    const batch = readBatch("forward", inputs.input_ids, inputs.inputs_embeds, this.config);
    const { B, S } = batch;
    const { num_labels: N } = this.config;
    const labels = readGrid("forward", "labels", inputs.labels, batch, [0, N - 1]);
    const { logits, loss, outputs } = await this.runHead(inputs, batch, labels);
    return { ...loss, logits: new Tensor("float32", logits, [B, S, N]), ...outputs };
  }
}
