// MistralModel: the decoder without a head. It checks inputs and shapes hidden states; an engine behind it computes. Knows no backend.

import type { ModelClass } from "../../models/heads.ts";
import { checkInputs, readBatch } from "./inputs.ts";
import type { BaseModelOutputWithPast } from "./outputs.ts";
import { type ForwardInputs, forwardKeys, PreTrainedModel } from "./pretrained-model.ts";
import { Tensor } from "../tensor/tensor.ts";

// oxlint-disable-next-line typescript/no-unsafe-declaration-merging -- only call signatures: instances are functions
export interface MistralModel {
  (inputs: ForwardInputs): Promise<BaseModelOutputWithPast>;
}

/** The decoder without a head: `await model({ input_ids })` gives hidden states. */
export class MistralModel extends PreTrainedModel<ForwardInputs, BaseModelOutputWithPast> {
  static readonly modelClass: ModelClass = "MistralModel";

  /**
   * Runs the decoder once over all tokens of `inputs`.
   * @throws InputError wrong shapes, ids outside the vocabulary, an unknown key
   * @throws MemoryError the cache does not fit; nothing has been allocated
   */
  async forward(inputs: ForwardInputs): Promise<BaseModelOutputWithPast> {
    checkInputs("forward", inputs, forwardKeys);
    const batch = readBatch("forward", inputs.input_ids, inputs.inputs_embeds, this.config);
    const { result, shared } = await this.run(inputs, batch, {}, { logits: false, last: true });
    const dims = [batch.B, batch.S, this.config.hidden_size];
    const last_hidden_state = new Tensor("float32", result.last ?? new Float32Array(), dims);
    return { last_hidden_state, ...shared };
  }
}
