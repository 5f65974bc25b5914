// The public names, and nothing else.

export { AutoConfig, GenerationConfig, MistralConfig } from "./api/auto-config.ts";
export { AutoTokenizer } from "./api/auto-tokenizer.ts";
export { AutoModel, AutoModelForCausalLM, type WithLoadingInfo } from "./api/auto.ts";
export { BatchEncoding } from "./api/batch-encoding.ts";
export { BitsAndBytesConfig, type BitsAndBytesOptions } from "./api/bits-and-bytes-config.ts";
export { type CacheOptions, DynamicCache } from "./api/cache.ts";
export { defaultModel } from "./api/default-model.ts";
export { env } from "./api/env.ts";
export type { GenerateInputs, GenerateOptions } from "./api/generate.ts";
export { type KlDivergence, klDivergence } from "./api/kl-divergence.ts";
export type { LoadOptions } from "./api/load-options.ts";
export {
  type CausalLMInputs,
  type ForwardInputs,
  MistralForCausalLM,
  MistralModel,
} from "./api/model.ts";
export type {
  BaseModelOutputWithPast,
  CausalLMOutputWithPast,
  GenerateDecoderOnlyOutput,
} from "./api/outputs.ts";
export { type Perplexity, perplexity } from "./api/perplexity.ts";
export type { QuantizationMethod } from "./api/quantization-methods.ts";
export type { OwnQuantization, QuantizationConfig } from "./api/quantization.ts";
export {
  quantize,
  type Quantized,
  type QuantizeOptions,
  type QuantizeProgress,
} from "./api/quantize.ts";
export type { EvaluationOptions } from "./api/sliding-windows.ts";
export { TextStreamer } from "./api/text-streamer.ts";
export {
  type NestedArray,
  type NestedInput,
  Tensor,
  type TensorData,
  type TensorDType,
} from "./api/tensor.ts";
export { PreTrainedTokenizer } from "./api/tokenizer.ts";
export { CheckpointError, EngineError, InputError, MemoryError, TemplateError } from "./errors.ts";
export { type IndexedText, TextIteratorStreamer } from "./generate/streamers.ts";
export { Float } from "./text/chat-template.ts";
