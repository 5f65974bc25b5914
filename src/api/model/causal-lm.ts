// MistralForCausalLM: the language model. It checks inputs and shapes logits; an engine behind it computes. Knows no backend.

import type { ModelClass } from "../../models/heads.ts";
import { type GenerateInputs, type GenerateOptions, generate } from "./generate.ts";
import { checkInputs, readBatch, readCount, readGrid, readKeep } from "./inputs.ts";
import type { CausalLMOutputWithPast, GenerateDecoderOnlyOutput } from "./outputs.ts";
import { type ForwardInputs, forwardKeys, PreTrainedModel } from "./pretrained-model.ts";
import { type NestedInput, Tensor } from "../tensor/tensor.ts";

export type CausalLMInputs = ForwardInputs & {
  /** [B, S]: token ids, or −100 to ignore a place. They are shifted inside: the logits of column s are judged by label s + 1 */
  labels?: NestedInput;
  /** 0 (the default): logits of all columns; n: of the last n columns; or indices of columns */
  logits_to_keep?: NestedInput;
  /** The summed loss is divided by this number. Default: the number of labels that are not ignored */
  num_items_in_batch?: number;
};

const keys: ReadonlySet<string> = new Set([
  ...forwardKeys,
  "labels",
  "logits_to_keep",
  "num_items_in_batch",
]);

/** Inputs and options may stand in either argument of generate(). */
type GenerateCall = GenerateInputs & GenerateOptions;
/** An interface, as TypeScript shows no text for an option of which an intersection has two types. */
interface ForDict extends GenerateCall {
  return_dict_in_generate: true;
}

// oxlint-disable-next-line typescript/no-unsafe-declaration-merging -- only call signatures: instances are functions
export interface MistralForCausalLM {
  (inputs: CausalLMInputs): Promise<CausalLMOutputWithPast>;
}

/** The language model: `await model({ input_ids })` gives logits, `model.generate(…)` continues texts. */
export class MistralForCausalLM extends PreTrainedModel<CausalLMInputs, CausalLMOutputWithPast> {
  static readonly modelClass: ModelClass = "MistralForCausalLM";

  /**
   * Runs the model once over all tokens of `inputs`.
   * @throws InputError wrong shapes, ids outside the vocabulary, an unknown key
   * @throws MemoryError the cache does not fit; nothing has been allocated
   */
  async forward(inputs: CausalLMInputs): Promise<CausalLMOutputWithPast> {
    checkInputs("forward", inputs, keys);
    const batch = readBatch("forward", inputs.input_ids, inputs.inputs_embeds, this.config);
    const { B, S } = batch;
    const V = this.config.vocab_size;
    const keep = readKeep("forward", inputs.logits_to_keep, S);
    const labels = readGrid("forward", "labels", inputs.labels, batch, [0, V - 1]);
    const numItems = readCount("forward", "num_items_in_batch", inputs.num_items_in_batch);
    const request = { keep, labels, numItems };
    const { result, shared } = await this.run(inputs, batch, request, {
      logits: true,
      last: false,
    });
    const logits = new Tensor("float32", result.logits ?? new Float32Array(), [B, keep.length, V]);
    return { ...this.lossOf(result), logits, ...shared };
  }

  // Objects come before arrays, and each overload has a text, so that an editor offers options only and shows what each call gives.
  /** As below, with an object as the result, since `return_dict_in_generate` is true: `sequences`, and what else was asked for. */
  generate(inputs: ForDict, options?: GenerateCall): Promise<GenerateDecoderOnlyOutput>;
  /** As below, with an object as the result, since `return_dict_in_generate` is true: `sequences`, and what else was asked for. */
  generate(inputs: GenerateCall, options: ForDict): Promise<GenerateDecoderOnlyOutput>;
  /**
   * Continues one or more token sequences: `generate({ ...inputs, max_new_tokens: 100 })`, or `generate(inputs, { max_new_tokens: 100 })`.
   *
   * @param inputs  a tokenizer's output, or an object with `input_ids` [B, S], padded on the left if lengths differ, `attention_mask`
   *                [B, S] (1 token, 0 padding), and any of the options
   * @param options any field of `GenerationConfig`; what is not given comes from generation_config.json, then from the documented
   *                defaults. `signal` stops within one op; `streamer` gets each token as soon as it is chosen
   * @returns [B · num_return_sequences, S + new], prompt included; rows that ended early are filled with `pad_token_id`.
   *                With `return_dict_in_generate`: an object
   * @throws InputError  unknown option (with the nearest known one), right padding, an id outside [0, vocab_size)
   * @throws MemoryError the cache for `max_length` does not fit (with the arithmetic); nothing has been allocated
   * @see Transformers 5.23 `GenerationMixin.generate`
   */
  generate(inputs: GenerateCall, options?: GenerateCall): Promise<Tensor>;
  /** Continues token ids [B, S]; an object is the result, since `return_dict_in_generate` is true. */
  generate(
    input_ids: NestedInput | GenerateCall,
    options: ForDict,
  ): Promise<GenerateDecoderOnlyOutput>;
  /**
   * Continues token ids [B, S], padded on the left if lengths differ: `generate(inputs.input_ids, { max_new_tokens: 100 })`.
   *
   * @returns [B · num_return_sequences, S + new], prompt included; rows that ended early are filled with `pad_token_id`
   */
  generate(input_ids: NestedInput | GenerateCall, options?: GenerateCall): Promise<Tensor>;
  generate(
    inputs: GenerateCall | NestedInput,
    options: GenerateCall = {},
  ): Promise<Tensor | GenerateDecoderOnlyOutput> {
    return generate(
      { engine: this.engine, config: this.config, own: this.generation_config },
      inputs,
      options,
    );
  }
}
