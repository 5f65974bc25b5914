// The Auto classes: they name a task, and load the Mistral class that does it. Do not know how a model is loaded.

import type { MistralConfig } from "../../models/config.ts";
import { MistralForCausalLM } from "./causal-lm.ts";
import { loadModel, type ModelConstructor, newModel, type WithLoadingInfo } from "./load.ts";
import type { LoadOptions, LoadOptionsWithInfo, NewModelOptions } from "./load-options.ts";
import { MistralModel } from "./mistral-model.ts";
import { MistralForQuestionAnswering } from "./question-answering.ts";
import { MistralForSequenceClassification } from "./sequence-classification.ts";
import { MistralForTokenClassification } from "./token-classification.ts";

type AutoClass<Model> = {
  /**
   * Loads a model: from a folder with config.json and safetensors, from a GGUF file, or by its id on the hub, which is fetched into the cache
   * unless it is there.
   *
   * @param dir a folder as it was published, the path of a GGUF file, or an id such as "mistralai/Mistral-7B-v0.1"
   * @throws InputError      an unknown option or value
   * @throws CheckpointError a file is missing, malformed, or does not fit the config or the class; or it cannot be fetched. Nothing has been
   *                         allocated
   * @throws MemoryError     the weights do not fit (with the arithmetic); nothing has been allocated
   */
  from_pretrained(dir: string, options: LoadOptionsWithInfo): Promise<WithLoadingInfo<Model>>;
  from_pretrained(dir: string, options?: LoadOptions): Promise<Model>;
  /**
   * Makes a model with random weights, as Transformers initialises one: matrices from a normal distribution with the standard deviation
   * `initializer_range`, norms 1, biases 0. The same seed gives the same weights.
   *
   * @param options `seed` (default 0), `dtype`, and how and where the model computes
   * @throws InputError  no config, or one that no model can have; an unknown option or value
   * @throws MemoryError the weights do not fit (with the arithmetic); nothing has been allocated
   */
  from_config(config: MistralConfig, options?: NewModelOptions): Promise<Model>;
};

/** Loads the decoder, without a head. */
export const AutoModel: AutoClass<MistralModel> = autoClass("AutoModel", MistralModel);

/** Loads a language model. */
export const AutoModelForCausalLM: AutoClass<MistralForCausalLM> = autoClass(
  "AutoModelForCausalLM",
  MistralForCausalLM,
);

/** Loads a classifier of texts. */
export const AutoModelForSequenceClassification: AutoClass<MistralForSequenceClassification> =
  autoClass("AutoModelForSequenceClassification", MistralForSequenceClassification);

/** Loads a classifier of tokens. */
export const AutoModelForTokenClassification: AutoClass<MistralForTokenClassification> = autoClass(
  "AutoModelForTokenClassification",
  MistralForTokenClassification,
);

/** Loads a model that finds answers in a text. */
export const AutoModelForQuestionAnswering: AutoClass<MistralForQuestionAnswering> = autoClass(
  "AutoModelForQuestionAnswering",
  MistralForQuestionAnswering,
);

function autoClass<Model>(name: string, Class: ModelConstructor<Model>): AutoClass<Model> {
  const from_pretrained = (
    dir: string,
    options: LoadOptions = {},
  ): Promise<Model & WithLoadingInfo<Model>> =>
    // The options decide which of the two comes; the overloads above say so to callers.
    loadModel(`${name}.from_pretrained`, Class, dir, options) as Promise<
      Model & WithLoadingInfo<Model>
    >;
  return {
    from_pretrained,
    from_config: (config, options = {}) => newModel(`${name}.from_config`, Class, config, options),
  };
}
